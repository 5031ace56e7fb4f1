"""The one table of settings.

Each setting is declared once, as a field of `Settings`: its type for the type checker, its default,
and beside them what everybody else needs, such as the unit and the sentence for the help. `TABLE`
is the same as rows of `Setting`; the command line's options are made from it. Whoever has a
`Settings` has values that were checked: there is no other way to make one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from breezeway.config import address
from breezeway.config.kinds import (
    ADDRESS,
    COUNT,
    DIRECTORY,
    DURATION,
    MODE,
    SIZE,
    SWITCH,
    TEXT,
    WORD,
    Kind,
)
from breezeway.config.setting import Setting, SettingError
from breezeway.http1 import limits

LISTEN = "Where to listen"
APPLICATION = "The application"
CAPACITY = "Threads and queues"
LOGGING = "Logging"
TIME = "Time limits"
SIZES = "Size limits"

SHORTEST = 0.001
"""Seconds. The least that a time limit can be; a limit of 0 would refuse everything."""

T = TypeVar("T")


def _setting(default: T, kind: Kind, group: str, doc: str, **more: Any) -> T:
    row = {"kind": kind, "group": group, "doc": doc, **more}
    return dataclasses.field(default=default, metadata=row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force; sizes in bytes, durations in seconds.

    Raises `SettingError`, a `ValueError`, for a value that a setting cannot have.
    """

    bind: tuple[str, ...] = _setting(
        ("127.0.0.1:8000",),
        ADDRESS,
        LISTEN,
        f"{address.FORMS}. May be given several times. Port 0 takes a free port.",
        repeatable=True,
    )
    unix_mode: int | None = _setting(
        None,
        MODE,
        LISTEN,
        "Permissions of unix sockets, in octal, such as 660. Without it the umask decides.",
        least=0,
        most=0o777,
    )
    backlog: int = _setting(
        2048,
        COUNT,
        LISTEN,
        "Connections that the kernel keeps waiting until they are accepted.",
        least=1,
        most=2**31 - 1,
    )

    app_dir: str = _setting(
        ".", DIRECTORY, APPLICATION, "Where the application's module is looked for first."
    )
    root_path: str = _setting(
        "",
        TEXT,
        APPLICATION,
        "Path under which the application is mounted, such as /shop; SCRIPT_NAME in the environ.",
    )
    server_name: str | None = _setting(
        None,
        TEXT,
        APPLICATION,
        "SERVER_NAME in the environ. Without it, the address of the listener.",
    )

    threads: int = _setting(
        8, COUNT, CAPACITY, "Requests that the application works on at a time.", least=1
    )
    queue_limit: int = _setting(
        1024,
        COUNT,
        CAPACITY,
        "Complete requests that may wait for a thread; more are answered with 503.",
        least=0,
    )
    queue_timeout: float = _setting(
        30.0,
        DURATION,
        CAPACITY,
        "A request that has waited for a thread this long is answered with 503.",
        least=SHORTEST,
    )
    body_memory: int = _setting(
        256 * 1024,
        SIZE,
        CAPACITY,
        "How much of a request's body is kept in memory; the rest goes to a temporary file.",
        least=0,
    )
    high_watermark: int = _setting(
        256 * 1024,
        SIZE,
        CAPACITY,
        "A streaming application waits when its client is this far behind.",
        least=1,
    )

    log_level: str = _setting(
        "info",
        WORD,
        LOGGING,
        "Least important messages to log.",
        choices=("debug", "info", "warning", "error", "critical"),
    )
    access_log: bool = _setting(False, SWITCH, LOGGING, "Log a line for each request.")

    graceful_timeout: float = _setting(
        30.0, DURATION, TIME, "How long a stop waits for the requests in flight.", least=0
    )
    keep_alive_timeout: float = _setting(
        65.0, DURATION, TIME, "How long a connection may idle between requests.", least=SHORTEST
    )
    head_timeout: float = _setting(
        10.0,
        DURATION,
        TIME,
        "From the first byte of a request's head to its last; later is answered with 408.",
        least=SHORTEST,
    )
    body_timeout: float = _setting(
        30.0,
        DURATION,
        TIME,
        "A request whose body stands still this long is answered with 408.",
        least=SHORTEST,
    )
    send_timeout: float = _setting(
        30.0,
        DURATION,
        TIME,
        "A client that takes nothing for this long is dropped.",
        least=SHORTEST,
    )

    limit_request_line: int = _setting(
        limits.REQUEST_LINE_BYTES,
        SIZE,
        SIZES,
        "Longest request line; longer is answered with 414.",
        least=1,
    )
    limit_head: int = _setting(
        limits.HEAD_BYTES,
        SIZE,
        SIZES,
        "Largest request head; larger is answered with 431.",
        least=1,
    )
    limit_fields: int = _setting(
        limits.HEAD_FIELDS,
        COUNT,
        SIZES,
        "Most header fields in a request; more are answered with 431.",
        least=1,
    )
    limit_body: int = _setting(
        limits.BODY_BYTES,
        SIZE,
        SIZES,
        "Largest request body; larger is answered with 413.",
        least=0,
    )

    def __post_init__(self) -> None:
        for setting in TABLE:
            setting.check(getattr(self, setting.name))
        _check_bind(self.bind)
        _check_root_path(self.root_path)
        if self.server_name is not None:
            _check_server_name(self.server_name)

    @property
    def limits(self) -> limits.Limits:
        """The limits of the protocol, in the form that `breezeway.http1` takes."""
        return limits.Limits(
            request_line=self.limit_request_line,
            head=self.limit_head,
            fields=self.limit_fields,
            body=self.limit_body,
        )


TABLE: tuple[Setting, ...] = tuple(
    Setting(field.name, field.default, **field.metadata) for field in dataclasses.fields(Settings)
)
"""Every setting, in the order in which the help shows them."""


def _check_bind(specs: tuple[str, ...]) -> None:
    for spec in specs:
        try:
            address.parse(spec)
        except ValueError as error:
            raise SettingError("bind", str(error)) from None
        if specs.count(spec) > 1 and not spec.endswith(":0"):
            raise SettingError("bind", f"{spec!r} is there twice")


def _check_root_path(path: str) -> None:
    if path and (not path.startswith("/") or path.endswith("/")):
        reason = f"must be empty, or start with '/' and not end with it, not {path!r}"
        raise SettingError("root_path", reason)
    if not path.isprintable() or "?" in path or "#" in path:
        raise SettingError("root_path", f"has a character that no path has: {path!r}")


def _check_server_name(name: str) -> None:
    if not name or not name.isascii() or not name.isprintable() or set(name) & set(" /?#@,"):
        raise SettingError("server_name", f"must be a host name or address, not {name!r}")
