"""Which content coding a client takes (RFC 9110 sections 12.4.2 and 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

IDENTITY: Final = "identity"

_ALIASES: Final = {"x-gzip": "gzip", "x-compress": "compress"}
"""RFC 9110 section 8.4.1: recipients take these for the same."""

# codings = content-coding / "identity" / "*", each with an optional weight:
# weight  = OWS ";" OWS "q=" qvalue
# qvalue  = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_MEMBER: Final = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9a-z]+)(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


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
