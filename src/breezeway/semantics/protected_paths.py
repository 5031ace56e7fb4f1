"""Which paths of a site are protected, so that no other way of writing one leads around the protection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from breezeway.semantics.path_prefixes import PathTable, readings


class ProtectedPaths:
    """Prefixes that are protected, and exempt ones within them; the longest that covers a path counts.

    An application may take `//admin` or `/x/../admin` for `/admin`. A path that can be read in several
    ways is protected when one of them is. And some take `/admin` for `/admin/`: what is protected with
    a slash at its end is so without, too.
    """

    def __init__(self, protect: Iterable[str], exempt: Iterable[str]) -> None:
        """Take the prefixes, each with a slash in front: `/admin` covers itself and what is below.

        Raises:
            ValueError: one has no slash in front, or is both.
        """
        table = dict.fromkeys(checked_list("protect", protect), True)
        table |= {prefix.rstrip("/"): True for prefix in table if prefix.strip("/")}
        for prefix in checked_list("exempt", exempt):
            if prefix in table and prefix != "/":
                raise ValueError(f"{prefix!r} is in protect and in exempt")
            table[prefix] = False
        self._table: Final = PathTable(table)
        self._all: Final = all(table.values()) and "/" in table

    def __contains__(self, path: str) -> bool:
        """Whether a path, as PATH_INFO has it, is protected."""
        if self._all:
            return True
        found = readings(path)
        if len(found) == 1:
            return self._table.get(found[0], False)
        return any(self._table.get(each, False) for each in found)


def checked_list(name: str, values: Any) -> list[str]:
    """Return texts of an option; raise ValueError when it is something else, such as one text."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{name} is a list of texts, not {values!r}")
    found = list(values)
    if not all(isinstance(value, str) for value in found):
        raise ValueError(f"{name} is a list of texts, not {values!r}")
    return found
