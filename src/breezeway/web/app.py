"""`App`: an application of routes, hooks and error handlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.semantics.hosts import parse_host
from breezeway.web.binding import Argument, bind, read
from breezeway.web.errors import HTTPError, MethodNotAllowed, NotFound
from breezeway.web.failures import default_answer
from breezeway.web.group import Group, Route
from breezeway.web.pattern import CONVERTERS, SEGMENT_SAFE, Converter, Pattern, parse_pattern
from breezeway.web.request import Request, decoded
from breezeway.web.response import Response
from breezeway.web.results import to_response
from breezeway.web.router import ConflictError, Router

TrailingSlash = Literal["redirect", "strict"]

THROW_ERRORS: Final = "x-wsgiorg.throw_errors"
"""True in the environ where unexpected exceptions shall be raised, and not answered."""

_HOST_VARIABLE: Final = re.compile(r"\\\{([A-Za-z_][A-Za-z_0-9]*)\\\}")


class Endpoint:
    """A route that is ready to answer."""

    __slots__ = ("_after", "_before", "_errors", "_teardown", "arguments", "pattern", "route")

    def __init__(self, route: Route, pattern: Pattern) -> None:
        self.route = route
        self.pattern = pattern
        self.arguments: list[Argument] = bind(route.handler, pattern)
        self._before: list[Callable[..., Any]] | None = None
        self._after: list[Callable[..., Any]] = []
        self._teardown: list[Callable[..., Any]] = []

    def _prepare(self) -> None:
        """Collect the hooks: those of outer groups come first, and last on the way back."""
        groups = self.route.groups
        self._after = [hook for group in reversed(groups) for hook in group.after_hooks]
        self._teardown = [hook for group in reversed(groups) for hook in group.teardown_hooks]
        self._before = [hook for group in groups for hook in group.before_hooks]

    def answer(self, request: Request, values: tuple[Any, ...]) -> Any:
        """Return the response to a request."""
        if self._before is None:
            self._prepare()
        request.route = self.route
        request.path_values = dict(zip(self.pattern.names, values, strict=True))
        try:
            response = self._called(request, values)
        except Exception as error:
            response = answer_error(request, error, self.route.groups)
        for hook in self._after:
            changed = hook(request, response)
            if changed is not None:
                response = to_response(changed)
        for hook in self._teardown:
            if isinstance(response, Response):
                response.on_close(lambda hook=hook: hook(request))  # type: ignore[misc]
        return response

    def _called(self, request: Request, values: tuple[Any, ...]) -> Any:
        for hook in self._before or ():
            result = hook(request)
            if result is not None:
                return to_response(result)
        return to_response(self.route.handler(**read(self.arguments, request, values)))


def answer_error(request: Request, error: Exception, groups: Iterable[Group]) -> Any:
    """Return what answers for an exception; raise it if nobody does.

    The innermost group is asked first: for the status of an HTTPError, for the class of the exception
    and for those that it comes of. An HTTPError that nobody takes has an answer of its own. What else
    nobody takes is for the 500, unless the environ asks for such errors themselves, as debuggers do.
    """
    chain = [*groups]
    for group in reversed(chain):
        handlers = group.error_handlers
        if not handlers:
            continue
        handler = handlers.get(error.code) if isinstance(error, HTTPError) else None
        for kind in type(error).__mro__ if handler is None else ():
            handler = handlers.get(kind)
            if handler is not None:
                break
        if handler is not None:
            return _with_status_of(error, to_response(handler(request, error)))
    if isinstance(error, HTTPError):
        return default_answer(request, error)
    for group in () if request.environ.get(THROW_ERRORS) else reversed(chain):
        if 500 in group.error_handlers:
            response = to_response(group.error_handlers[500](request, error))
            return _with_status_of(HTTPError(500), response)
    raise error


def _with_status_of(error: Exception, response: Any) -> Any:
    """Let an answer that says nothing of its status have that of the error."""
    if isinstance(error, HTTPError) and isinstance(response, Response) and response.status == 200:
        response.status = error.code
    return response


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
    ) -> None:
        """Make an application without routes.

        `trailing_slash` "redirect" sends a GET for `/a` on to `/a/`, or back, where just the other one is
        there; "strict" does not. `converters` are further ones for patterns, by name.

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
        self._router: Router[Endpoint] = Router()
        self._hosts: dict[str, Router[Endpoint]] = {}
        self._host_patterns: list[tuple[re.Pattern[str], Router[Endpoint]]] = []
        self._mounts: dict[tuple[str, str], WSGIApplication] = {}
        self._by_name: dict[str, Endpoint] = {}
        self.wsgi_app: WSGIApplication = self.answer

    # --- routes -------------------------------------------------------------------------------------

    def _add(self, route: Route) -> None:
        super()._add(route)
        route = self._routes[-1]
        endpoint = Endpoint(route, parse_pattern(route.pattern, self.converters))
        try:
            self._router_of(route.host).add(endpoint.pattern, route.method, endpoint)
        except ConflictError as error:
            raise ConflictError(
                f"{error}: {_place(route.handler)} and {_place(error.other.route.handler)}",
                error.other,
            ) from None
        other = self._by_name.setdefault(route.name, endpoint)
        if other.pattern.text != endpoint.pattern.text:
            raise ConflictError(
                f"two routes are called {route.name!r}: {other.pattern.text} and"
                f" {endpoint.pattern.text}; give one of them another name",
                other,
            )

    def _router_of(self, host: str) -> Router[Endpoint]:
        if not host:
            return self._router
        name = host.lower()
        if name not in self._hosts:
            router: Router[Endpoint] = Router()
            self._hosts[name] = router
            if "{" in name:
                pattern = _HOST_VARIABLE.sub(r"(?P<\1>[^.]+)", re.escape(name))
                self._host_patterns.append((re.compile(pattern), router))
        return self._hosts[name]

    def mount(self, prefix: str, application: WSGIApplication, *, host: str = "") -> None:
        """Let another WSGI application answer below a prefix, where no route does.

        Raises:
            ValueError: the prefix does not begin with a slash, ends with one, or is taken.
        """
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise ValueError(f"a prefix begins with a slash and ends without one, not {prefix!r}")
        if (host, prefix) in self._mounts:
            raise ValueError(f"something is mounted at {prefix!r} already")
        self._mounts[host, prefix] = application

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

    def url_for(self, name: str, **values: Any) -> str:
        """Return the path of a route, below where the application is mounted.

        Values that the path has no variable for go into the query; None leaves one out.

        Raises:
            ValueError: there is no route of this name, or a value does not fit.
        """
        endpoint = self._by_name.get(name)
        if endpoint is None:
            raise ValueError(f"there is no route called {name!r}")
        path = endpoint.pattern.path(values)
        names = endpoint.pattern.names
        query = {
            key: value for key, value in values.items() if key not in names and value is not None
        }
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

    # --- answering ----------------------------------------------------------------------------------

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, with the middleware around."""
        return self.wsgi_app(environ, start_response)

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, without the middleware around."""
        request = Request(environ)
        request.app = self
        path = environ.get("PATH_INFO") or "/"
        if not path.isascii():
            path = decoded(path)
        router = self._router if not self._hosts else self._router_for(request)
        found = router.find(path)
        if found is None and router is not self._router:
            found = self._router.find(path)
        method = environ["REQUEST_METHOD"]
        if found is not None:
            leaf, values = found
            endpoint = leaf.endpoints.get(method)
            if endpoint is None and method == "HEAD":
                endpoint = leaf.endpoints.get("GET")
            if endpoint is not None:
                response = endpoint.answer(request, values)
                return response(environ, start_response)  # type: ignore[no-any-return]
            if method == "OPTIONS":
                return Response(status=204, headers=[("Allow", leaf.allow)])(
                    environ, start_response
                )
            error: HTTPError = MethodNotAllowed(headers=[("Allow", leaf.allow)])
        else:
            elsewhere = self._elsewhere(request, path)
            if elsewhere is not None:
                return elsewhere(environ, start_response)
            error = NotFound()
        response = answer_error(request, error, (self,))
        return response(environ, start_response)  # type: ignore[no-any-return]

    def _router_for(self, request: Request) -> Router[Endpoint]:
        try:
            name = parse_host(request.host).name
        except ValueError:
            return self._router
        if name in self._hosts:
            return self._hosts[name]
        for pattern, router in self._host_patterns:
            match = pattern.fullmatch(name)
            if match is not None:
                request.host_values = match.groupdict()
                return router
        return self._router

    def _elsewhere(self, request: Request, path: str) -> WSGIApplication | None:
        """Return what answers where no route does: what is mounted, or a redirect."""
        environ = request.environ
        if self._mounts:
            mounted = self._mounted(request, environ.get("PATH_INFO") or "")
            if mounted is not None:
                return mounted
        if self.trailing_slash == "redirect" and path != "/" and not path.startswith("//"):
            other = path[:-1] if path.endswith("/") else f"{path}/"
            if self._router.find(other) is not None:
                query = environ.get("QUERY_STRING", "")
                location = quote(f"{request.root_path}{other}", safe=f"/{SEGMENT_SAFE}")
                if not location.startswith("//"):
                    target = f"{location}?{query}" if query else location
                    return Response(status=308, headers=[("Location", target)])
        return None

    def _mounted(self, request: Request, path: str) -> WSGIApplication | None:
        host = ""
        if any(host for host, _ in self._mounts):
            try:
                host = parse_host(request.host).name
            except ValueError:
                host = ""
        prefix = path
        while prefix:
            for each in (host, ""):
                application = self._mounts.get((each, prefix))
                if application is not None:
                    environ = request.environ
                    environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}{prefix}"
                    environ["PATH_INFO"] = path[len(prefix) :]
                    return application
            prefix = prefix.rpartition("/")[0]
        return None


def _place(handler: Any) -> str:
    """Say where a function stands."""
    code = getattr(handler, "__code__", None)
    name = getattr(handler, "__qualname__", repr(handler))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else str(name)
