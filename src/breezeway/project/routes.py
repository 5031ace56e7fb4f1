"""`breezeway routes`: what an application answers, and which function does."""

from __future__ import annotations

import functools
import gc
import inspect
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from breezeway.project.finding import find_app
from breezeway.web import App
from breezeway.web.group import Group, Route

MOUNTED = "any"
"""In place of methods, where another WSGI application decides."""

PACKAGES = f"{os.sep}site-packages{os.sep}"
"""The directory of packages, which a virtual environment in the working directory has deep within."""


@dataclass(frozen=True)
class Row:
    """A path, and what answers there."""

    host: str
    """Empty for any."""
    path: str
    methods: list[str]
    name: str
    """For `url_for`, with the names of groups before it."""
    handler: str
    file: str
    """Absolute; empty if nobody can tell."""
    line: int
    groups: list[str]
    """Names of the groups, or their prefixes, the outermost first."""

    @property
    def place(self) -> str:
        """File and line as one reads them: relative to the working directory, if it is in there.

        Of what is installed it is the path within the directory of packages.
        """
        if not self.file:
            return ""
        inside = self.file.rpartition(PACKAGES)[2]
        if inside != self.file:
            return f"{inside}:{self.line}"
        inside = os.path.relpath(self.file)
        return f"{self.file if inside.startswith(os.pardir) else inside}:{self.line}"


def rows(app: App, host: str = "", prefix: str = "") -> list[Row]:
    """List the routes of an App and of those mounted in it, in the order of hosts and paths."""
    found: dict[tuple[Any, ...], Row] = {}
    for endpoint in app.endpoints:
        route = endpoint.route
        key = (route.host or host, prefix + endpoint.pattern.text, route.name, route.handler)
        if key in found:
            found[key].methods.append(route.method)
            continue
        found[key] = _row(route, *key[:2])
    mounted = [row for each in _mounts(app, host, prefix) for row in each]
    return sorted([*found.values(), *mounted], key=lambda row: (row.host, row.path, row.methods))


def forgotten() -> list[str]:
    """Say of each group with routes that is in no App, and so answers nothing, where the first one is."""
    # By `type`, for a proxy says that it is of the class of what it stands for.
    groups = [each for each in gc.get_objects() if issubclass(type(each), Group)]
    lost = [each for each in groups if not (isinstance(each, App) or each._parents)]
    return sorted(
        f"{route.method} {route.pattern} ({_row(route).place}) is of a group that is in no App:"
        " app.include(group) adds it."
        for each in lost
        for route in each._routes[:1]
    )


def _mounts(app: App, host: str, prefix: str) -> Iterator[list[Row]]:
    for (own_host, path), application in app.mounts.items():
        inner = find_app(application)
        if inner is not None and inner is not app:
            yield rows(inner, own_host or host, prefix + path)
        else:
            name, file, line = _origin(application)
            yield [Row(own_host or host, prefix + path or "/", [MOUNTED], "", name, file, line, [])]


def _row(route: Route, host: str = "", path: str = "") -> Row:
    groups = [each.name or each.prefix or each.host for each in route.groups]
    origin = _origin(route.handler)
    return Row(host, path, [route.method], route.name, *origin, [*filter(None, groups)])


def _origin(handler: Callable[..., Any]) -> tuple[str, str, int]:
    """Return the name of a function, its file and its line; of an object, those of its class."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    shown = handler if hasattr(handler, "__qualname__") else type(handler)
    try:
        plain: Any = inspect.unwrap(shown)
    except ValueError:  # it wraps itself
        plain = shown
    code = getattr(plain, "__code__", None)
    if code is not None:
        return shown.__qualname__, os.path.abspath(code.co_filename), code.co_firstlineno
    try:
        _, line = inspect.getsourcelines(plain)
        file = inspect.getsourcefile(plain) or ""
    except (OSError, TypeError):  # C code, or the file is gone
        return shown.__qualname__, "", 0
    return shown.__qualname__, os.path.abspath(file), line


def as_json(found: list[Row]) -> str:
    """Write rows for programs."""
    return json.dumps([asdict(row) for row in found], indent=2)


def as_table(found: list[Row]) -> list[str]:
    """Write rows as the lines of a table; the column of hosts is there if one row has a host."""
    if not found:
        return ["There are no routes."]
    lines = [["METHOD", "HOST", "PATH", "NAME", "HANDLER", ""]] + [
        [", ".join(row.methods), row.host or "any", row.path, row.name, row.handler, row.place]
        for row in found
    ]
    if not any(row.host for row in found):
        lines = [[line[0], *line[2:]] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
