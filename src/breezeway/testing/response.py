"""`Response`: what a client has got."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol, Self

from breezeway.semantics.set_cookie import parse_set_cookie
from breezeway.testing.events import Event, events, lines

_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([^\s;"]+)', re.IGNORECASE)

SHOWN_CHARACTERS: Final = 500
"""Of the content in a message."""


class IncompleteResponseError(ConnectionError):
    """The response broke off: the application, or the server, has failed when it had begun."""


class StatusError(AssertionError):
    """A response has a status of 400 or above, and the test wanted none; it has a `response`."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response


class Headers(Mapping[str, str]):
    """The fields of a response, by their names in any case.

    As a mapping it has the lines of a field joined with commas; `all` has each, as Set-Cookie needs it.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self.fields = tuple(fields)
        """All lines in order, with their names as they came."""

    def all(self, name: str) -> list[str]:
        """Return the lines of a field, none if it is not there."""
        lower = name.lower()
        return [value for field, value in self.fields if field.lower() == lower]

    def __getitem__(self, name: str) -> str:
        found = self.all(name)
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.all(name))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, each once, in lower case."""
        return iter(dict.fromkeys(field.lower() for field, _ in self.fields))

    def __len__(self) -> int:
        return len({field.lower() for field, _ in self.fields})

    def __repr__(self) -> str:
        return f"Headers({list(self.fields)!r})"


class Blocks(Protocol):
    """The content of a response as it comes."""

    def __iter__(self) -> Iterator[bytes]:
        """Iterate."""

    def __next__(self) -> bytes:
        """Return the next block, which is not empty; raise IncompleteResponseError if it breaks off."""

    def close(self) -> None:
        """Ask for no more; a second call does nothing."""


class Sent(NamedTuple):
    """What was asked for."""

    method: str
    url: str
    headers: Headers


class Response:
    """A response; with `stream=True` its content is still to come.

    A streamed response is read with `blocks`, `lines` or `events`, or whole with `content`, and is
    closed when it has ended, with `close()`, or by a `with` block.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Headers,
        blocks: Blocks,
        *,
        request: Sent,
        history: list[Response],
        ended: Callable[[], float],
    ) -> None:
        self.status = status
        """The status code."""
        self.reason = reason
        """The text after it."""
        self.headers = headers
        self.request = request
        """What was sent: method, url, headers."""
        self.history = history
        """The redirects that have led here, the first one first."""
        self.elapsed: float | None = None
        """Seconds from the request to the end of the response; None before that."""
        self._blocks = blocks
        self._ended = ended
        self._content: bytes | None = None
        self._is_read = False

    @property
    def url(self) -> str:
        """The URL that has answered, after redirects."""
        return self.request.url

    @property
    def is_success(self) -> bool:
        """The status is one of 200 to 299."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """It is a redirect that a browser would follow."""
        return self.status in (301, 302, 303, 307, 308) and "location" in self.headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """Names and values of the cookies that it sets; `client.cookies` has what a browser keeps."""
        found = {}
        for field in self.headers.all("set-cookie"):
            try:
                cookie = parse_set_cookie(field)
            except ValueError:
                continue
            found[cookie.name] = cookie.value
        return found

    # --- the content --------------------------------------------------------------------------------

    @property
    def content(self) -> bytes:
        """The content, as it came: no Content-Encoding is undone.

        Raises:
            RuntimeError: it was read in parts, or closed before its end.
            IncompleteResponseError: it broke off.
        """
        if self._content is None:
            self._content = b"".join(self.blocks())
        return self._content

    @property
    def text(self) -> str:
        """The content as text, in the charset of Content-Type, without one in UTF-8.

        Raises:
            UnicodeDecodeError, LookupError: it is not in that charset, or there is no such.
        """
        return self.content.decode(self._charset())

    def json(self) -> Any:
        """Return what the content says as JSON.

        Raises:
            ValueError: it is none.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise ValueError(f"{self!r} is no JSON ({error}): {self._shown()}") from None

    def blocks(self) -> Iterator[bytes]:
        """Iterate over the content: in a process block by block as the application yields it.

        Raises:
            RuntimeError: it was read already, or closed.
        """
        if self._content is not None:
            yield from [self._content] if self._content else []
            return
        if self._is_read:
            raise RuntimeError("the content was read in parts, or closed: it comes once")
        self._is_read = True
        try:
            yield from self._blocks
        finally:
            self.close()

    def lines(self) -> Iterator[str]:
        """Iterate over the lines of the content, each as soon as it is there."""
        return lines(self.blocks(), self._charset())

    def events(self) -> Iterator[Event]:
        """Iterate over server-sent events, each as soon as it is there."""
        return events(self.blocks())

    def close(self) -> None:
        """End a response that may still be coming; the application's iterable is closed."""
        self._is_read = True
        try:
            self._blocks.close()
        finally:
            if self.elapsed is None:
                self.elapsed = self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- the verdict --------------------------------------------------------------------------------

    def raise_for_status(self) -> Self:
        """Return the response itself if its status is below 400.

        Raises:
            StatusError: an AssertionError that shows the beginning of the content.
        """
        if self.status < 400:
            return self
        raise StatusError(f"{self!r}: {self._shown()}", self)

    def _shown(self) -> str:
        text = self.content.decode("utf-8", "replace")
        return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."

    def _charset(self) -> str:
        found = _CHARSET.search(self.headers.get("content-type", ""))
        return found[1] if found else "utf-8"

    def __repr__(self) -> str:
        size = "streamed" if self._content is None else f"{len(self._content):,} bytes"
        asked = f"{self.request.method} {self.url}"
        return f"<Response {self.status} {self.reason} to {asked}, {size}>"
