"""`App`: an application of routes, hooks and error handlers.

A request goes to `answer`. What the browser must be told or asked for the safety of a site (the fields of
`Security`, the checks of `Csrf`) is done there with the middleware's own pieces: around everything, where
a request needs one of them, and otherwise by adding the fields that never change to the response.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.closing import closing
from breezeway.semantics.fields import Headers
from breezeway.web.endpoint import UNPREPARED, Endpoint, Fallback, Hooks, answer_error
from breezeway.web.errors import Forbidden
from breezeway.web.group import Group, checked_limits
from breezeway.web.limits import Limits
from breezeway.web.pattern import CONVERTERS, Converter
from breezeway.web.protection import SAFE, Protection
from breezeway.web.request import Request
from breezeway.web.response import JSON, Response, copied, dumps
from breezeway.web.results import from_application, to_response
from breezeway.web.routes import Routes, TrailingSlash
from breezeway.web.stream import close

Fields = tuple[tuple[str, str], ...]

JSON_FIELD: Final = ("Content-Type", JSON)

ROUTE_KEY: Final = "breezeway.route"
"""Where the environ has the pattern of the route, for logs and metrics."""

MOST_PIECES: Final = 100
"""Of middleware around an application that are looked through."""


class App(Routes):
    """A WSGI application: `app(environ, start_response)`.

    `app.wsgi_app` is what answers; put middleware around it: `app.wsgi_app = Compress(app.wsgi_app)`.
    Routes are checked when they are registered.
    """

    def __init__(
        self,
        *,
        trailing_slash: TrailingSlash = "redirect",
        converters: Mapping[str, Converter] | None = None,
        limits: Limits | None = None,
        security: bool | Mapping[str, Any] = True,
        csrf: bool | Mapping[str, Any] = True,
        sessions: Mapping[str, Any] | None = None,
        config: Any = None,
    ) -> None:
        """Make an application without routes.

        `trailing_slash` "redirect" sends a request for `/a` on to `/a/`, or back, where just the other one
        is there; "strict" does not. `converters` are further ones for patterns, by name. `limits` are the
        bounds of requests whose route has none of its own. `security`: the fields of the middleware
        `Security`, true for its defaults, or a table of its options. `csrf`: the checks of `Csrf`, true
        or a table of its options. `sessions`: options of `Sessions`; without, there are none. `config` is
        for the application: its configuration, as `app.config`.

        Raises:
            ValueError, TypeError: an option has a value that it cannot have.
        """
        for name, each in (converters or {}).items():
            if not isinstance(each, Converter):
                raise TypeError(f"the converter {name!r} is a Converter(...), not {each!r}")
        super().__init__(trailing_slash, {**CONVERTERS, **(converters or {})})
        self.limits = checked_limits(limits)
        self.config = config
        self.state = SimpleNamespace()
        """For what is made once and belongs to the application, such as a pool of connections."""
        self._lock = threading.Lock()
        """Of the hooks."""
        self._prepared: list[Endpoint] = []
        """Those that have had a request."""
        self._protection = Protection(self._unprotected, self._refused, security, csrf, sessions)
        self._wsgi_app: WSGIApplication = self.answer

    # --- documentation ------------------------------------------------------------------------------

    def openapi(self, title: str, version: str, **options: Any) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document of the routes, those too of each `App` that is mounted.

        `description` is text in CommonMark; `servers` are URLs; `security_schemes` are Security Scheme
        Objects by their names, and `security` says which of them all operations need, as a list of
        tables from name to scopes.
        """
        from breezeway.web.openapi import document
        from breezeway.web.operations import operations

        return document(operations(self), title, version, **options)

    def describe(
        self,
        title: str,
        version: str,
        *,
        document: str = "/openapi.json",
        page: str = "/docs",
        **options: Any,
    ) -> None:
        """Serve the OpenAPI document, and a page to read it and to try requests.

        `document` and `page` are their paths; an empty `page` is none. `options` are those of `openapi`.
        """
        from breezeway.web.openapi_page import serve

        serve(self, title, version, document, page, options)

    # --- answering ----------------------------------------------------------------------------------

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, with the middleware around."""
        return self._wsgi_app(environ, start_response)

    @property
    def wsgi_app(self) -> WSGIApplication:
        """What answers; what is set has the one before it within.

        Raises:
            ValueError: it leads to this `App` itself, and would call itself for ever.
        """
        return self._wsgi_app

    @wsgi_app.setter
    def wsgi_app(self, application: WSGIApplication) -> None:
        inner: Any = application
        for _ in range(MOST_PIECES):
            if inner is self:
                raise ValueError(
                    "app.wsgi_app would call itself for ever: put middleware around app.wsgi_app,"
                    " not around app"
                )
            if not type(inner).__module__.startswith("breezeway.middleware"):
                break  # what others have as `application` need not be what they call
            inner = getattr(inner, "application", None)
        self._wsgi_app = application

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, without the middleware around."""
        protection = self._protection
        if protection.is_always or (
            protection.checks
            and (environ["REQUEST_METHOD"] not in SAFE or "breezeway.session" in environ)
        ):
            return protection.around(environ, start_response)
        is_https = environ["wsgi.url_scheme"] == "https"
        fields = protection.https_fields if is_https else protection.fields
        return self._answer(environ, start_response, fields)

    @property
    def protected(self) -> WSGIApplication:
        """The application within its `Security`, `Sessions` and `Csrf`: the outermost of those it has.

        Each piece has the next one as its `application`.
        """
        return self._protection.around

    def _unprotected(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        return self._answer(environ, start_response, ())

    def _refused(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that `Csrf` refuses, as if a first `before` hook of all had done so.

        So nothing of the application is called that might act on it.
        """
        from breezeway.middleware.csrf import REFUSAL

        def refuse(request: Request, values: tuple[Any, ...]) -> Any:
            raise Forbidden(REFUSAL)

        request = Request(environ)
        request.app = self
        endpoint, values = self._find(request)
        request.route = endpoint.route
        request.path_names = endpoint.names
        request.path_parts = values
        environ[ROUTE_KEY] = endpoint.text
        fallback = Fallback(refuse, tuple(endpoint.groups), None, endpoint.text)
        hooks = Hooks.of(endpoint.groups) or UNPREPARED
        return self._around(
            request, fallback, values, hooks._replace(before=()), start_response, ()
        )

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, fields: Fields
    ) -> Iterable[bytes]:
        request = Request(environ)
        request.app = self
        endpoint, values = self._find(request)
        request.route = endpoint.route
        request.path_names = endpoint.names
        request.path_parts = values
        environ[ROUTE_KEY] = endpoint.text
        hooks = endpoint.hooks
        if hooks is UNPREPARED and isinstance(endpoint, Endpoint):
            hooks = self._prepare(endpoint)
        if hooks is not None:
            return self._around(request, endpoint, values, hooks, start_response, fields)
        content = None
        try:
            result = endpoint.run(request, values)
            if type(result) is dict and environ["REQUEST_METHOD"] != "HEAD":
                content = dumps(result)
            else:
                response = to_response(result)
        except Exception as error:
            try:
                response = answer_error(request, error, endpoint.groups)
            except BaseException:
                request.close()
                raise
        if request.holds_files or (content is None and type(response) is not Response):
            if content is not None:
                response = Response(content, content_type=JSON)
            return self._sent(response, request, endpoint, start_response, fields)
        if content is None:
            return response.send(environ, start_response, fields)  # type: ignore[no-any-return]
        # Nobody sees the response of most programs' requests but the server: a sixth of the time is
        # saved by not making one.
        start_response("200 OK", [JSON_FIELD, *fields, ("Content-Length", str(len(content)))])
        return [content]

    def _around(
        self,
        request: Request,
        endpoint: Endpoint | Fallback,
        values: tuple[Any, ...],
        hooks: Hooks,
        start_response: StartResponse,
        fields: Fields,
    ) -> Iterable[bytes]:
        """Answer with hooks."""
        try:
            try:
                result = _first(hooks.before, request)
                if result is None:
                    result = endpoint.run(request, values)
                response = to_response(result)
                if hooks.after and response is result and isinstance(response, Response):
                    response = copied(response)  # others may have it as well
            except Exception as error:
                response = answer_error(request, error, endpoint.groups)
            if hooks.after:
                blocks = self._shown(
                    response, hooks.after, request, endpoint, start_response, fields
                )
            else:
                blocks = self._sent(response, request, endpoint, start_response, fields)
        except BaseException:
            request.close()
            hooks.tear_down(request)
            raise
        if not hooks.teardown:
            return blocks
        if type(blocks) is list:  # nothing of the application is left to be done
            hooks.tear_down(request)
            return blocks
        return closing(blocks, request.environ, partial(hooks.tear_down, request))

    def _shown(
        self,
        response: Any,
        hooks: tuple[Any, ...],
        request: Request,
        endpoint: Endpoint | Fallback,
        start_response: StartResponse,
        fields: Fields,
    ) -> Iterable[bytes]:
        """Show a response to the hooks, and send what they leave."""
        blocks: Iterable[bytes] | None = None

        def send(response: Response, start: StartResponse) -> tuple[Response, Iterable[bytes]]:
            for hook in hooks:
                response = self._after(hook, request, response, endpoint.groups)
            return response, self._sent(response, request, endpoint, start, fields)

        def begin(response: Response) -> Any:
            nonlocal blocks
            write: Any = None

            def start(*head: Any) -> Any:
                nonlocal write
                write = start_response(*head)
                return write

            sent, blocks = send(response, start)
            return write if sent.content is response.content else _drop

        if not isinstance(response, Response):
            try:
                response = from_application(response, request.environ, begin)
            except Exception as error:
                if blocks is not None:
                    close(blocks)
                    raise
                response = self._answer_for(request, error, endpoint.groups)
        return send(response, start_response)[1] if blocks is None else blocks

    def _after(
        self, hook: Any, request: Request, response: Response, groups: tuple[Group, ...]
    ) -> Response:
        """Show a response to a hook; return what there is to send then."""
        try:
            changed = hook(request, response)
            if changed is None or changed is response:
                return response
            made = to_response(changed)
            if not isinstance(made, Response):
                made = from_application(made, request.environ)
            elif made is changed:
                made = copied(made)
        except Exception as error:
            response.close()
            return self._answer_for(request, error, groups)
        made.on_close(response.close)
        return made

    def _answer_for(
        self, request: Request, error: Exception, groups: tuple[Group, ...]
    ) -> Response:
        """Return what answers for an exception, for the hooks to look at."""
        made = answer_error(request, error, groups)
        return made if isinstance(made, Response) else from_application(made, request.environ)

    def _sent(
        self,
        response: Any,
        request: Request,
        endpoint: Endpoint | Fallback,
        start_response: StartResponse,
        fields: Fields,
    ) -> Iterable[bytes]:
        try:
            if not isinstance(response, Response):
                response = self._called(response, request, endpoint, start_response, fields)
            if isinstance(response, Response):
                response = response.send(request.environ, start_response, fields)
        except BaseException:
            request.close()
            raise
        blocks: Iterable[bytes] = response
        if not request.holds_files:
            return blocks
        if type(blocks) is list:
            request.close()
            return blocks
        return closing(blocks, request.environ, request.close)

    def _called(
        self,
        application: WSGIApplication,
        request: Request,
        endpoint: Endpoint | Fallback,
        start_response: StartResponse,
        fields: Fields,
    ) -> Any:
        """Return the blocks of a WSGI application; or what answers if it fails before its response."""
        is_started = False

        def start(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            nonlocal is_started
            is_started = True
            return start_response(status, headers, exc_info)

        try:
            return self._protection.secured(application, fields)(request.environ, start)
        except Exception as error:
            if is_started:
                raise
            response = answer_error(request, error, endpoint.groups)
            if not isinstance(response, Response):
                response = from_application(response, request.environ)
            return response

    def _prepare(self, endpoint: Endpoint) -> Hooks | None:
        with self._lock:
            endpoint.hooks = Hooks.of(endpoint.groups)
            self._prepared.append(endpoint)
            return endpoint.hooks

    def _hooks_changed(self) -> None:
        with self._lock:
            for endpoint in self._prepared:
                endpoint.hooks = UNPREPARED
            self._prepared = []
            self._hooks = Hooks.of((self,))


def _drop(data: bytes) -> None:
    """Stand for `write` where a hook has put another response in place of what is written."""


def _first(hooks: Iterable[Any], request: Request) -> Any:
    """Return what the first hook answers that does."""
    for hook in hooks:
        result = hook(request)
        if result is not None:
            return result
    return None
