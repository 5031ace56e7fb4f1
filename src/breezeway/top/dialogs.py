"""What comes up over the panels: questions, help, stacks, and why something has failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from breezeway import ctl_view
from breezeway.top.painting import ACCENT, BOLD, DIM
from breezeway.top.running import Request
from breezeway.top.servers import Choice

HELP: Final = (
    ("q", "quit; so does Ctrl-C"),
    ("r", "reload settings and application, a worker at a time"),
    ("+  -", "one worker more, one less"),
    ("x", "recycle the worker that is marked: another takes its place"),
    ("s  Enter", "the stacks of the running requests, the marked one first"),
    ("p", "pause: what is shown stands still; p again goes on"),
    ("Tab", "go from the workers to the running requests and back"),
    ("↑ ↓  k j", "mark another row; PageUp, PageDown for ten"),
    ("?", "this"),
)

NOTES: Final = """
r, + - and x ask first: y does it, any other key does not. No request is lost by any of them.

1 s and 10 s: of the requests that ended in the last second, in the last ten.
queue: how long 99 of 100 waited for a thread at most. errors: 5xx, and none at all.
BUSY: threads in a request, of those that may be. FOR: since the request was complete.
"""


MOST_STACKS: Final = 50
"""Requests whose stacks are shown; a screen with those of a thousand stands still for seconds."""


class Question(ModalScreen[bool]):
    """Asks for y or n."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Show the question."""
        with Vertical(classes="dialog question"):
            yield Static(Text(self._text), id="question")
            yield Static(Text.assemble(("y", BOLD), " yes   ", ("n", BOLD), " no"), classes="keys")

    def on_key(self, event: Key) -> None:
        """Do it with y, and with no other key."""
        event.stop()
        self.dismiss(event.character in ("y", "Y"))


class Pages(ModalScreen[None]):
    """Shows a text that may be longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,ctrl+c", "close", "close"),
        Binding("up,k", "scroll(-1)", "up"),
        Binding("down,j", "scroll(1)", "down"),
        Binding("pageup", "scroll(-10)", "up"),
        Binding("pagedown,space", "scroll(10)", "down"),
    ]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Show the text."""
        with VerticalScroll(classes="dialog pages") as scroll:
            scroll.border_title = self._title
            scroll.border_subtitle = "Esc closes"
            scroll.can_focus = False
            yield Static(self._text, id="pages")

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scroll it."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


class Servers(ModalScreen[str | None]):
    """Asks which of several servers is meant."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up"),
        Binding("down,j", "move(1)", "down"),
        Binding("enter", "choose", "choose"),
        Binding("escape,q,ctrl+c", "leave", "quit"),
    ]

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._choices = choices
        self._chosen = 0

    def compose(self) -> ComposeResult:
        """Show them."""
        with VerticalScroll(classes="dialog pages") as scroll:
            scroll.border_title = f"There are {len(self._choices)} servers; which one?"
            scroll.border_subtitle = "Enter chooses, Esc quits"
            scroll.can_focus = False
            yield Static(self._list(), id="servers")

    def action_move(self, rows: int) -> None:
        """Mark another one."""
        self._chosen = min(max(self._chosen + rows, 0), len(self._choices) - 1)
        self.query_one("#servers", Static).update(self._list())

    def action_choose(self) -> None:
        """Take the one that is marked."""
        self.dismiss(self._choices[self._chosen].path)

    def action_leave(self) -> None:
        """Take none."""
        self.dismiss(None)

    def _list(self) -> Text:
        lines = []
        for at, each in enumerate(self._choices):
            chosen = at == self._chosen
            lines.append(Text(f"{'▸' if chosen else ' '} {each.text}", BOLD if chosen else ""))
        return Text("\n").join(lines)


def help_pages() -> Pages:
    """Explain the keys."""
    lines = [Text.assemble((f"{keys:10}", f"bold {ACCENT}"), text) for keys, text in HELP]
    return Pages("breezeway top", Text("\n").join([*lines, Text(NOTES.rstrip(), DIM)]))


def stack_pages(requests: Sequence[Request], first: int, at: str) -> Pages:
    """Show the stacks of the running requests, beginning with one of them."""
    order = [*requests[first : first + 1], *requests[: max(first, 0)], *requests[first + 1 :]]
    parts = [_stack(each) for each in order[:MOST_STACKS]]
    if len(order) > MOST_STACKS:
        parts.append(Text(f"and {len(order) - MOST_STACKS} more", DIM))
    if not parts:
        parts = [Text("No request is running.", DIM)]
    return Pages(f"Running requests at {at} UTC", Text("\n\n").join(parts))


def _stack(request: Request) -> Text:
    head = Text.assemble(
        (request.line, f"bold {ACCENT}"),
        (f"  for {ctl_view.duration(request.seconds)}", BOLD),
        (f"  worker {request.pid}, {request.thread}", DIM),
    )
    lines = [
        Text(f"  {line}", DIM if line.lstrip().startswith('File "') else "")
        for line in request.stack
    ]
    return Text("\n").join([head, *lines])
