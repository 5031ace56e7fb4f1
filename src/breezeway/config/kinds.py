"""What a setting's value can be: how it is read from text, checked and shown.

Text comes from the command line, the environment and files; Python code passes the value itself. So
each `Kind` can do both: `parse` turns text into a value, `accepts` says whether a value of Python is
one.

Sizes are in bytes and take `k`, `M`, `G` or `KiB`, `MiB`, `GiB`, powers of 1024 all of them. `kB`
and `MB` are refused: half of their readers take them for powers of 1000. Durations are in seconds
and take `ms`, `s`, `m`, `h`; a bare number is seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

AUTO = "auto"

MOST_WORKERS = 128
"""Half the rows of the scoreboard: a reload may have as many that retire."""

SWITCH_WORDS = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}

_SIZE = re.compile(r"(\d+) ?(?:([kmg])(?:ib)?)?", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h)?", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"\d+", re.ASCII)
_MODE = re.compile(r"(?:0o)?([0-7]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its name in the help, what it is in Python, and what one can do with it.

    `parse` raises `ValueError` with part of a sentence, such as "'x' is not a whole number".
    """

    name: str
    noun: str
    accepts: Callable[[object], bool]
    parse: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    unit: str = ""
    """The unit of the value in Python, and of a bare number."""

    takes_numbers: bool = False
    """Whether a bare number in a file stands for its own text, as in `user = 1000`."""


def parse_size(text: str) -> int:
    """Read a size such as `512`, `256k` or `10MiB`; return bytes."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size, such as 512, 256k or 10MiB")
    return int(match[1]) * SIZE_UNITS[(match[2] or "").lower()]


def show_size(size: int) -> str:
    """Write bytes with the largest unit that divides them."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_duration(text: str) -> float:
    """Read a duration such as `30`, `30s`, `500ms`, `2m` or `1h`; return seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a duration, such as 30s, 500ms or 2m")
    return float(match[1]) * DURATION_UNITS[(match[2] or "s").lower()]


def show_duration(seconds: float) -> str:
    """Write seconds as `500ms` or `65s`."""
    number, unit = (seconds * 1000, "ms") if 0 < seconds < 1 else (seconds, "s")
    short = f"{number:g}"
    return f"{number if 'e' in short else short}{unit}"


def parse_count(text: str) -> int:
    """Read a whole number that is not negative."""
    if not _COUNT.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def parse_mode(text: str) -> int:
    """Read the permission bits of a file in octal, such as `660`."""
    match = _MODE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not an octal mode, such as 660")
    return int(match[1], 8)


def parse_switch(text: str) -> bool:
    """Read one of `SWITCH_WORDS`."""
    try:
        return SWITCH_WORDS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def parse_workers(text: str) -> int:
    """Read a number of workers; `auto` is one for each CPU that this process may use."""
    if text.strip().lower() == AUTO:
        from breezeway.config import cpus

        return min(cpus.available(), MOST_WORKERS)
    try:
        return parse_count(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a whole number nor 'auto'") from None


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))


def _is_str(value: object) -> bool:
    return isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


TEXT = Kind("TEXT", "a string", _is_str)
DIRECTORY = Kind("DIRECTORY", "a string", _is_str)
ADDRESS = Kind("ADDRESS", "a string", _is_str)
FILE = Kind("FILE", "a string", _is_str)
PATH = Kind("PATH", "a string", _is_str)
NAME = Kind("NAME", "a string", _is_str, takes_numbers=True)
CALLABLE = Kind("MODULE:NAME", "a string", _is_str)
NETWORK = Kind("NETWORK", "a string", _is_str)
STATIC = Kind("/PREFIX=DIRECTORY", "a string", _is_str)
SOCKET = Kind("PATH|auto|off", "a string", _is_str)
DEADLINE = Kind("[/PREFIX=]DURATION", "a string", _is_str, takes_numbers=True)
SHARE = Kind("STATUS=SHARE", "a string", _is_str)
WORD = Kind("WORD", "a string", _is_str, parse=str.lower)
COUNT = Kind("N", "a whole number", _is_int, parse_count)
WORKERS = Kind("N|auto", "a whole number", _is_int, parse_workers)
MODE = Kind(
    "MODE", "a file mode, such as 0o660", _is_int, parse_mode, "{:o}".format, unit="permission bits"
)
SIZE = Kind("SIZE", "a whole number of bytes", _is_int, parse_size, show_size, unit="bytes")
DURATION = Kind(
    "DURATION", "a number of seconds", _is_seconds, parse_duration, show_duration, unit="seconds"
)
SWITCH = Kind(
    "SWITCH", "True or False", _is_bool, parse_switch, {True: "on", False: "off"}.__getitem__
)
"""On the command line a switch is two flags without a value; its text is for the environment."""
