"""What systemd and its services say to each other: sd_notify(3), sd_listen_fds(3), watchdog.

All of it is environment variables and datagrams, so that nothing of systemd is needed. Without
those variables nothing happens here. What cannot be sent is not an error: a server does not fail
because of who watches it.

Whoever forks workers should know: NOTIFY_SOCKET stays in the environment, for an upgrade needs it.
With `NotifyAccess=main`, the default, systemd listens to the main process alone.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from typing import Final

from breezeway.errors import UsageError

logger = logging.getLogger("breezeway.supervisor")

FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START: the first descriptor that is passed; 0 to 2 are the standard streams."""

MOST_FDS: Final = 1024
"""More passed sockets than this are a mistake in LISTEN_FDS."""

SEND_SECONDS: Final = 1.0
"""How long a full socket of systemd may hold the supervisor up."""

_LISTEN: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def notify(environ: Mapping[str, str] = os.environ, /, **fields: str | int) -> bool:
    """Tell systemd something, such as `notify(READY=1, STATUS="4 workers")`.

    True and False become 1 and 0. Returns whether it was sent, False if nobody wants to know.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract name, see unix(7)
        address = "\0" + address[1:]
    lines = [f"{name}={_one_line(value)}\n" for name, value in fields.items()]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(SEND_SECONDS)
            sock.connect(address)
            sock.sendall("".join(lines).encode())
    except OSError as error:
        logger.debug("systemd cannot be told %s: %s", fields, error)
        return False
    return True


def ready(status: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that requests are served, at the start and at the end of a reload."""
    return notify(environ, READY=1, STATUS=status)


def reloading(status: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that a reload begins; `ready` has to follow, whether it succeeds or not."""
    # Type=notify-reload wants the time, so as to tell this from the end of an earlier reload.
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify(environ, RELOADING=1, MONOTONIC_USEC=now, STATUS=status)


def stopping(status: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that the service is about to end."""
    return notify(environ, STOPPING=1, STATUS=status)


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return after how many seconds without `notify(WATCHDOG=1)` systemd ends this process.

    It advises to send it twice as often. None if there is no watchdog, or not for this process.
    """
    timeout = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "")
    if not _is_number(timeout) or int(timeout) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(timeout) / 1_000_000


def pass_on(environ: MutableMapping[str, str]) -> None:
    """Let the watchdog's variables speak of this process, before it becomes the new supervisor.

    For an upgrade: in the forked process, before exec. The old supervisor, which is the one that
    systemd listens to, then has to `notify(MAINPID=...)` when it hands over.
    """
    if "WATCHDOG_PID" in environ:
        environ["WATCHDOG_PID"] = str(os.getpid())


def activated(environ: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Return the sockets of a `.socket` unit: `fd://3` and so on, each with its name.

    The name is that of FileDescriptorName=, as a rule the unit's. The variables that told this are
    removed, for they are not about any process that is started from here.

    Raises `UsageError` if there is no sense in them.
    """
    pid, count, names, _ = (environ.pop(name, "") for name in _LISTEN)
    if pid != str(os.getpid()):
        return {}
    if not _is_number(count) or int(count) > MOST_FDS:
        raise UsageError(f"LISTEN_FDS={count!r} in the environment is not a number of sockets.")
    named = names.split(":")
    return {
        f"fd://{FIRST_FD + index}": named[index] if index < len(named) else ""
        for index in range(int(count))
    }


def activated_listeners(environ: MutableMapping[str, str] = os.environ) -> list[str]:
    """Return the sockets of a `.socket` unit as `--bind` takes them; see `activated`."""
    return list(activated(environ))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(2**63))


def _one_line(value: str | int) -> str:
    """Write a value; a newline in it would begin another field."""
    return " ".join(str(value).splitlines()) if isinstance(value, str) else str(int(value))
