"""`wsgi.input` and `wsgi.errors` as an application sees them under `Lint`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from breezeway.middleware.lint.faults import STREAMS, Fault, Report, typed


class Input:
    """wsgi.input: says how it is used, and what comes of it."""

    def __init__(self, stream: Any, report: Report) -> None:
        self._stream = stream
        self._report = report

    def read(self, *size: Any) -> Any:
        """Read as `wsgi.input` does."""
        if not size:
            self._report(
                Fault(
                    STREAMS,
                    "read() was called without a size",
                    "Not every server takes that: read as much as CONTENT_LENGTH says",
                    advice=True,
                )
            )
        self._check_size("read", size)
        return self._bytes("read", self._stream.read(*size))

    def readline(self, *size: Any) -> Any:
        """Read as `wsgi.input` does."""
        self._check_size("readline", size)
        return self._bytes("readline", self._stream.readline(*size))

    def readlines(self, *hint: Any) -> Any:
        """Read as `wsgi.input` does."""
        self._check_size("readlines", hint)
        lines = self._stream.readlines(*hint)
        if type(lines) is not list or any(type(line) is not bytes for line in lines):
            self._report(_given("readlines", lines, "a list of bytes"))
        return lines

    def __iter__(self) -> Iterator[Any]:
        for line in self._stream:
            yield self._bytes("iteration", line)

    def close(self) -> None:
        """Tell that it was closed, and leave it open."""
        self._report(
            Fault(STREAMS, "wsgi.input was closed", "Leave that to the server, to which it belongs")
        )

    def __getattr__(self, name: str) -> Any:
        self._report(
            Fault(
                STREAMS,
                f"wsgi.input was asked for {name!r}",
                "An input has read, readline, readlines and iteration, and not everywhere more",
                advice=True,
            )
        )
        return getattr(self._stream, name)

    def _check_size(self, method: str, args: tuple[Any, ...]) -> None:
        if len(args) > 1 or (args and args[0] is not None and not isinstance(args[0], int)):
            self._report(
                Fault(
                    STREAMS,
                    f"{method} of wsgi.input was called with {args!r}",
                    "It takes one number at most",
                )
            )

    def _bytes(self, method: str, found: Any) -> Any:
        if type(found) is not bytes:
            self._report(_given(method, found, "bytes"))
        return found


class Errors:
    """wsgi.errors: takes text."""

    def __init__(self, stream: Any, report: Report) -> None:
        self._stream = stream
        self._report = report

    def write(self, text: Any) -> Any:
        """Write as `wsgi.errors` does."""
        if type(text) is not str:
            self._report(
                Fault(
                    STREAMS,
                    f"wsgi.errors was given {typed(text)}",
                    "It is a text stream: write str, with '\\n' at the end of a line",
                )
            )
        return self._stream.write(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write as `wsgi.errors` does."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush as `wsgi.errors` does."""
        self._stream.flush()

    def close(self) -> None:
        """Tell that it was closed, and leave it open."""
        self._report(
            Fault(
                STREAMS, "wsgi.errors was closed", "Leave that to the server, to which it belongs"
            )
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _given(method: str, found: object, wanted: str) -> Fault:
    return Fault(
        STREAMS,
        f"{method} of wsgi.input gave {typed(found)}",
        f"It gives {wanted}; middleware that replaces it must, too",
        server=True,
    )
