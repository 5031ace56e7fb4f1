"""Names that build tools derive from the content: another content has another name.

Such a file may be kept for ever. A name that only looks so would keep its readers from the next version
for a year, and one that is not recognised costs no more than a question to the server now and then.
So the rules are strict, and what they miss is on purpose:

    style.3f2a9c1b.css  main-0d1f84e2a7.js   hexadecimal, 8 digits or more, letters and digits mixed:
                                             Django, WhiteNoise, webpack, Parcel, Rails
    index-BkX3_9aZ.js                        8 characters of base64url that change their kind often:
                                             Vite, Rollup
    main-5K7QXNJL.js                         8 characters of base32 that do: esbuild, Angular
"""

from __future__ import annotations

import itertools
import re
from typing import Final

# A dot or a dash, the hash, and the extensions: `app.3f2a9c1b.min.css` too.
_HEXADECIMAL: Final = re.compile(r".+[.-]([0-9a-f]{8,64})(?:\.[A-Za-z0-9]+){1,3}", re.ASCII)
_BASE64: Final = re.compile(r".+-([A-Za-z0-9_-]{8})(?:\.[A-Za-z0-9]+){1,3}", re.ASCII)
_BASE32: Final = re.compile(r".+-([A-Z2-7]{8})(?:\.[A-Za-z0-9]+){1,3}", re.ASCII)

_HEXADECIMAL_CHANGES: Final = 2
_BASE64_CHANGES: Final = 4
"""`index-BkX3_9aZ` has six, `setup-Win32Api` two, `store-MyApp2Go` three; of all hashes 44 % have four."""

_BASE32_CHANGES: Final = 2
"""`main-5K7QXNJL` has three, `notes-VERSION2` has one; of all hashes 70 % have two."""


def is_fingerprinted(name: str) -> bool:
    """Whether the name of a file has a hash of its content in it."""
    match = _HEXADECIMAL.fullmatch(name)
    if match is not None:
        return _changes(match[1]) >= _HEXADECIMAL_CHANGES
    match = _BASE32.fullmatch(name)
    if match is not None:
        return _changes(match[1]) >= _BASE32_CHANGES
    match = _BASE64.fullmatch(name)
    if match is None or match[1].lower() == match[1] or match[1].upper() == match[1]:
        return False
    return _changes(match[1]) >= _BASE64_CHANGES


def _changes(text: str) -> int:
    """Count where the kind of the characters changes; a capital before its word is no change."""
    kinds = [
        "a" if char.islower() else "A" if char.isupper() else "0" if char.isdigit() else "-"
        for char in text
    ]
    return sum(
        one != other and (one, other) != ("A", "a") for one, other in itertools.pairwise(kinds)
    )
