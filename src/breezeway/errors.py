"""Mistakes of the user, each with one or two plain sentences, a hint and an exit code.

Whoever catches a `UserError` shows it and ends with its exit code; a traceback of Breezeway's own
would tell the user nothing. `RequestTimeout` is for applications to see.
"""

from __future__ import annotations

from typing import ClassVar


class UserError(Exception):
    """Something that the user can put right.

    `message` says what is wrong, `hint` (may be empty) what to do about it, and `detail` (may be
    empty) is longer text to show before both, such as the traceback of the user's own code.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(UserError):
    """A command line or a setting that says something impossible."""

    exit_code = 2


class ApplicationNotFoundError(UserError):
    """The target names no WSGI application: no such module, no such attribute, not callable."""

    exit_code = 3


class ApplicationFailedError(UserError):
    """The application's own code failed while it was loaded; `detail` is its traceback."""

    exit_code = 3


class BindError(UserError):
    """A listener could not be bound."""

    exit_code = 4


class StatsdError(Exception):
    """There is no such server of metrics (`--statsd`); the text is the rest of a sentence."""


class RequestTimeout(BaseException):
    """The deadline of this request (`--request-timeout`) has passed; the client has got its 504.

    It is raised at most once in a request, wherever the application happens to be, as
    KeyboardInterrupt is in a program; and it is a BaseException for the same reason: `except
    Exception` around the work of a view must not take it for a failure of that work and go on. What
    has to be put back in order, such as a lock or a transaction, belongs into `with` or `finally`, as
    it does anyhow. Whoever catches it may finish what he is at, but nothing reaches the client any
    more: a later `write()` raises `ClientGone`.
    """

    __module__ = "breezeway"  # as applications know it, and tracebacks show it
