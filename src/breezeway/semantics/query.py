"""Queries and urlencoded forms: names and values (URL standard, application/x-www-form-urlencoded)."""

from __future__ import annotations

import re
from typing import Final

MOST_PAIRS: Final = 1000
"""Of a query or form. A page that needs more is rare; a client that sends more is not."""

_SEVERAL: Final = re.compile("&&+")
_ESCAPED: Final = re.compile("(?:%[0-9A-Fa-f]{2})++")
"""Possessive, for otherwise each escape takes 100 bytes of memory to come back to."""


class TooManyPairsError(ValueError):
    """There are more names and values than `most`."""


def pairs(text: str, most: int = MOST_PAIRS, errors: str = "replace") -> list[tuple[str, str]]:
    """Return the names and values of a query, in order, decoded as UTF-8.

    `text` is a character for each byte, as QUERY_STRING of an environ is. With `errors` as it is, bytes
    that are not UTF-8 become U+FFFD, as in browsers; with "strict" they are refused. A percent sign that
    two hexadecimal digits do not follow is one.

    Raises:
        TooManyPairsError: there are more than `most`.
        UnicodeDecodeError: `errors` is "strict", and a name or value is not UTF-8.
    """
    parts = text.split("&", most)
    if len(parts) > most:
        parts = _SEVERAL.sub("&", text).strip("&").split("&", most)
        if len(parts) > most and any(parts):
            raise TooManyPairsError(f"more than {most} names and values")
    found = []
    for part in parts:
        if part:
            name, _, value = part.partition("=")
            found.append((_decoded(name, errors), _decoded(value, errors)))
    return found


def _decoded(text: str, errors: str) -> str:
    if not text.isascii():  # raw bytes: browsers do not send them, and yet they come
        text = text.encode("latin-1").decode("utf-8", errors)
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text:  # the library's unquote takes fifty times the memory of what it decodes
        text = _ESCAPED.sub(
            lambda match: bytes.fromhex(match[0].replace("%", "")).decode("utf-8", errors), text
        )
    return text
