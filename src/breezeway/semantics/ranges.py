"""Byte ranges (RFC 9110 section 14): which bytes a Range field asks for.

A request of 1 KB can ask for a file a hundred times over, in overlapping pieces, and web servers have
fallen over that (CVE-2011-3192). So ranges that overlap or nearly touch are joined, as section
15.3.7.2 allows: what is sent is never larger than the file and what frames it. A request with very
many ranges is answered with the whole file, as section 14.2 allows.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MOST_RANGES: Final = 32
"""A field with more is ignored. A reader of documents that jumps about asks for a dozen at once."""

FIELD_CHARACTERS: Final = 1024
"""A longer field is ignored: 32 ranges of a file of 100 GB take 800."""

GAP_BYTES: Final = 80
"""Ranges that are no further apart are joined: so much costs the head of a part, and RFC 9110
section 15.3.7.2 has the same number."""

# RFC 9110 section 14.1.1, for the unit `bytes`:
# ranges-specifier = range-unit "=" range-set
# range-set        = 1#range-spec
# int-range        = first-pos "-" [ last-pos ]
# suffix-range     = "-" suffix-length
_SPECIFIER: Final = re.compile(r"bytes=([0-9\-, \t]+)", re.ASCII | re.IGNORECASE)
_ONE: Final = re.compile(r"bytes=([0-9]+)-([0-9]*)", re.ASCII | re.IGNORECASE)
_SPEC: Final = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)


class Range(NamedTuple):
    """The bytes from `start` to before `stop`."""

    start: int
    stop: int


def requested(value: str, size: int) -> list[Range] | None:
    """Return the ranges of a representation of `size` bytes that a Range field asks for.

    They are joined where they overlap or nearly touch, and else in the order of the field. None: the
    field is to be ignored, and the whole is the answer. An empty list: no range can be satisfied.
    """
    if len(value) > FIELD_CHARACTERS:
        return None
    one = _ONE.fullmatch(value)
    if one is not None:  # as nearly all are; what follows would say the same at twice the cost
        first, last = one.groups()
        if last and int(last) < int(first):
            return None
        wanted = _satisfied(first, last, size)
        return [] if wanted is None else [wanted]
    match = _SPECIFIER.fullmatch(value)
    if match is None:
        return None
    specs = [spec for each in match[1].split(",") if (spec := each.strip(" \t"))]
    if not 1 <= len(specs) <= MOST_RANGES:
        return None
    found = []
    for spec in specs:
        pair = _SPEC.fullmatch(spec)
        if pair is None or pair.groups() == ("", ""):
            return None
        first, last = pair.groups()
        if first and last and int(last) < int(first):
            return None
        wanted = _satisfied(first, last, size)
        if wanted is not None:
            found.append(wanted)
    if not size and any(spec.startswith("-") and int(spec[1:]) for spec in specs):
        return None  # the last bytes of nothing can be had, but no Content-Range can say so
    return joined(found) if len(found) > 1 else found


def _satisfied(first: str, last: str, size: int) -> Range | None:
    """Return the bytes of one range; None if it has none (RFC 9110 section 14.1.2)."""
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(0, size - int(last)), size
    return Range(start, stop) if start < stop else None


def joined(ranges: list[Range]) -> list[Range]:
    """Join ranges that overlap or are no further apart than `GAP_BYTES`; keep the order."""
    groups: list[tuple[int, Range]] = []
    for place, each in sorted(enumerate(ranges), key=lambda pair: pair[1]):
        if groups and each.start <= groups[-1][1].stop + GAP_BYTES:
            first, before = groups[-1]
            whole = Range(before.start, max(before.stop, each.stop))
            groups[-1] = (min(first, place), whole)
        else:
            groups.append((place, each))
    return [each for _, each in sorted(groups)]


def content_range(part: Range, size: int) -> str:
    """Return the Content-Range field of a part (RFC 9110 section 14.4)."""
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def unsatisfied(size: int) -> str:
    """Return the Content-Range field of a 416."""
    return f"bytes */{size}"


def multipart(
    parts: list[Range], size: int, content_type: str, boundary: str
) -> list[bytes | Range]:
    """Return what a multipart/byteranges body consists of (RFC 9110 section 14.6), in order."""
    pieces: list[bytes | Range] = []
    before = ""
    for part in parts:
        head = (
            f"{before}--{boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: {content_range(part, size)}\r\n\r\n"
        )
        pieces += head.encode("latin-1"), part
        before = "\r\n"
    pieces.append(f"\r\n--{boundary}--\r\n".encode("latin-1"))
    return pieces
