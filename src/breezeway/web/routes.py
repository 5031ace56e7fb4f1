"""`Routes`: all routes of an application, by host and path, and what stands in where none answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from typing import Any, Literal
from urllib.parse import quote, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.semantics.hosts import parse_host
from breezeway.web.endpoint import Endpoint, Fallback, Hooks
from breezeway.web.errors import BadRequest, HTTPError, MethodNotAllowed, NotFound
from breezeway.web.group import Group, Route, place
from breezeway.web.headers import TOKEN
from breezeway.web.pattern import HOST_VARIABLE, Converter, Pattern, parse_pattern
from breezeway.web.request import Request, decoded
from breezeway.web.response import Response
from breezeway.web.router import ConflictError, Leaf, Router
from breezeway.web.urls import PATH_SAFE, encoded, encoded_query, root

TrailingSlash = Literal["redirect", "strict"]


class Routes(Group):
    """The outermost group: it has a tree of routes for each host, and one for all others."""

    def __init__(self, trailing_slash: TrailingSlash, converters: Mapping[str, Converter]) -> None:
        """Begin without routes; raise ValueError if `trailing_slash` is none."""
        super().__init__()
        if trailing_slash not in ("redirect", "strict"):
            raise ValueError(
                f"trailing_slash must be 'redirect' or 'strict', not {trailing_slash!r}"
            )
        self.trailing_slash = trailing_slash
        self.converters = converters
        self._router: Router[Endpoint] = Router()
        self._hosts: dict[str, Router[Endpoint]] = {}
        self._host_patterns: list[_HostPattern] = []
        """In the order in which they count."""
        self._mounts: dict[tuple[str, str], WSGIApplication] = {}
        self._by_name: dict[str, list[Endpoint]] = {}
        self._hooks: Hooks | None = None
        """Its own, for what no route answers."""

    def _register(self, route: Route) -> None:
        if not TOKEN.fullmatch(route.method):
            raise ValueError(f"{route.method!r} of {route.pattern} is no method of a request")
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
        if isinstance(group, Routes):
            raise ValueError("an App is mounted, app.mount(prefix, other), and not included")
        super().include(group)

    def _router_of(self, host: str) -> Router[Endpoint]:
        if not host:
            return self._router
        if host not in self._hosts:
            router: Router[Endpoint] = Router()
            if "{" in host:
                pattern = _HostPattern(host, router)
                for other in self._host_patterns:
                    if other.texts == pattern.texts:
                        raise ValueError(
                            f"the hosts {host!r} are there as {other.host!r}: call them so"
                        )
                patterns = [*self._host_patterns, pattern]
                self._host_patterns = sorted(patterns, key=lambda each: each.rank)
            self._hosts = {**self._hosts, host: router}
        return self._hosts[host]

    def mount(self, prefix: str, application: WSGIApplication, *, host: str = "") -> None:
        """Let another WSGI application answer below a prefix, where no route does.

        It sees itself there: what of the path is in the prefix moves to SCRIPT_NAME. An empty prefix is
        all that there is no route for. A prefix covers whole segments, and the longest counts.

        Raises:
            ValueError: the prefix is none, or is taken.
            TypeError: it is no text, or what is mounted is no WSGI application.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"what is mounted comes after its prefix, which is no {prefix!r}")
        if (prefix and not prefix.startswith("/")) or prefix.endswith("/"):
            raise ValueError(f"a prefix begins with a slash and ends without one, not {prefix!r}")
        pattern = parse_pattern(prefix or "/")
        if pattern.names:
            raise ValueError(f"a prefix has no variables: {prefix!r}")
        is_class = isinstance(application, type) and issubclass(application, Group)
        if is_class or not callable(application):
            raise TypeError(f"what is mounted is a WSGI application, not {application!r}")
        if not prefix:
            pattern = Pattern("", ("",), {})
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
            raise ValueError(f"there is no route called {name!r}{_meant(name, self._by_name)}")
        # Of several paths of one function, that which takes the most of the values; then the topmost.
        fitting = [each for each in endpoints if values.keys() >= {*each.names}] or endpoints
        endpoint = max(reversed(fitting), key=lambda each: len(each.names))
        path = endpoint.pattern.path(values)
        query = {
            key: _in_query(value)
            for key, value in values.items()
            if key not in endpoint.names and value is not None
        }
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

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
                endpoint = found[0].endpoint(method)
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
        for pattern in self._host_patterns:
            match = pattern.expression.fullmatch(name)
            if match is not None:
                request.host_values = match.groupdict()
                return pattern.router, self._router
        return (self._router,)

    def _with_another_method(
        self, routers: tuple[Router[Endpoint], ...], path: str, method: str
    ) -> tuple[Endpoint | Fallback, tuple[Any, ...]]:
        """Look for the method in all that the path leads to, not just in what counts first."""
        found = [each for router in routers for each in router.find_all(path)]
        for leaf, values in found:
            if leaf.mounted is not None:
                return self._fallback(partial(_mounted, leaf), text=f"{leaf.prefix}/*"), ()
            endpoint = leaf.endpoint(method)
            if endpoint is not None:
                return endpoint, values
        methods = {each for leaf, _ in found for each in leaf.methods}
        allow = [("Allow", ", ".join(sorted(methods)))]
        if method == "OPTIONS":
            return self._fallback(lambda *_: Response(status=204, headers=allow)), ()
        groups = next(iter(found[0][0].endpoints.values())).groups
        return self._fallback(_raising(partial(MethodNotAllowed, headers=allow)), groups), ()

    def _missing(
        self, routers: tuple[Router[Endpoint], ...], path: str, environ: WSGIEnvironment
    ) -> Fallback:
        if path == "*" and environ["REQUEST_METHOD"] == "OPTIONS":  # RFC 9110 section 9.3.7
            return self._fallback(lambda *_: Response(status=204))
        location = self._other_slash(routers, path, environ)
        if location:
            return self._fallback(lambda *_: Response(status=308, headers=[("Location", location)]))
        return self._fallback(_raising(NotFound))

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
        location = encoded(root(environ)) + quote(other, safe=PATH_SAFE)
        if location.startswith("//"):  # would be of another host
            return ""
        query = encoded_query(environ.get("QUERY_STRING", ""))
        return f"{location}?{query}" if query else location


