"""Small applications that many tests share; all of them keep to PEP 3333."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PLAIN = ("Content-Type", "text/plain")


def plain(*blocks: bytes, status: str = "200 OK", fields: Iterable[tuple[str, str]] = ()) -> Any:
    """Return an application that answers with those blocks, as a list."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [PLAIN, *fields])
        return list(blocks)

    return application


def streamed(*blocks: bytes, fields: Iterable[tuple[str, str]] = ()) -> WSGIApplication:
    """Return an application that answers with those blocks, from a generator."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, *fields])
        yield from blocks

    return application


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the application saw it."""

    environ: Mapping[str, Any]
    body: bytes


class Recorder:
    """Reads each request whole, keeps it in `seen`, and answers with its number."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(-1)
        self.seen.append(Seen(dict(environ), body))
        number = str(len(self.seen)).encode()
        start_response("200 OK", [PLAIN, ("Content-Length", str(len(number)))])
        return [number]
