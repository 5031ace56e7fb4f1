"""Which language a client would like (RFC 9110 section 12.5.4, RFC 4647)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MOST_RANGES: Final = 64
"""Members of the field that are read; browsers have ten at most."""

MOST_SUBTAGS: Final = 16
"""Of one range, which is shortened by one at a time: RFC 5646 section 4.4.1 reckons with five."""

# Accept-Language = [ ( language-range [ weight ] ) *( OWS "," OWS ( language-range [ weight ] ) ) ]
# language-range  = ( 1*8ALPHA *( "-" 1*8alphanum ) ) / "*"               RFC 4647 section 2.1
# However, one of more than MOST_SUBTAGS is left out.
# weight = OWS ";" OWS "q=" qvalue                                         RFC 9110 section 12.4.2
_MEMBER: Final = re.compile(
    rf"([a-z]{{1,8}}(?:-[a-z0-9]{{1,8}}){{0,{MOST_SUBTAGS - 1}}}|\*)"
    r"(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


def language_ranges(accept_language: str) -> list[tuple[str, float]]:
    """Return the ranges of a field in lower case with their weights, the heaviest first.

    What is malformed is left out.
    """
    found = []
    for member in accept_language.lower().split(",", MOST_RANGES)[:MOST_RANGES]:
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is not None:
            found.append((match[1], 1.0 if match[2] is None else float(match[2])))
    return sorted(found, key=lambda each: -each[1])


def choose_language(accept_language: str | None, offered: Sequence[str]) -> str | None:
    """Choose among language tags by an Accept-Language field, by lookup (RFC 4647 section 3.4).

    Of each range, the heaviest first, the longest beginning counts that is offered: `de-CH-1996` finds
    `de-CH` or `de`. It does not find `de-AT`, and `de` does not find `de-AT`, which is filtering. `*` says
    nothing of which one it should be, and is passed over. What the client weighs with 0 is not chosen.

    Return None where nothing is found: then the application's own language is the answer.
    """
    if not accept_language:
        return None
    ranges = language_ranges(accept_language)
    unwanted = {tag for tag, weight in ranges if not weight}
    by_tag = {tag.lower(): tag for tag in reversed(offered)}
    for tag, weight in ranges:
        if not weight or tag == "*":
            continue
        while tag:
            if tag in by_tag and tag not in unwanted:
                return by_tag[tag]
            tag = _shorter(tag)
    return None


def _shorter(tag: str) -> str:
    """Take the last part off, and a single letter that then is last: it only led in what was taken."""
    tag = tag.rpartition("-")[0]
    return tag[:-2] if tag[-2:-1] == "-" else tag
