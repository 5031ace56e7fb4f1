"""`breezeway ctl`: look at a running server, and tell it what to do.

Each command is one request on the control socket (docs/control.md). On a terminal the answer is for
people; elsewhere, or with --json, it is the result as JSON on standard output. Progress and failures
go to standard error. The exit status is 0 if the operation succeeded, 1 if it failed or there is no
server, 2 for wrong usage, 130 after Ctrl-C, which ends the waiting and not the operation.

This file is imported with the command line, so that it imports what it needs late.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from breezeway import terminal
from breezeway.errors import UserError

if TYPE_CHECKING:
    from breezeway.ctl_client import Answer

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C: 128 and SIGINT, as a shell has it."""

ERASE_LINE: Final = "\r\x1b[K"
"""Back to the first column, and erase to the right (ECMA-48)."""

View = Callable[["Answer"], str]


class _Progress:
    """Tells how far an operation is: one line that changes on a terminal, line by line elsewhere."""

    def __init__(self) -> None:
        self._rewrites = terminal.is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
        self._shown = False

    def __call__(self, text: str, done: int, total: int) -> None:
        from breezeway import ctl_view

        line = f"[{done}/{total}] {ctl_view.clean(text)}"
        if self._rewrites:
            click.echo(ERASE_LINE + line, nl=False, err=True)
            self._shown = True
        else:
            terminal.say(line)

    def close(self) -> None:
        """Take the line away again."""
        if self._shown:
            click.echo(ERASE_LINE, nl=False, err=True)
            self._shown = False


