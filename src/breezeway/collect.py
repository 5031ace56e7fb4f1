"""`breezeway collect SOURCE... TARGET`: a directory of static files, ready to be served.

Each file is copied twice: under its own name as it is, and under a name that has a fingerprint of the
content in it, in which references to other files have their fingerprints, too. So there are two sets,
each of which is complete in itself. Beside each file stand compressed variants where they are smaller. The
manifest (`middleware.static.manifest`) is written when all that it names is there, and before
anything goes.

**The fingerprint** of a file is made of its content, and of the content of everything that it refers to,
at whatever distance. So no order is needed in which names become known, files may refer to one another in
circles, and a name changes whenever anything does that it leads to.

**What is written** (`collect_writing`) has a temporary name until it is whole, and what is there already
with the same content is left as it is.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import click

from breezeway import terminal
from breezeway.collect_references import CSS, SCRIPTS, Reference, references, replaced
from breezeway.collect_writing import (
    ENDINGS,
    LARGEST_BYTES,
    Target,
    blocks_of,
    codings,
    is_compressible,
)
from breezeway.errors import UsageError, UserError
from breezeway.semantics.file_plan import WELL_KNOWN, file_name
from breezeway.semantics.fingerprints import is_fingerprinted

DIGITS: Final = 12
"""Of a fingerprint: 48 bits tell a million versions of one file apart."""

RULES: Final = b"1"
"""Counts up when references are replaced in another way, so that other content gets another name."""

T = TypeVar("T")


@dataclass(slots=True)
class Source:
    """A file to collect."""

    name: str
    """Relative to its root, with slashes."""

    path: str
    size: int = 0
    """Bytes."""

    digest: bytes = b""
    """SHA-384 of the content."""

    text: str = ""
    """The content, if references in it may be replaced."""

    found: list[Reference] = field(default_factory=list)
    """References to files that are collected, too."""

    missing: list[str] = field(default_factory=list)
    """Names of files that are not there."""

    fingerprinted: str = ""
    """The name that it gets; its own one if that has a fingerprint already."""


@click.command("collect")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("target")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out such names: '*.scss'.")
@click.option(
    "--prune", is_flag=True, help="Remove what an earlier run wrote and this one does not."
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Threads; as many as there are CPUs by default."
)
def collect(
    sources: tuple[str, ...], target: str, exclude: tuple[str, ...], prune: bool, jobs: int | None
) -> int:
    """Copy static files to TARGET with fingerprints in their names, compressed, with a manifest.

    The first SOURCE directory that has a file counts. Static of breezeway.middleware reads the manifest.
    """
    files = _files(sources, target, exclude)
    with Target(target) as opened:
        run = _Run(files, opened)
        run.each("Reading", run.read, jobs)
        run.name()
        written = run.each("Writing", run.write, jobs)
        outputs = {name: each for _, several in written for name, each in several.items()}
        manifest = {
            source.name: entry for source, (entry, _) in zip(files.values(), written, strict=True)
        }
        opened.write_manifest(manifest, outputs)
        removed = opened.prune(outputs) if prune else 0
        if removed:
            opened.write_manifest(manifest, outputs)  # without what is gone
    run.tell(removed)
    return 0


def _files(sources: Sequence[str], target: str, exclude: Sequence[str]) -> dict[str, Source]:
    """Return all files by their names, in order.

    Raises:
        UserError: a source is no directory, or contains the target, or the other way round.
    """
    found: dict[str, Source] = {}
    outer = os.path.realpath(target)
    for root in sources:
        if not os.path.isdir(root):
            raise UsageError(f"{root} is no directory.")
        inner = os.path.realpath(root)
        if os.path.commonpath([inner, outer]) in (inner, outer):
            raise UsageError(f"{root} and {target} must not lie within one another.")
        for name in _walk(root, ""):
            names = (name, name.rpartition("/")[2])
            if not any(fnmatch.fnmatchcase(each, pattern) for each in names for pattern in exclude):
                found.setdefault(name, Source(name, os.path.join(root, name)))
    made = [ENDINGS[coding] for coding in codings()]
    for name in [*found]:
        stem, dot, ending = name.rpartition(".")
        if dot + ending in made and stem in found and is_compressible(stem):
            del found[name]  # it is made anew
    return dict(sorted(found.items()))


def _walk(root: str, below: str) -> Iterator[str]:
    """Name the regular files below a directory that may be served."""
    here = os.path.join(root, below)
    try:
        entries = sorted(os.scandir(here), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"cannot read {here}: {error.strerror}.") from None
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if file_name(os.fsencode(name).decode("latin-1")) is None:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, name)
        elif entry.is_file():
            yield name


class _Run:
    """What is done to all files, several at a time."""

    def __init__(self, files: dict[str, Source], target: Target) -> None:
        self._files = files
        self._target = target

    def each(self, label: str, do: Callable[[Source], T], jobs: int | None) -> list[T]:
        """Do something for each file, with a bar that shows how far it is.

        Raises:
            UserError: it failed for one; the others were given up.
        """
        stop = self._target.stop
        with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            pending = [pool.submit(do, source) for source in self._files.values()]
            try:
                with _bar(label, len(pending)) as advance:
                    for done in as_completed(pending):
                        done.result()
                        advance()
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return [done.result() for done in pending]

    def read(self, source: Source) -> None:
        """Learn what is in a file, and what it refers to."""
        made = hashlib.sha384()
        blocks = []
        may_refer = source.name.lower().endswith((*CSS, *SCRIPTS))
        for block in blocks_of(source.path, self._target.stop):
            made.update(block)
            source.size += len(block)
            may_refer = may_refer and source.size <= LARGEST_BYTES
            if may_refer:
                blocks.append(block)
        source.digest = made.digest()
        if not may_refer or is_fingerprinted(source.name.rpartition("/")[2]):
            return  # a tool has made it, which has looked after its references
        try:
            source.text = b"".join(blocks).decode()
        except UnicodeDecodeError:
            return
        for reference in references(source.name, source.text):
            if reference.name in self._files:
                source.found.append(reference)
            elif not reference.name.endswith(".map"):  # which few people publish
                source.missing.append(reference.name)

    def name(self) -> None:
        """Choose the fingerprinted name of each file."""
        for source in self._files.values():
            base = source.name.rpartition("/")[2]
            if is_fingerprinted(base) or source.name.startswith(f"{WELL_KNOWN}/"):
                source.fingerprinted = source.name
                continue
            digest = source.digest
            reached = self._reached(source)
            if reached:
                made = hashlib.sha384(RULES + digest)
                for name in sorted(reached):
                    made.update(name.encode(errors="surrogateescape") + b"\0")
                    made.update(self._files[name].digest)
                digest = made.digest()
            source.fingerprinted = _with_fingerprint(source.name, digest.hex())

    def _reached(self, source: Source) -> set[str]:
        """Return the names of all files that a file leads to."""
        reached: set[str] = set()
        ahead = [reference.name for reference in source.found]
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead += [reference.name for reference in self._files[name].found]
        return reached

    def write(self, source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
        """Write a file under both of its names; return what the manifest says of it, and of each."""
        target = self._target
        try:
            modified_ns = os.stat(source.path).st_mtime_ns
        except OSError as error:
            raise UserError(f"cannot read {source.path}: {error.strerror}.") from None

        def read() -> Iterator[bytes]:
            return blocks_of(source.path, target.stop)

        digest, size = source.digest, source.size
        packed: dict[str, bytes] = {}
        put = target.put(source.name, read, digest, size, modified_ns, packed)
        outputs = {source.name: put}
        if source.fingerprinted != source.name:
            if source.found:
                content = replaced(source.text, source.found, self._new_name).encode()
                digest, size = hashlib.sha384(content).digest(), len(content)
                put = target.put(source.fingerprinted, lambda: [content], digest, size, None, {})
            else:
                put = target.put(source.fingerprinted, read, digest, size, modified_ns, packed)
            outputs[source.fingerprinted] = put
        integrity = "sha384-" + base64.b64encode(digest).decode()
        entry = {"name": source.fingerprinted, "integrity": integrity}
        return {**entry, **outputs[source.fingerprinted]}, outputs

    def _new_name(self, name: str) -> str:
        return self._files[name].fingerprinted

    def tell(self, removed: int) -> None:
        """Say what was done, and what refers to nothing."""
        for source in self._files.values():
            for name in source.missing:
                terminal.say(f"{source.name} refers to {name}, which is not there.")
        target = self._target
        text = f"Collected {len(self._files)} files into {target.path}:"
        text += f" {target.written} written, {target.kept} there already"
        click.echo(f"{text}, {removed} removed." if removed else f"{text}.")


@contextmanager
def _bar(label: str, length: int) -> Iterator[Callable[[], None]]:
    """Show how far it is, on a terminal."""
    if not terminal.is_terminal(sys.stderr):
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _with_fingerprint(name: str, digest: str) -> str:
    """Put a fingerprint before the extension: one that is recognised without the manifest, too."""
    directory, slash, base = name.rpartition("/")
    stem, dot, extension = base.rpartition(".")
    if not stem:
        stem, dot, extension = base, "", ""
    windows = [digest[at : at + DIGITS] for at in range(0, len(digest) - DIGITS, DIGITS)]
    names = [f"{stem}.{window}{dot}{extension}" for window in windows]
    return directory + slash + next(filter(is_fingerprinted, names), names[0])