class _HostPattern:
    """Hosts with variables, each of which stands for what is between two dots or a part of it."""

    __slots__ = ("expression", "host", "rank", "router", "texts")

    def __init__(self, host: str, router: Router[Endpoint]) -> None:
        """Take `host` apart; raise ValueError if a name is there twice."""
        parts = HOST_VARIABLE.split(host)  # a text, a name, a text ...
        self.texts, names = [text.lower() for text in parts[::2]], parts[1::2]
        if len({*names}) < len(names):
            raise ValueError(f"the host {host!r} has a name twice")
        named = [f"(?P<{name}>[^.]+)" for name in names]
        pairs = zip(map(re.escape, self.texts), [*named, ""], strict=True)
        self.expression = re.compile("".join(f"{text}{variable}" for text, variable in pairs))
        self.host = host
        self.router = router
        self.rank = (len(names), -sum(map(len, self.texts)), self.texts)
        """Of several that match, the lowest counts: fewer variables, then more text."""


def _raising(make: Callable[[], HTTPError]) -> Any:
    def run(request: Request, values: tuple[Any, ...]) -> Any:
        raise make()  # one that is held here would have this frame in its traceback: a circle

    return run


def _in_query(value: Any) -> Any:
    """Return a value as arguments read it: of a member of an enum, its value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple | set | frozenset):
        return [_in_query(each) for each in value]
    return value


def _meant(name: str, names: Iterable[str]) -> str:
    """Say which route may be meant; as a rule one of a group, whose name stands in front."""
    from difflib import get_close_matches

    within = [each for each in names if each.endswith(f".{name}")]
    near = within or get_close_matches(name, names, 1)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


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
