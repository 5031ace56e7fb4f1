"""What the supervisor says about workers, in words."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from breezeway import terminal
from breezeway.observe import logs

logger = logging.getLogger("breezeway.supervisor")

LAST_LINES: Final = 12
"""Of a traceback in an answer to `ctl reload`; all of it is in the log."""

_logged: dict[str, str] = {}
"""The last failure that was logged in full."""


def say(text: str, level: int = logging.INFO) -> None:
    """Print a line for whoever has started the server, if there is still somebody who reads it.

    Where the log is of JSON objects, it is a message of that level instead: a machine reads it.
    """
    if logs.is_json():
        logger.log(level, "%s", click.unstyle(text))
        return
    with contextlib.suppress(OSError):
        terminal.say(text)


def describe_exit(status: int | None) -> str:
    """Say how a process ended, by what `os.waitpid` returned."""
    if status is None:
        return "has ended"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"


def log_failure(failure: Mapping[str, Any], what: str) -> None:
    """Log why a worker could not start; the same traceback is not repeated."""
    detail = failure.get("detail", "")
    text = f"{failure['message']} {failure.get('hint', '')}".strip()
    if detail and _logged.get("detail") != detail:
        _logged["detail"] = detail
        logger.error("%s: %s\n%s", what, text, detail.rstrip())
    else:
        logger.error("%s: %s", what, text)


def last_lines(failure: Mapping[str, Any]) -> str:
    """Put a failure into a few lines: its message, and the end of the traceback."""
    lines = failure.get("detail", "").rstrip().splitlines()[-LAST_LINES:]
    return "\n".join([failure["message"], *lines])


def stacks_as_text(threads: Sequence[Mapping[str, Any]]) -> str:
    """Write what threads are doing for the log."""
    parts = []
    for thread in threads:
        request = thread["request"]
        doing = f" in {request} for {thread['seconds']:.1f} s" if request else ""
        parts.append(f"{thread['name']}{doing}:")
        parts += [f"  {line}" for line in thread["stack"]]
    return "\n".join(parts)
