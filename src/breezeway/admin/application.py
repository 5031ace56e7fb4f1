"""The WSGI application of the admin listener: which path answers what, and to whom.

/  /dashboard.css  ...     the page; it has no numbers of its own, and everybody may have it
/health                    200 while the server serves, else 503; for everybody
/metrics                   for Prometheus
/api/...                   what the page asks for; docs/dashboard.md has the table
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.admin.access import Access
from breezeway.admin.answers import Problem, head, send, send_json, send_problem
from breezeway.admin.attempts import TooManyError
from breezeway.admin.files import FILES, File
from breezeway.admin.link import Link, LinkError, RefusedError
from breezeway.admin.source import Source
from breezeway.admin.streams import MEDIA_TYPE, STREAMS, Streams
from breezeway.observe import prometheus
from breezeway.observe.application_metrics_families import Family
from breezeway.observe.application_metrics_text import LeftOut, lines
from breezeway.semantics.negotiation import choose_type

logger = logging.getLogger("breezeway.admin")

BODY_BYTES: Final = 4096
"""Of a request. A token and a number are less."""

HEALTHY: Final = ("serving", "reloading")
"""States in which requests are answered."""

_ESCAPING: Final = re.compile(r";[ \t]*escaping=[^;, \t]*", re.IGNORECASE)
"""What Prometheus 3 asks of names that need escaping; none is told that does."""

Handler = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class Application:
    """Everything that the admin listener answers."""

    def __init__(
        self,
        source: Source,
        actions: Link,
        streams: Streams,
        access: Access,
        application_metrics: Callable[[], list[Family]],
    ) -> None:
        """`actions` is a link of its own: a reload takes as long as it takes.

        `application_metrics` collects those of the application that is served.
        """
        self._source = source
        self._actions = actions
        self._streams = streams
        self._access = access
        self._application_metrics = application_metrics
        self._left_out = LeftOut()
        self._acting = threading.Lock()
        self._free: dict[str, Handler] = {
            path: File(name, media_type) for path, (name, media_type) in FILES.items()
        }
        self._free |= {"/health": self._health, "/api/session": self._session}
        self._read: dict[str, Handler] = {
            "/metrics": self._metrics,
            "/api/events": self._events,
            "/api/status": self._status,
            "/api/running": self._running,
            "/api/settings": self._settings,
            "/api/log": self._log,
        }
        self._sessions: dict[str, Handler] = {
            "/api/login": self._login,
            "/api/logout": self._logout,
        }
        self._act: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/api/reload": lambda _: self._ask("reload"),
            "/api/scale": lambda given: self._ask("scale", workers=given.get("workers")),
            "/api/recycle": lambda given: self._ask("recycle", **_recycled(given)),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            return self._answer(environ, start_response)
        except Problem as problem:
            return send_problem(environ, start_response, problem)
        except LinkError as error:
            unavailable = Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return send_problem(environ, start_response, unavailable)
        except TooManyError as error:
            return send_problem(environ, start_response, _too_many(error.seconds))

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        is_probe = path == "/health" and "HTTP_HOST" not in environ  # browsers send it always
        if not (is_probe or self._access.knows_host(environ)):
            text = "This is not reached by that name; the setting admin_hosts takes further ones."
            raise Problem(HTTPStatus.MISDIRECTED_REQUEST, text)
        posts = path in self._act or path in self._sessions
        if not (posts or path in self._free or path in self._read):
            raise Problem(HTTPStatus.NOT_FOUND, "There is no such page.")
        allowed = ("POST",) if posts else ("GET", "HEAD")
        if method not in allowed:
            text = f"This takes {' and '.join(allowed)} alone."
            raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, text, ("Allow", ", ".join(allowed)))
        if path not in FILES and self._access.is_from_elsewhere(environ):
            raise Problem(HTTPStatus.FORBIDDEN, "Pages of other sites may not ask here.")
        if path in self._free:
            return self._free[path](environ, start_response)
        if path in self._read:
            if not self._access.may_read(environ):
                raise _unauthorized("This takes the token.")
            return self._read[path](environ, start_response)
        _check_json(environ)
        if path in self._sessions:
            return self._sessions[path](environ, start_response)
        return send_json(environ, start_response, self._carry_out(path, environ))

    # --- reading -----------------------------------------------------------------------------------

    def _health(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state = self._source.status()["state"]
        status = HTTPStatus.OK if state in HEALTHY else HTTPStatus.SERVICE_UNAVAILABLE
        text = f"{state}\n".encode()
        return send(environ, start_response, text, "text/plain; charset=utf-8", status=status)

    def _metrics(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        offered = (prometheus.TEXT, prometheus.OPENMETRICS)
        accept = _ESCAPING.sub("", environ.get("HTTP_ACCEPT", ""))
        chosen = choose_type(accept, offered) or prometheus.TEXT
        openmetrics = chosen == prometheus.OPENMETRICS
        families = self._application_metrics()
        more = lines(families, openmetrics=openmetrics, leave_out=self._left_out)
        body = prometheus.render(self._source.status(), openmetrics=openmetrics, more=more)
        return send(environ, start_response, body, chosen, ("Vary", "Accept"))

    def _status(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return send_json(environ, start_response, self._source.status())

    def _settings(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return send_json(environ, start_response, self._source.settings())

    def _log(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return send_json(environ, start_response, {"events": self._source.events()})

    def _running(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        running = self._source.running()
        if not (self._access.is_private or self._access.may_act(environ)):
            running = [{**each, "request": _without_query(each["request"])} for each in running]
        return send_json(environ, start_response, {"running": running})

    def _events(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fields = [("Content-Type", MEDIA_TYPE), ("X-Accel-Buffering", "no")]
        if environ["REQUEST_METHOD"] == "HEAD":
            start_response(*head(HTTPStatus.OK, fields))
            return []
        stream = self._streams.open({"session": self._rights(environ)})
        if stream is None:
            text = f"{STREAMS} pages look on already."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, text, ("Retry-After", "10"))
        start_response(*head(HTTPStatus.OK, fields))
        return stream

    # --- sessions ----------------------------------------------------------------------------------

    def _rights(self, environ: WSGIEnvironment) -> dict[str, bool]:
        # A GET comes without an Origin; the session is what counts.
        return {
            "read": self._access.may_read(environ),
            "act": self._access.may_act(environ),
            "token": self._access.has_token,
        }

    def _session(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return send_json(environ, start_response, self._rights(environ))

    def _login(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        token = _body(environ).get("token")
        if not isinstance(token, str) or not self._access.is_token(environ, token):
            raise Problem(HTTPStatus.FORBIDDEN, "That is not the token.")
        cookie = ("Set-Cookie", self._access.open_session())
        return send_json(environ, start_response, {"act": True}, cookie)

    def _logout(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        cookie = ("Set-Cookie", self._access.close_session())
        return send_json(environ, start_response, {"act": False}, cookie)

    # --- acting ------------------------------------------------------------------------------------

    def _carry_out(self, path: str, environ: WSGIEnvironment) -> dict[str, Any]:
        if not self._access.has_token:
            text = "The setting admin_token is not set: this is for looking alone."
            raise Problem(HTTPStatus.FORBIDDEN, text)
        if not self._access.may_act(environ):
            raise _unauthorized("This takes the token.")
        given = _body(environ)
        if not self._acting.acquire(blocking=False):
            raise Problem(HTTPStatus.CONFLICT, "Something else is under way.")
        try:
            return self._act[path](given)
        except RefusedError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from None
        finally:
            self._acting.release()

    def _ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        logger.info("%s, as somebody at the admin listener has asked", command)
        return self._actions.ask(command, **arguments)


def _recycled(given: dict[str, Any]) -> dict[str, int]:
    """Return which worker the supervisor is to recycle; nothing for all, but only if that is said."""
    pid = given.get("pid")
    if given.keys() == {"pid"} and type(pid) is int:
        return {"pid": pid}
    if given.keys() == {"all"} and given["all"] is True:
        return {}
    text = 'This takes a worker, as {"pid": 4712}, or {"all": true}.'
    raise Problem(HTTPStatus.BAD_REQUEST, text)


def _without_query(request: str) -> str:
    target, mark, _ = request.partition("?")
    return f"{target}?…" if mark else request


def _unauthorized(text: str) -> Problem:
    # No challenge "Basic": the browser's own dialog would keep what is typed there.
    return Problem(HTTPStatus.UNAUTHORIZED, text, ("WWW-Authenticate", "Bearer"))


def _too_many(seconds: float) -> Problem:
    wait = str(math.ceil(seconds))
    text = f"There have been too many wrong tokens; one is looked at again in {wait} s."
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, text, ("Retry-After", wait))


def _check_json(environ: WSGIEnvironment) -> None:
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "This takes application/json.")


def _body(environ: WSGIEnvironment) -> dict[str, Any]:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > BODY_BYTES:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{BODY_BYTES} bytes are enough.")
    try:
        found = json.loads(environ["wsgi.input"].read(length) or b"{}")
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "This is not JSON.") from None
    if not isinstance(found, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "This takes an object.")
    return found
