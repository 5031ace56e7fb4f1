"""`Debugger`: for development, a failure as a page with source, variables and a console."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.debugger.console import Console, ConsoleError
from breezeway.middleware.debugger.failure_page import page, policy
from breezeway.middleware.debugger.traceback import Failure
from breezeway.middleware.failures import answered, begin, tell
from breezeway.middleware.stack import unset
from breezeway.semantics.hosts import parse_host
from breezeway.semantics.negotiation import choose_type
from breezeway.semantics.networks import LOOPBACK, Networks

STATUS: Final = "500 Internal Server Error"

PATH: Final = "/__breezeway_debugger__"
"""Where the page of a failure asks for what its console says."""

LARGEST_REQUEST: Final = 64 * 1024
"""Bytes that are read of a request of the console."""

TYPES: Final = ("text/plain", "text/html")

_OURS: Final = Networks(LOOPBACK)

log = logging.getLogger("breezeway.middleware.debugger")


class Debugger:
    """Shows a developer why the application failed: source, variables, and a console in each frame.

    It runs code for whoever gets at it, and so it serves this machine alone: the client has a loopback
    address, and so have the server and the host that is asked for (a name of another site that leads
    here, DNS rebinding, is refused), and no proxy is between. It refuses to run in a server of several
    processes: the next request may reach another one that knows nothing of the failure. Where it does
    not run, the application's error goes on to the server, and the log says why, once.

    The console needs a PIN that is in the log alone, so that other users of this machine do not get it;
    after ten wrong ones it stays closed until the server starts anew.
    """

    def __init__(
        self, application: WSGIApplication = unset, *, console: bool = True, pin: str | None = None
    ) -> None:
        """Show the failures of `application`.

        `console` False takes the console away. `pin` is the console's, of six characters at least;
        without it there is a new one for each process, in the log.

        Raises:
            ValueError: an option has a value that it cannot have.
        """
        self.application = application
        if not isinstance(console, bool):
            raise ValueError(f"console must be true or false, not {console!r}")
        self._console = Console(pin) if console else None
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and show its failure."""
        if self._console is not None and environ.get("PATH_INFO") == PATH:
            return self._speak(self._console, environ, start_response)
        return answered(self.application, environ, start_response, self._show)

    def _show(
        self, environ: WSGIEnvironment, start_response: StartResponse, error: Exception
    ) -> list[bytes]:
        """Begin a response in place of the application's; raise the error if that cannot be."""
        why = refusal(environ)
        if why:
            self._tell_once(f"the debugger does not run: {why}")
            raise error
        failure = Failure(error)
        nonce, secret = "", ""
        if choose_type(environ.get("HTTP_ACCEPT"), TYPES) == "text/html":
            if self._console is not None:
                secret = self._console.keep(failure)
                self._tell_once(f"the PIN of the debugger's console is {self._console.pin}")
            text, nonce = page(failure, environ, f"{environ.get('SCRIPT_NAME', '')}{PATH}", secret)
            content_type = "text/html; charset=utf-8"
        else:
            text, content_type = failure.text, "text/plain; charset=utf-8"
        body = text.encode("utf-8", "backslashreplace")
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", policy(nonce)),
            ("X-Content-Type-Options", "nosniff"),
        ]
        begin(start_response, STATUS, headers, error)
        # Only now: what the server has to end with, it logs itself.
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        tell(log, error, "%s %r failed", method, path)
        return [] if method == "HEAD" else [body]

    def _speak(
        self, console: Console, environ: WSGIEnvironment, start_response: StartResponse
    ) -> list[bytes]:
        """Answer what the page of a failure asks."""
        why = refusal(environ)
        if not why and environ["REQUEST_METHOD"] != "POST":
            return answer(
                environ, start_response, "405 Method Not Allowed", headers=[("Allow", "POST")]
            )
        if not why and environ.get("HTTP_SEC_FETCH_SITE", "same-origin") != "same-origin":
            why = "the request comes from another site"
        if not why and environ.get("CONTENT_TYPE") != "application/json":
            why = "the request is not JSON"
        if why:
            return answer(environ, start_response, "403 Forbidden", f"403 Forbidden: {why}")
        try:
            told = console.answer(_request(environ))
        except ConsoleError as error:
            return answer(environ, start_response, error.status, str(error))
        body = json.dumps(told).encode()
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
            ],
        )
        return [body]

    def _tell_once(self, what: str) -> None:
        with self._lock:
            if what in self._told:
                return
            self._told.add(what)
        log.warning("%s", what)


def refusal(environ: WSGIEnvironment) -> str:
    """Say why the debugger must not answer this request; empty if it may."""
    if environ.get("wsgi.multiprocess"):
        return "the server says that it may have several processes (breezeway --reload has one)"
    if environ.get("wsgi.run_once"):
        return "the server starts a process for each request"
    server: str = environ.get("SERVER_NAME", "")
    if not _is_loopback(server):
        return f"the server is bound to {server!r}, which is not a loopback address"
    if not _OURS.admit(environ):
        return "the client is not on this machine, or there is a proxy between"
    host: str = environ.get("HTTP_HOST") or server
    try:
        name = parse_host(host).name
    except ValueError:
        name = ""
    if not _is_loopback(name):
        return f"the host that was asked for is {host!r}, not localhost"
    return ""


def _is_loopback(name: str) -> bool:
    plain = name.strip("[]").lower()
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    return bool(plain) and plain in _OURS


def _request(environ: WSGIEnvironment) -> dict[str, Any]:
    length = environ.get("CONTENT_LENGTH", "")
    is_number = length.isascii() and length.isdigit() and len(length) < 10
    if not is_number or int(length) > LARGEST_REQUEST:
        raise ConsoleError("413 Content Too Large", f"at most {LARGEST_REQUEST} bytes")
    try:
        found = json.loads(environ["wsgi.input"].read(int(length)))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConsoleError("400 Bad Request", "not an object of JSON")
    return found
