"""The parser of forms with files: that of the library `multipart`, with one reading for each body.

What the library says of bare ends of lines within a header, and of what stands before the first boundary,
depends on where a body is divided into blocks, and so on the packets of a client. It is held here to what
does not; and what a scanner on the way would read in another way is refused.
"""

from __future__ import annotations

import re
from typing import Final

from multipart import PushMultipartParser

from breezeway.web.body import BodyStream
from breezeway.web.errors import BadRequest

# A header or the continuation of one (RFC 5322 section 2.2). The library takes white space of any kind
# away around a name, and an LF is such.
_LINE: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:|[ \t])[^\x00\r\n]*")


class FormParser(PushMultipartParser):  # type: ignore[misc]  # it has no types
    """Divides a body, from its first boundary on."""

    def _on_segment_headerline(self, line: bytes) -> None:
        if _LINE.fullmatch(line) is None:
            raise BadRequest("a header of a part of the form is malformed")
        super()._on_segment_headerline(line)


def first_block(stream: BodyStream, boundary: str, block_bytes: int, most: int) -> bytes:
    """Read over what stands before the first boundary, `most` bytes; return the boundary and what was read.

    Raises:
        BadRequest: there is more, no boundary, or one that begins no line.
    """
    start = f"--{boundary}".encode()
    found = bytearray()
    while block := stream.read1(block_bytes):
        searched = max(0, len(found) - len(start))
        found += block
        at = found.find(start, searched)
        if at > most or (at < 0 and len(found) > most + len(start)):
            raise BadRequest(f"more than {most} bytes of the form are before its first part")
        if at > 0 and found[max(0, at - 2) : at] != b"\r\n":
            raise BadRequest("the first boundary of the form begins no line")
        if at >= 0:
            return bytes(found[at:])
    raise BadRequest("the form ends before its first boundary")
