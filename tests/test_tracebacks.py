"""Exceptions as text, whatever they are."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from breezeway import tracebacks


def raised(function: Callable[[], object]) -> tuple[BaseException, TracebackType | None]:
    """Call what raises; return the exception, and its traceback from that call on."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        function()
    return caught.value, caught.tb.tb_next


def in_a_group() -> None:
    """Raise a group with a cause and a context."""
    try:
        {}["missing"]
    except KeyError as missing:
        try:
            raise ValueError("from it") from missing
        except ValueError:
            raise ExceptionGroup("many", [TypeError("one"), OSError("two")])


def endless() -> None:
    """Never end."""
    endless()


def in_a_chain() -> None:
    """Raise an exception that thousands of others have led to."""
    last = None
    for number in range(1500):
        error = ValueError(number)
        error.__context__ = last
        last = error
    raise last or AssertionError


@pytest.mark.parametrize(
    "function",
    [in_a_group, endless, in_a_chain, lambda: compile("a b", "f", "exec"), lambda: int("x")],
)
def test_as_python_has_it(function: Callable[[], object]) -> None:
    """Without the traceback's odd cases, the text is Python's own."""
    error, found = raised(function)
    assert tracebacks.whole(error, found) == "".join(
        traceback.format_exception(type(error), error, found)
    )
    assert tracebacks.last_lines(error) == traceback.format_exception_only(error)


def test_noise() -> None:
    """Frames of files that are noise are left out, also of the exceptions that led to this one."""
    error, found = raised(in_a_group)
    text = tracebacks.whole(error, found, lambda filename: filename == __file__)
    assert __file__ not in text
    assert [kind in text for kind in ("KeyError", "ValueError", "ExceptionGroup")] == [True] * 3


class Odd(SyntaxError):
    """An exception that Python cannot print."""

    @property
    def lineno(self) -> int:  # type: ignore[override]
        """Fail."""
        raise LookupError


class Loader:
    """Finds no source."""

    def get_source(self, name: str) -> str:
        """Fail."""
        raise ZeroDivisionError


def execute(text: str, **names: Any) -> Callable[[], object]:
    """Return a function that executes a piece of Python."""
    return lambda: exec(compile(text, "made", "exec"), names)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (execute("raise SyntaxError('x', ('f', 'no', 'line', 'text'))"), "SyntaxError: x"),
        (execute("raise Odd('x')", Odd=Odd), "Odd: x\n"),
        (execute("raise ModuleNotFoundError('x', name=5)"), "ModuleNotFoundError: x\n"),
        (execute("1/0", __loader__=Loader(), __name__="made"), "ZeroDivisionError: division"),
        (execute("e = ValueError('x'); e.__notes__ = 7; raise e"), "ValueError: x\n"),
    ],
)
def test_odd_exceptions(function: Callable[[], object], said: str) -> None:
    """What Python cannot print has its places and its text all the same."""
    error, found = raised(function)
    text = tracebacks.whole(error, found)
    assert text.startswith("Traceback (most recent call last):\n")
    assert '  File "made", line 1, in <module>\n' in text
    assert f"\n{said}" in text
    assert said.rstrip("\n") in "".join(tracebacks.last_lines(error))
    later = RuntimeError("later")
    later.__context__ = error
    text = tracebacks.whole(later, None)
    assert text.index(f"\n{said}") < text.index("RuntimeError: later\n")


@pytest.mark.parametrize("name", ["lost_package", "lost_package.missing"])
def test_package_that_failed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that does not find a module of its own is imported once, and not again to tell it."""
    package = tmp_path / "lost_package"
    package.mkdir()
    (package / "__init__.py").write_text("print('imported')\nimport lost_package.missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    error, found = raised(lambda: __import__(name))
    last = "ModuleNotFoundError: No module named 'lost_package.missing'\n"
    for each in (error, RuntimeError("later"), ExceptionGroup("all", [ValueError(), error])):
        each.__cause__ = error if each is not error else None
        assert last in tracebacks.whole(each, found)
    assert "cannot print" not in tracebacks.whole(error, found)
    assert tracebacks.last_lines(error) == [last]
    assert capsys.readouterr().out == "imported\n"
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "lost_package.missing"
