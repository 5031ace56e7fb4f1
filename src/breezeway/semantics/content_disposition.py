"""The field Content-Disposition of a response (RFC 6266): show it or save it, and under which name.

A name beyond ASCII goes into `filename*` (RFC 8187), which every browser prefers; `filename` has one in
ASCII for programs that know nothing of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal
from urllib.parse import quote

Kind = Literal["attachment", "inline"]

LONGEST_NAME: Final = 255
"""Bytes of a name as UTF-8: what file systems take (NAME_MAX)."""

LONGEST_EXTENSION: Final = 16
"""Characters that are kept when a name is cut."""

NAMELESS: Final = "download"

# RFC 8187 section 3.2.1, what stands for itself in an ext-value:
# attr-char = ALPHA / DIGIT / "!" / "#" / "$" / "&" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~"
_ATTR_CHAR: Final = "!#$&+-.^_`|~"

_SEPARATORS: Final = re.compile(r'[/\\:*?"<>|]')
"""What divides a path somewhere, or cannot stand in a name on Windows."""

_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and those that turn the direction of writing: `exe.fdp` must not be read as
`pdf.exe` (CVE-2009-3376)."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9!#$&+\-.^_`|~ ,;=@()\[\]{}']+")
"""What a quoted-string has without an escape; no percent sign, which some take for an encoding."""


def content_disposition(kind: Kind, name: str = "") -> str:
    """Return the value of the field; the name is made safe by `safe_name`.

    Raises:
        ValueError: `kind` is neither `attachment` nor `inline`.
    """
    if kind not in ("attachment", "inline"):
        raise ValueError(f"a disposition is 'attachment' or 'inline', not {kind!r}")
    if not name:
        return kind
    name = safe_name(name)
    if _PLAIN.fullmatch(name):
        return f'{kind}; filename="{name}"'
    return (
        f"{kind}; filename=\"{_fallback(name)}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
    )


def safe_name(name: str) -> str:
    """Return a name that stays in the directory where it is saved, on every system.

    Separators of paths become underscores; control characters, and dots and spaces at the ends, go.
    """
    # A half of a surrogate pair is no character, and has no UTF-8.
    text = name.encode("utf-8", "replace").decode()
    text = _SEPARATORS.sub("_", _UNSEEN.sub("", text)).strip(" .")
    if len(text.encode()) > LONGEST_NAME:
        stem, dot, extension = text.rpartition(".")
        end = f"{dot}{extension}" if stem and len(extension) <= LONGEST_EXTENSION else ""
        kept = text.removesuffix(end).encode()[: LONGEST_NAME - len(end.encode())]
        text = f"{kept.decode(errors='ignore').rstrip(' .')}{end}"
    return text or NAMELESS


def _fallback(name: str) -> str:
    """Return a name in ASCII: letters lose their accents, what else there is becomes underscores."""
    decomposed = unicodedata.normalize("NFKD", name)
    kept = "".join(each for each in decomposed if not unicodedata.combining(each))
    text = "".join(each if _PLAIN.fullmatch(each) else "_" for each in kept)
    stem, dot, extension = text.rpartition(".")
    if dot and not stem.strip("_ ."):
        return f"{NAMELESS}{dot}{extension}" if extension.strip("_ .") else NAMELESS
    return text if text.strip("_ .") else NAMELESS
