"""The body of a request: forms, multipart, JSON, bytes, text and streams."""

from __future__ import annotations

import enum
import io
import json as _json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlencode

from breezeway.semantics.content_types import UNKNOWN, content_type

UNSET: Final[Any] = object()
"""In place of JSON that may be None."""

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

BLOCK_BYTES: Final = 64 * 1024
"""Of a file, at a time."""

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Names and values; a value that is a list or tuple stands for several of its name."""

Content = bytes | str | Path | IO[bytes] | Iterable[bytes]


class RequestBody:
    """What is sent: parts that are bytes, files or iterables of bytes, one after the other."""

    def __init__(self, parts: list[Any], content_type: str | None = None) -> None:
        """`content_type` is for parts that say what they are.

        Raises:
            TypeError: a part is a file that is open for text.
        """
        for part in parts:
            if isinstance(part, io.TextIOBase):
                raise TypeError(f"a file is opened in binary mode: {part!r} is not")
        self._parts = parts
        self.content_type = content_type
        """The field that goes with it; None if there is nothing to say."""
        self._places = [part.tell() if _can_seek(part) else None for part in parts]
        self._is_started = False
        self.length = self._length()
        """In bytes; None if only the end will tell."""

    def _length(self) -> int | None:
        total = 0
        for part, place in zip(self._parts, self._places, strict=True):
            if isinstance(part, bytes):
                total += len(part)
            elif isinstance(part, Path):
                total += part.stat().st_size
            elif place is not None:
                total += part.seek(0, os.SEEK_END) - place
                part.seek(place)
            else:
                return None
        return total

    def blocks(self) -> Iterator[bytes]:
        """Yield the content from its start.

        Raises:
            RuntimeError: it was sent before, and a part of it can be read once.
        """
        is_again, self._is_started = self._is_started, True
        for part, place in zip(self._parts, self._places, strict=True):
            if is_again and place is None and isinstance(part, Iterator):
                raise RuntimeError(
                    "a redirect asks for the body again, and it was an iterator, which has ended:"
                    " give a list, bytes or a file"
                )
            if isinstance(part, bytes):
                yield part
            elif isinstance(part, Path):
                with part.open("rb") as file:
                    yield from _read(file)
            elif hasattr(part, "read"):
                if place is not None:
                    part.seek(place)
                yield from _read(part)
            else:
                yield from _checked(part)


def _checked(blocks: Iterable[Any]) -> Iterator[bytes]:
    for block in blocks:
        if not isinstance(block, bytes | bytearray | memoryview):
            raise TypeError(f"content= is an iterable of bytes, and it has {block!r}")
        yield bytes(block)


def _can_seek(part: Any) -> bool:
    seekable = getattr(part, "seekable", None)
    return seekable is not None and bool(seekable())


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        if not isinstance(block, bytes):
            raise TypeError(f"a file is opened in binary mode: {file!r} is not")
        yield block


def request_body(
    *,
    content: Content | None = None,
    data: Pairs | None = None,
    files: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
    json: Any = UNSET,
) -> RequestBody:
    """Make a body of what a test has given.

    Raises:
        TypeError: more than one kind of body, or a value of another type.
    """
    given = [content is not None, data is not None or files is not None, json is not UNSET]
    if sum(given) > 1:
        raise TypeError("a request has one body: content, or data and files, or json")
    if json is not UNSET:
        return RequestBody([_json.dumps(json, allow_nan=False).encode()], JSON)
    if files is not None:
        return _multipart(data or (), files)
    if data is not None:
        return RequestBody([urlencode(texts(data)).encode()], FORM)
    if isinstance(content, str):
        return RequestBody([content.encode()], TEXT)
    if isinstance(content, bytearray | memoryview):
        content = bytes(content)
    if isinstance(content, Mapping) or not (
        content is None or isinstance(content, Path | Iterable) or hasattr(content, "read")
    ):
        raise TypeError(
            "content= is bytes, text, a Path, a file, or an iterable of bytes, and for a form there is"
            f" data=, for JSON json=; not {content!r}"
        )
    return RequestBody([] if content is None else [content])


def pairs(values: Pairs) -> list[tuple[str, Any]]:
    """Return names and single values; a list or tuple is taken apart."""
    if isinstance(values, str | bytes):
        raise TypeError(f"names and values are a mapping or pairs, not {values!r}: see content=")
    found: list[tuple[str, Any]] = []
    for name, value in values.items() if isinstance(values, Mapping) else values:
        found.extend((name, each) for each in (value if isinstance(value, list) else [value]))
    return found


def texts(values: Pairs) -> list[tuple[str, str]]:
    """Return names and values as texts: `true` and `false`, enums by their values; None is left out."""
    return [
        (name, _text_of(name, each))
        for name, value in pairs(values)
        for each in (value if isinstance(value, tuple) else (value,))
        if each is not None
    ]


def _text_of(name: str, value: Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bytes | bytearray | Mapping | set | frozenset):
        raise TypeError(f"the value of {name!r} is a text, or what has one, not {value!r}")
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- multipart/form-data (RFC 7578; names are escaped as browsers do it, HTML standard) -----------------


def _multipart(data: Pairs, files: Any) -> RequestBody:
    boundary = f"breezeway-{secrets.token_hex(16)}"
    parts: list[Any] = []
    for name, value in texts(data):
        parts.append(_head(boundary, name) + b"\r\n" + value.encode() + b"\r\n")
    for name, file in pairs(files):
        filename, content, media_type = _file(name, file)
        parts.append(
            _head(boundary, name, f'; filename="{_escaped(filename)}"')
            + f"Content-Type: {media_type}\r\n\r\n".encode()
        )
        parts += [content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return RequestBody(parts, f"multipart/form-data; boundary={boundary}")


def _head(boundary: str, name: str, more: str = "") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{_escaped(name)}"{more}'
    return f"--{boundary}\r\n{disposition}\r\n".encode()


def _escaped(name: str) -> str:
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _file(name: str, file: Any) -> tuple[str, Any, str]:
    """Return the name, the content and the media type of a file."""
    if isinstance(file, tuple):
        if len(file) not in (2, 3):
            raise TypeError(f"a file is a tuple of name, content and media type, not {file!r}")
        filename, content, media_type = (*file, None)[:3]
    else:
        filename, content, media_type = None, file, None
        if isinstance(file, str):
            raise TypeError(
                f"files: {name} is the text {file!r}; a file is bytes, a Path, an open file, or a"
                " tuple of a name and one of these or a text"
            )
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes | Path) and not hasattr(content, "read"):
        raise TypeError(f"files: the content of {name} is {content!r}")
    if filename is None:
        path = content if isinstance(content, Path) else getattr(content, "name", None)
        filename = Path(path).name if isinstance(path, str | Path) else name
    return filename, content, media_type or content_type(filename) or UNKNOWN
