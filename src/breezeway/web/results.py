"""What a handler may return, and the response that it becomes."""

from __future__ import annotations

import dataclasses
import io
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final
from wsgiref.types import WSGIApplication, WSGIEnvironment

from breezeway.web.response import JSON, TEXT, Response, copied, dumps, status_of
from breezeway.web.stream import close

BYTES: Final = "application/octet-stream"


def to_response(result: Any) -> Any:
    """Return the response that a result stands for; what is a WSGI application already stays one.

    A text is HTML; bytes are just that; a dict, list, dataclass, number or boolean is JSON; None is a
    204; an iterator of texts or bytes is a stream, whose first block is asked for here; a tuple is a
    result and its status, its headers, or both.

    Raises:
        TypeError: it stands for none.
    """
    kind = type(result)
    if kind is dict or kind is list:
        return Response(dumps(result), content_type=JSON)
    if kind is Response or isinstance(result, Response):
        return result
    if kind is str:
        return Response(result)
    if kind is tuple:
        return _of_tuple(result)
    if result is None:
        return Response(status=204)
    if kind is bytes or isinstance(result, bytes | bytearray | memoryview):
        return Response(bytes(result), content_type=BYTES)
    if isinstance(result, str):  # of jinja2, for example, or a member of an enum
        return Response(result)
    is_made = dataclasses.is_dataclass(result) and not isinstance(result, type)
    if is_made or isinstance(result, dict | list | int | float):
        return Response(dumps(result), content_type=JSON)
    if isinstance(result, Iterator) and not isinstance(result, io.IOBase):
        return Response(_begun(result), content_type=TEXT)
    if callable(result) and not isinstance(result, type):
        return result
    raise TypeError(f"a handler returned {_shown(result)}, which is no response{_hint(result)}")


def _begun(blocks: Iterator[Any]) -> Any:
    """Ask for the first block, for no server sends the head before: an error until then has an answer."""
    try:
        first = next(blocks)
    except StopIteration:
        close(blocks)
        return ()
    except BaseException:
        close(blocks)
        raise
    content = _Content()
    content.first.append(first)
    content.complete(blocks, blocks)
    return content


def _shown(result: Any) -> str:
    text = repr(result)
    return f"{text[:100]}{'...' if len(text) > 100 else ''} ({type(result).__name__})"


def _hint(result: Any) -> str:
    if isinstance(result, types.CoroutineType | types.AsyncGeneratorType):
        return ": WSGI has no event loop, so that a handler is a plain function"
    if isinstance(result, type):
        return ": return an object of it"
    if isinstance(result, BaseException):
        return ": raise it"
    if isinstance(result, io.IOBase | os.PathLike):
        return ": send a file with FileResponse"
    if isinstance(result, tuple | set | frozenset | Mapping):
        return ": make a list or a dict of it"
    if isinstance(result, Iterable):
        return ": for a stream return iter() of it, otherwise a list"
    return ": return a text, a dict, a list, a dataclass or a Response; json_response() of other values"


def _of_tuple(result: tuple[Any, ...]) -> Any:
    if not 2 <= len(result) <= 3:
        raise TypeError(f"a handler returned {_shown(result)}, not (result, status, headers)")
    response = to_response(result[0])
    if not isinstance(response, Response):
        raise TypeError(
            f"a handler returned {_shown(result)}: a WSGI application says its status and headers itself"
        )
    if response is result[0]:  # which others may have as well
        response = copied(response)
    for each in result[1:]:
        if isinstance(each, int | str):
            response.status = status_of(each)
        elif not isinstance(each, Mapping | Iterable):
            raise TypeError(
                f"a handler returned {_shown(result)}, in which {each!r} is no status or headers"
            )
        else:
            for name, value in each.items() if isinstance(each, Mapping) else each:
                if name.lower() == "set-cookie":
                    response.headers.add(name, value)
                else:
                    response.headers[name] = value
    return response


Write = Callable[[bytes], object]
"""Sends a block at once, as what `start_response` returns does (PEP 3333, "The write() Callable")."""


def from_application(
    application: WSGIApplication,
    environ: WSGIEnvironment,
    begin: Callable[[Response], Write] | None = None,
) -> Response:
    """Call a WSGI application, and return what it answers as a response, for the hooks to look at.

    Its blocks are handed on as they come; of those, the first is asked for here if the application begins
    its response only then. When it first sends something through `write`, `begin` is called with the
    response, sends its head, and returns what sends the blocks; without `begin` they are held until the
    application returns.
    """
    content = _Content()
    started: list[Any] = []
    send: Write = content.first.append
    is_over = False
    """Whether the head may have been sent."""

    def write(data: bytes) -> None:
        nonlocal send, is_over
        if begin is not None and not is_over:
            is_over = True
            send = begin(_response(content, started))
        if not content.is_closed:
            send(data)

    def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Write:
        if exc_info is not None:
            try:
                if is_over:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif started:
            raise AssertionError("start_response was called twice without exc_info")
        started[:] = [status, headers]
        return write

    blocks: Any = application(environ, start_response)
    is_begun = is_over
    try:
        others = blocks
        if not started:
            others = iter(blocks)
            content.first += [block for block in [next(others, b"")] if block]
        if not started:
            raise AssertionError("a WSGI application did not call start_response")
        is_plain = others is blocks and not content.first and not isinstance(blocks, list | tuple)
        response = _response(blocks if is_plain and not is_begun else content, started)
        is_over = True
        content.complete(others, blocks)
    except BaseException:
        close(blocks)
        raise
    return response


def _response(content: Any, started: list[Any]) -> Response:
    return Response(content, started[0], list(started[1]), content_type="")


class _Content:
    """First blocks, such as those that an application has written, and others that come later."""

    def __init__(self) -> None:
        self.first: list[Any] = []
        self.is_closed = False
        self._others: Iterable[bytes] | None = None
        self._owner: Any = None

    def complete(self, others: Iterable[bytes], owner: Any) -> None:
        """Take what there is after the first blocks, and what has to be closed."""
        self._others, self._owner = others, owner
        if self.is_closed:
            close(owner)

    def __iter__(self) -> Iterator[bytes]:
        if self._others is None:
            raise RuntimeError("the application is still writing: its content cannot be read yet")
        return chain(self.first, self._others)

    def close(self) -> None:
        """Close what the application has returned, or will."""
        if not self.is_closed:
            self.is_closed = True
            close(self._owner)


Result = Response | str | bytes | dict[str, Any] | list[Any] | None | Iterable[Any]
"""What most handlers return."""
