"""Making forms, and requests that have them."""

from __future__ import annotations

import io
from typing import Any

from breezeway.web import Limits, Request

from ..middleware.calling import make_environ

BOUNDARY = "----WebKitFormBoundaryABCDEFGHIJKLMNOP"


def part(name: str, content: bytes | str = b"", filename: str | None = None, *lines: str) -> bytes:
    """Return a part of a form, without its boundary."""
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = "\r\n".join([f"Content-Disposition: {disposition}", *lines]).encode()
    return head + b"\r\n\r\n" + (content.encode() if isinstance(content, str) else content)


def body_of(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    """Return the body of a form."""
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + each + b"\r\n" for each in parts) + line + b"--\r\n"


def request_of(
    body: bytes,
    content_type: str = f"multipart/form-data; boundary={BOUNDARY}",
    limits: Limits | None = None,
    **environ: Any,
) -> Request:
    """Return a request with a body."""
    more = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), **environ}
    request = Request(make_environ("/", "POST", {"Content-Type": content_type}, **more))
    if limits is not None:
        request.limits = limits
    return request


class Dribble(io.RawIOBase):
    """Gives a body in pieces of a size, and counts what was asked for."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body = io.BytesIO(body)
        self._size = size
        self.asked = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read a piece."""
        self.asked = max(self.asked, size)
        return self._body.read(min(size, self._size))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a piece of a line."""
        return self._body.readline(
            self._size if size is None or size < 0 else min(size, self._size)
        )
