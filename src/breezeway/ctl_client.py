"""The client's side of the control socket: find the supervisor that is meant, ask, and wait.

See docs/control.md for what is said, and `breezeway.supervisor.control` for the other side. Every
failure is a `UserError`: the user reads what it says, and the exit status is 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from breezeway.errors import UsageError, UserError
from breezeway.supervisor import runtime_directory

ANSWER_SECONDS: Final = 10.0
"""A supervisor that is well answers `status` in milliseconds, `stacks` in a second or two."""

GLANCE_SECONDS: Final = 2.0
"""How long one of several supervisors may take to say who it is."""

AGAIN_SECONDS: Final = 0.05
"""Pause until another look whether a supervisor has gone."""

NO_PATH: Final = ("auto", "off")
"""Values of the setting control_socket that are not paths."""

Answer = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Called with what has just been done, how many steps are done, and of how many."""


class NoServerError(UserError):
    """Nobody answers on the control socket."""


class GoneError(NoServerError):
    """The supervisor took the request, and ended the connection without an answer."""


class FailedError(UserError):
    """The supervisor says that the operation failed; its text may have several lines."""


def ask(
    path: str, request: dict[str, Any], *, seconds: float | None, on_progress: Progress
) -> Answer:
    """Send one request to the supervisor on the socket `path`, and return the result.

    `seconds` is how long the supervisor may say nothing, None for any time. Raises `NoServerError`
    if there is none, `GoneError` if it goes, `FailedError` if it says that the operation failed.
    """
    with _connect(path) as sock:
        sock.settimeout(seconds)
        try:
            with sock.makefile("rb") as answers:
                # One that refuses us may close before it has read what we ask.
                with contextlib.suppress(BrokenPipeError):
                    sock.sendall(json.dumps(request).encode() + b"\n")
                return _wait(path, answers, on_progress)
        except TimeoutError:
            hint = "It may be stopped or overloaded; its log may tell."
            raise UserError(f"the supervisor does not answer on {path}.", hint) from None
        except OSError:
            raise _gone(path) from None


def find(path: str | None, pid: int | None) -> str:
    """Return the socket of the supervisor that is meant.

    Raises `NoServerError` if there is none, `UsageError` if there are several.
    """
    found = candidates(path, pid)
    if len(found) > 1:
        raise UsageError(
            f"there are {len(found)} servers; which one?",
            "Choose one with --pid, or with --socket PATH.",
            detail="".join(map(_introduce, found)),
        )
    return found[0]


def candidates(path: str | None, pid: int | None) -> list[str]:
    """Return the sockets of the supervisors that can be meant, one at least.

    That is `path`, or the one of the supervisor `pid`, or the one that the settings name, or those
    of all supervisors there are. Raises `NoServerError` if there is none, `UsageError` for both a
    path and a pid.
    """
    if path is not None and pid is not None:
        raise UsageError("--socket and --pid both say which server; one of them is enough.")
    if path is not None:
        return [path]
    if pid is None and (configured := _configured()) is not None:
        return [configured]
    found = runtime_directory.find()
    if pid is not None:
        found = [each for each in found if runtime_directory.pid_of(each) == pid]
        if not found:
            hint = "If its control_socket is set: --socket PATH. If it is another user's: sudo."
            raise NoServerError(f"no supervisor with process id {pid} was found.", hint)
    if not found:
        hint = (
            "Is it running? If it runs as another user, try sudo;"
            " if its control_socket is set, --socket PATH."
        )
        raise NoServerError("no running server was found.", hint)
    return found


def wait_until_gone(path: str) -> None:
    """Wait until nobody listens on the socket `path` any more; raise `UserError` as `ask` does."""
    while True:
        try:
            sock = _connect(path)
        except NoServerError:
            return
        with sock, contextlib.suppress(OSError):
            sock.settimeout(None)
            while sock.recv(1024):
                pass
        # It ends with the supervisor, or because we said nothing, or at once if too many wait.
        time.sleep(AGAIN_SECONDS)


def _configured() -> str | None:
    """Return the path that the settings have for the control socket; None if they leave it open."""
    from breezeway.config import sources

    try:
        # A copy, for the variables of an env_file are set in what is given.
        resolved = sources.resolve({}, dict(os.environ), sources.working_directory())
    except UserError:
        return None  # a file that is wrong must not hide a server that runs
    path = resolved.settings.control_socket
    return None if path in NO_PATH else os.path.join(resolved.directory, path)


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(ANSWER_SECONDS)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise _unreachable(path, error) from None
    return sock


def _unreachable(path: str, error: OSError) -> UserError:
    match error:
        case FileNotFoundError() | ConnectionRefusedError() | NotADirectoryError():
            return NoServerError(f"no server answers on {path}.", "Is it running?")
        case PermissionError():
            hint = "Only root and the user that runs the server may control it."
            return UserError(f"no permission for {path}.", hint)
        case TimeoutError() | BlockingIOError():
            return UserError(f"the supervisor does not answer on {path}.")
        case _:
            reason = os.strerror(error.errno) if error.errno else str(error)
            return UserError(f"cannot connect to {path}: {reason}.")


def _wait(path: str, answers: BinaryIO, on_progress: Progress) -> Answer:
    """Read progress until there is an answer."""
    for line in answers:
        try:
            message = json.loads(line)
            if "progress" in message:
                on_progress(message["progress"], message["done"], message["total"])
                continue
            if message["ok"]:
                return dict(message["result"])
            text = str(message["error"])
        except (ValueError, KeyError, TypeError):
            hint = "Is this the control socket of a server of the same version?"
            raise UserError(f"what answers on {path} is not understood.", hint) from None
        raise FailedError(text)
    raise _gone(path)


def _gone(path: str) -> GoneError:
    return GoneError(f"the supervisor on {path} ended the connection without an answer.")


def _introduce(path: str) -> str:
    """Say in a line which server that is."""
    from breezeway.ctl_view import clean

    pid = runtime_directory.pid_of(path)
    try:
        status = ask(
            path,
            {"command": "status"},
            seconds=GLANCE_SECONDS,
            on_progress=lambda *_: None,
        )
    except UserError as error:
        return f"  --pid {pid}  ({error.message.rstrip('.')})\n"
    urls = ", ".join(map(str, status.get("listeners", ())))
    return clean(f"  --pid {pid}  {status.get('application', '')}  {urls}") + "\n"
