"""`breezeway top`: the command, and which of its views it takes.

The screen is for a terminal that has one, and needs the extra `top`. Everywhere else there are lines.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys

import click

from breezeway import terminal
from breezeway.errors import UserError
from breezeway.top.servers import Choice, Server, find, glance


@click.command("top")
@click.option("--socket", metavar="PATH", help="The control socket of the server.")
@click.option(
    "--pid", metavar="N", type=click.IntRange(min=1), help="The process id of its supervisor."
)
@click.option("--plain", is_flag=True, help="Print a line a second. [default: not on a terminal]")
@click.option("--once", is_flag=True, help="Print about one second, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object a second.")
def top(socket: str | None, pid: int | None, plain: bool, once: bool, as_json: bool) -> int:
    """Show what a running server is doing, second by second.

    Without --socket and --pid it is the only server there is; if there are several, it asks which.
    On a terminal ? explains the keys.
    """
    if plain or once or as_json or not _has_screen():
        return _print(Server(_find_one(socket, pid)), once=once, as_json=as_json)
    return _show(find(socket, pid))


def _find_one(socket: str | None, pid: int | None) -> str:
    from breezeway import ctl_client

    return ctl_client.find(socket, pid)


def _has_screen() -> bool:
    # Textual writes to standard error.
    has_terminal = terminal.is_terminal(sys.stdin, sys.stdout, sys.stderr)
    return has_terminal and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _print(server: Server, *, once: bool, as_json: bool) -> int:
    from breezeway.top import plain

    def write(text: str) -> None:
        click.echo(text)
        sys.stdout.flush()

    try:
        if once:
            plain.once(server, write, as_json=as_json)
        else:
            plain.follow(server, write, as_json=as_json, width=_width)
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    return 0


def _width() -> int:
    """Return the columns for a line; into a pipe or a file all of it goes."""
    if not terminal.is_terminal(sys.stdout):
        return sys.maxsize
    return shutil.get_terminal_size().columns


def _show(choices: list[Choice]) -> int:
    try:
        from breezeway.top.screen import ENDING, Top
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        hint = (
            "Install it with: pip install 'breezeway[top]'. 'breezeway top --plain' needs nothing."
        )
        raise UserError("the screen of 'breezeway top' needs Textual.", hint) from None

    if len(choices) == 1:
        glance(choices[0].path)
    app = Top(choices)
    # Until the application can handle them: they would leave the terminal as it is then.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        status = app.run(mouse=False)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if app.under_way:
        terminal.say(f"The {app.under_way} goes on; 'breezeway ctl status' shows how far it is.")
    return status if status is not None else app.return_code or 0
