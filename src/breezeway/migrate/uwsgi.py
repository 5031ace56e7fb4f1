"""uWSGI's configuration: an ini file.

uWSGI is more than a server of WSGI: of its thousand options those are translated that servers of
applications have. Without `threads` a worker takes one request at a time; without `lazy-apps` the
application is loaded once, before the workers are forked; each request is logged unless
`disable-logging` is there. All three are other than our defaults, and are kept.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable

from breezeway.config.kinds import AUTO, SWITCH_WORDS, show_duration
from breezeway.migrate import uwsgi_ini, uwsgi_log_format, uwsgi_static, uwsgi_tls
from breezeway.migrate.page import Page
from breezeway.migrate.uwsgi_ini import Option
from breezeway.migrate.uwsgi_notes import ALWAYS, PROTOCOL, UNKNOWN, note

EVERY_IPV4 = "0.0.0.0"  # noqa: S104 (it is what the old server binds)
MEGABYTE = 1024**2

DEFAULT_CALLABLE = "application"
"""What uWSGI takes of a module if it is not told."""

PLAIN = (
    "With a certificate every address but unix sockets speaks TLS. Make it a redirect_bind, or run a"
    " second server for it."
)

EVERYBODY = 0o666
"""The mode of a unix socket for a `chmod-socket` without a mode."""

ASYNC_THREADS = 64
"""Threads in place of greenlets: many for threads, and what most such applications ever use."""

ALIASES = {
    "M": "master",
    "C": "chmod-socket",
    "H": "virtualenv",
    "L": "disable-logging",
    "R": "max-requests",
    "T": "enable-threads",
    "b": "buffer-size",
    "l": "listen",
    "p": "workers",
    "processes": "workers",
    "s": "socket",
    "t": "harakiri",
    "w": "module",
    "static-check": "check-static",
    "wsgi": "module",
    "file": "wsgi-file",
    "http11-socket": "http-socket",
    "pidfile2": "pidfile",
    "safe-pidfile": "pidfile",
    "safe-pidfile2": "pidfile",
    "immediate-uid": "uid",
    "immediate-gid": "gid",
    "logto2": "logto",
    "evil-reload-on-rss": "reload-on-rss",
    "worker-reload-mercy": "reload-mercy",
    "python-auto-reload": "py-autoreload",
    "py-auto-reload": "py-autoreload",
    "python-autoreload": "py-autoreload",
    "python-path": "pythonpath",
    "pp": "pythonpath",
    "disable-request-logging": "disable-logging",
    "sharedpidfile": "pidfile",
}

SIMPLE = {
    "listen": "backlog",
    "limit-post": "limit_body",
    "max-worker-lifetime": "max_worker_age",
    "pidfile": "pid_file",
    "post-buffering": "body_memory",
    "reload-mercy": "graceful_timeout",
    "uid": "user",
    "gid": "group",
    "umask": "umask",
}
"""Options that are one of our settings, with the same text."""


OFF_AT_ZERO = {"limit-post", "max-worker-lifetime", "post-buffering", "reload-on-rss"}
"""Options that 0 turns off, as they are by default."""


def translate(path: str) -> str:
    """Return the breezeway.toml that does what uWSGI does with the file at `path`.

    Raises:
        UserError: the file cannot be read, or has no section [uwsgi].
    """
    options, variables = uwsgi_ini.read(path)
    page = Page(os.path.basename(path), "uWSGI")
    _Translation(options, variables, page).run()
    return page.text()


class _Translation:
    """What each option becomes; a method for each that is more than another name of ours."""

    def __init__(self, options: list[Option], variables: set[str], page: Page) -> None:
        self._values: dict[str, list[str]] = defaultdict(list)
        for option in options:
            self._values[ALIASES.get(option.name, option.name)].append(option.value)
        self._variables = variables
        self._page = page

    def run(self) -> None:
        """Fill the page."""
        done = self._application() | self._addresses() | self._workers() | self._logs()
        uwsgi_static.translate(self._values, self._page)
        done |= {*uwsgi_static.NAMES}
        for name, values in self._values.items():
            if name not in done:
                self._option(name, values)
        self._differences()

    def _option(self, name: str, values: list[str]) -> None:
        last = values[-1]
        translate: Callable[[str], None] | None
        translate = getattr(self, f"_on_{name.replace('-', '_')}", None)
        if name in OFF_AT_ZERO and last == "0":
            return
        if name in SIMPLE:
            self._page.set(SIMPLE[name], last)
        elif translate is not None:
            try:
                translate(last)
            except ValueError:
                self._page.advise(f"{name} = {last}", "That is no number.")
        elif name in ALWAYS:
            self._page.needless(name)
        elif name not in self._variables or note(name) != UNKNOWN:
            for value in values:
                self._page.advise(f"{name} = {value}", note(name))

    def _last(self, name: str) -> str | None:
        return self._values[name][-1] if name in self._values else None

    def _is_on(self, name: str) -> bool:
        value = self._last(name)
        return value is not None and SWITCH_WORDS.get(value.lower(), True)

    # --- the application ---------------------------------------------------------------------

    def _application(self) -> set[str]:
        """Name the application, and where it is looked for."""
        self._directory()
        given = self._last("callable")
        if module := self._last("module"):
            self._page.serve(module if ":" in module else f"{module}:{given or DEFAULT_CALLABLE}")
        elif file := self._last("wsgi-file"):
            self._serve_file(file, given or DEFAULT_CALLABLE)
        elif len(self._values.get("mount", ())) == 1:
            self._serve_mount(self._values["mount"][0], given or DEFAULT_CALLABLE)
            return {"module", "wsgi-file", "callable", "chdir", "mount", "manage-script-name"}
        else:
            self._page.nothing_to_serve("The file does not say what to serve.")
        return {"module", "wsgi-file", "callable", "chdir"}

    def _directory(self) -> None:
        directory = self._last("chdir")
        if directory is not None and os.path.abspath(directory) != os.getcwd():
            self._page.set(
                "app_dir",
                directory,
                "uWSGI made it the working directory, too. Start Breezeway there (in a systemd unit:"
                " WorkingDirectory=), and leave this out.",
            )

    def _serve_file(self, file: str, name: str) -> None:
        """Name the module that a file is, below the directory of the application if it is there."""
        base = os.path.abspath(self._page.value("app_dir"))
        path = os.path.join(base, file)
        below = os.path.relpath(path, base)
        parts = below.removesuffix(".py").split(os.sep)
        if not below.startswith("..") and all(part.isidentifier() for part in parts):
            self._page.serve(f"{'.'.join(parts)}:{name}")
        elif parts[-1].isidentifier():
            self._page.set("app_dir", os.path.dirname(path))
            self._page.serve(f"{parts[-1]}:{name}", f"In place of wsgi-file = {file}")
        else:
            self._page.nothing_to_serve(
                f"wsgi-file = {file}: the file has no name that Python can import; rename it."
            )

    def _serve_mount(self, mount: str, name: str) -> None:
        path, _, target = mount.partition("=")
        if target.endswith(".py"):
            self._serve_file(target, name)
        else:
            self._page.serve(target if ":" in target else f"{target}:{name}")
        if self._is_on("manage-script-name"):
            self._page.set("root_path", path.rstrip("/"))

    # --- where to listen ---------------------------------------------------------------------

    def _addresses(self) -> set[str]:
        """Translate what is listened on, and its TLS."""
        contexts = uwsgi_tls.contexts(self._values, self._page)
        every = [context for found in contexts.values() for context in found]
        specs = [
            spec
            for name, found in contexts.items()
            if name != "sni"
            for context in found
            if (spec := self._spec(name, context.address))
        ]
        names = ["http", "http-socket", "socket"]
        spoke_uwsgi = False
        for name in names:
            for text in self._values.get(name, ()):
                spec = self._spec(name, text)
                if spec and contexts and not spec.startswith("unix:"):
                    self._page.advise(f"{name} = {text}", PLAIN)
                elif spec:
                    specs.append(spec)
                    spoke_uwsgi |= name == "socket" and self._last("protocol") != "http"
        specs = list(dict.fromkeys(specs))
        if specs and self._page.set("bind", tuple(specs)) and spoke_uwsgi:
            self._page.comment("bind", f"The socket spoke the uwsgi protocol. {PROTOCOL}")
            self._page.comment(
                "bind",
                "The application then sees the proxy's address and scheme: let the proxy send"
                " X-Forwarded-For and X-Forwarded-Proto, name it in trusted_proxies, and these two"
                " fields in trusted_headers.",
            )
        uwsgi_tls.certificates(every, self._page)
        self._redirects()
        self._unix_mode(specs)
        done = {*names, *uwsgi_tls.NAMES, "http-to-https", "chmod-socket"}
        if self._last("protocol") == "http":
            done.add("protocol")
        if any(text.startswith("=") for name in done for text in self._values.get(name, ())):
            done.add("shared-socket")
        return done

    def _spec(self, name: str, text: str) -> str:
        """Return an address in our form; advise, and return "", if it cannot be had here."""
        shared = self._values.get("shared-socket", ())
        if text.startswith("=") and text[1:].isdecimal() and int(text[1:]) < len(shared):
            text = shared[int(text[1:])]
        if text.startswith("@"):
            self._page.advise(f"{name} = {text}", "Take a unix socket with a path.")
        elif text.startswith("="):
            self._page.advise(f"{name} = {text}", "There is no such shared socket.")
        else:
            return address(text)
        return ""

    def _redirects(self) -> None:
        """Translate what only redirects to https."""
        specs: list[str] = []
        for value in self._values.get("http-to-https", ()):
            text, _, port = value.partition(",")
            spec = self._spec("http-to-https", text)
            if not spec:
                continue
            if "certfile" not in self._page:
                self._page.advise(f"http-to-https = {value}", "Without a certfile there is no TLS.")
            elif spec.startswith("unix:") or spec in self._page.value("bind"):
                advice = "It redirects from an address of its own, which is no unix socket."
                self._page.advise(f"http-to-https = {value}", advice)
            else:
                specs.append(spec)
                if port:
                    advice = "Here it redirects to the port of the first address that speaks TLS."
                    self._page.advise(f"http-to-https = {value}", advice)
        if specs:
            self._page.set("redirect_bind", tuple(dict.fromkeys(specs)))

    def _unix_mode(self, specs: list[str]) -> None:
        mode = self._last("chmod-socket")
        if mode is not None and any(spec.startswith("unix:") for spec in specs):
            self._page.set("unix_mode", EVERYBODY if mode == "true" else mode)
        elif mode is not None:
            self._page.advise(f"chmod-socket = {mode}", "There is no unix socket.")

    # --- processes ---------------------------------------------------------------------------

    def _workers(self) -> set[str]:
        """Translate the number of workers and threads, and when the application is loaded."""
        workers = self._last("workers")
        if workers is not None:
            self._page.set("workers", AUTO if workers == uwsgi_ini.CORES else workers)
        asynchronous = {"gevent", "async", "asyncio"} & self._values.keys()
        if self._last("threads") not in (None, "true", "0"):
            self._page.set("threads", self._last("threads"))
        elif asynchronous:
            self._page.set(
                "threads",
                ASYNC_THREADS,
                "A request has a thread, not a greenlet. Take as many as requests wait at the same"
                " time for something else. Nothing is monkey-patched: an application that calls"
                " monkey.patch_all() itself must do so no more.",
            )
        else:
            self._page.set(
                "threads",
                1,
                "Without threads a worker takes one request at a time. If the application is"
                " thread-safe, more threads take the place of most of the workers.",
            )
        if self._page.value("workers") not in (None, 1) and not (
            self._is_on("lazy-apps") or self._is_on("lazy")
        ):
            self._page.set(
                "preload",
                True,
                "Without lazy-apps the application is loaded once, before the forks.",
            )
        return {"workers", "threads"}

    def _on_max_requests(self, value: str) -> None:
        if int(value):
            self._page.set("max_requests", value)

    def _on_max_requests_delta(self, value: str) -> None:
        jitter = int(value) * (self._page.value("workers") or 1)
        self._page.set("max_requests_jitter", jitter, "As the last of uWSGI's workers has it.")

    def _on_reload_on_rss(self, value: str) -> None:
        self._page.set("max_worker_memory", int(value) * MEGABYTE)

    def _on_harakiri(self, value: str) -> None:
        if int(value):
            self._page.set(
                "request_timeout",
                (show_duration(int(value)),),
                "uWSGI killed the worker. Here the client is answered with 504, the request is"
                " interrupted, and the worker goes on.",
            )

    # --- the protocol ------------------------------------------------------------------------

    def _on_buffer_size(self, value: str) -> None:
        size = int(value)
        larger = [
            name for name in ("limit_request_line", "limit_head") if size > self._page.value(name)
        ]
        for name in larger:
            self._page.set(name, size)
        if not larger:
            self._page.advise(f"buffer-size = {value}", "limit_head is larger by default.")

    def _on_http_keepalive(self, value: str) -> None:
        if value.isdecimal() and int(value) > 1:
            self._page.set("keep_alive_timeout", value)
        else:
            self._page.needless("http-keepalive")

    def _on_socket_timeout(self, value: str) -> None:
        self._page.set("body_timeout", value)
        self._page.set("send_timeout", value)

    def _on_http_socket_timeout(self, value: str) -> None:
        self._on_socket_timeout(value)

    # --- the rest ----------------------------------------------------------------------------

    def _logs(self) -> set[str]:
        """Translate where the log goes; the requests are in it unless that is turned off."""
        file = self._last("logto") or self._last("daemonize")
        if file is not None and "/" not in file and ":" in file:
            self._page.advise(f"logto = {file}", "Log to standard error; journald can send it on.")
        elif file is not None:
            self._page.set("log_file", file)
        if not self._is_on("disable-logging"):
            self._page.set("access_log", True, "uWSGI logs each request.")
            if "log_file" in self._page:
                self._page.set("access_log_file", file)
        form = self._last("log-format") or self._last("logformat")
        translated = uwsgi_log_format.translate(form) if form is not None else None
        if translated is None:
            return {"logto", "disable-logging"}
        self._page.set("access_log_format", translated)
        return {"logto", "disable-logging", "log-format", "logformat"}

    def _on_py_autoreload(self, value: str) -> None:
        self._page.set("reload", value not in ("0", "false"))

    def _on_pythonpath(self, value: str) -> None:
        paths = self._values["pythonpath"]
        if len(paths) == 1 and "app_dir" not in self._page:
            self._page.set("app_dir", value)
            return
        for path in paths:
            self._page.advise(f"pythonpath = {path}", note("pythonpath"))

    def _on_env(self, value: str) -> None:
        variables = dict(text.partition("=")[::2] for text in self._values["env"])
        script_name = variables.pop("SCRIPT_NAME", "")
        if script_name:
            self._page.set("root_path", script_name.rstrip("/"))
        if variables:
            # What they are set to may be a secret.
            self._page.advise(f"env = {', '.join(variables)}", note("env"))

    def _differences(self) -> None:
        """Tell the defaults that differ and matter."""
        page = self._page
        if "bind" not in page:
            page.differ("bind: the file has no address; Breezeway listens on 127.0.0.1:8000.")
        if not self._is_on("die-on-term"):
            page.differ(
                "SIGTERM stops Breezeway, after the requests in flight; uWSGI without die-on-term"
                " reloads. SIGHUP reloads both."
            )
        if "reload-mercy" not in self._values:
            page.differ("graceful_timeout: requests in flight have 30 s to finish, not 60 s.")
        if "limit-post" not in self._values:
            page.differ("limit_body: a request body may have 1GiB; uWSGI has no limit.")
        if self._last("post-buffering") in (None, "0"):
            page.differ(
                "stream_body: the application is called when the request's body is there, so that"
                " slow clients take no thread; uWSGI without post-buffering calls it before."
            )


def address(text: str) -> str:
    """Return uWSGI's form of an address in ours."""
    if text.startswith("fd://"):
        return text
    host, colon, port = text.rpartition(":")
    if not colon:
        return f"unix:{text}"
    # Without a host uWSGI means every IPv4 address; ours is IPv6, too.
    return f"{EVERY_IPV4 if host in ('', '*') else host}:{port}"
