"""The pid file: which process is the supervisor, and that there is no second one.

The lock on the file (flock(2)) says that its owner lives; the number in it is for people and
scripts alone. So a file that a killed or crashed supervisor left behind is taken without a
question, also when its number belongs to another process by now, as after a reboot.

An upgrade must not let go of the lock, and can neither replace the file (the lock is the old
file's) nor wait until the old supervisor has gone (nobody would hold it then). A lock of flock
belongs to the open file and not to a process, and so the new supervisor inherits the descriptor
(`fileno`, `inherit`), and with it the lock that the old one holds:

    old: `fileno()` to the new one; goes on as before, and may still fall back to that
    new: `inherit(path, fd)`, and when it serves: `write()`. From here on the file is its own
    old: `close()` finds another's number in the file, and leaves it

Therefore nobody ever unlocks; the lock ends with the last descriptor. For the same reason workers
must not keep theirs: `close_in_child`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from typing import Final, Self

from breezeway.errors import UsageError, UserError

MODE: Final = 0o644
"""Anybody may read it."""

READ_BYTES: Final = 64
"""More than a pid file holds: the largest pid has 7 digits."""

_CONTENT: Final = re.compile(rb"\s*(\d{0,19})\s*", re.ASCII)


class PidFile:
    """A pid file that is locked and says our process id, until `close`.

    As a context manager it closes itself.
    """

    def __init__(self, path: str) -> None:
        """Lock the file at `path`, made if need be, and write our process id into it.

        Raises `UserError` if another process holds it, if it is not a pid file (such a file stays
        as it is), and if it cannot be opened or written.
        """
        self.path = _absolute(path)
        self._fd = -1
        self._make()

    def renew(self) -> None:
        """Make the file anew if somebody has removed or replaced it, and lock that one.

        Raises `UserError` for the reasons that there are at the start; everything stays as it is.
        """
        with contextlib.suppress(PermissionError):  # then nobody can tell, and it may well be there
            if not _is_at(self.path, self._fd):
                self._make()

    def _make(self) -> None:
        before, self._fd = self._fd, _lock(self.path)
        try:
            self.write()
        except UserError:
            # Half of a number could be another process's; the file was free, it may go.
            os.unlink(self.path)
            os.close(self._fd)
            self._fd = before
            raise
        if before >= 0:
            os.close(before)

    @classmethod
    def inherit(cls, path: str, fd: int) -> Self:
        """Take over the descriptor that the old supervisor passed; `write` makes the file ours.

        Raises `UserError` if it is not that file, for instance since the setting has changed.
        """
        self = cls.__new__(cls)
        self.path = _absolute(path)
        self._fd = fd
        try:
            os.set_inheritable(fd, False)
            same = _is_at(self.path, fd)
        except OSError:
            same = False
        if not same:
            reason = "it is not the one that the old supervisor has"
            raise _failure(self.path, reason, "A change of this setting needs a restart.")
        return self

    def fileno(self) -> int:
        """Return the descriptor that has the lock, for the new supervisor of an upgrade."""
        return self._fd

    def write(self) -> None:
        """Write our process id; raise `UserError` if that cannot be done."""
        text = b"%d\n" % os.getpid()
        try:
            # First the number, then the end, so that a reader never finds an empty file.
            if os.pwrite(self._fd, text, 0) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(self._fd, len(text))
        except OSError as error:
            raise _failure(self.path, _reason(error)) from None

    def close(self) -> None:
        """Remove the file if it is still ours, and let go of the lock."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            if _pid_in(self._fd) == os.getpid() and _is_at(self.path, self._fd):
                os.unlink(self.path)
        self.close_in_child()

    def close_in_child(self) -> None:
        """Close the descriptor alone: in a worker, whose copy would keep the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _absolute(path: str) -> str:
    # Against the directory of now: an application may change it.
    if not path or "\0" in path:
        raise UsageError(f"--pid-file {path!r} is not a path.")
    return os.path.abspath(path)


def _lock(path: str) -> int:
    """Open and lock the file at `path`; return the descriptor."""
    while True:
        fd = _open(path)
        try:
            _check(path, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last owner may have removed it after we opened it: then we have locked nothing.
            if _is_at(path, fd):
                return fd
        except BlockingIOError:
            error = _taken(path, _pid_in(fd))
            os.close(fd)
            raise error from None
        except UserError:
            os.close(fd)
            raise
        except OSError as cause:
            os.close(fd)
            raise _failure(path, _reason(cause)) from None
        os.close(fd)


def _open(path: str) -> int:
    try:
        # O_NOFOLLOW: in a directory that others can write to, a link could point to any file.
        # O_NONBLOCK: a fifo must not hold us up before _check() refuses it.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(path, flags, MODE)
    except OSError as error:
        directory = os.path.dirname(path)
        match error.errno:
            case errno.ENOENT:
                reason, hint = f"there is no directory {directory}", f"mkdir -p {directory}"
                raise _failure(path, reason, f"Make it first: {hint}") from None
            case errno.EACCES | errno.EPERM:
                hint = "The user that runs Breezeway must be allowed to write it."
                raise _failure(path, "no permission", hint) from None
            case errno.ELOOP:
                raise _failure(path, "it is a symbolic link", "Name the file itself.") from None
            case _:
                raise _failure(path, _reason(error)) from None


def _check(path: str, fd: int) -> None:
    """Refuse what is there and was not made to hold a process id."""
    regular = stat.S_ISREG(os.fstat(fd).st_mode)
    if not regular or _CONTENT.fullmatch(os.pread(fd, READ_BYTES, 0)) is None:
        hint = "It is left as it is: remove it yourself, or choose another path."
        raise _failure(path, "it is there already, and it is not a pid file", hint)


def _is_at(path: str, fd: int) -> bool:
    """Tell whether the file at `path` is the one that `fd` has open."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _pid_in(fd: int) -> int | None:
    match = _CONTENT.fullmatch(os.pread(fd, READ_BYTES, 0))
    return int(match[1]) if match and match[1] else None


def _taken(path: str, pid: int | None) -> UserError:
    holder = "another process" if pid is None else f"process {pid}"
    return _failure(path, f"{holder} has locked it", "Is Breezeway running already?")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0)


def _failure(path: str, reason: str, hint: str = "") -> UserError:
    return UserError(f"cannot use the pid file {path} (--pid-file): {reason}.", hint)
