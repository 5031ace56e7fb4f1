"""Opens a file below a directory, and nothing else, whatever else happens there meanwhile.

The server and the middleware serve files with it.

A path is walked one segment at a time, each opened relative to the directory before it and never
through a symbolic link (`openat` with O_NOFOLLOW): there is no moment between a check and its use in
which a directory could be replaced by a link. A link is read and followed by hand, so that its target
is walked in the same way; `..` in it goes back to a directory that is open already, and no further
than the root. It is what `openat2` with RESOLVE_BENEATH does, which Python has not got.

The last segment is looked at before it is opened, which neither waits for a pipe nor wakes a device.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

MOST_LINKS: Final = 40
"""Symbolic links followed for one path: what Linux allows (path_resolution(7))."""

_FOLLOW_NONE: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_ROOT: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""With O_PATH (Linux) a directory need not be readable, as it need not be for any path."""

_DIRECTORY: Final = _ROOT | _FOLLOW_NONE
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | _FOLLOW_NONE


_STATUSES: Final = {
    errno.ENOENT: "404 Not Found",
    errno.ENOTDIR: "404 Not Found",
    errno.EISDIR: "404 Not Found",
    errno.ENAMETOOLONG: "404 Not Found",
    errno.ELOOP: "404 Not Found",
    errno.EACCES: "403 Forbidden",
    errno.EPERM: "403 Forbidden",
    errno.EMFILE: "503 Service Unavailable",
    errno.ENFILE: "503 Service Unavailable",
    errno.ENOMEM: "503 Service Unavailable",
}


class OutsideError(PermissionError):
    """The path leads out of the directory."""


class OpenFile:
    """A regular file that is open for reading; `close` it, or `take` its descriptor."""

    __slots__ = ("descriptor", "status")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptor = descriptor
        self.status = status

    def close(self) -> None:
        """Close it, unless it is closed or its descriptor was taken."""
        descriptor = self.take()
        if descriptor >= 0:
            os.close(descriptor)

    def take(self) -> int:
        """Return the descriptor, which is the caller's from now on."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor


def open_beneath(root: str, path: str, *, anywhere: bool = False) -> OpenFile:
    """Open the regular file `path`, relative to the directory `root`.

    With `anywhere`, symbolic links may lead out of it. `path` itself has no empty segment, no `.` and
    no `..`; that is for the caller to see to.

    Raises:
        OutsideError: it leads out of `root`.
        OSError: as from `open`; ENOENT also for what is no regular file.
    """
    if anywhere:
        return _regular(None, os.path.join(root, path), follow=True)
    return _Walk(root).open(path.split("/"))


def status_for(error: OSError) -> str:
    """Return the status that tells a client why a file cannot be opened or read."""
    if isinstance(error, OutsideError):
        return "404 Not Found"
    return _STATUSES.get(error.errno or 0, "500 Internal Server Error")


def reopen(path: str, known: os.stat_result) -> OpenFile | None:
    """Open a file that was opened or found below its directory before, if it is the same one still.

    That is told by what was opened, so that it does not matter what became of the path; it saves the
    walk, which costs twice as much. None: it is not the same, and has to be looked for.

    Raises:
        OSError: as from `open`, but for what tells that it is another file.
    """
    try:
        descriptor = os.open(path, _FILE)
    except OSError as error:
        if status_for(error)[:3] in ("403", "404"):
            return None
        raise
    status = os.fstat(descriptor)
    if (
        status.st_ino == known.st_ino
        and status.st_mtime_ns == known.st_mtime_ns
        and status.st_size == known.st_size
        and status.st_dev == known.st_dev
    ):
        return OpenFile(descriptor, status)
    os.close(descriptor)
    return None


class _Walk:
    """One walk; the directories on the way are open until its end."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._stack: list[int] = []

    def open(self, names: list[str]) -> OpenFile:
        """Walk to the file."""
        links = 0
        try:
            self._stack.append(os.open(self._root, _ROOT))
            names.reverse()  # the next one is the last
            while names:
                name = names.pop()
                if name in ("", "."):
                    continue
                if name == "..":
                    self._back()
                    continue
                target = self._step(name, last=not names)
                if isinstance(target, OpenFile):
                    return target
                if target is not None:
                    links += 1
                    if links > MOST_LINKS:
                        raise OSError(errno.ELOOP, "too many symbolic links")
                    names += reversed(self._from_here(target).split("/"))
            raise FileNotFoundError(errno.ENOENT, "a directory")
        finally:
            for descriptor in self._stack:
                os.close(descriptor)

    def _step(self, name: str, *, last: bool) -> OpenFile | str | None:
        """Go to `name`; return the file, the target of a link, or None for a directory."""
        here = self._stack[-1]
        try:
            if last:
                return _regular(here, name)
            self._stack.append(os.open(name, _DIRECTORY, dir_fd=here))
        except OSError as error:
            # A link is ELOOP, with O_DIRECTORY it is ENOTDIR; BSD has its own numbers.
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise
            try:
                return os.readlink(name, dir_fd=here)
            except OSError:
                raise error from None
        return None

    def _back(self) -> None:
        if len(self._stack) == 1:
            raise OutsideError(errno.EACCES, "leads out of the directory")
        os.close(self._stack.pop())

    def _from_here(self, target: str) -> str:
        """Return a link's target relative to where the walk stands; an absolute one starts anew."""
        if not target.startswith("/"):
            return target
        for root in (os.path.abspath(self._root), os.path.realpath(self._root)):
            if target == root or target.startswith(root.rstrip("/") + "/"):
                while len(self._stack) > 1:
                    os.close(self._stack.pop())
                return target[len(root) :]
        raise OutsideError(errno.EACCES, "leads out of the directory")


def _regular(directory: int | None, name: str, *, follow: bool = False) -> OpenFile:
    """Open a regular file; nothing happens to what is none."""
    before = os.stat(name, dir_fd=directory, follow_symlinks=follow)
    if stat.S_ISLNK(before.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link")
    if not stat.S_ISREG(before.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file", name)
    flags = _FILE & ~os.O_NOFOLLOW if follow else _FILE
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):  # it has been replaced since
            raise FileNotFoundError(errno.ENOENT, "not a regular file", name)
        return OpenFile(descriptor, status)
    except BaseException:
        os.close(descriptor)
        raise
