"""Where the control socket goes when nobody says where: the first directory that can be had.

    $RUNTIME_DIRECTORY          systemd has made it for this service (RuntimeDirectory=)
    /run/breezeway              for root
    $XDG_RUNTIME_DIR/breezeway  made for the user at login
    TMP/breezeway-UID           everywhere else, with mode 0700; TMP is $TMPDIR, /tmp or /var/tmp

The socket's name is the supervisor's process id, so that several servers have their place, and the
two of an upgrade as well.

In a directory for temporary files anybody can make a name before we do. What is there already is
taken only if it is a directory, no link to one, ours, and nobody else can write to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Iterator, Mapping
from typing import Final

SYSTEM: Final = "/run/breezeway"
TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 (what is made in them is checked)

SOCKET_PATH_BYTES: Final = 103
"""Longest path of a unix socket on every system; Linux takes 107."""

_SOCKET: Final = re.compile(r"([1-9]\d*)\.sock", re.ASCII)
_SHARED_TEMPORARY: Final = re.compile(r"breezeway-(\d+)", re.ASCII)


def socket_path(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the path for the control socket of this process, in a directory that is there.

    None if there is no place for it, such as where everything is read-only. Sockets that dead
    supervisors left behind in the directory are removed.
    """
    name = f"{os.getpid()}.sock"
    for directory in _own(environ):
        path = os.path.join(directory, name)
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            _sweep(directory)
            return path
    return None


def find(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the paths of all control sockets that answer and that this user may connect to.

    Looks in every directory in which a supervisor of this user can have put its socket, and those
    of the system's services; as root, also where those of other users would be without a login.
    """
    found: dict[str, None] = {}
    for directory in _all(environ):
        for path in _sockets(directory):
            if _probe(path) in (0, errno.EAGAIN):
                found[os.path.realpath(path)] = None
    return list(found)


def pid_of(path: str) -> int | None:
    """Return the process id in the name of a control socket, None if it has another name."""
    match = _SOCKET.fullmatch(os.path.basename(path))
    return int(match[1]) if match else None


def _own(environ: Mapping[str, str]) -> Iterator[str]:
    """Make the directories that a supervisor may use, and yield those that it got, best first."""
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if os.path.isabs(given) and _is_writable(given):
        yield given
    user = os.geteuid()
    if user == 0 and _make(SYSTEM, 0o755):
        yield SYSTEM
    login = environ.get("XDG_RUNTIME_DIR", "")
    # With `sudo -E` or `su` it is somebody else's.
    if os.path.isabs(login) and _is_private(login, user):
        directory = os.path.join(login, "breezeway")
        if _make(directory, 0o700):
            yield directory
    for temporary in _temporary(environ):
        directory = os.path.join(temporary, f"breezeway-{user}")
        if _is_safe_to_share(temporary) and _make(directory, 0o700):
            yield directory


def _all(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the directories in which a client looks."""
    yield from filter(os.path.isabs, environ.get("RUNTIME_DIRECTORY", "").split(":"))
    # Root made it, or systemd for some user. RuntimeDirectory=breezeway/NAME makes one in it.
    yield SYSTEM
    yield from (os.path.join(SYSTEM, name) for name in _entries(SYSTEM))
    user = os.geteuid()
    login = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(login):
        yield os.path.join(login, "breezeway")
    for temporary in _temporary(environ):
        for name in _entries(temporary):
            match = _SHARED_TEMPORARY.fullmatch(name)
            directory = os.path.join(temporary, name)
            if match and user in (0, int(match[1])) and _is_private(directory, int(match[1])):
                yield directory


def _temporary(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the directories for temporary files; the current directory is none of them."""
    given = environ.get("TMPDIR", "")
    if os.path.isabs(given):
        yield given
    yield from (each for each in TEMPORARY if each != given)


def _make(directory: str, mode: int) -> bool:
    """Make a directory, or take the one that is there; tell whether it can be used."""
    try:
        os.mkdir(directory, mode)
    except FileExistsError:
        pass
    except OSError:
        return False
    return _is_private(directory, os.geteuid()) and _is_writable(directory)


def _is_private(directory: str, owner: int) -> bool:
    """Tell whether it is a directory of this owner that nobody else can write to."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == owner and not status.st_mode & 0o022


def _is_safe_to_share(directory: str) -> bool:
    """Tell whether nobody else can rename what we make in this directory."""
    try:
        status = os.stat(directory)
    except OSError:
        return False
    sticky = bool(status.st_mode & stat.S_ISVTX)
    return status.st_uid in (0, os.geteuid()) and (sticky or not status.st_mode & 0o022)


def _is_writable(directory: str) -> bool:
    return os.path.isdir(directory) and os.access(
        directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
    )


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _sockets(directory: str) -> Iterator[str]:
    for name in _entries(directory):
        path = os.path.join(directory, name)
        if _SOCKET.fullmatch(name) and _is_socket(path):
            yield path


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _probe(path: str) -> int:
    """Connect and leave; return the error number, which is EAGAIN if the backlog is full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            return probe.connect_ex(path)
        except OSError:  # Python's own: the path is too long
            return errno.ENAMETOOLONG


def _sweep(directory: str) -> None:
    """Remove the sockets that dead supervisors left behind."""
    for path in _sockets(directory):
        # Both, for one that has just been bound refuses, too, and a pid may be used again.
        if not _is_alive(pid_of(path) or 0) and _probe(path) == errno.ECONNREFUSED:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
