"""`Group`: routes with a prefix, hooks and error handlers of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

H = TypeVar("H", bound=Callable[..., Any])

Before = Callable[..., Any]
"""Takes the request; what it returns, if it is not None, is the answer."""

After = Callable[..., Any]
"""Takes the request and the response; may return another response."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route as it was registered."""

    path: str
    """Below the prefixes of its groups."""
    method: str
    handler: Callable[..., Any]
    name: str
    """With the names of its groups."""
    groups: tuple[Group, ...]
    """That it is in, the outermost first."""

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

    def __init__(self, prefix: str = "", *, name: str = "", host: str = "") -> None:
        """Make a group without routes.

        Raises:
            ValueError: the prefix does not begin with a slash, or ends with one.
        """
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"a prefix begins with a slash and ends without one, not {prefix!r}")
        self.prefix = prefix
        self.name = name
        self.host = host
        self._routes: list[Route] = []
        self._parents: list[Group] = []
        self.before_hooks: list[Before] = []
        self.after_hooks: list[After] = []
        self.teardown_hooks: list[Callable[..., Any]] = []
        self.error_handlers: dict[int | type[BaseException], Callable[..., Any]] = {}

    # --- routes -------------------------------------------------------------------------------------

    def route(self, path: str, *methods: str, name: str = "") -> Callable[[H], H]:
        """Register the function below for a path, for GET if there are no methods."""
        wanted = tuple(method.upper() for method in methods) or ("GET",)

        def register(handler: H) -> H:
            shown = name or getattr(handler, "__name__", type(handler).__name__)
            for method in wanted:
                self._add(Route(path, method, handler, shown, ()))
            return handler

        return register

    def get(self, path: str, *, name: str = "") -> Callable[[H], H]:
        """Register the function below for GET, and with it for HEAD."""
        return self.route(path, "GET", name=name)

    def post(self, path: str, *, name: str = "") -> Callable[[H], H]:
        """Register the function below for POST."""
        return self.route(path, "POST", name=name)

    def put(self, path: str, *, name: str = "") -> Callable[[H], H]:
        """Register the function below for PUT."""
        return self.route(path, "PUT", name=name)

    def patch(self, path: str, *, name: str = "") -> Callable[[H], H]:
        """Register the function below for PATCH."""
        return self.route(path, "PATCH", name=name)

    def delete(self, path: str, *, name: str = "") -> Callable[[H], H]:
        """Register the function below for DELETE."""
        return self.route(path, "DELETE", name=name)

    def include(self, group: Group) -> None:
        """Add the routes of another group below this one, those too that it gets later."""
        group._parents.append(self)
        for route in group._routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        """Take a route, and pass it on to the groups above."""
        dot = "." if self.name else ""
        inner = replace(route, name=f"{self.name}{dot}{route.name}", groups=(self, *route.groups))
        self._routes.append(inner)
        for parent in self._parents:
            parent._add(inner)

    # --- around them --------------------------------------------------------------------------------

    def before(self, hook: H) -> H:
        """Call a function with each request; what it returns, if it is not None, is the answer."""
        self.before_hooks.append(hook)
        return hook

    def after(self, hook: H) -> H:
        """Call a function with each request and response; it may return another response."""
        self.after_hooks.append(hook)
        return hook

    def teardown(self, hook: H) -> H:
        """Call a function with each request when its response is over, whatever became of it."""
        self.teardown_hooks.append(hook)
        return hook

    def error(self, kind: int | type[BaseException]) -> Callable[[H], H]:
        """Let the function below answer for a status, or for an exception of a class.

        It is called with the request and the exception.
        """

        def register(handler: H) -> H:
            self.error_handlers[kind] = handler
            return handler

        return register
