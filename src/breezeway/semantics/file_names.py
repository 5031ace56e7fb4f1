"""Names of files that come from elsewhere, made such that they can be the name of a file here."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST_BYTES: Final = 200
"""In UTF-8. File systems take 255; what is left is for what an application puts before or after it."""

LONGEST_EXTENSION: Final = 20
"""Characters after the last dot that stay when a name is cut."""

UNNAMED: Final = "file"

# What cannot be in a name on Windows, or is a pattern, a redirection or a quote in a shell.
_SPECIAL: Final = re.compile(r'[<>:"|?*]')

_RESERVED: Final = re.compile(
    r"CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]", re.IGNORECASE
)
"""Devices on Windows, whatever the extension."""

_UNSEEN: Final = frozenset(["Cc", "Cf", "Co", "Cs", "Zl", "Zp"])
"""Categories of characters that nobody sees, among them those that turn the order of writing around, so
that `annexe.txt` is shown where `annetxt.exe` stands."""


def safe_file_name(text: str) -> str:
    """Return a name that is one on any system, as near to `text` as it can be.

    It has no directory, no control or invisible characters, none of `<>:"|?*`, no dot or hyphen before
    it, no dot or blank after it; it is NFC, not the name of a device, and at most `LONGEST_BYTES` long in
    UTF-8. What nothing is left of is `file`.
    """
    text = text.replace("\\", "/").rpartition("/")[2]
    if not text.isascii():
        # Zero-width joiners are part of some scripts and of emoji, and still are taken away.
        text = "".join(" " if each.isspace() else each for each in text)
    text = "".join(each for each in text if unicodedata.category(each) not in _UNSEEN)
    text = unicodedata.normalize("NFC", text)
    text = _SPECIAL.sub("_", text)
    text = " ".join(text.split()).lstrip(".- ")
    text = _cut(text).rstrip(". ")
    if not text:
        return UNNAMED
    return f"_{text}" if _RESERVED.fullmatch(text.partition(".")[0].rstrip()) else text


def _cut(text: str) -> str:
    """Shorten a name in the middle: its extension stays."""
    if len(text.encode()) <= LONGEST_BYTES:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or len(extension) > LONGEST_EXTENSION:
        stem, end = text, b""
    else:
        end = f".{extension}".encode()
    return (stem.encode()[: LONGEST_BYTES - len(end)] + end).decode(errors="ignore")
