"""Settings of the processes: workers, their logs, running as a service, development."""

from __future__ import annotations

from dataclasses import dataclass

from breezeway.config import checks
from breezeway.config.checks import SHORTEST
from breezeway.config.kinds import (
    ADDRESS,
    CALLABLE,
    COUNT,
    DIRECTORY,
    DURATION,
    FILE,
    MODE,
    MOST_WORKERS,
    NAME,
    PATH,
    SHARE,
    SIZE,
    SOCKET,
    SWITCH,
    TEXT,
    WORD,
    WORKERS,
)
from breezeway.config.setting import setting
from breezeway.observe import access_options

PROCESSES = "Processes"
LOGGING = "Logging"
ADMIN = "Admin listener"
SERVICE = "Running as a service"
DEVELOPMENT = "Development"


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """Part of `Settings`."""

    workers: int | None = setting(
        None,
        WORKERS,
        PROCESSES,
        "Worker processes; auto is one for each CPU that the server may use. Without it, one.",
        least=1,
        most=MOST_WORKERS,
    )
    preload: bool = setting(
        False,
        SWITCH,
        PROCESSES,
        "Load the application once and fork the workers from that process, to share its memory.",
    )
    before_fork: str | None = setting(
        None,
        CALLABLE,
        PROCESSES,
        "Called without arguments before each fork of a worker; needs --preload.",
        form=checks.callable_name,
    )
    after_fork: str | None = setting(
        None,
        CALLABLE,
        PROCESSES,
        "Called without arguments in each worker after its fork.",
        form=checks.callable_name,
    )
    boot_timeout: float = setting(
        60.0,
        DURATION,
        PROCESSES,
        "A worker that is not ready after this long has failed, and is killed.",
        least=SHORTEST,
    )
    worker_timeout: float = setting(
        30.0,
        DURATION,
        PROCESSES,
        "A worker whose event loop stands still this long is killed and replaced.",
        least=SHORTEST,
    )
    max_requests: int = setting(
        0,
        COUNT,
        PROCESSES,
        "Replace a worker after about so many requests; 0 means never.",
        least=0,
    )
    max_requests_jitter: int | None = setting(
        None,
        COUNT,
        PROCESSES,
        "Up to so many, at random, are added to --max-requests. Without it, a tenth of it.",
        least=0,
    )
    max_worker_age: float | None = setting(
        None,
        DURATION,
        PROCESSES,
        "Replace a worker that is older than this.",
        least=SHORTEST,
    )
    max_worker_memory: int | None = setting(
        None,
        SIZE,
        PROCESSES,
        "Replace a worker whose resident memory is larger than this.",
        least=1,
    )
    probe_path: str | None = setting(
        None,
        PATH,
        PROCESSES,
        "A new worker serves once the application has answered this path with 2xx or 3xx.",
        form=checks.probe_path,
    )

    log_level: str = setting(
        "info",
        WORD,
        LOGGING,
        "Least important messages to log.",
        choices=("debug", "info", "warning", "error", "critical"),
    )
    log_format: str = setting(
        "text",
        WORD,
        LOGGING,
        "What a message of the log looks like: a line of text, or a JSON object.",
        choices=("text", "json"),
    )
    slow_request_log: float | None = setting(
        None,
        DURATION,
        LOGGING,
        "Log requests that take longer than this, each with the stack of its thread. Without it, none.",
        least=SHORTEST,
    )
    access_log: bool = setting(False, SWITCH, LOGGING, "Log a line for each request.")
    access_log_format: str = setting(
        "auto",
        TEXT,
        LOGGING,
        "What a line of the access log looks like: auto (line on a terminal, else combined), line,"
        " combined, json, or a gunicorn format with atoms such as %(h)s.",
        form=access_options.line_format,
    )
    access_log_skip: tuple[str, ...] = setting(
        (),
        PATH,
        LOGGING,
        "Requests for this path have no line in the access log. May be given several times.",
        repeatable=True,
        form=checks.prefixes,
    )
    access_log_sample: tuple[str, ...] = setting(
        (),
        SHARE,
        LOGGING,
        "This share of responses with a status or of a class, such as 2xx=0.1, has a line in the access"
        " log. May be given several times.",
        repeatable=True,
        form=access_options.shares,
    )
    access_log_slow: float | None = setting(
        None,
        DURATION,
        LOGGING,
        "Requests that take less, do not fail and get no 5xx have no line in the access log, but for"
        " what --access-log-sample keeps.",
        least=SHORTEST,
    )
    metrics: bool = setting(
        False,
        SWITCH,
        LOGGING,
        "Count requests, and how long they take, from the start; else only while somebody watches.",
    )
    statsd: str | None = setting(
        None,
        ADDRESS,
        LOGGING,
        "Push the metrics there: HOST:PORT over UDP, or unix:PATH.",
        form=checks.statsd,
    )
    statsd_interval: float = setting(
        10.0,
        DURATION,
        LOGGING,
        "Time between two pushes.",
        least=1.0,
    )
    statsd_prefix: str = setting(
        "breezeway",
        WORD,
        LOGGING,
        "What the names of pushed metrics begin with.",
        form=checks.statsd_prefix,
    )
    statsd_tags: bool = setting(
        False,
        SWITCH,
        LOGGING,
        "Push labels as tags, as DogStatsD has them; else they are parts of the names.",
    )
    otel: bool = setting(
        False,
        SWITCH,
        LOGGING,
        "Trace requests with OpenTelemetry, and send spans and durations to OTLP, if the application"
        " has not set it up itself.",
    )
    log_file: str | None = setting(
        None,
        FILE,
        LOGGING,
        "Where the log goes, instead of standard error; SIGUSR1 opens it anew.",
        form=checks.file_name,
    )
    access_log_file: str | None = setting(
        None,
        FILE,
        LOGGING,
        "Where the access log goes, instead of standard output: a file, which SIGUSR1 opens anew,"
        " syslog:ADDRESS or journald.",
        form=access_options.target,
    )

    admin_bind: str | None = setting(
        None,
        ADDRESS,
        ADMIN,
        "Where the dashboard and /metrics are, such as 127.0.0.1:9300 or unix:PATH.",
        form=checks.one_address,
    )
    admin_token: str | None = setting(
        None,
        TEXT,
        ADMIN,
        "Allows reload, scale and recycle there to those who have it; keep it in a file or variable.",
        form=checks.token,
        secret=True,
    )
    admin_hosts: tuple[str, ...] = setting(
        (),
        TEXT,
        ADMIN,
        "Host names beside localhost by which --admin-bind may be reached.",
        repeatable=True,
        form=checks.hosts,
    )

    pid_file: str | None = setting(
        None,
        FILE,
        SERVICE,
        "Where the process id of the supervisor is written; locked as long as it runs.",
        form=checks.file_name,
    )
    user: str | None = setting(
        None,
        NAME,
        SERVICE,
        "User, by name or number, that the workers become once the addresses are bound.",
        form=checks.account,
    )
    group: str | None = setting(
        None,
        NAME,
        SERVICE,
        "Group, by name or number, that the workers become. Without it, the user's.",
        form=checks.account,
    )
    umask: int | None = setting(
        None,
        MODE,
        SERVICE,
        "Permissions that new files do not get, in octal, such as 027.",
        least=0,
        most=0o777,
    )
    control_socket: str = setting(
        "auto",
        SOCKET,
        SERVICE,
        "Unix socket on which 'breezeway ctl' reaches the server; auto is in the runtime directory.",
        form=checks.control_socket,
    )

    reload: bool = setting(
        False,
        SWITCH,
        DEVELOPMENT,
        "Restart when the application's Python files or templates change.",
    )
    reload_dirs: tuple[str, ...] = setting(
        (),
        DIRECTORY,
        DEVELOPMENT,
        "Directories that --reload watches. May be given several times. Without it, --app-dir.",
        repeatable=True,
        form=checks.directories,
    )
    env_file: str | None = setting(
        None,
        FILE,
        DEVELOPMENT,
        "File of environment variables to set before anything else is read, such as .env.",
        form=checks.file_name,
    )
