"""`Client`: asks an application what a browser would, in the process or over a live server.

A request goes through three hands: here it gets its URL, fields, cookies and body, and redirects are
followed; `in_process` calls the application, or `over_http` a server, and gives back status, headers
and the content as it comes; `response` is what the test sees of it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, Unpack
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from breezeway.testing.cookie_jar import CookieJar
from breezeway.testing.in_process import InProcess
from breezeway.testing.options import Fields, Options, checked_fields, checked_method
from breezeway.testing.redirects import Step
from breezeway.testing.request_body import UNSET, RequestBody, request_body
from breezeway.testing.response import Blocks, Headers, Response, Sent
from breezeway.testing.sessions import changed_session, sessions_of
from breezeway.testing.urls import checked_base, origin, resolved

if TYPE_CHECKING:
    import ssl

    from breezeway.middleware.sessions import Sessions
    from breezeway.middleware.sessions.session import Session
    from breezeway.testing.linted import Linted

DEFAULT_URL: Final = "http://localhost"

TIMEOUT_SECONDS: Final = 10.0

_WITH_CONTENT: Final = ("PATCH", "POST", "PUT")
"""Methods that say how long their content is, even if there is none (RFC 9110 section 8.6)."""


class Transport(Protocol):
    """A way to an application."""

    def send(
        self, request: Sent, body: RequestBody, environ: Mapping[str, Any]
    ) -> tuple[int, str, Headers, Blocks]:
        """Send a request; return status, reason, headers and content."""

    def close(self) -> None:
        """Close what is open."""


class Client:
    """Asks a WSGI application, or a live server, as a browser does.

        client = Client(application)
        assert client.get("/users/42").json() == {"name": "bob"}

    It keeps cookies from one request to the next (RFC 6265), and follows redirects if it is told to.
    """

    def __init__(
        self,
        application: WSGIApplication | str,
        *,
        base_url: str = "",
        headers: Fields = (),
        auth: tuple[str, str] | str | None = None,
        environ: Mapping[str, Any] | None = None,
        follow_redirects: bool = False,
        hosts: Iterable[str] = (),
        lint: bool = False,
        raise_errors: bool = True,
        sessions: Sessions | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Make a client without cookies.

        `application` is called in the process; a text is the URL of a server in its place. `base_url` is
        where the application is told to be: its path is SCRIPT_NAME. `headers` go with each request, and
        `auth` (user and password, or a bearer token) with each to the base URL; `environ` has further keys.
        `hosts` are names to which redirects are followed beside the one that was asked, `*` for all.
        `lint` puts `breezeway.middleware.Lint` around the application and raises each breach of PEP
        3333. `raise_errors`: what the application raises is raised in the test; otherwise it is a 500, or
        an IncompleteResponseError when the response had begun. `sessions` is the piece of which `session`
        reads and writes, if it is not found around the application. For a server: `timeout` in seconds
        for each wait, and `tls`, the context for https.

        Raises:
            ValueError, TypeError: an option cannot be.
        """
        self.headers = checked_fields(headers)
        """Fields of each request."""
        self.auth = auth
        self.follow_redirects = follow_redirects
        self._environ = dict(environ or {})
        self._hosts = frozenset(
            host.lower() for host in ([hosts] if isinstance(hosts, str) else hosts)
        )
        self._sessions = sessions
        self._open: set[Blocks] = set()
        self._linted: Linted | None = None
        self._stack = ExitStack()
        self._application: Any = application
        if isinstance(application, str):
            if base_url or lint or environ:
                raise TypeError("base_url, lint and environ are for an application in the process")
            from breezeway.testing.over_http import OverHttp

            self._point_to(application)
            self._transport: Transport = OverHttp(timeout=timeout, tls=tls)
            return
        if not callable(application):
            raise TypeError(f"an application is callable, or the URL of one: {application!r}")
        self._point_to(base_url or DEFAULT_URL)
        if lint:
            application = self._lint(application)
        root = urlsplit(self.base_url).path
        self._transport = InProcess(application, root, raise_errors=raise_errors)

    def _point_to(self, base_url: str) -> None:
        self.base_url = checked_base(base_url)
        self.cookies = CookieJar(url=f"{self.base_url}/")

    def _lint(self, application: WSGIApplication) -> WSGIApplication:
        from breezeway.testing.linted import Linted

        self._linted = Linted(application)
        return self._linted

    @classmethod
    def live(
        cls,
        application: WSGIApplication,
        *,
        lint: bool = False,
        raise_errors: bool = True,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Start Breezeway's server on a free port of this machine, and return a client of it.

        The server stops with `close()`, or at the end of a `with` block. `settings` are those of
        `LiveServer`; the other options are those of the client. What the application raises is raised
        in the test here, too.
        """
        from breezeway.testing.live_server import LiveServer
        from breezeway.testing.over_http import OverHttp, Watched

        client = cls(DEFAULT_URL, **options)
        client._application = application
        watched = Watched(client._lint(application) if lint else application, raises=raise_errors)
        server = LiveServer(watched, **(settings or {}))
        client._stack.enter_context(server)
        client._point_to(server.url)
        client._transport = OverHttp(
            timeout=options.get("timeout", TIMEOUT_SECONDS), tls=options.get("tls"), watched=watched
        )
        return client

    # --- requests -----------------------------------------------------------------------------------

    def get(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a GET; see `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a HEAD; see `request`."""
        return self.request("HEAD", url, **options)

    def options(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send an OPTIONS; see `request`."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a POST; see `request`."""
        return self.request("POST", url, **options)

    def put(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a PUT; see `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a PATCH; see `request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a DELETE; see `request`."""
        return self.request("DELETE", url, **options)

    def request(self, method: str, url: str = "/", **options: Unpack[Options]) -> Response:
        """Send a request, and return the response; `Options` says what there is to say.

        `url` is a path below `base_url`, with or without a query, or a whole URL.

        Raises:
            RedirectError: a redirect leads to another host, or there are too many.
            TypeError, ValueError: there can be no such request.
        """
        unknown = options.keys() - Options.__annotations__.keys()
        if unknown:
            raise TypeError(f"a request has no option {', '.join(sorted(unknown))}")
        body = request_body(
            content=options.get("content"),
            data=options.get("data"),
            files=options.get("files"),
            json=options.get("json", UNSET),
        )
        url = resolved(self.base_url, url, options.get("params"))
        step = Step(checked_method(method), url, self._fields(url, body, options), body)
        follows = options.get("follow_redirects")
        follows = self.follow_redirects if follows is None else follows
        history: list[Response] = []
        response = self._send(step, options, history)
        while follows and response.is_redirect:
            response.content  # noqa: B018 - so that its connection can be used again
            step = step.after(response, {origin(self.base_url)[1], *self._hosts})
            history = [*history, response]
            response = self._send(step, options, history)
        if not options.get("stream"):
            response.content  # noqa: B018 - read it
        return response

    def _fields(self, url: str, body: RequestBody, options: Options) -> list[tuple[str, str]]:
        """Return the fields of a request but for Host, Cookie and Content-Length."""
        given = checked_fields(options.get("headers", ()))
        names = {name.lower() for name, _ in given}
        fields = [field for field in self.headers if field[0].lower() not in names] + given
        names |= {name.lower() for name, _ in fields}
        auth = options.get("auth", self.auth if origin(url) == origin(self.base_url) else None)
        if auth is not None and "authorization" not in names:
            fields.append(("Authorization", _credentials(auth)))
        if body.content_type is not None and "content-type" not in names:
            fields.append(("Content-Type", body.content_type))
        if "user-agent" not in names:
            fields.append(("User-Agent", "breezeway.testing"))
        return fields

    def _send(self, step: Step, options: Options, history: list[Response]) -> Response:
        request = Sent(step.method, step.url, Headers(self._completed(step, options)))
        began = time.perf_counter()
        environ = {**self._environ, **options.get("environ", {})}
        try:
            status, reason, headers, blocks = self._transport.send(request, step.body, environ)
        except Exception:
            self._check()
            raise
        self._open.add(blocks)

        def ended() -> float:
            self._open.discard(blocks)
            self._check()
            return time.perf_counter() - began

        self.cookies.receive(step.url, headers.all("set-cookie"))
        return Response(
            status, reason, headers, blocks, request=request, history=history, ended=ended
        )

    def _completed(self, step: Step, options: Options) -> list[tuple[str, str]]:
        """Return the fields of a request with Host, Cookie and Content-Length."""
        names = {name.lower() for name, _ in step.fields}
        fields = list(step.fields)
        if "host" not in names:
            fields.insert(0, ("Host", urlsplit(step.url).netloc))
        own = (options.get("cookies") or {}) if step.is_first_origin else {}
        pairs = [f"{c.name}={c.value}" for c in self.cookies.sent_to(step.url) if c.name not in own]
        pairs += [f"{name}={value}" for name, value in own.items()]
        if pairs and "cookie" not in names:
            fields += checked_fields([("Cookie", "; ".join(pairs))])
        length = step.body.length
        has_length = length is not None and (length or step.method in _WITH_CONTENT)
        if has_length and "content-length" not in names:
            fields.append(("Content-Length", str(length)))
        return fields

    def _check(self) -> None:
        if self._linted is not None:
            self._linted.check()

    # --- sessions -----------------------------------------------------------------------------------

    @contextmanager
    def session(self, url: str = "/") -> Iterator[Session]:
        """Read and change the session that a request to `url` would have.

            with client.session() as session:
                session["user"] = 1

        It is loaded and saved by the application's own `breezeway.middleware.Sessions`, through its
        store and the cookies of this client, at the end of the block; not if that raises.

        Raises:
            LookupError: no `Sessions` is found around the application: name it in `sessions=`.
            ValueError: a browser would drop the cookie of the session.
        """
        piece = self._sessions or sessions_of(self._application)
        url = resolved(self.base_url, url, None)
        with changed_session(piece, self.cookies, url) as session:
            yield session

    # --- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close responses that are still open, connections, and the server if there is one."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all; a server that does not stop is no reason to hide what the test has raised."""
        try:
            for blocks in [*self._open]:
                blocks.close()
            self._open.clear()
        finally:
            self._transport.close()
            self._stack.__exit__(kind, error, traceback)


def _credentials(auth: tuple[str, str] | str) -> str:
    """Return the Authorization field of user and password, or of a bearer token."""
    if isinstance(auth, str):
        return f"Bearer {auth}"
    user, password = auth
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
