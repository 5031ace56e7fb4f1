"""Which `breezeway.web.App` there is behind a WSGI application, below its middleware."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Final

from breezeway.errors import UsageError
from breezeway.web import App

INNER: Final = ("application", "wsgi_app", "app", "__wrapped__", "__self__")
"""Attributes in which middleware keeps what it is around: ours, Werkzeug's and most others', functions
with `functools.wraps`, and bound methods."""

MOST_LAYERS: Final = 100
"""Nobody has so many around an application; an object that invents attributes for ever does."""

FRAMEWORKS: Final = {
    "flask": ("Flask", "flask --app {target} routes"),
    "django": ("Django", ""),
    "falcon": ("Falcon", "falcon-inspect-app {target}"),
    "bottle": ("Bottle", ""),
    "pyramid": ("Pyramid", "proutes INI_FILE"),
}
"""Applications that we know for what they are, and the command that lists their routes, if there is one."""


def layers(application: Any) -> Iterator[Any]:
    """Go over an application, what it is around or has mounted, and so on inwards."""
    waiting: list[Any] = [application]
    seen: list[Any] = []  # compared by identity: not all can be hashed, and some compare oddly
    while waiting and len(seen) < MOST_LAYERS:
        layer = waiting.pop(0)
        if any(layer is other for other in seen):
            continue
        seen.append(layer)
        yield layer
        waiting += filter(callable, _inner(layer))


def _inner(layer: Any) -> Iterator[Any]:
    for name in INNER:
        inner = None
        with contextlib.suppress(Exception):  # a proxy may be bound to nothing just now
            inner = getattr(layer, name, None)
        if inner is not None:
            yield inner
    if isinstance(layer, App):
        yield from layer.mounts.values()
    closure = layer.__closure__ if isinstance(layer, FunctionType) else None
    for cell in closure or ():
        with contextlib.suppress(ValueError):  # a variable that has no value yet
            yield cell.cell_contents


def find_app(application: Callable[..., Any]) -> App | None:
    """Return the outermost App, below all middleware; None if there is none."""
    return next((layer for layer in layers(application) if isinstance(layer, App)), None)


def toolkit_app(application: Callable[..., Any], target: str) -> App:
    """Return the App that `target` names.

    Raises:
        UsageError: it names an application of another kind.
    """
    found = find_app(application)
    if found is None:
        raise UsageError(*_other_kind(application, target))
    return found


def _other_kind(application: Callable[..., Any], target: str) -> tuple[str, str]:
    for layer in layers(application):
        for kind in type(layer).__mro__:
            known = FRAMEWORKS.get(kind.__module__.partition(".")[0])
            if known is not None:
                name, command = known
                hint = f"That is for {name} itself to tell"
                hint += f": {command.format(target=target)}" if command else "."
                return (
                    f"{target!r} is a {name} application, whose routes are not listed here.",
                    hint,
                )
    return (
        f"{target!r} has no routes to list: it is no App of breezeway.web, nor around one.",
        "Any other WSGI application decides by itself what it answers.",
    )
