"""Every bound of the protocol layer: a named constant, its unit, its reason.

A request that exceeds one is refused with the status given here; nothing is cut off in silence.
The constants are the defaults; `Limits` carries the values in force, and the settings table in
`breezeway.config` lets an operator change them.
"""

from __future__ import annotations

from dataclasses import dataclass

REQUEST_LINE_BYTES = 8 * 1024
"""Longest request line, without its CRLF; longer is 414. RFC 9112 section 3 recommends at least 8000."""

HEAD_BYTES = 64 * 1024
"""Request line and all field lines together; more is 431. Apache and nginx allow about this much."""

HEAD_FIELDS = 100
"""Field lines in one head; more is 431. Apache's default, and five times what a browser sends."""

BODY_BYTES = 1024 * 1024 * 1024
"""Content of one request after the transfer coding is taken off; more is 413."""

CHUNK_LINE_BYTES = 4 * 1024
"""One chunk-size line with its extensions; more is 400. Nobody sends extensions in earnest."""

CHUNK_EXTENSION_BYTES = 4 * 1024
"""Chunk extensions of one body, summed up; more is 400. Bounds what RFC 9112 section 7.1.1 warns of:
chunks with extensions cost more than any others."""

CHUNK_SIZE_DIGITS = 16
"""Hexadecimal digits of a chunk size, leading zeros included; more is 400. 64 bits are enough."""

CONTENT_LENGTH_DIGITS = 18
"""Decimal digits of a Content-Length, leading zeros included; more is 400. Stays below 2**63."""

TRAILER_BYTES = 8 * 1024
"""Trailer section of one chunked body; more is 431."""

TRAILER_FIELDS = 32
"""Field lines in one trailer section; more is 431."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force for the requests of one worker; sizes in bytes."""

    request_line: int = REQUEST_LINE_BYTES
    head: int = HEAD_BYTES
    fields: int = HEAD_FIELDS
    body: int = BODY_BYTES