class _Command(click.Command):
    """A command that takes the options that choose a server; they may stand before it, too."""

    def __init__(self, name: str, callback: Callable[..., int], **more: Any) -> None:
        params = [*more.pop("params", ()), *_common()]
        super().__init__(name, callback=callback, params=params, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; an option after the command counts more than the same before it."""
        before = ctx.parent.params if ctx.parent else {}
        for name in ("socket", "pid", "json"):
            given = ctx.params.pop(f"common_{name}")
            ctx.params[f"common_{name}"] = before.get(f"common_{name}") if given is None else given
        return super().invoke(ctx)


def _common() -> list[click.Parameter]:
    return [
        click.Option(
            ["--socket", "common_socket"], metavar="PATH", help="The control socket of the server."
        ),
        click.Option(
            ["--pid", "common_pid"],
            metavar="N",
            type=click.IntRange(min=1),
            help="The process id of its supervisor.",
        ),
        click.Option(
            ["--json/--no-json", "common_json"],
            default=None,
            help="Print JSON, or text for people. [default: text on a terminal]",
        ),
    ]


def _status(**common: Any) -> int:
    from breezeway import ctl_view

    return _run({"command": "status"}, common, view=ctl_view.status, quick=True)


def _stacks(worker: int | None, **common: Any) -> int:
    from breezeway import ctl_view

    return _run(_request("stacks", pid=worker), common, view=ctl_view.stacks, quick=True)


def _reload(**common: Any) -> int:
    return _run({"command": "reload"}, common, view=_done("Reloaded"))


def _scale(workers: int, **common: Any) -> int:
    view = _done(f"Scaled to {workers} worker{'' if workers == 1 else 's'}")
    return _run({"command": "scale", "workers": workers}, common, view=view)


def _stop(now: bool, **common: Any) -> int:
    return _run({"command": "stop", "now": now}, common, view=_done("Stopped"))


def _recycle(worker: int | None, **common: Any) -> int:
    what = "every worker" if worker is None else f"worker {worker}"
    return _run(_request("recycle", pid=worker), common, view=_done(f"Replaced {what}"))


def _upgrade(**common: Any) -> int:
    def what(result: Answer) -> str:
        pid = result.get("pid")
        return "Upgraded" if pid is None else f"Upgraded to supervisor {pid}"

    return _run({"command": "upgrade"}, common, view=_done(what))


def _telemetry(**common: Any) -> int:
    from breezeway import ctl_client, telemetry

    chosen, pid = common["common_socket"], common["common_pid"]

    def ask() -> Answer:
        path = ctl_client.find(chosen, pid)
        return ctl_client.ask(
            path,
            {"command": "status"},
            seconds=ctl_client.ANSWER_SECONDS,
            on_progress=lambda *_: None,
        )

    telemetry.export(ask, str(ask().get("application") or "breezeway"))
    return 0


def _request(command: str, **arguments: Any) -> dict[str, Any]:
    """Put a request together; what is None is left out."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return {"command": command, **given}


def _done(what: str | View) -> View:
    """Return a view that says that `what` was done, and how long it took from now on."""
    began = time.monotonic()

    def view(result: Answer) -> str:
        from breezeway import ctl_view

        done = what if isinstance(what, str) else what(result)
        return f"{done} in {ctl_view.duration(time.monotonic() - began)}."

    return view


def _run(
    request: dict[str, Any], common: dict[str, Any], *, view: View, quick: bool = False
) -> int:
    """Choose the server, ask it, show the answer; return the exit status.

    `quick` is an operation that takes no time unless something is wrong.
    """
    from breezeway import ctl_client

    as_json = common["common_json"]
    if as_json is None:
        as_json = not terminal.is_terminal(sys.stdout)
    path = ctl_client.find(common["common_socket"], common["common_pid"])
    command = request["command"]
    progress = _Progress()
    try:
        result = _ask(path, request, progress, quick=quick)
    except KeyboardInterrupt:
        progress.close()
        if not quick:
            terminal.say(f"The {command} goes on; 'breezeway ctl status' shows how far it is.")
        return INTERRUPTED
    except ctl_client.FailedError as error:
        progress.close()
        raise _failure(command, error.message) from None
    finally:
        progress.close()
    _show(result, view, as_json=as_json)
    return 0


def _ask(path: str, request: dict[str, Any], progress: _Progress, *, quick: bool) -> Answer:
    """Ask, and wait for the result; with `stop`, until the server has ended."""
    from breezeway import ctl_client

    seconds = ctl_client.ANSWER_SECONDS if quick else None
    stopping = request["command"] == "stop"
    result: Answer = {}
    try:
        result = ctl_client.ask(path, request, seconds=seconds, on_progress=progress)
    except ctl_client.GoneError:
        if not stopping:  # otherwise it was faster than its answer
            raise
    if stopping:
        ctl_client.wait_until_gone(path)
    return result


def _failure(command: str, text: str) -> UserError:
    """Word a failure: what is long, such as a traceback, goes before the sentence."""
    from breezeway import ctl_view

    lines = [ctl_view.clean(line) for line in text.rstrip("\n").split("\n")]
    if len(lines) > 1:
        return UserError(f"the {command} failed.", detail="\n".join(lines) + "\n")
    return UserError(f"the {command} failed: {lines[0]}")


def _show(result: Answer, view: View, *, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps(result, indent=2))
    else:
        # As in terminal.say(): None lets click decide by the terminal.
        click.echo(view(result), color=False if os.environ.get("NO_COLOR") else None)


ctl = click.Group(
    "ctl",
    params=_common(),
    no_args_is_help=False,
    help="""Look at a running server and control it.

Without --socket and --pid it is the only server there is. On a terminal the output is for people,
elsewhere it is JSON. The exit status is 0 if the operation succeeded.""",
    commands=[
        _Command("status", _status, help="Show the server and its workers."),
        _Command("reload", _reload, help="Load settings and application anew, losing no request."),
        _Command(
            "scale",
            _scale,
            params=[click.Argument(["workers"], metavar="N", type=click.IntRange(min=1))],
            help="Change the number of workers.",
        ),
        _Command(
            "stop",
            _stop,
            params=[click.Option(["--now"], is_flag=True, help="Cut off the requests in flight.")],
            help="Stop the server; requests in flight are finished.",
        ),
        _Command(
            "stacks",
            _stacks,
            params=[click.Argument(["worker"], metavar="[PID]", type=int, required=False)],
            help="Show what each thread is doing, of the worker PID or of all.",
        ),
        _Command(
            "recycle",
            _recycle,
            params=[click.Argument(["worker"], metavar="[PID]", type=int, required=False)],
            help="Replace the worker PID, or all one after the other, losing no request.",
        ),
        _Command("upgrade", _upgrade, help="Start the supervisor anew, losing no request."),
        _Command(
            "telemetry", _telemetry, help="Send the metrics to OpenTelemetry (OTLP) until Ctrl-C."
        ),
    ],
)
"""`breezeway ctl`; each command returns its exit status."""
