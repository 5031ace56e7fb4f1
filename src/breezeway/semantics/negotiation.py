"""Which content coding and which media type a client takes (RFC 9110 section 12)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from breezeway.semantics.fields import members

IDENTITY: Final = "identity"

_ALIASES: Final = {"x-gzip": "gzip", "x-compress": "compress"}
"""RFC 9110 section 8.4.1: recipients take these for the same."""

# token, of lower-case letters (RFC 9110 section 5.6.2)
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9a-z]+"

_QVALUE: Final = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"

# codings = content-coding / "identity" / "*", each with an optional weight:
# weight  = OWS ";" OWS "q=" qvalue
# qvalue  = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_MEMBER: Final = re.compile(rf"({_NAME})(?:[ \t]*;[ \t]*q=({_QVALUE}))?")

# media-range = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters
# parameters  = *( OWS ";" OWS [ parameter ] ), parameter = token "=" ( token / quoted-string )
_MEDIA_RANGE: Final = re.compile(rf"({_NAME})/({_NAME})")
_PARAMETER: Final = re.compile(
    rf'[ \t]*;[ \t]*(?:({_NAME})=({_NAME}|"(?:[^"\\]|\\.)*"))?', re.IGNORECASE
)
_WEIGHT: Final = re.compile(_QVALUE)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


def qualities(accept_encoding: str) -> dict[str, float]:
    """Read an Accept-Encoding field: the quality of each coding that it names, in lower case.

    What is not well-formed counts as not there, so that a client gets no coding that it may not take.
    """
    found: dict[str, float] = {}
    for member in accept_encoding.lower().split(","):
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is not None:
            coding = _ALIASES.get(match[1], match[1])
            found[coding] = float(match[2]) if match[2] is not None else 1.0
    return found


def choose_coding(accept_encoding: str | None, codings: Sequence[str]) -> str:
    """Choose among `codings`, the best first, and `identity`; the client's order comes first.

    A field that is missing allows any coding, but says nothing of what the client can read: then it is
    `identity`, as it is when the client refuses everything there is: no coding is what it can at
    least store (RFC 9110 section 12.5.3 allows both).
    """
    if not accept_encoding or not codings:
        return IDENTITY
    wanted = qualities(accept_encoding)
    others = wanted.get("*", 0.0)
    best, quality = IDENTITY, wanted.get(IDENTITY, others)
    for coding in codings:
        its = wanted.get(coding, others)
        if its > quality or (its == quality and its and best == IDENTITY):
            best, quality = coding, its
    return best


def choose_type(accept: str | None, types: Sequence[str]) -> str | None:
    """Choose among media types, the best first, by an Accept field (RFC 9110 section 12.5.1).

    The weight of a type is that of the most specific range that it falls in. The greatest weight wins;
    among equal ones the type that the client names more precisely, so that `application/json, */*` is
    a wish for JSON; then the first of `types`. These may have parameters: `text/html; charset=utf-8`.

    Return None when the client takes none of them. A field that is missing, or in which nothing is
    well-formed, takes anything.
    """
    ranges = _media_ranges(accept) if accept else []
    if not ranges:
        return types[0] if types else None
    best: str | None = None
    most = (0.0, -1)
    for offered in types:
        its = _worth(offered, ranges)
        if its[0] and its > most:
            best, most = offered, its
    return best


class _MediaRange(NamedTuple):
    """A member of Accept, in lower case."""

    type: str
    subtype: str
    parameters: dict[str, str]
    weight: float


def _worth(offered: str, ranges: Sequence[_MediaRange]) -> tuple[float, int]:
    """Return the weight of a type, and how specific the range is that gives it."""
    found = _media_range(offered)
    if found is None:
        raise ValueError(f"{offered!r} is no media type")
    worth = (0.0, -1)
    for each in ranges:
        specific = _specificity(each, found)
        if specific > worth[1]:
            worth = (each.weight, specific)
    return worth


def _specificity(media_range: _MediaRange, found: _MediaRange) -> int:
    """Return how precisely a range names a type, -1 if not at all."""
    if media_range.type == "*":
        level = 0
    elif media_range.type != found.type:
        return -1
    elif media_range.subtype == "*":
        level = 1
    elif media_range.subtype != found.subtype:
        return -1
    else:
        level = 2
    if not media_range.parameters.items() <= found.parameters.items():
        return -1
    return level + len(media_range.parameters)


def _media_ranges(accept: str) -> list[_MediaRange]:
    found = (_media_range(member) for member in members(accept))
    return [each for each in found if each is not None]


def _media_range(member: str) -> _MediaRange | None:
    """Read a media range or a media type; None if it is malformed."""
    match = _MEDIA_RANGE.match(member.lower())
    if match is None or (match[1] == "*" and match[2] != "*"):
        return None
    parameters: dict[str, str] = {}
    at = match.end()
    while at < len(member):
        parameter = _PARAMETER.match(member, at)
        if parameter is None:
            return None
        at = parameter.end()
        if parameter[1] is None:
            continue
        name, value = parameter[1].lower(), parameter[2]
        if name == "q":
            if _WEIGHT.fullmatch(value) is None:
                return None
            return _MediaRange(match[1], match[2], parameters, float(value))
        if value.startswith('"'):
            value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
        parameters[name] = value.lower()
    return _MediaRange(match[1], match[2], parameters, 1.0)
