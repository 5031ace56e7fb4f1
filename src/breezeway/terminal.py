"""What the user of the command line reads: plain lines on standard error, in colour on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn, TextIO

import click

from breezeway.errors import UserError


def say(text: str) -> None:
    """Print a line on standard error, in colour on a terminal unless NO_COLOR is set."""
    # None lets click decide: colour on a terminal, none elsewhere. https://no-color.org
    click.echo(text, err=True, color=False if os.environ.get("NO_COLOR") else None)


def is_terminal(*streams: TextIO | None) -> bool:
    """Whether each of these standard streams is a terminal; one that is closed is none."""
    return all(each is not None and each.isatty() for each in streams)


def settle() -> None:
    """Before the end: an output that nobody reads any more must not change the exit status.

    Python ends with status 120 when what is left to write cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def fail(error: UserError) -> NoReturn:
    """Tell a mistake of the user, and exit with its status."""
    say(error.detail + complaint(error.message, error.hint))
    sys.exit(error.exit_code)


def complaint(message: str, hint: str) -> str:
    """Word a mistake: what is wrong, and what to do about it."""
    text = f"breezeway: {click.style('error:', fg='red', bold=True)} {message}"
    return f"{text}\n{click.style('hint:', bold=True)} {hint}" if hint else text
