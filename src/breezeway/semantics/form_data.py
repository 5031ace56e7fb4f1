r"""Content-Disposition of a part of multipart/form-data (RFC 7578 section 4.2).

What a name looks like in quotes has changed over time, and never was what RFC 9110 says. Today's browsers
write `%22`, `%0D` and `%0A` for a quote and the ends of lines, and a backslash as it is (HTML standard,
"Multipart form data"); older ones and curl before 7.81 write `\"` and `\\`. Both are read: a value in
which a `\"` stands is of the second kind. In each kind a semicolon may stand within the quotes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

# The parameters of a part: *( OWS ";" OWS name "=" ( token / quotes ) )
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_KIND: Final = re.compile(_NAME)
_END: Final = r"[ \t]*(?=;|\Z)"
_PARAMETER: Final = re.compile(
    rf"[ \t]*;[ \t]*({_NAME})[ \t]*=[ \t]*"
    rf'(?:"((?:[^"\\]|\\.)*)"{_END}|"([^"]*)"{_END}|({_NAME}){_END})',
    re.DOTALL,
)
_LAST: Final = re.compile(r"[ \t]*(?:;[ \t]*)?")

# ext-value = charset "'" [ language ] "'" value-chars                     RFC 8187 section 3.2.1
_EXTENDED: Final = re.compile(
    r"(?i:UTF-8)'[A-Za-z0-9\-]*'((?:[!#$&+\-.^_`|~0-9A-Za-z]|%[0-9A-Fa-f]{2})*)"
)

_PERCENT: Final = re.compile("%(22|0[aAdD])")


class FormPart(NamedTuple):
    """What the Content-Disposition of a part says."""

    name: str
    """Of the field."""

    filename: str | None
    """As the client gives it, not made safe; None if the part is no file."""


def parse_disposition(text: str) -> FormPart:
    """Read the Content-Disposition of a part; `text` is decoded already.

    `filename*` (RFC 8187) is read, although RFC 7578 forbids to send it, since many programs do so beside
    a `filename` that is then worse. Parameters of other names are ignored.

    Raises:
        ValueError: it is malformed, of another kind than `form-data`, has no name, or has one twice.
    """
    match = _KIND.match(text)
    if match is None or match[0].lower() != "form-data":
        raise ValueError("the Content-Disposition of a part must be form-data")
    found: dict[str, str] = {}
    at, end = match.end(), len(text)
    while at < end:
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            if _LAST.fullmatch(text, at):
                break
            raise ValueError("the Content-Disposition of a part is malformed")
        at = parameter.end()
        name = parameter[1].lower()
        if name in found:
            raise ValueError(f"the Content-Disposition of a part has {name} twice")
        found[name] = _value(parameter)
    if "name" not in found:
        raise ValueError("the Content-Disposition of a part has no name")
    if "filename*" in found:
        return FormPart(found["name"], _extended(found["filename*"]))
    return FormPart(found["name"], found.get("filename"))


def _value(parameter: re.Match[str]) -> str:
    _, escaped, plain, token = parameter.groups()
    if escaped is not None and '\\"' in escaped:
        return re.sub(r'\\(["\\])', r"\1", escaped)
    text = next(each for each in (escaped, plain, token) if each is not None)
    return _PERCENT.sub(lambda match: chr(int(match[1], 16)), text) if "%" in text else text


def _extended(text: str) -> str:
    match = _EXTENDED.fullmatch(text)
    if match is not None:
        try:
            return unquote_to_bytes(match[1]).decode()
        except UnicodeDecodeError:
            pass
    raise ValueError("the filename* of a part is not UTF-8 by RFC 8187")
