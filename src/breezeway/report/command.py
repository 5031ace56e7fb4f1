"""`breezeway report`: its options, and where the report goes."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click

from breezeway import terminal
from breezeway.errors import UsageError, UserError

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

NARROWEST: Final = 60
WIDEST: Final = 140
"""Columns of the report for a terminal."""

PIPED: Final = 120
"""Columns where there is no terminal."""


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a moment, or how long ago it was, as seconds since 1970."""
    if value is None:
        return None
    if ago := re.fullmatch(r"(\d{1,9})([smhdw])", value, re.ASCII):
        return int(time.time()) - int(ago[1]) * UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(value)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"'{value}' is no time. Write 2026-11-22, 2026-11-22T15:04 (in UTC, or with an"
            " offset as in +01:00), or how long ago: 90s, 30m, 2h, 7d, 1w.",
            ctx,
            param,
        ) from None


@click.command("report", context_settings={"max_content_width": 100})
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--html", metavar="FILE", help="Write a page to FILE; - is standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--since", callback=_moment, metavar="TIME", help="Leave out requests before it.")
@click.option("--until", callback=_moment, metavar="TIME", help="Leave out requests from it on.")
@click.option("--path", default="", metavar="PATH", help="Only this path, and those below it.")
def report(
    files: tuple[str, ...],
    html: str | None,
    as_json: bool,
    since: int | None,
    until: int | None,
    path: str,
) -> int:
    """Report what an access log says: traffic, times, errors, clients.

    FILE is a log that --access-log has written, as JSON or in the combined format, which Apache and
    nginx write, too; it may be compressed by gzip, xz or zstd. Several are read one after another; - is
    standard input. A TIME is 2026-11-22T15:04, in UTC, or how long ago, as 2h.
    """
    if html == "-" and as_json:
        raise UsageError("--html - and --json both write to standard output.")
    if path and not path.startswith("/"):
        raise UsageError(f"--path must begin with a slash: {path}")
    if html is not None:
        _check_writable(html, files)
    from breezeway.report.summary import summary
    from breezeway.report.tally import Selection

    numbers = summary(_tally(files, Selection(since, until, path)), files)
    if html is not None:
        from breezeway.report.page import page

        _write(html, page(numbers))
    if as_json:
        click.echo(json.dumps(numbers, indent=1))
    elif html is None:
        from breezeway.report import text

        _print(text.report(numbers, _width()))
    return 0


def _tally(files: tuple[str, ...], selection: Any) -> Any:
    """Count all files.

    Raises:
        UserError: one cannot be read, or there is no request in any.
    """
    from breezeway.report.reading import read
    from breezeway.report.sources import Source

    with ExitStack() as stack:
        sources = [Source(file) for file in files]
        for source in sources:
            stack.callback(source.close)
        with _progress(sum(source.size for source in sources)) as advance:
            tally = read(sources, selection, advance, _warn)
    names = " and ".join(files) if len(files) < 3 else "these files"
    if tally.requests:
        return tally
    if tally.left_out:
        left_out = f"none of the {tally.left_out:,} requests in {names} is asked for."
        raise UserError(left_out, "See --since, --until and --path.")
    if tally.unreadable or tally.unfinished:
        raise UserError(
            f"no line of {names} is one of an access log.",
            "It reads JSON as --access-log writes it, and the combined format.",
        )
    raise UserError(f"there is no request in {names}: it is empty.")


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error, if that is a terminal and the size is known."""
    if not size or not terminal.is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield lambda done: None
        return
    with click.progressbar(length=size, label="Reading", file=sys.stderr) as bar:
        yield bar.update
    click.echo("\x1b[1A\x1b[2K", file=sys.stderr, nl=False)  # up a line, erase it (ECMA-48)


def _warn(text: str) -> None:
    terminal.say(f"breezeway: {click.style('warning:', fg='yellow', bold=True)} {text}")


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((PIPED, 0)).columns))


def _print(text: str) -> None:
    """Print the report; a letter that the terminal's encoding has not becomes a question mark."""
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def _check_writable(file: str, logs: tuple[str, ...]) -> None:
    """Complain before an hour's log is read, and not afterwards; or written over."""
    if file == "-":
        return
    folder = os.path.dirname(file) or "."
    if os.path.isdir(file):
        raise UserError(f"cannot write to {file}: it is a directory.")
    there = filter(os.path.exists, logs) if os.path.exists(file) else ()
    if any(os.path.samefile(log, file) for log in there):
        raise UserError(f"cannot write to {file}: it is a log to report on.")
    if not os.path.isdir(folder):
        raise UserError(f"cannot write to {file}: there is no directory {folder}.")
    if not os.access(file if os.path.exists(file) else folder, os.W_OK):
        raise UserError(f"cannot write to {file}: that is not permitted.")


def _write(file: str, text: str) -> None:
    if file == "-":
        click.echo(text, nl=False)
        return
    try:
        with open(file, "w", encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        raise UserError(f"cannot write to {file}: {error.strerror}.") from None
    terminal.say(f"Wrote {file}.")
