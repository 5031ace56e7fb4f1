"""The tables `[[middleware]]` of a file of settings: what is put around the application.

    [[middleware]]
    use = "Compress"
    minimum = 1000

The first is the outermost. `use` is a piece of `breezeway.middleware` or, with a colon, MODULE:NAME of what
is called with the application; all other keys are its options. What they may be, only the piece knows,
so that they are checked when it is made (`breezeway.wrapping`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from breezeway.errors import UsageError

KEY: Final = "middleware"
USE: Final = "use"

_SECRET: Final = re.compile(r"secret|password|token|users|key$|redis|store|url$")


@dataclass(frozen=True, slots=True)
class MiddlewareTable:
    """One table: the piece, its options, and where it stands, such as `breezeway.toml, line 7`."""

    use: str
    options: Mapping[str, Any]
    place: str

    @staticmethod
    def is_secret(option: str) -> bool:
        """Whether an option, by its name, holds what is not for everybody to see."""
        return _SECRET.search(option) is not None


def read(found: object, name: str, text: str, prefix: tuple[str, ...]) -> tuple[Any, ...]:
    """Read what a file has under `middleware`: the tables of a file of that name and text.

    Raises:
        UsageError: something else stands there.
    """
    places = _places(name, text, prefix)
    header = f"[[{'.'.join((*prefix, KEY))}]]"
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise UsageError(
            f"{name}: {KEY} must be tables.", f"Each begins with {header}, in double brackets."
        )
    tables = []
    for number, table in enumerate(found):
        place = places[number] if len(places) == len(found) else name
        use = table.get(USE)
        if not isinstance(use, str) or not use:
            raise UsageError(
                f"{place}: {header} says nothing that it uses.",
                'Write the piece, as in: use = "Compress"',
            )
        options = {key: value for key, value in table.items() if key != USE}
        tables.append(MiddlewareTable(use, options, place))
    return tuple(tables)


def _places(name: str, text: str, prefix: tuple[str, ...]) -> list[str]:
    header = re.compile(r"\s*\[\[\s*" + r"\s*\.\s*".join((*prefix, KEY)) + r"\s*\]\]")
    lines = enumerate(text.splitlines(), 1)
    return [f"{name}, line {number}" for number, line in lines if header.match(line)]
