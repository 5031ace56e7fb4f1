"""Settings written as TOML, in the form in which one would type them."""

from __future__ import annotations

import json
from typing import Any

from breezeway.config.kinds import DURATION, MODE, SIZE, Kind
from breezeway.config.setting import Setting


def value(row: Setting, given: Any) -> str:
    """Write a value of a setting, not None, so that a file of settings reads it back."""
    if row.repeatable:
        return f"[{', '.join(_one(row.kind, item) for item in given)}]"
    return _one(row.kind, given)


def string(text: str) -> str:
    """Write text as a basic string of TOML."""
    # JSON's escapes are TOML's; what JSON leaves as it is and TOML does not have is DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def plain(given: Any) -> str:
    """Write a value as it was read from TOML."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, str):
        return string(given)
    if isinstance(given, list):
        return f"[{', '.join(map(plain, given))}]"
    if isinstance(given, dict):
        items = [f"{string(key)} = {plain(value)}" for key, value in given.items()]
        return f"{{ {', '.join(items)} }}" if items else "{}"
    return str(given)


def _one(kind: Kind, item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return string(item)
    if kind is MODE:
        return f"0o{item:o}"
    if kind in (SIZE, DURATION):
        shown = kind.show(item)
        # A number of many digits is not shown in full: then it stands for itself.
        if kind.parse(shown) == item and not shown.isdecimal():
            return string(shown)
    return repr(item)
