"""Exceptions as text, whatever they are: what an application raises must not fail who tells it.

`traceback` fails over an exception whose attributes are of a wrong type, and over a module whose loader
does. CPython 3.15 moreover looks for a module that was not found in its package, and imports that for it.
When the package has not been imported because of just this failure, its code runs once more and fails
again, now in `traceback` (python/cpython issue 151631).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import TracebackException, format_exception_only, walk_tb
from types import TracebackType


def whole(
    error: BaseException,
    traceback: TracebackType | None,
    is_noise: Callable[[str], bool] = lambda filename: False,
) -> str:
    """Write an exception, and those that led to it, as Python prints them.

    Args:
        error: the exception.
        traceback: where it was raised.
        is_noise: whether to leave out the frames of a file.

    Returns:
        Lines, each with its newline.
    """
    try:
        with _without_lost_packages(error):
            report = TracebackException(type(error), error, traceback)
            reports = [report]
            for each in reports:
                each.stack[:] = [frame for frame in each.stack if not is_noise(frame.filename)]
                others = (each.__cause__, each.__context__, *(each.exceptions or ()))
                reports += [other for other in others if other is not None]
            return "".join(report.format())
    except Exception as failed:
        found = [(each, each.__traceback__) for each in _chain(error)]
        found[0] = error, traceback
        text = "".join(_places(where, is_noise) + _plainly(each) for each, where in reversed(found))
        return f"{text}(Python cannot print the traceback: {type(failed).__name__})\n"


def last_lines(error: BaseException) -> list[str]:
    """Write an exception alone, as Python does at the end of its traceback."""
    try:
        with _without_lost_packages(error):
            return format_exception_only(error)
    except Exception:
        return [_plainly(error)]


def _places(traceback: TracebackType | None, is_noise: Callable[[str], bool]) -> str:
    text = "Traceback (most recent call last):\n"
    for frame, line in walk_tb(traceback):
        code = frame.f_code
        if not is_noise(code.co_filename):
            text += f'  File "{code.co_filename}", line {line}, in {code.co_name}\n'
    return text


def _plainly(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}\n"
    except Exception:
        return f"{type(error).__name__}\n"


@contextmanager
def _without_lost_packages(error: BaseException) -> Iterator[None]:
    """Let nobody look for a module that was not found in a package that is not imported."""
    hidden = [
        (each, name)
        for each in _chain(error)
        if isinstance(each, ModuleNotFoundError) and _is_lost(name := each.name)
    ]
    for each, _ in hidden:
        each.name = None
    try:
        yield
    finally:
        for each, name in hidden:
            each.name = name


def _is_lost(module: str | None) -> bool:
    package = (module or "").rpartition(".")[0]
    return bool(package) and sys.modules.get(package) is None


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception with all that have led to it, and those in groups."""
    found, seen = [error], {id(error)}
    for each in found:
        parts = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        for other in (each.__cause__, each.__context__, *parts):
            if other is not None and id(other) not in seen:
                found.append(other)
                seen.add(id(other))
    return found
