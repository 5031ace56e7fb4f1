"""The files of `Static`: in a table that is made once, or looked up at each request.

The key of a file is its path in an environ, prefix included, as latin-1 has its bytes.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from breezeway.beneath import open_beneath
from breezeway.semantics.fields import Headers
from breezeway.semantics.file_plan import (
    SIBLINGS,
    STALE_SECONDS,
    FilePlan,
    Representation,
    file_name,
    plan_by,
    with_validators,
)
from breezeway.semantics.negotiation import IDENTITY

Describe = Callable[[str, str, bool], Headers]
"""Says the fields of a file by its name, the coding of the variant, and whether it has several."""


class Variant:
    """A file in one content coding, and the heads of the most frequent answers with it."""

    __slots__ = (
        "coding",
        "content",
        "fields",
        "headers",
        "path",
        "status",
        "unchanged",
        "validators",
        "whole",
    )

    def __init__(self, path: str, status: os.stat_result, coding: str, fields: Headers) -> None:
        """`path` is below the root of its entry; `fields` are those of `plan`."""
        self.path = path
        self.status = status
        self.fields = fields
        self.coding = coding
        now = time.time()
        representation = Representation(status.st_size, status.st_mtime_ns, coding)
        self.validators, self.headers = with_validators(representation, fields, now)
        get = {"REQUEST_METHOD": "GET"}
        self.whole = self.plan(get).headers
        self.unchanged = self.plan({**get, "HTTP_IF_NONE_MATCH": "*"}).headers
        self.content: bytes | None = None
        """If it is kept in memory."""

    def plan(self, environ: Mapping[str, Any]) -> FilePlan:
        """Plan the answer to a GET or HEAD."""
        size = self.status.st_size
        return plan_by(environ, size, self.validators, self.headers, time.time(), _boundary)


class Entry:
    """A file, and the variants that it has; the first is itself."""

    __slots__ = ("codings", "name", "root", "variants")

    def __init__(self, root: str, name: str, variants: dict[str, Variant]) -> None:
        self.root = root
        self.name = name
        self.variants = variants
        self.codings = tuple(coding for coding in variants if coding != IDENTITY)


class Redirect(NamedTuple):
    """A directory that has an index, asked for without its slash."""


Found = Entry | Redirect


class Files:
    """All files of some directories below one prefix."""

    def __init__(
        self,
        roots: Sequence[str],
        prefix: str,
        *,
        describe: Describe,
        index: str,
        anywhere: bool,
        hidden: Sequence[str],
    ) -> None:
        """`prefix` has no slash at its end. Paths in `hidden`, in full, are not served."""
        self._roots = roots
        self._prefix = prefix
        self._describe = describe
        self._index = index
        self._anywhere = anywhere
        self._hidden = hidden

    def table(self) -> dict[str, Found]:
        """List all files; the first directory that has one counts."""
        found: dict[str, Found] = {}
        for root in self._roots:
            for name in _walk(root, ""):
                key = f"{self._prefix}/{in_a_path(name)}"
                if key not in found:
                    entry = self._entry(root, name)
                    if entry is not None:
                        found[key] = entry
        for key, each in list(found.items()):
            before, slash, last = key.rpartition("/")
            if last == in_a_path(self._index):
                found[before + slash] = each
                found.setdefault(before, Redirect())
        return found

    def find(self, path: str) -> Found | None:
        """Look for the file of a path of an environ."""
        if not f"{path}/".startswith(f"{self._prefix}/"):
            return None
        rest = path[len(self._prefix) + 1 :]
        if self._index and (not rest or rest.endswith("/")):
            is_directory = path.endswith("/")
            found = self._look(rest + in_a_path(self._index))
            return found if is_directory or found is None else Redirect()
        found = self._look(rest)
        if found is None and self._index and self._look(f"{rest}/{in_a_path(self._index)}"):
            return Redirect()
        return found

    def _look(self, path: str) -> Entry | None:
        name = file_name(path)
        if name is not None:
            for root in self._roots:
                entry = self._entry(root, name)
                if entry is not None:
                    return entry
        return None

    def _entry(self, root: str, name: str) -> Entry | None:
        """Make the entry of a file; None if there is none that may be served.

        Each was opened once as `open_beneath` does: what is known of it is of a file below the root.
        """
        if f"{root}/{name}" in self._hidden:
            return None
        status = self._status(root, name)
        if status is None:
            return None
        oldest = status.st_mtime - STALE_SECONDS
        siblings = [
            (coding, name + ending, its)
            for coding, ending in SIBLINGS
            if (its := self._status(root, name + ending)) and its.st_mtime >= oldest
        ]
        fields = self._describe(name, IDENTITY, bool(siblings))
        variants = {IDENTITY: Variant(name, status, IDENTITY, fields)}
        for coding, path, its in siblings:
            variants[coding] = Variant(path, its, coding, self._describe(name, coding, True))
        return Entry(root, name, variants)

    def _status(self, root: str, name: str) -> os.stat_result | None:
        try:
            file = open_beneath(root, name, anywhere=self._anywhere)
        except OSError:
            return None
        file.close()
        return file.status


def _walk(root: str, below: str, on_the_way: tuple[str, ...] = ()) -> Iterator[str]:
    """Name all files below a directory that may have an entry."""
    here = os.path.join(root, below)
    real = os.path.realpath(here)
    if real in on_the_way:
        return  # a link that leads back up
    try:
        entries = sorted(os.scandir(here), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if file_name(in_a_path(name)) is None:
            continue
        try:
            is_directory = entry.is_dir()
        except OSError:
            continue
        if is_directory:
            yield from _walk(root, name, (*on_the_way, real))
        else:
            yield name


def in_a_path(name: str) -> str:
    """Return the name of a file as a path of an environ has it."""
    return os.fsencode(name).decode("latin-1")


def _boundary() -> str:
    return secrets.token_hex(12)
