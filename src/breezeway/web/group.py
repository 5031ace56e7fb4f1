"""`Group`: routes with a prefix, hooks and error handlers of their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from breezeway.semantics.hosts import parse_host
from breezeway.web.limits import Limits
from breezeway.web.pattern import HOST_VARIABLE

H = TypeVar("H", bound=Callable[..., Any])

Before = Callable[..., Any]
"""Takes the request; what it returns, if it is not None, is the answer."""

After = Callable[..., Any]
"""Takes the request and the response; may return another response."""

Operation = bool | Mapping[str, Any]
"""Of a route in the OpenAPI document: false leaves it out; members of an Operation Object go over ours."""


class Route:
    """A route as it was registered.

    `path` is below the prefixes of its groups, `groups` are those that it is in, the outermost first, and
    `name` has their names in front. `limits` are the bounds of its requests, if not the application's.
    """

    __slots__ = ("groups", "handler", "limits", "method", "name", "openapi", "path")

    def __init__(
        self,
        path: str,
        method: str,
        handler: Callable[..., Any],
        name: str,
        groups: tuple[Group, ...] = (),
        limits: Limits | None = None,
        openapi: Operation = True,
    ) -> None:
        self.path = path
        self.method = method
        self.handler = handler
        self.name = name
        self.groups = groups
        self.limits = limits
        self.openapi = openapi

    def within(self, group: Group) -> Route:
        """Return this route as it is in a group around."""
        name = f"{group.name}.{self.name}" if group.name else self.name
        groups = (group, *self.groups)
        return Route(self.path, self.method, self.handler, name, groups, self.limits, self.openapi)

    @property
    def host(self) -> str:
        """Of the innermost group that has one."""
        return next((group.host for group in reversed(self.groups) if group.host), "")

    @property
    def pattern(self) -> str:
        """The whole path."""
        return "".join(group.prefix for group in self.groups) + self.path


class Group:
    """Routes that belong together.

    `prefix` stands before their paths, and `host` is where they are: `shop.example`, or with a variable
    `{tenant}.example.com`. `name` stands before their names in `url_for`, with a dot.
    """

    def __init__(
        self, prefix: str = "", *, name: str = "", host: str = "", description: str = ""
    ) -> None:
        """Make a group without routes; `description` is for the OpenAPI document.

        Raises:
            ValueError: the prefix does not begin with a slash, or ends with one; the host is none, or
                has a port.
        """
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"a prefix begins with a slash and ends without one, not {prefix!r}")
        self.prefix = prefix
        self.name = name
        self.description = description
        self.host = _checked_host(host) if host else ""
        self._routes: list[Route] = []
        self._parents: list[Group] = []
        self.before_hooks: list[Before] = []
        self.after_hooks: list[After] = []
        self.teardown_hooks: list[Callable[..., Any]] = []
        self.error_handlers: dict[int | type[Exception], Callable[..., Any]] = {}

    # --- routes -------------------------------------------------------------------------------------

    def route(
        self,
        path: str,
        *methods: str,
        name: str = "",
        limits: Limits | None = None,
        openapi: Operation = True,
    ) -> Callable[[H], H]:
        """Register the function below for a path, for GET if there are no methods.

        `name` is for `url_for`, the function's if it is empty, or the path of a lambda. `limits` are
        the bounds of its requests, the application's if there are none. `openapi` false leaves the route
        out of the document; a table has members of its Operation Object that go over ours.
        """
        if not isinstance(path, str):
            shown = place(path) if callable(path) else repr(path)
            raise TypeError(
                f"a route begins with its path, such as get('/films'), not with {shown}"
            )
        for method in methods:
            if not isinstance(method, str):
                raise TypeError(f"methods are texts, route(path, 'GET', 'POST'), not {method!r}")
        if not isinstance(openapi, bool | Mapping):
            raise TypeError(f"openapi of a route is false or a table, not {openapi!r}")
        checked_limits(limits)
        wanted = tuple(dict.fromkeys(method.upper() for method in methods)) or ("GET",)

        def register(handler: H) -> H:
            if not callable(handler):
                raise TypeError(f"what answers {path!r} is a function, not {handler!r}")
            shown = name or _name_of(handler)
            if shown == "<lambda>":  # which all of them are called
                shown = path
            for method in wanted:
                self._add(Route(path, method, handler, shown, (), limits, openapi))
            return handler

        return register

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register the function below for GET, and with it for HEAD; `options` are those of `route`."""
        return self.route(path, "GET", **options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register the function below for POST."""
        return self.route(path, "POST", **options)

    def put(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register the function below for PUT."""
        return self.route(path, "PUT", **options)

    def patch(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register the function below for PATCH."""
        return self.route(path, "PATCH", **options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register the function below for DELETE."""
        return self.route(path, "DELETE", **options)

    def include(self, group: Group) -> None:
        """Add the routes of another group below this one, those too that it gets later.

        Raises:
            ValueError: it is in this group already, or this one is in it; or as a route that is added.
            TypeError: it is no group.
        """
        if not isinstance(group, Group):
            raise TypeError(f"what is included is a Group, not {group!r}")
        if any(each is group for each in self._above()) or any(
            each is self for each in group._parents
        ):
            raise ValueError("a group is included once, and not in itself")
        for route in group._routes:
            self._add(route)
        group._parents.append(self)
        self._hooks_changed()

    def _above(self) -> list[Group]:
        """Return this group and all that it is in."""
        return [self, *(each for parent in self._parents for each in parent._above())]

    def _add(self, route: Route) -> None:
        """Take a route, and pass it on to the groups above."""
        inner = route.within(self)
        self._register(inner)
        self._routes.append(inner)
        for parent in self._parents:
            parent._add(inner)

    def _register(self, route: Route) -> None:
        """Check a route, if there is something to check it by."""

    # --- around them --------------------------------------------------------------------------------

    def before(self, hook: H) -> H:
        """Call a function with each request; what it returns, if it is not None, is the answer."""
        _check_hook(hook, "a before hook", "the request")
        self.before_hooks.append(hook)
        self._hooks_changed()
        return hook

    def after(self, hook: H) -> H:
        """Call a function with each request and response; it may return another response."""
        _check_hook(hook, "an after hook", "the request", "the response")
        self.after_hooks.append(hook)
        self._hooks_changed()
        return hook

    def teardown(self, hook: H) -> H:
        """Call a function with each request when its response is over, whatever became of it."""
        _check_hook(hook, "a teardown hook", "the request")
        self.teardown_hooks.append(hook)
        self._hooks_changed()
        return hook

    def _hooks_changed(self) -> None:
        for parent in self._parents:
            parent._hooks_changed()

    def error(self, kind: int | type[Exception]) -> Callable[[H], H]:
        """Let the function below answer for a status, or for an exception of a class.

        It is called with the request and the exception.

        Raises:
            ValueError: the status is none from 400 to 599, or the group has a handler for it.
            TypeError: it is neither a status nor a class of exceptions, or the function does not take both.
        """
        if isinstance(kind, type):
            if not issubclass(kind, Exception):
                raise TypeError(f"{kind.__name__} is no exception that has an answer")
        elif type(kind) is not int:
            raise TypeError(f"an error is a status or a class of exceptions, not {kind!r}")
        elif not 400 <= kind <= 599:
            raise ValueError(f"an error has a status from 400 to 599, not {kind}")

        def register(handler: H) -> H:
            _check_call(handler, "an error handler", "the request", "the exception")
            other = self.error_handlers.setdefault(kind, handler)
            if other is not handler:
                shown = kind if isinstance(kind, int) else kind.__name__
                raise ValueError(f"{shown} has two handlers: {place(handler)} and {place(other)}")
            return handler

        return register


def checked_limits(limits: Limits | None) -> Limits | None:
    """Return bounds; raise TypeError if they are none."""
    if limits is not None and not isinstance(limits, Limits):
        raise TypeError(f"limits are Limits(...), not {limits!r}")
    return limits


def _check_hook(hook: Any, what: str, *given: str) -> None:
    """Raise TypeError if a hook would do nothing, or fail each time."""
    _check_call(hook, what, *given)
    if inspect.isgeneratorfunction(hook):
        raise TypeError(f"{place(hook)} is a generator, which nobody would step through as {what}")


def _check_call(function: Any, what: str, *given: str) -> None:
    if not callable(function):
        raise TypeError(f"{what} is a function, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{place(function)} is async; WSGI has no event loop: use a plain function")
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some that are built in
        return
    try:
        signature.bind(*given)
    except TypeError:
        told = " and ".join(given)
        raise TypeError(
            f"{what} is called with {told}, which {place(function)} does not take: {signature}"
        ) from None


def _checked_host(host: str) -> str:
    """Return a host in the form of those that are looked up."""
    found = parse_host(HOST_VARIABLE.sub("x", host))
    if found.port:
        raise ValueError(f"the host of a group has no port: {host!r} is meant at any")
    return found.name if "{" not in host else host.removesuffix(".")


def _name_of(handler: Any) -> str:
    while isinstance(handler, partial):
        handler = handler.func
    return str(getattr(handler, "__name__", type(handler).__name__))


def place(handler: Any) -> str:
    """Say where a function stands."""
    code = getattr(inspect.unwrap(handler), "__code__", None)
    name = getattr(handler, "__qualname__", repr(handler))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else str(name)
