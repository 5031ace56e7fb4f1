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

from breezeway.config import address, checks
from breezeway.config.checks import SHORTEST
from breezeway.config.kinds import (
    ADDRESS,
    AUTO,
    CALLABLE,
    COUNT,
    DEADLINE,
    DIRECTORY,
    DURATION,
    FILE,
    MODE,
    NAME,
    PATH,
    SIZE,
    SOCKET,
    SWITCH,
    TEXT,
    WORD,
    WORKERS,
    Kind,
)
from breezeway.config.setting import Setting
from breezeway.http1 import limits

LISTEN = "Where to listen"
APPLICATION = "The application"
CAPACITY = "Threads and queues"
PROCESSES = "Processes"
LOGGING = "Logging"
TIME = "Time limits"
SIZES = "Size limits"
SERVICE = "Running as a service"
DEVELOPMENT = "Development"

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
        form=checks.bind,
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
        form=checks.root_path,
    )
    server_name: str | None = _setting(
        None,
        TEXT,
        APPLICATION,
        "SERVER_NAME in the environ. Without it, the address of the listener.",
        form=checks.server_name,
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

    workers: int | None = _setting(
        None,
        WORKERS,
        PROCESSES,
        "Worker processes; auto is one for each CPU that the server may use. Without it, one.",
        least=1,
    )
    preload: bool = _setting(
        False,
        SWITCH,
        PROCESSES,
        "Load the application once and fork the workers from that process, to share its memory.",
    )
    before_fork: str | None = _setting(
        None,
        CALLABLE,
        PROCESSES,
        "Called without arguments before each fork of a worker; needs --preload.",
        form=checks.callable_name,
    )
    after_fork: str | None = _setting(
        None,
        CALLABLE,
        PROCESSES,
        "Called without arguments in each worker after its fork.",
        form=checks.callable_name,
    )
    boot_timeout: float = _setting(
        60.0,
        DURATION,
        PROCESSES,
        "A worker that is not ready after this long has failed, and is killed.",
        least=SHORTEST,
    )
    worker_timeout: float = _setting(
        30.0,
        DURATION,
        PROCESSES,
        "A worker whose event loop stands still this long is killed and replaced.",
        least=SHORTEST,
    )
    max_requests: int = _setting(
        0,
        COUNT,
        PROCESSES,
        "Replace a worker after about so many requests; 0 means never.",
        least=0,
    )
    max_requests_jitter: int | None = _setting(
        None,
        COUNT,
        PROCESSES,
        "Up to so many, at random, are added to --max-requests. Without it, a tenth of it.",
        least=0,
    )
    max_worker_age: float | None = _setting(
        None,
        DURATION,
        PROCESSES,
        "Replace a worker that is older than this.",
        least=SHORTEST,
    )
    max_worker_memory: int | None = _setting(
        None,
        SIZE,
        PROCESSES,
        "Replace a worker whose resident memory is larger than this.",
        least=1,
    )
    probe_path: str | None = _setting(
        None,
        PATH,
        PROCESSES,
        "A new worker serves once the application has answered this path with 2xx or 3xx.",
        form=checks.probe_path,
    )

    log_level: str = _setting(
        "info",
        WORD,
        LOGGING,
        "Least important messages to log.",
        choices=("debug", "info", "warning", "error", "critical"),
    )
    access_log: bool = _setting(False, SWITCH, LOGGING, "Log a line for each request.")
    log_file: str | None = _setting(
        None,
        FILE,
        LOGGING,
        "Where the log goes, instead of standard error; SIGUSR1 opens it anew.",
        form=checks.file_name,
    )
    access_log_file: str | None = _setting(
        None,
        FILE,
        LOGGING,
        "Where the access log goes, instead of standard output; SIGUSR1 opens it anew.",
        form=checks.file_name,
    )

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
    request_timeout: tuple[str, ...] = _setting(
        (),
        DEADLINE,
        TIME,
        "A request that the application works on this long is answered with 504 and interrupted."
        " May be given several times; the longest PREFIX that the path starts with counts.",
        repeatable=True,
        form=checks.request_timeout,
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

    pid_file: str | None = _setting(
        None,
        FILE,
        SERVICE,
        "Where the process id of the supervisor is written; locked as long as it runs.",
        form=checks.file_name,
    )
    user: str | None = _setting(
        None,
        NAME,
        SERVICE,
        "User, by name or number, that the workers become once the addresses are bound.",
        form=checks.account,
    )
    group: str | None = _setting(
        None,
        NAME,
        SERVICE,
        "Group, by name or number, that the workers become. Without it, the user's.",
        form=checks.account,
    )
    umask: int | None = _setting(
        None,
        MODE,
        SERVICE,
        "Permissions that new files do not get, in octal, such as 027.",
        least=0,
        most=0o777,
    )
    control_socket: str = _setting(
        "auto",
        SOCKET,
        SERVICE,
        "Unix socket on which 'breezeway ctl' reaches the server; auto is in the runtime directory.",
        form=checks.control_socket,
    )

    reload: bool = _setting(
        False,
        SWITCH,
        DEVELOPMENT,
        "Restart when the application's Python files or templates change.",
    )
    reload_dirs: tuple[str, ...] = _setting(
        (),
        DIRECTORY,
        DEVELOPMENT,
        "Directories that --reload watches. May be given several times. Without it, --app-dir.",
        repeatable=True,
        form=checks.directories,
    )
    env_file: str | None = _setting(
        None,
        FILE,
        DEVELOPMENT,
        "File of environment variables to set before anything else is read, such as .env.",
        form=checks.file_name,
    )

    def __post_init__(self) -> None:
        workers: object = self.workers
        if workers == AUTO:  # as text it is parsed; in Python it is a value, too
            object.__setattr__(self, "workers", WORKERS.parse(AUTO))
        for setting in TABLE:
            setting.check(getattr(self, setting.name))

    @property
    def limits(self) -> limits.Limits:
        """The limits of the protocol, in the form that `breezeway.http1` takes."""
        return limits.Limits(
            request_line=self.limit_request_line,
            head=self.limit_head,
            fields=self.limit_fields,
            body=self.limit_body,
        )

    @property
    def request_timeouts(self) -> tuple[tuple[str, float], ...]:
        """Pairs of a prefix of the path and seconds, longest prefix first; "" is every path."""
        return checks.request_timeouts(self.request_timeout)


TABLE: tuple[Setting, ...] = tuple(
    Setting(field.name, field.default, **field.metadata) for field in dataclasses.fields(Settings)
)
"""Every setting, in the order in which the help shows them."""
