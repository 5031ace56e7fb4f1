"""What `--reload` watches: which files count, and what they looked like.

A change is a difference between two looks at the tree: a file that is there or not, or whose `Mark`
differs. However an editor saves (in place, or to a temporary file that is renamed), and whatever
told the watcher to look, the answer is the same.

The walk goes in breadth, so that what is near the top, the application's own code, is watched even
if the tree is larger than the bound.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Final, NamedTuple

SUFFIXES: Final = (
    # Code, and what is compiled to be loaded in its place. `.pyi` is never run.
    *(".py", ".so"),
    # Templates: Django and Jinja, Mako, Chameleon. Frameworks cache them more often than not.
    *(".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".mak", ".pt"),
    # Settings, and catalogues of messages in the form that is loaded.
    *(".toml", ".ini", ".cfg", ".yaml", ".yml", ".env", ".mo"),
)
"""Files that are watched. Not `.json`, `.txt`, `.xml` or databases: applications write such files into
their own directories, and each time would be a restart. Not `.css` or `.js`: those are read anew for
each request."""

SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Directories that hold no code of the user's. Hidden ones (.git, .venv, .tox) are skipped as well."""

BUILT: Final = frozenset({"build", "dist"})
"""Directories that are skipped unless they are packages: the name alone says too little."""

ENVIRONMENT_MARKS: Final = frozenset({"pyvenv.cfg", "conda-meta"})
"""What is in the top directory of a virtual environment, whatever that is called."""

MOST_ENTRIES: Final = 20_000
"""Files and directories that a look takes in, watched or not; some 70 ms. More of them means that the
tree is not an application's source but, say, a home directory."""


class Mark(NamedTuple):
    """What tells two versions of a file apart: a rename changes the inode, a write the time."""

    modified_ns: int
    size: int
    inode: int


class SourceTree:
    """The watched files below some directories; a path may also name one file, of any suffix."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(dict.fromkeys(os.path.abspath(path) for path in paths))
        self.directories: dict[str, int] = {}
        """Where changes happen, with the inode: what the last look found."""
        self.files: dict[str, Mark] = {}
        """What the last look found, by path."""
        self.cut_short = False
        """Whether the last look met `MOST_ENTRIES`, so that something is not watched."""

    def look(self) -> None:
        """Walk through the tree; what cannot be read is left out."""
        self.files = {}
        self.cut_short = False
        self.directories = {}
        queue = []
        for path in self.paths:
            if os.path.isdir(path):
                queue.append((path, os.path.realpath(path)))
            else:
                self._add_directory(os.path.dirname(path))
                self._look_at_file(path)
        seen = {real for _, real in queue}
        entries_left = MOST_ENTRIES
        for path, real in queue:  # which grows meanwhile
            entries = self._entries(path)
            if entries is None:
                continue
            entries_left -= len(entries)
            if entries_left < 0:
                self.cut_short = True
                break
            self._add_directory(path)
            for entry in entries:
                if _is_directory(entry):
                    inner = os.path.join(real, entry.name)
                    if entry.is_symlink():  # which may lead back up
                        inner = os.path.realpath(inner)
                    if inner not in seen and not _is_skipped(entry.name):
                        seen.add(inner)
                        queue.append((entry.path, inner))
                elif is_watched(entry.name):
                    self._look_at_file(entry.path)

    def _add_directory(self, path: str) -> None:
        with contextlib.suppress(OSError):  # gone meanwhile
            self.directories[path] = os.stat(path).st_ino

    def _entries(self, path: str) -> list[os.DirEntry[str]] | None:
        """List a directory; None if it cannot be read or holds no source of the user's."""
        try:
            with os.scandir(path) as found:
                entries = list(found)
        except OSError:
            return None
        if path not in self.paths and _is_foreign(path, {entry.name for entry in entries}):
            return None
        return entries

    def _look_at_file(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError:  # not there, or no longer
            return
        self.files[path] = Mark(status.st_mtime_ns, status.st_size, status.st_ino)

    def changes_since(self, files: dict[str, Mark]) -> list[str]:
        """Return the paths that differ from an earlier look's `files`, sorted."""
        return sorted({path for path, _ in files.items() ^ self.files.items()})


def is_watched(name: str) -> bool:
    """Tell whether a file of this name can change what the application does."""
    if name.startswith("."):  # most hidden files are an editor's own, such as `.#app.py` of Emacs
        return name == ".env" or name.startswith(".env.")
    return name.endswith(SUFFIXES)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def _is_foreign(path: str, names: set[str]) -> bool:
    """Tell from its content whether a directory is not the application's source."""
    if names & ENVIRONMENT_MARKS:
        return True
    return os.path.basename(path) in BUILT and "__init__.py" not in names
