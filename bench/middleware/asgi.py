"""ASGI middleware in the place of WSGI middleware: what it adds to an ASGI application is what it costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from case import Application

AsgiApplication = Callable[[Any, Any, Any], Awaitable[None]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer as `case.hello` does."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"12")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello there\n"})


def as_wsgi(application: AsgiApplication) -> Application:
    """Call an ASGI application that waits for nothing."""

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        scope = {
            "type": "http",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "scheme": environ["wsgi.url_scheme"],
            "headers": [
                (key[5:].lower().replace("_", "-").encode(), value.encode())
                for key, value in environ.items()
                if key.startswith("HTTP_")
            ],
        }
        blocks = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                start_response(f"{message['status']} -", [])
            else:
                blocks.append(message["body"])

        try:
            application(scope, None, send).send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return blocks
        raise AssertionError("it waits")

    return called
