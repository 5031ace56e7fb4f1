"""All routes of an `App` and of those that are mounted in it, with where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from breezeway.web.endpoint import Endpoint
from breezeway.web.routes import Routes

MOST_LAYERS: Final = 100
"""Pieces of middleware around something mounted, and applications within applications."""


class Operation(NamedTuple):
    """A route; `prefix` is where its application is mounted, and `host` is empty for any."""

    endpoint: Endpoint
    prefix: str
    host: str


def operations(app: Routes) -> list[Operation]:
    """Return those of an application, then those of what is mounted; what counts first is first.

    An application is found behind middleware that has it as its `application`, as ours does. Of other
    WSGI applications nobody knows the routes.
    """
    return [*_within(app, "", "", ())]


def _within(app: Routes, prefix: str, host: str, around: tuple[Routes, ...]) -> Iterator[Operation]:
    for endpoint in app.endpoints:
        yield Operation(endpoint, prefix, endpoint.route.host or host)
    around = (*around, app)
    mounts = sorted(app.mounts.items(), key=lambda mount: -len(mount[0][1]))
    for (own_host, own_prefix), application in mounts:
        mounted = _behind(application)
        if mounted is None or any(mounted is each for each in around):
            continue
        inner = prefix + own_prefix
        hidden = [
            f"{prefix}{other}/"
            for other_host, other in app.mounts
            if other_host == own_host and other.startswith(f"{own_prefix}/")
        ]
        for found in _within(mounted, inner, own_host or host, around):
            path = f"{found.prefix}{found.endpoint.text}/"
            if not any(path.startswith(each) for each in hidden):
                yield found


def _behind(application: Any) -> Routes | None:
    for _ in range(MOST_LAYERS):
        if application is None or isinstance(application, Routes):
            return application
        inner = getattr(application, "application", None)
        application = getattr(application, "__self__", None) if inner is None else inner
    return None
