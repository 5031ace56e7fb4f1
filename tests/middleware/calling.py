"""Calling an application as a server does, with `wsgiref.validate` between the two."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

Fields = Iterable[tuple[str, str]] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """One response, as a server has received it."""

    status: str
    headers: list[tuple[str, str]]
    blocks: list[bytes]

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status[:3])

    @property
    def body(self) -> bytes:
        """The whole content."""
        return b"".join(self.blocks)

    def all(self, name: str) -> list[str]:
        """Return the lines of a field."""
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def __getitem__(self, name: str) -> str | None:
        """Return the value of a field that is there once at most; None if it is not there."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None


def make_environ(
    path: str = "/",
    method: str = "GET",
    fields: Fields = (),
    body: bytes = b"",
    **more: Any,
) -> WSGIEnvironment:
    """Make the environ of a request; `path` may have a query, `more` has further keys of it."""
    environ: WSGIEnvironment = {}
    path, _, query = path.partition("?")
    environ.update(
        {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "test",
            "SERVER_NAME": "test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(body),
            "wsgi.file_wrapper": FileWrapper,
        }
    )
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in dict(fields).items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    environ.update(more)
    setup_testing_defaults(environ)
    return environ


def run(application: WSGIApplication, environ: WSGIEnvironment) -> Result:
    """Call an application as a server does; what it raises is raised, after `close()`."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    blocks: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None and any(blocks):
            raise exc_info[1].with_traceback(exc_info[2])
        assert exc_info is not None or not started
        started[:] = [(status, headers)]
        return blocks.append

    found = validator(application)(environ, start_response)
    try:
        blocks.extend(found)
    finally:
        found.close()  # type: ignore[attr-defined]
    (head,) = started
    return Result(*head, blocks)


def call(application: WSGIApplication, *args: Any, **kwargs: Any) -> Result:
    """Send a request, made as `make_environ` makes it."""
    return run(application, make_environ(*args, **kwargs))


class Counted:
    """A valid application that yields blocks one by one, and counts what is done to it.

    It calls `start_response` when the first block is asked for, as a generator does.
    """

    def __init__(
        self, *blocks: bytes, status: str = "200 OK", fields: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.blocks = blocks
        self.status = status
        self.fields = [("Content-Type", "text/plain"), *fields]
        self.calls = 0
        self.yielded = 0
        """Blocks that were asked for, over all calls."""
        self.closed = 0
        """Calls of `close()`."""
        self.environ: WSGIEnvironment = {}
        """Of the last request."""
        self.application = validator(self._application)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.calls += 1
        self.environ = environ
        return self.application(environ, start_response)

    def _application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        return _Blocks(self, start_response)


class _Blocks:
    def __init__(self, counted: Counted, start_response: StartResponse) -> None:
        self._counted = counted
        self._blocks = self._generate(start_response)

    def _generate(self, start_response: StartResponse) -> Iterator[bytes]:
        start_response(self._counted.status, self._counted.fields[:])
        for block in self._counted.blocks:
            self._counted.yielded += 1
            yield block

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        self._counted.closed += 1
