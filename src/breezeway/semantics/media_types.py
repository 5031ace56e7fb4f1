"""Media types as Content-Type has them: a type and its parameters (RFC 9110 section 8.3.1)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# media-type = type "/" subtype parameters
# parameters = *( OWS ";" OWS [ parameter ] ), parameter = token "=" ( token / quoted-string )
# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE                  RFC 9110 section 5.6.4
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TYPE: Final = re.compile(rf"{_NAME}/{_NAME}")
_TEXT: Final = r"\t\x20-\x7e\x80-\xff"
_QUOTED: Final = rf'"((?:(?!["\\])[{_TEXT}]|\\[{_TEXT}])*)"'
_PARAMETER: Final = re.compile(rf"[ \t]*;[ \t]*(?:({_NAME})=(?:({_NAME})|{_QUOTED}))?")
_QUOTED_PAIR: Final = re.compile(r"\\(.)")

UTF_8: Final = frozenset(["utf-8", "utf8", "us-ascii", "ascii"])
"""Names of charsets whose bytes are UTF-8; the second and fourth are not registered, and in use."""


class MediaType(NamedTuple):
    """A media type."""

    name: str
    """Type and subtype in lower case: `text/html`."""

    parameters: dict[str, str]
    """By their names in lower case; the values are as they were, unquoted."""

    @property
    def is_utf_8(self) -> bool:
        """Whether a text of this type may be taken for UTF-8: it is so called, or is called nothing."""
        return self.parameters.get("charset", "utf-8").lower() in UTF_8

    @property
    def is_json(self) -> bool:
        """Whether it is `application/json`, or one with `+json` at its end (RFC 6839 section 3.1)."""
        return self.name == "application/json" or (
            self.name.startswith("application/") and self.name.endswith("+json")
        )


def parse_media_type(text: str) -> MediaType:
    """Read a media type.

    Raises:
        ValueError: it is malformed, or has a parameter twice: who reads the first and who reads the last
            would not agree on where a multipart body is divided.
    """
    text = text.strip(" \t")
    match = _TYPE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no media type")
    parameters: dict[str, str] = {}
    at = match.end()
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            raise ValueError(f"{text!r} is no media type")
        at = parameter.end()
        name, token, quoted = parameter.groups()
        if name is None:
            continue
        name = name.lower()
        if name in parameters:
            raise ValueError(f"{text!r} has {name} twice")
        parameters[name] = _QUOTED_PAIR.sub(r"\1", quoted) if token is None else token
    return MediaType(match[0].lower(), parameters)
