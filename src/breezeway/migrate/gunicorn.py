"""gunicorn's configuration: a Python file, executed as gunicorn does.

What decides the translation is the class of the workers. A `sync` worker has one thread, takes one
request at a time and is killed when a request takes longer than `timeout`; so the application need
not be thread-safe, and has a limit for each request. Workers with threads are killed only when they
hang as a whole, which is what `worker_timeout` is.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from breezeway import tracebacks
from breezeway.config.kinds import show_duration
from breezeway.errors import ApplicationFailedError, UsageError
from breezeway.migrate import gunicorn_tls
from breezeway.migrate.gunicorn_notes import ASGI, FIELDS, GUNICORN_LINES, HARMLESS, NOTES, PROXY
from breezeway.migrate.page import Page, shown

DEFAULT_PORT = "8000"
EVERY_IPV4 = "0.0.0.0"  # noqa: S104 (it is what the old server binds)
SYNC_TIMEOUT = 30
"""Seconds. gunicorn's `timeout` if there is none in the file."""

GREENLET_THREADS = 64
"""Threads in place of greenlets: many for threads, and what most such applications ever use."""

USUAL_FIELDS = ("x-forwarded-for", "x-forwarded-proto")
"""What the proxy sets in the example of gunicorn's own documentation."""

FIELD_ROOM = 64 * 1024
"""Bytes that a request head may have beside its largest field."""

NUMBERS = {
    "backlog",
    "graceful_timeout",
    "keepalive",
    "limit_request_field_size",
    "limit_request_fields",
    "limit_request_line",
    "max_requests",
    "max_requests_jitter",
    "threads",
    "timeout",
    "worker_connections",
    "workers",
}
"""Settings whose value may be a number as text, too."""


def translate(path: str) -> str:
    """Return the breezeway.toml that does what gunicorn does with the file at `path`.

    Raises:
        UserError: the file cannot be read, or it fails.
    """
    values = execute(path)
    page = Page(os.path.basename(path), "gunicorn")
    _Translation(values, page).run()
    return page.text()


def execute(path: str) -> dict[str, Any]:
    """Run the file, with the working directory on sys.path, and return its names.

    What it prints goes to standard error. Raises `UserError` if it cannot be read, or fails.
    """
    try:
        with open(path, "rb") as file:
            code = file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from None
    names: dict[str, Any] = {"__name__": "__config__", "__file__": os.path.abspath(path)}
    directory = os.getcwd()
    sys.path.insert(0, directory)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile(code, path, "exec"), names)  # noqa: S102 (it is the user's own program)
    except (Exception, SystemExit) as error:
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = f"Is {error.name!r} installed in {sys.prefix}?"
        message = f"executing {path} failed with {type(error).__name__}."
        detail = tracebacks.whole(error, error.__traceback__, __file__.__eq__)
        raise ApplicationFailedError(message, hint, detail=detail) from None
    finally:
        with contextlib.suppress(ValueError):  # the file may have changed sys.path itself
            sys.path.remove(directory)
    return names


