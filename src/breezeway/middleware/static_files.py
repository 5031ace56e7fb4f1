"""The files of `Static`: in a table that is made once, or looked up at each request.

The key of a file is its path in an environ, prefix included, as latin-1 has its bytes.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from breezeway.beneath import is_file_since, open_beneath
from breezeway.semantics.fields import Headers
from breezeway.semantics.file_plan import (
    SIBLINGS,
    STALE_SECONDS,
    Representation,
    file_name,
    plan,
    validators_of,
)
from breezeway.semantics.negotiation import IDENTITY

Describe = Callable[[str, str, bool], Headers]
"""Says the fields of a file by its name, the coding of the variant, and whether it has several."""


class Variant:
    """A file in one content coding, and the heads of the most frequent answers with it."""

    __slots__ = ("content", "etag", "fields", "path", "representation", "unchanged", "whole")

    def __init__(self, path: str, status: os.stat_result, coding: str, fields: Headers) -> None:
        """`path` is below the root of its entry; `fields` are those of `plan`."""
        self.path = path
        self.fields = fields
        self.representation = Representation(status.st_size, status.st_mtime_ns, coding)
        self.etag = validators_of(self.representation).etag
        self.whole = self._plan()
        self.unchanged = self._plan(HTTP_IF_NONE_MATCH="*")
        self.content: bytes | None = None
        """If it is kept in memory."""

    def _plan(self, **conditions: str) -> Headers:
        environ = {"REQUEST_METHOD": "GET", **conditions}
        return plan(environ, self.representation, self.fields, time.time(), str).headers

    def now(self, status: os.stat_result) -> Variant:
        """Return the same for another version of the file."""
        return Variant(self.path, status, self.representation.coding, self.fields)

    def is_still(self, status: os.stat_result) -> bool:
        """Whether a file is the version that this is about."""
        return self.representation[:2] == (status.st_size, status.st_mtime_ns)


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
            for name, linked in _walk(root, ""):
                key = f"{self._prefix}/{_key(name)}"
                if key not in found:
                    entry = self._entry(root, name, linked=linked)
                    if entry is not None:
                        found[key] = entry
        for key, each in list(found.items()):
            before, slash, last = key.rpartition("/")
            if last == _key(self._index):
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
            found = self._look(rest + _key(self._index))
            return found if is_directory or found is None else Redirect()
        found = self._look(rest)
        if found is None and self._index and self._look(f"{rest}/{_key(self._index)}"):
            return Redirect()
        return found

    def _look(self, path: str) -> Entry | None:
        name = file_name(path)
        if name is not None:
            for root in self._roots:
                entry = self._entry(root, name, linked=False)
                if entry is not None:
                    return entry
        return None

    def _entry(self, root: str, name: str, *, linked: bool) -> Entry | None:
        """Make the entry of a file; None if there is none that may be served.

        `linked`: there are symbolic links on the way, so that it may lie outside. At each request
        `open_beneath` sees to that all the same; here it must not hide what the application has.
        """
        full = f"{root}/{name}"
        if full in self._hidden:
            return None
        try:
            if linked and not self._anywhere:
                open_beneath(root, name).close()
            status = os.stat(full)
            return self._made(root, name, status) if stat.S_ISREG(status.st_mode) else None
        except OSError:
            return None

    def _made(self, root: str, name: str, status: os.stat_result) -> Entry:
        full = f"{root}/{name}"
        oldest = status.st_mtime - STALE_SECONDS
        siblings = [
            (coding, ending) for coding, ending in SIBLINGS if is_file_since(full + ending, oldest)
        ]
        fields = self._describe(name, IDENTITY, bool(siblings))
        variants = {IDENTITY: Variant(name, status, IDENTITY, fields)}
        for coding, ending in siblings:
            fields = self._describe(name, coding, True)
            variants[coding] = Variant(name + ending, os.stat(full + ending), coding, fields)
        return Entry(root, name, variants)


def _walk(root: str, below: str, on_the_way: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """Name the files of a directory, and whether there is a link on the way to each."""
    here = os.path.join(root, below)
    real = os.path.realpath(here)
    if real in on_the_way:
        return  # a link that leads back up
    linked = bool(below) and real != os.path.join(os.path.realpath(root), below)
    try:
        entries = sorted(os.scandir(here), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if file_name(_key(name)) is None:
            continue
        try:
            is_directory = entry.is_dir()
        except OSError:
            continue
        if is_directory:
            yield from _walk(root, name, (*on_the_way, real))
        else:
            yield name, linked or entry.is_symlink()


def _key(name: str) -> str:
    """Return the name of a file as a path of an environ has it."""
    return os.fsencode(name).decode("latin-1")
