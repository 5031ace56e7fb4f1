"""What the user may have meant: the names that are there, in a sentence for a hint.

All of it runs on the way to an error, so that what it needs is imported only then.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, ModuleType

MOST_NAMES = 5
"""How many names a hint lists."""


def near(name: str, names: Iterable[str], most: int = 3) -> str:
    """Ask whether one of the `most` names that look like `name` was meant; empty if none does."""
    import difflib

    found = difflib.get_close_matches(name, names, most)
    return f"Did you mean {' or '.join(map(repr, found))}?" if found else ""


def every(what: str, names: list[str]) -> str:
    """List `names`; empty if there are none."""
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f"{what} there: {', '.join(names[:MOST_NAMES])}{more}" if names else ""


def near_or_all(name: str, what: str, names: list[str]) -> str:
    """Suggest the names that look like `name`, or else list them all."""
    return near(name, names) or every(what, names)


def modules(directories: Iterable[str]) -> list[str]:
    """Name the modules and packages in `directories`."""
    import pkgutil

    return [module.name for module in pkgutil.iter_modules(directories)]


def callables(module: ModuleType) -> list[str]:
    """Name the public callables of `module` that it did not, as far as one can see, import.

    Looks at types alone: a value may be a proxy that raises when it is touched.
    """

    def own(value: object) -> bool:
        kind = type(value)
        if issubclass(kind, (type, FunctionType)):
            return bool(value.__module__ == module.__name__)
        return kind is not BuiltinFunctionType and callable(value)

    return [name for name, value in vars(module).items() if not name.startswith("_") and own(value)]
