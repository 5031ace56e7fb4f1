"""An answer in place of that of an application that fails."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Answer = Callable[[WSGIEnvironment, StartResponse, Exception], list[bytes]]
"""Begins a response with `exc_info`, so that a server that has sent a part raises the error, and returns
its blocks."""


def answered(
    application: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    answer: Answer,
) -> Iterable[bytes]:
    """Call an application; `answer` if it fails, then or when it is asked for a block.

    Lists, tuples and objects of `wsgi.file_wrapper` go on as they are. What is no Exception, such as
    SystemExit, is nobody's to answer.
    """
    try:
        blocks = application(environ, start_response)
    except Exception as error:
        return answer(environ, start_response, _from_application(error))
    kind = type(blocks)
    if kind is list or kind is tuple or kind is environ.get("wsgi.file_wrapper"):
        return blocks
    return _Blocks(environ, start_response, answer, blocks)


def _from_application(error: Exception) -> Exception:
    """Take our own frame off the traceback, unless there is none below it."""
    traceback = error.__traceback__
    if traceback is not None and traceback.tb_next is not None:
        return error.with_traceback(traceback.tb_next)
    return error


def begin(
    start_response: StartResponse, status: str, headers: list[tuple[str, str]], error: Exception
) -> None:
    """Begin a response in place of the application's; a server that has sent a part raises the error.

    uWSGI fails whenever it is given `exc_info` (unbit/uwsgi issue 2278). It takes a second response
    without, as long as it has sent nothing of the first.
    """
    try:
        start_response(status, headers, (type(error), error, error.__traceback__))  # type: ignore[arg-type]
    except SystemError as failed:
        if failed is error:
            raise
        start_response(status, headers)


def tell(log: logging.Logger, error: Exception, message: str, *args: object) -> None:
    """Log a failure with its traceback; without it when Python cannot write it.

    It cannot when an attribute of the exception is of a wrong type, or the loader of a module raises,
    and then the logging fails, too.
    """
    try:
        log.error(message, *args, exc_info=error)
    except Exception as failed:
        names = (type(error).__name__, type(failed).__name__)
        with contextlib.suppress(Exception):  # there is still a client to be answered
            log.error(
                f"{message}: %s, whose traceback cannot be written because of %s", *args, *names
            )


class _Blocks:
    """The blocks of an application, and those of the answer in place of what does not come."""

    def __init__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        answer: Answer,
        blocks: Iterable[bytes],
    ) -> None:
        self._environ = environ
        self._start_response = start_response
        self._answer = answer
        self._application_blocks = blocks
        self._blocks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._blocks is None:
                self._blocks = iter(self._application_blocks)
            return next(self._blocks)
        except StopIteration:
            raise
        except Exception as error:
            failed = _from_application(error)
            answer = self._answer(self._environ, self._start_response, failed)
        self._blocks = iter(answer)
        return next(self._blocks, b"")

    def close(self) -> None:
        """Close the application's iterable."""
        close = getattr(self._application_blocks, "close", None)
        if close is not None:
            close()