class _Translation:
    """What each name of the file becomes; a method for each setting that becomes something."""

    def __init__(self, values: dict[str, Any], page: Page) -> None:
        self._values = values
        self._page = page
        self._is_sync = False

    def run(self) -> None:
        """Fill the page."""
        self._workers()
        for name, value in self._values.items():
            try:
                self._translate(name, value)
            except (TypeError, ValueError, AttributeError):
                self._page.advise(f"{name} = {shown(value)}", "gunicorn does not take this value.")
        self._application()
        self._unix_sockets()
        gunicorn_tls.translate(self._values, self._page)
        self._proxies()
        self._differences()

    def _translate(self, name: str, value: Any) -> None:
        if name in NUMBERS and value is not None:
            value = int(value)
        translate: Callable[[Any], None] | None = getattr(self, f"_on_{name}", None)
        if translate is not None:
            if value is not None:
                translate(value)
        elif name in NOTES and value and value != HARMLESS.get(name):
            old = name if callable(value) else f"{name} = {shown(value)}"
            self._page.advise(old, NOTES[name])

    def _workers(self) -> None:
        """Find out what a worker is, and set its threads."""
        kind = self._values.get("worker_class", "sync")
        threads = self._values.get("threads") or 1
        name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
        name = name.removeprefix("egg:gunicorn#").lower()
        if name in ("sync", "syncworker") or name.endswith(".syncworker"):
            self._is_sync = str(threads) == "1"
            name = "sync" if self._is_sync else "gthread"
        if self._is_sync:
            self._page.set(
                "threads",
                1,
                "A sync worker takes one request at a time. If the application is thread-safe, more"
                " threads take the place of most of the workers.",
            )
        elif "thread" in name:
            self._page.set("threads", threads)
        elif any(word in name for word in ("gevent", "eventlet", "greenlet")):
            self._page.set(
                "threads",
                GREENLET_THREADS,
                f"In place of {name}: a request has a thread, not a greenlet. Take as many as"
                " requests wait at the same time for something else. Nothing is monkey-patched: an"
                " application that calls monkey.patch_all() itself must do so no more.",
            )
        elif any(word in name for word in ("uvicorn", "asgi", "aiohttp", "tornado", "quart")):
            self._page.advise(f"worker_class = {shown(name)}", ASGI)
        else:
            self._page.advise(f"worker_class = {shown(name)}", "Breezeway has one kind of workers.")

    def _on_worker_class(self, value: Any) -> None:
        """See `_workers`."""

    def _on_threads(self, value: Any) -> None:
        """See `_workers`."""

    def _on_wsgi_app(self, value: Any) -> None:
        """See `_application`."""

    def _application(self) -> None:
        target = self._values.get("wsgi_app")
        if isinstance(target, str) and target:
            # gunicorn takes `application` of a module without a name, and nothing else.
            self._page.serve(target if ":" in target else f"{target}:application")
        else:
            self._page.nothing_to_serve(
                "gunicorn was told on its command line what to serve; name it here, or as the"
                " argument of breezeway. What else stood there, or in GUNICORN_CMD_ARGS, is missing"
                " here, too."
            )

    def _on_bind(self, value: Any) -> None:
        specs = value.split(",") if isinstance(value, str) else value
        if not isinstance(specs, list | tuple):
            self._page.advise(f"bind = {shown(value)}", "That is no address.")
            return
        self._page.set("bind", tuple(address(str(spec).strip()) for spec in specs))

    def _on_forwarded_allow_ips(self, value: Any) -> None:
        """See `_proxies`."""
        value.split(",")

    def _proxies(self) -> None:
        """Believe whom gunicorn believes: those that are named, and always unix sockets."""
        named = self._values.get("forwarded_allow_ips")
        if not isinstance(named, str):
            return
        proxies = tuple(text.strip() for text in named.split(",") if text.strip())
        over_unix = any(spec.startswith("unix:") for spec in self._page.value("bind"))
        if over_unix and "*" not in proxies:
            proxies = ("unix", *proxies)
        if proxies:
            self._page.set("trusted_proxies", proxies, PROXY)
            self._page.set("trusted_headers", USUAL_FIELDS, FIELDS)

    def _on_proxy_protocol(self, value: Any) -> None:
        if value and value not in ("off", "false"):
            proxies = str(self._values.get("proxy_allow_ips", "127.0.0.1,::1")).split(",")
            self._page.set(
                "proxy_protocol",
                tuple(text.strip() for text in proxies),
                "Connections from these networks must begin with a PROXY header.",
            )

    def _on_proxy_allow_ips(self, value: Any) -> None:
        """See `_on_proxy_protocol`."""

    def _on_certfile(self, value: Any) -> None:
        """See `gunicorn_tls`."""

    _on_keyfile = _on_ca_certs = _on_cert_reqs = _on_certfile

    def _unix_sockets(self) -> None:
        """Keep the mode of unix sockets: gunicorn's umask of 0 lets everybody connect."""
        if not any(spec.startswith("unix:") for spec in self._page.value("bind")):
            if self._values.get("umask"):
                old = f"umask = {shown(self._values['umask'])}"
                self._page.advise(old, "gunicorn's concerns unix sockets, and there are none.")
            return
        try:
            mask = _umask(self._values.get("umask") or 0)
        except ValueError:
            self._page.advise(f"umask = {shown(self._values['umask'])}", "That is no umask.")
            return
        comment = "What gunicorn's umask makes of a unix socket's mode."
        if not mask:
            comment += " Everybody may connect; 660 and a group that the proxy is in is safer."
        if self._page.set("unix_mode", 0o777 & ~mask, comment) and "user" in self._page:
            self._page.comment(
                "unix_mode",
                "gunicorn gave the socket to the user and the group; here it stays with who binds it.",
            )

    def _on_umask(self, value: Any) -> None:
        """See `_unix_sockets`."""

    def _on_backlog(self, value: Any) -> None:
        self._page.set("backlog", value)

    def _on_worker_connections(self, value: Any) -> None:
        if self._is_sync:
            advice = "Sync workers ignore it. Here a worker has up to limit_connections."
            self._page.advise(f"worker_connections = {shown(value)}", advice)
        else:
            self._page.set(
                "limit_connections",
                value,
                "Past it, the connection that has idled longest is closed for a new one.",
            )

    def _on_tmp_upload_dir(self, value: Any) -> None:
        self._page.set("temp_dir", value)

    def _on_workers(self, value: Any) -> None:
        self._page.set("workers", value)
        if "multiprocessing" in self._values or "cpu_count" in self._values:
            self._page.comment(
                "workers",
                "The file seems to count the CPUs of this machine; with threads in each worker,"
                ' workers = "auto" is enough: one for each CPU that may be used.',
            )

    def _on_max_requests(self, value: Any) -> None:
        if value:
            self._page.set("max_requests", value)

    def _on_max_requests_jitter(self, value: Any) -> None:
        if value:
            self._page.set("max_requests_jitter", value)

    def _on_timeout(self, value: Any) -> None:
        if not value:
            self._page.advise(
                "timeout = 0",
                "The event loop of a worker is always watched (worker_timeout); the application"
                " cannot make it stand still, however long a request takes.",
            )
            return
        if not self._page.set("worker_timeout", value):
            return
        if value > self._page.value("boot_timeout"):
            self._page.set("boot_timeout", value, "gunicorn's timeout was for the start, too.")
        if self._is_sync:
            self._page.set(
                "request_timeout",
                (show_duration(value),),
                "A sync worker was killed when a request took longer. Here the client is answered"
                " with 504, the request is interrupted, and the worker goes on.",
            )

    def _on_graceful_timeout(self, value: Any) -> None:
        self._page.set("graceful_timeout", value)

    def _on_keepalive(self, value: Any) -> None:
        if self._is_sync:
            advice = "Sync workers ignore it. Here connections are kept, for keep_alive_timeout."
            self._page.advise(f"keepalive = {shown(value)}", advice)
        elif not value:
            self._page.advise("keepalive = 0", "Connections are kept, for keep_alive_timeout.")
        else:
            self._page.set(
                "keep_alive_timeout",
                value,
                "It must be longer than the proxy keeps its idle connections.",
            )

    def _on_limit_request_line(self, value: Any) -> None:
        if value:
            self._page.set("limit_request_line", value)
        else:
            self._page.advise("limit_request_line = 0", "There is always a limit.")

    def _on_limit_request_fields(self, value: Any) -> None:
        self._page.set("limit_fields", value)

    def _on_limit_request_field_size(self, value: Any) -> None:
        advice = "All fields together have a limit, limit_head."
        if isinstance(value, int) and value > self._page.value("limit_head"):
            self._page.set("limit_head", value + FIELD_ROOM, advice)
        else:
            self._page.advise(f"limit_request_field_size = {shown(value)}", advice)

    def _on_reload(self, value: Any) -> None:
        self._page.set("reload", bool(value))

    def _on_preload_app(self, value: Any) -> None:
        self._page.set("preload", bool(value))

    def _on_sendfile(self, value: Any) -> None:
        self._page.needless("sendfile")

    def _on_initgroups(self, value: Any) -> None:
        self._page.needless("initgroups")

    def _on_chdir(self, value: Any) -> None:
        if os.path.abspath(str(value)) != os.getcwd():
            self._page.set(
                "app_dir",
                value,
                "gunicorn made it the working directory, too. Start Breezeway there (in a systemd"
                " unit: WorkingDirectory=), and leave this out.",
            )

    def _on_raw_env(self, value: Any) -> None:
        items = [value] if isinstance(value, str) else list(value)
        variables = dict(str(item).partition("=")[::2] for item in items)
        script_name = variables.pop("SCRIPT_NAME", "")
        if script_name:
            self._page.set("root_path", script_name.rstrip("/"))
        if variables:
            self._page.advise(
                f"raw_env = {', '.join(variables)}",
                "Set them where Breezeway is started, or in a file that env_file names.",
            )

    def _on_pidfile(self, value: Any) -> None:
        self._page.set("pid_file", value)

    def _on_user(self, value: Any) -> None:
        self._page.set("user", str(value))

    def _on_group(self, value: Any) -> None:
        self._page.set("group", str(value))

    def _on_accesslog(self, value: Any) -> None:
        self._page.set("access_log", True)
        if "access_log_format" not in self._values:
            self._page.comment("access_log", GUNICORN_LINES)
        if value != "-":
            self._page.set("access_log_file", value)

    def _on_access_log_format(self, value: Any) -> None:
        self._page.set("access_log_format", value)

    def _on_errorlog(self, value: Any) -> None:
        if value != "-":
            self._page.set("log_file", value)

    def _on_loglevel(self, value: Any) -> None:
        self._page.set("log_level", str(value).lower())

    def _on_control_socket(self, value: Any) -> None:
        advice = "'breezeway ctl' finds its own; control_socket can move it."
        self._page.advise(f"control_socket = {shown(value)}", advice)

    def _on_control_socket_disable(self, value: Any) -> None:
        if value:
            self._page.set("control_socket", "off")

    def _differences(self) -> None:
        """Tell the defaults that differ and matter."""
        page, values = self._page, self._values
        if "bind" not in page:
            page.differ(
                "PORT: gunicorn listens on 0.0.0.0:$PORT if there is such a variable. Here:"
                ' BREEZEWAY_BIND=":$PORT", or --bind.'
            )
        if "workers" not in page:
            page.differ("WEB_CONCURRENCY is not read; BREEZEWAY_WORKERS is, and takes 'auto', too.")
        if self._is_sync and "timeout" not in values:
            page.differ(
                f"request_timeout: a sync worker is killed by a request of more than {SYNC_TIMEOUT}"
                f' s. Here a request may take any time: request_timeout = ["{SYNC_TIMEOUT}s"]'
            )
        if self._is_sync:
            page.differ(
                "keep_alive_timeout: sync workers close each connection; here they are kept."
            )
        elif "keepalive" not in values:
            page.differ("keep_alive_timeout: idle connections are kept 65 s, not 2 s.")
        if "user" in page and "group" not in page:
            page.differ("group: workers get the user's group; with gunicorn they stay in root's.")
        if not {"forwarded_allow_ips", "secure_scheme_headers"} & values.keys():
            over_unix = any(spec.startswith("unix:") for spec in page.value("bind"))
            proxies = '"unix"' if over_unix else '"127.0.0.1", "::1"'
            fields = '", "'.join(USUAL_FIELDS)
            page.differ(
                "forwarded_allow_ips: gunicorn takes wsgi.url_scheme from X-Forwarded-Proto of a"
                f" proxy on the same machine. {PROXY} Behind such a proxy: trusted_proxies ="
                f' [{proxies}], trusted_headers = ["{fields}"]'
            )
        page.differ("limit_body: a request body may have 1GiB; gunicorn has no limit.")
        page.differ(
            "stream_body: the application is called when the request's body is there, so that slow"
            " clients take no thread; gunicorn calls it before."
        )


def address(spec: str) -> str:
    """Return gunicorn's form of an address in ours."""
    if match := re.fullmatch(r"unix:(?://)?(.*)", spec):
        return f"unix:{match[1]}"
    if spec.startswith("fd://"):
        return spec
    spec = spec.removeprefix("tcp://")
    host, colon, port = spec.rpartition(":")
    if not colon or "]" in port:
        host, port = spec, DEFAULT_PORT
    # Without a host gunicorn means every IPv4 address; ours is IPv6, too.
    return f"{host or EVERY_IPV4}:{port}"


def _umask(value: Any) -> int:
    if isinstance(value, str):
        return int(value, 8 if re.fullmatch(r"0[0-7]+", value) else 0)
    return int(value)
