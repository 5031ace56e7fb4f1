"""What a handler may return, and the response that it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Final

from breezeway.web.response import JSON, TEXT, Response, dumps

BYTES: Final = "application/octet-stream"


def to_response(result: Any) -> Any:
    """Return the response that a result stands for; what is a WSGI application already stays one.

    A text is HTML; bytes are just that; a dict, list, dataclass, number or boolean is JSON; None is a
    204; an iterator of texts or bytes is a stream; a tuple is a result and its status, its headers, or
    both.

    Raises:
        TypeError: it stands for none.
    """
    kind = type(result)
    if kind is Response or isinstance(result, Response):
        return result
    if kind is str:
        return Response(result)
    if kind is dict or kind is list:
        return Response(dumps(result), content_type=JSON)
    if kind is tuple:
        return _of_tuple(result)
    if result is None:
        return Response(status=204)
    if kind is bytes:
        return Response(result, content_type=BYTES)
    if isinstance(result, dict | list | int | float) or dataclasses.is_dataclass(result):
        return Response(dumps(result), content_type=JSON)
    if isinstance(result, Iterator):
        return Response(_Encoded(result), content_type=TEXT)
    if isinstance(result, str):
        return Response(str(result))
    if callable(result):
        return result
    raise TypeError(f"a handler returned {result!r} ({kind.__name__}), which is no response")


def _of_tuple(result: tuple[Any, ...]) -> Any:
    if not 2 <= len(result) <= 3:
        raise TypeError("a handler returned a tuple that is not (result, status, headers)")
    response = to_response(result[0])
    if not isinstance(response, Response):
        raise TypeError("a handler returned a tuple with a WSGI application in it")
    for each in result[1:]:
        if type(each) is int:
            response = _with_status(response, each)
        else:
            for name, value in each.items() if hasattr(each, "items") else each:
                if name.lower() == "set-cookie":
                    response.headers.add(name, value)
                else:
                    response.headers[name] = value
    return response


def _with_status(response: Response, status: int) -> Response:
    made = Response(response.content, status)
    fields = [
        field
        for field in response.headers.fields
        if status not in (204, 304) or field[0].lower() != "content-type"
    ]
    made.headers.fields = fields
    return made


class _Encoded:
    """Blocks of texts or bytes, as bytes."""

    def __init__(self, blocks: Iterator[Any]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            yield block.encode() if isinstance(block, str) else block

    def close(self) -> None:
        """Close the generator."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()


Result = Response | str | bytes | dict[str, Any] | list[Any] | None | Iterable[Any]
