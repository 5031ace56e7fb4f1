"""The console of `Debugger`: code that is run within the frames of a failure."""

from __future__ import annotations

import ast
import contextlib
import hmac
import io
import secrets
import textwrap
import threading
from collections import OrderedDict
from typing import Any, Final

from breezeway.middleware.debugger.traceback import Failure, whole
from breezeway.middleware.debugger.values import shown

MOST_FAILURES: Final = 10
"""That can be looked into at a time; older ones are forgotten with all that their frames hold."""

MOST_TRIES: Final = 10
"""Wrong PINs until the console stays closed."""

SHORTEST_PIN: Final = 6
"""Characters; with ten tries, six digits are guessed once in a hundred thousand times."""

LONGEST_OUTPUT: Final = 100_000
"""Characters of what a piece of code prints."""


class ConsoleError(Exception):
    """A request that the console refuses, with the status line of the answer."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class _Look:
    """A failure that is looked into, and what was defined in its frames."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        self.spaces: dict[int, dict[str, Any]] = {}

    def space(self, number: int) -> dict[str, Any]:
        """Return the names of a frame, in one table: so a comprehension of the console sees all."""
        if number not in self.spaces:
            frame = self.failure.frames[number].frame
            self.spaces[number] = {**frame.f_globals, **frame.f_locals}
        return self.spaces[number]


class Console:
    """Keeps failures, and runs code for who knows the PIN."""

    def __init__(self, pin: str | None) -> None:
        """Check the PIN, or make one; raise ValueError if it is too short."""
        if pin is None:
            digits = f"{secrets.randbelow(10**9):09}"
            pin = f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
        elif not isinstance(pin, str) or len(pin) < SHORTEST_PIN:
            raise ValueError(f"pin must be a text of {SHORTEST_PIN} characters at least")
        self.pin = pin
        self._tries = 0
        self._key = secrets.token_urlsafe(32)
        self._looks: OrderedDict[str, _Look] = OrderedDict()
        self._lock = threading.Lock()
        self._running = threading.Lock()

    def keep(self, failure: Failure) -> str:
        """Keep a failure; return the secret by which its page asks for it."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._looks[secret] = _Look(failure)
            while len(self._looks) > MOST_FAILURES:
                self._looks.popitem(last=False)
        return secret

    def answer(self, request: dict[str, Any]) -> dict[str, str]:
        """Answer a request of a failure's page; return an object for JSON.

        Raises:
            ConsoleError: the request is refused.
        """
        with self._lock:
            look = self._looks.get(str(request.get("failure")))
        if look is None:
            raise ConsoleError("404 Not Found", "this failure is forgotten; reload the page")
        if "pin" in request:
            self._unlock(str(request["pin"]))
            return {"key": self._key}
        if not _is_same(str(request.get("key")), self._key):
            raise ConsoleError("401 Unauthorized", "the console is locked")
        number, code = request.get("frame"), request.get("code")
        if type(number) is not int or not 0 <= number < len(look.failure.frames):
            raise ConsoleError("404 Not Found", "there is no such frame")
        if not isinstance(code, str):
            raise ConsoleError("400 Bad Request", "there is no code")
        return {"output": self._run(look, number, code)}

    def _unlock(self, pin: str) -> None:
        with self._lock:
            if self._tries >= MOST_TRIES:
                raise ConsoleError(
                    "403 Forbidden", "too many wrong PINs; start the server anew to try again"
                )
            if not _is_same(pin.strip(), self.pin):
                self._tries += 1
                raise ConsoleError("401 Unauthorized", "that is not the PIN")
            self._tries = 0

    def _run(self, look: _Look, number: int, code: str) -> str:
        names = look.space(number)
        output = io.StringIO()
        # Who prints elsewhere meanwhile is seen here: it is a console for development.
        with self._running, contextlib.redirect_stdout(output):
            try:
                value = _value(code, names)
                if value is not None:
                    print(shown(value))  # noqa: T201  # into the output
            except BaseException as error:
                output.write(_told(error))
        return output.getvalue()[:LONGEST_OUTPUT]


def _is_same(given: str, right: str) -> bool:
    return hmac.compare_digest(*(text.encode("utf-8", "replace") for text in (given, right)))


def _value(code: str, names: dict[str, Any]) -> object:
    """Run statements; return the value of the last one if that is an expression, else None."""
    statements = ast.parse(textwrap.dedent(code), "<console>")
    last = statements.body[-1] if statements.body else None
    if isinstance(last, ast.Expr):
        statements.body.pop()
    exec(compile(statements, "<console>", "exec"), names)  # noqa: S102  # what it is for
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), "<console>", "eval"), names)  # noqa: S307


def _told(error: BaseException) -> str:
    """Write the traceback of code of the console."""
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename != "<console>":
        found = found.tb_next
    return whole(error.with_traceback(found))
