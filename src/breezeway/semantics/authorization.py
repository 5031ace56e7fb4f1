"""Credentials: what the Authorization field says (RFC 9110 section 11.6.2)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

LONGEST: Final = 16 * 1024
"""Characters of a field that is read: a large JWT has 4,000, a Negotiate token of Kerberos up to 12,000."""

# credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]             RFC 9110 section 11.4
# auth-param  = token BWS "=" BWS ( token / quoted-string )
# and a token68 is of ALPHA, DIGIT and "-._~+/", with any number of "=" at its end
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SCHEME: Final = re.compile(rf"({_NAME})(?: +|\Z)")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_PARAMETER: Final = re.compile(
    rf'({_NAME})[ \t]*=[ \t]*(?:({_NAME})|"((?:[^"\\]|\\.)*)")[ \t]*(?:,[ \t,]*|\Z)'
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
# RFC 7617 section 2: The user-id and password MUST NOT contain any control characters.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Credentials(NamedTuple):
    """What a client gives to say who it is. Nothing of it has been checked."""

    scheme: str
    """In lower case, such as `basic`, `bearer`, `digest`."""

    token: str
    """What comes after the scheme, if that is one token."""

    parameters: dict[str, str]
    """Otherwise: by their names in lower case."""

    def __repr__(self) -> str:
        return f"<Credentials {self.scheme}>"

    @property
    def basic(self) -> tuple[str, str] | None:
        """User name and password (RFC 7617), UTF-8; None for another scheme, or if they are malformed."""
        if self.scheme != "basic":
            return None
        try:
            text = base64.b64decode(self.token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        name, colon, password = text.partition(":")
        return (name, password) if colon and _CONTROL.search(text) is None else None

    @property
    def bearer(self) -> str | None:
        """The token (RFC 6750 section 2.1); None for another scheme, or if there is none."""
        return self.token or None if self.scheme == "bearer" else None


def parse_credentials(authorization: str) -> Credentials | None:
    """Read an Authorization field; None if it is malformed or longer than `LONGEST`."""
    match = _SCHEME.match(authorization)
    if match is None or len(authorization) > LONGEST:
        return None
    scheme, rest = match[1].lower(), authorization[match.end() :].rstrip(" ")
    if not rest or _TOKEN68.fullmatch(rest):
        return Credentials(scheme, rest, {})
    parameters: dict[str, str] = {}
    at = 0
    while at < len(rest):
        parameter = _PARAMETER.match(rest, at)
        if parameter is None or parameter[1].lower() in parameters:
            return None
        token, quoted = parameter[2], parameter[3]
        value = _QUOTED_PAIR.sub(r"\1", quoted) if token is None else token
        parameters[parameter[1].lower()] = value
        at = parameter.end()
    return Credentials(scheme, "", parameters)
