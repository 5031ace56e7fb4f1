"""The session of a client, for the test: through the piece that keeps it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from wsgiref.util import setup_testing_defaults

from breezeway.testing.cookie_jar import CookieJar

if TYPE_CHECKING:
    from breezeway.middleware.sessions import Sessions
    from breezeway.middleware.sessions.session import Session

WITHIN: Final = ("application", "wsgi_app", "app", "__self__", "protected")
"""Where middleware and frameworks keep what they are around; the last one is that of `web.App`."""

MOST_LAYERS: Final = 100


def sessions_of(application: Any) -> Sessions:
    """Find the `Sessions` around an application, or within its `wsgi_app`.

    Raises:
        LookupError: there is none to be found.
    """
    from breezeway.middleware.sessions import Sessions

    waiting, seen = [application], set[int]()
    while waiting and len(seen) < MOST_LAYERS:
        layer = waiting.pop(0)
        if isinstance(layer, Sessions):
            return layer
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        waiting += [getattr(layer, name, None) for name in WITHIN]
    raise LookupError(
        "no breezeway.middleware.Sessions is found around the application: give it to the client,"
        " Client(..., sessions=piece)"
    )


@contextmanager
def changed_session(piece: Sessions, jar: CookieJar, url: str) -> Iterator[Session]:
    """Give out the session that a request to `url` has, and save it at the end.

    The piece does it, by its own rules, around an application that leaves its session to the test.

    Raises:
        ValueError: the jar drops the cookie of the session, such as one that is Secure over http.
    """
    held: list[Any] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        held[:] = [environ["breezeway.session"], start_response]
        return []

    def take(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        before = len(jar.refused)
        jar.receive(url, [value for name, value in headers if name.lower() == "set-cookie"])
        for _, why in jar.refused[before:]:
            raise ValueError(
                f"the client drops the cookie of the session, as a browser does: {why}"
            )
        return lambda data: None

    around = copy.copy(piece)
    around.application = application
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["wsgi.url_scheme"] = url.partition(":")[0]
    environ["HTTP_COOKIE"] = "; ".join(f"{c.name}={c.value}" for c in jar.sent_to(url))
    around(environ, take)
    session, start = held
    yield session
    start("200 OK", [])
