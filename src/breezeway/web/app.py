"""`App`: an application of routes, hooks and error handlers.

A request goes to `answer`. What the browser must be told or asked for the safety of a site (the fields of
`Security`, the checks of `Csrf`) is done there with the middleware's own pieces: around everything, where
a request needs one of them, and otherwise by adding the fields that never change to the response.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.closing import ClosingIterator
from breezeway.semantics.fields import Headers
from breezeway.semantics.hosts import parse_host
from breezeway.web.endpoint import UNPREPARED, Endpoint, Fallback, Hooks, answer_error
from breezeway.web.errors import BadRequest, HTTPError, MethodNotAllowed, NotFound
from breezeway.web.group import Group, Route, place
from breezeway.web.limits import Limits
from breezeway.web.pattern import CONVERTERS, HOST_VARIABLE, Converter, parse_pattern
from breezeway.web.protection import SAFE, Protection
from breezeway.web.request import Request, decoded
from breezeway.web.response import Response
from breezeway.web.results import from_application, to_response
from breezeway.web.router import ConflictError, Leaf, Router
from breezeway.web.urls import PATH_SAFE, encoded

TrailingSlash = Literal["redirect", "strict"]

Fields = tuple[tuple[str, str], ...]

ROUTE_KEY: Final = "breezeway.route"
"""Where the environ has the pattern of the route, for logs and metrics."""


class App(Group):
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
            ValueError: an option has a value that it cannot have.
        """
        super().__init__()
        if trailing_slash not in ("redirect", "strict"):
            raise ValueError(
                f"trailing_slash must be 'redirect' or 'strict', not {trailing_slash!r}"
            )
        self.trailing_slash = trailing_slash
        self.converters = {**CONVERTERS, **(converters or {})}
        self.limits = limits
        self.config = config
        self.state = SimpleNamespace()
        """For what is made once and belongs to the application, such as a pool of connections."""
        self._router: Router[Endpoint] = Router()
        self._hosts: dict[str, Router[Endpoint]] = {}
        self._host_patterns: list[tuple[re.Pattern[str], Router[Endpoint]]] = []
        self._mounts: dict[tuple[str, str], WSGIApplication] = {}
        self._by_name: dict[str, list[Endpoint]] = {}
        self._lock = threading.Lock()
        """Of the hooks."""
        self._hooks: Hooks | None = None
        """The application's own, for what no route answers."""
        self._prepared: list[Endpoint] = []
        """Those that have had a request."""
        self._protection = Protection(self._unprotected, security, csrf, sessions)
        self.wsgi_app: WSGIApplication = self.answer

    # --- routes -------------------------------------------------------------------------------------

    def _register(self, route: Route) -> None:
        endpoint = Endpoint(route, parse_pattern(route.pattern, self.converters))
        same = self._by_name.get(route.name, [])
        for other in same:
            if other.text != endpoint.text and other.handler != endpoint.handler:
                raise ConflictError(
                    f"two routes are called {route.name!r}: {other.text} of {place(other.handler)} and"
                    f" {endpoint.text} of {place(route.handler)}; give one of them another name",
                    other,
                )
        try:
            self._router_of(route.host).add(endpoint.pattern, route.method, endpoint)
        except ConflictError as error:
            places = f"{place(route.handler)} and {place(error.other.handler)}"
            raise ConflictError(f"{error}: {places}", error.other) from None
        self._by_name[route.name] = [*same, endpoint]

    def include(self, group: Group) -> None:
        """Add the routes of a group, those too that it gets later.

        Raises:
            ValueError: it is an application, which is mounted and not included; or it is in already.
        """
        if isinstance(group, App):
            raise ValueError("an App is mounted, app.mount(prefix, other), and not included")
        super().include(group)

    def _router_of(self, host: str) -> Router[Endpoint]:
        if not host:
            return self._router
        if host not in self._hosts:
            router: Router[Endpoint] = Router()
            if "{" in host:
                texts = HOST_VARIABLE.split(host)  # a text, a name, a text ...
                pattern = "".join(
                    f"(?P<{text}>[^.]+)" if at % 2 else re.escape(text.lower())
                    for at, text in enumerate(texts)
                )
                self._host_patterns.append((re.compile(pattern), router))
            self._hosts = {**self._hosts, host: router}
        return self._hosts[host]

    def mount(self, prefix: str, application: WSGIApplication, *, host: str = "") -> None:
        """Let another WSGI application answer below a prefix, where no route does.

        It sees itself there: what of the path is in the prefix moves to SCRIPT_NAME. An empty prefix is
        all that there is no route for. A prefix covers whole segments, and the longest counts.

        Raises:
            ValueError: the prefix is none, or is taken.
        """
        if (prefix and not prefix.startswith("/")) or prefix.endswith("/"):
            raise ValueError(f"a prefix begins with a slash and ends without one, not {prefix!r}")
        pattern = parse_pattern(prefix or "/")
        if pattern.names:
            raise ValueError(f"a prefix has no variables: {prefix!r}")
        if not callable(application):
            raise TypeError(f"what is mounted is a WSGI application, not {application!r}")
        if not prefix:
            pattern = replace(pattern, segments=("",))
        host = Group(host=host).host
        self._router_of(host).mount(pattern, application)
        self._mounts = {**self._mounts, (host, prefix): application}

    @property
    def mounts(self) -> Mapping[tuple[str, str], WSGIApplication]:
        """What is mounted, by host and prefix; an empty host is any."""
        return self._mounts

    @property
    def endpoints(self) -> list[Endpoint]:
        """Every route, in the order of their paths."""
        routers = [self._router, *self._hosts.values()]
        found = [
            endpoint
            for router in routers
            for leaf in router.leaves()
            for endpoint in leaf.endpoints.values()
        ]
        return sorted(
            found, key=lambda each: (each.route.host, each.pattern.text, each.route.method)
        )

    def url_for(self, name: str, /, **values: Any) -> str:
        """Return the path of a route, below where the application is mounted.

        Values that the path has no variable for go into the query; None leaves one out.

        Raises:
            ValueError: there is no route of this name, or a value does not fit.
        """
        endpoints = self._by_name.get(name)
        if not endpoints:
            raise ValueError(f"there is no route called {name!r}")
        # Of several paths of one function, that which takes the most of the values; then the topmost.
        fitting = [each for each in endpoints if values.keys() >= {*each.names}] or endpoints
        endpoint = max(reversed(fitting), key=lambda each: len(each.names))
        path = endpoint.pattern.path(values)
        query = {
            key: value
            for key, value in values.items()
            if key not in endpoint.names and value is not None
        }
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

    def openapi(self, title: str, version: str, **options: Any) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document of the routes.

        `description` is text in CommonMark; `servers` are URLs; `security_schemes` are Security Scheme
        Objects by their names, and `security` says which of them all operations need, as a list of
        tables from name to scopes.
        """
        from breezeway.web.openapi import document

        return document(self.endpoints, title, version, **options)

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
        return self.wsgi_app(environ, start_response)

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

    def _unprotected(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        return self._answer(environ, start_response, ())

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
        try:
            response = to_response(endpoint.run(request, values))
        except Exception as error:
            response = answer_error(request, error, endpoint.groups)
        if type(response) is Response and not request.holds_files:
            return response.send(environ, start_response, fields)
        return self._sent(response, request, endpoint, start_response, fields)

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
                response = _first(hooks.before, request)
                if response is None:
                    response = endpoint.run(request, values)
                response = to_response(response)
            except Exception as error:
                response = answer_error(request, error, endpoint.groups)
            for hook in hooks.after:
                response = self._after(hook, request, response, endpoint.groups)
            blocks = self._sent(response, request, endpoint, start_response, fields)
        except BaseException:
            hooks.tear_down(request)
            raise
        if not hooks.teardown:
            return blocks
        if type(blocks) is list:  # nothing of the application is left to be done
            hooks.tear_down(request)
            return blocks
        return ClosingIterator(blocks, partial(hooks.tear_down, request))

    def _after(self, hook: Any, request: Request, response: Any, groups: tuple[Group, ...]) -> Any:
        """Show a response to a hook; return what there is to send then."""
        try:
            if not isinstance(response, Response):
                response = from_application(response, request.environ)
            changed = hook(request, response)
            if changed is None or changed is response:
                return response
            made = to_response(changed)
            if not isinstance(made, Response):
                made = from_application(made, request.environ)
        except Exception as error:
            if isinstance(response, Response):
                response.close()
            made = answer_error(request, error, groups)
            if not isinstance(made, Response):
                made = from_application(made, request.environ)
            return made
        made.on_close(response.close)
        return made

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
        return ClosingIterator(blocks, request.close)

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

    # --- what answers -------------------------------------------------------------------------------

    def _find(self, request: Request) -> tuple[Endpoint | Fallback, tuple[Any, ...]]:
        environ = request.environ
        path = environ.get("PATH_INFO") or "/"
        if not path.isascii():
            path = decoded(path)
        routers = (self._router,) if not self._hosts else self._routers_for(request)
        method = environ["REQUEST_METHOD"]
        for router in routers:
            found = router.find(path)
            if found is not None:
                endpoint = found[0].endpoints.get(method)
                if endpoint is not None:
                    return endpoint, found[1]
                break
        else:
            return self._missing(routers, path, environ), ()
        return self._with_another_method(routers, path, method)

    def _routers_for(self, request: Request) -> tuple[Router[Endpoint], ...]:
        try:
            name = parse_host(request.host).name
        except (ValueError, BadRequest):
            return (self._router,)
        if name in self._hosts:
            return self._hosts[name], self._router
        for pattern, router in self._host_patterns:
            match = pattern.fullmatch(name)
            if match is not None:
                request.host_values = match.groupdict()
                return router, self._router
        return (self._router,)

    def _with_another_method(
        self, routers: tuple[Router[Endpoint], ...], path: str, method: str
    ) -> tuple[Endpoint | Fallback, tuple[Any, ...]]:
        """Look for the method in all that the path leads to, not just in what counts first."""
        found = [each for router in routers for each in router.find_all(path)]
        groups: tuple[Group, ...] = (self,)
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            for leaf, values in found:
                if leaf.mounted is not None:
                    return self._fallback(partial(_mounted, leaf), text=f"{leaf.prefix}/*"), ()
                if wanted in leaf.endpoints:
                    return leaf.endpoints[wanted], values
        methods = {each for leaf, _ in found for each in leaf.methods}
        allow = [("Allow", ", ".join(sorted(methods)))]
        if method == "OPTIONS":
            return self._fallback(lambda *_: Response(status=204, headers=allow)), ()
        groups = next(iter(found[0][0].endpoints.values())).groups
        return self._fallback(_raising(MethodNotAllowed(headers=allow)), groups), ()

    def _missing(
        self, routers: tuple[Router[Endpoint], ...], path: str, environ: WSGIEnvironment
    ) -> Fallback:
        if path == "*" and environ["REQUEST_METHOD"] == "OPTIONS":  # RFC 9110 section 9.3.7
            return self._fallback(lambda *_: Response(status=204))
        location = self._other_slash(routers, path, environ)
        if location:
            return self._fallback(lambda *_: Response(status=308, headers=[("Location", location)]))
        return self._fallback(_raising(NotFound()))

    def _fallback(self, run: Any, groups: tuple[Group, ...] = (), text: str = "") -> Fallback:
        return Fallback(run, groups or (self,), self._hooks, text)

    def _other_slash(
        self, routers: tuple[Router[Endpoint], ...], path: str, environ: WSGIEnvironment
    ) -> str:
        """Return where the path with a slash more or less is; nothing if it is not there."""
        if self.trailing_slash != "redirect" or path == "/" or not path.startswith("/"):
            return ""
        other = path[:-1] if path.endswith("/") else f"{path}/"
        if not any(router.find(other) for router in routers):
            return ""
        root = environ.get("SCRIPT_NAME", "")
        location = encoded(root) + quote(other, safe=PATH_SAFE)
        if location.startswith("//"):  # would be of another host
            return ""
        query = environ.get("QUERY_STRING", "")
        return f"{location}?{query}" if query else location


def _first(hooks: Iterable[Any], request: Request) -> Any:
    """Return what the first hook answers that does."""
    for hook in hooks:
        result = hook(request)
        if result is not None:
            return result
    return None


def _raising(error: HTTPError) -> Any:
    def run(request: Request, values: tuple[Any, ...]) -> Any:
        raise error

    return run


def _mounted(leaf: Leaf[Endpoint], request: Request, values: tuple[Any, ...]) -> WSGIApplication:
    """Return what is mounted, as it is to be called: below its prefix."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        parts = environ.get("PATH_INFO", "").split("/", leaf.depth + 1)
        before, after = parts[: leaf.depth + 1], parts[leaf.depth + 1 :]
        inner = dict(environ)
        inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + "/".join(before)
        inner["PATH_INFO"] = f"/{after[0]}" if after else ""
        assert leaf.mounted is not None
        return leaf.mounted(inner, start_response)

    return call
