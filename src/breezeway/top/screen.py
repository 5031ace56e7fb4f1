"""The screen of `breezeway top`: panels, keys, and what the keys do (Textual).

Threads of `feed` ask the server and post what they hear; everything else happens in the event loop of
Textual. The mouse is left to the terminal, where it selects text.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.types import AnimationLevel

from breezeway import ctl_view
from breezeway.errors import UserError
from breezeway.top import dialogs, painting, tables
from breezeway.top.arrangement import Arrangement, arrange
from breezeway.top.events import BAD, GOOD, Event
from breezeway.top.feed import PERIOD_SECONDS, Repeating, in_background
from breezeway.top.panels import Panel, Table
from breezeway.top.running import Request, requests
from breezeway.top.servers import Choice, Server
from breezeway.top.store import Reading, Store
from breezeway.top.terminal import Terminal, watch_stops

KEYS: Final = (
    ("q", "quit"),
    ("?", "help"),
    ("r", "reload"),
    ("+ -", "scale"),
    ("x", "recycle"),
    ("s", "stacks"),
    ("p", "pause"),
)

WORD_SECONDS: Final = 60.0
"""How long it is told how an operation has ended."""

ENDING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""Signals that end it in good order, which gives the terminal back as it was."""


@dataclass
class Came(Message):
    """The server has told how it stands."""

    status: dict[str, Any]
    events: list[dict[str, Any]]


@dataclass
class Lost(Message):
    """The server cannot be asked."""

    why: str


@dataclass
class Stacks(Message):
    """The server has told what its threads are doing."""

    answer: dict[str, Any]
    asked: bool
    """Whether somebody waits for it, to read."""
    failure: str = ""
    """Why there is no answer."""


@dataclass
class Progress(Message):
    """An operation goes on."""

    text: str


@dataclass
class Ended(Message):
    """An operation has ended."""

    text: str
    failure: str
    """Empty if it succeeded; may have several lines."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that is asked for."""

    name: str
    question: str
    request: dict[str, Any]
    done: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the panels show; it stands still during a pause."""

    reading: Reading | None = None
    running: Sequence[Request] = ()
    events: Sequence[Event] = ()


class Top(App[int]):
    """The view of one server. It returns an exit status, None for 0."""

    CSS = files(__package__).joinpath("screen.tcss").read_text("utf-8")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "leave", "quit"),
        Binding("r", "reload", "reload"),
        Binding("plus,equals_sign", "scale(1)", "one more"),
        Binding("minus", "scale(-1)", "one less"),
        Binding("x", "recycle", "recycle"),
        Binding("s,enter", "stacks", "stacks"),
        Binding("p", "pause", "pause"),
        Binding("question_mark,h,f1", "help", "help"),
        Binding("ctrl+z", "suspend_process", "suspend"),
    ]

    def __init__(self, choices: Sequence[Choice], period: float = PERIOD_SECONDS) -> None:
        """Watch one of these servers, after a question if there are several."""
        super().__init__()
        self.animation_level: AnimationLevel = "none"
        self.under_way = ""
        """The name of the operation that goes on."""
        self._choices = choices
        self._period = period
        self._server: Server | None = None
        self._feeds: list[Repeating] = []
        self._store = Store()
        self._latest: Reading | None = None
        self._in_threads: list[Request] = []
        self._shown = Shown()
        self._trouble = ""
        """Why the server cannot be asked; empty if it can."""
        self._untold = ""
        """Why it does not tell what its threads are doing."""
        self._paused = False
        self._terminal: Terminal | None = None
        self._word = Text()
        self._said = 0.0
        """When it was, by the monotonic clock."""
        self._arrangement = Arrangement(False, False, -1, -1, -1, -1, -1, -1, -1)
        self._boxes = Horizontal(id="boxes")
        self._worker_table = Table(self._paint_workers, id="workers", title="Workers")
        self._request_table = Table(self._paint_requests, id="running", title="Running requests")
        self._panels: dict[str, Panel] = {
            each.id or "": each
            for each in (
                Panel(self._paint_head, id="head"),
                Panel(self._of(painting.traffic), id="traffic", title="Requests"),
                Panel(self._of(painting.latency), id="latency", title="Latency"),
                Panel(self._of(self._paint_gauges), id="gauges"),
                self._worker_table,
                self._request_table,
                Panel(self._paint_events, id="events", title="Events"),
                Panel(lambda *_: self._word, id="word"),
                Panel(self._paint_keys, id="keys"),
            )
        }

    # --- panels ------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Make the panels."""
        panels = self._panels
        yield panels["head"]
        with self._boxes:
            yield panels["traffic"]
            yield panels["latency"]
        yield panels["gauges"]
        yield self._worker_table
        yield self._request_table
        for name in ("events", "word", "keys"):
            yield panels[name]

    def _of(self, paint: Callable[[Reading, int, int], Text]) -> Callable[[int, int], Text]:
        """Return a function that paints the reading, once there is one."""

        def painted(width: int, height: int) -> Text:
            reading = self._shown.reading
            return Text() if reading is None else paint(reading, width, height)

        return painted

    def _paint_head(self, width: int, _: int) -> Text:
        reading = self._shown.reading
        if reading is None:
            text = Text(self._trouble or "asking the server …", no_wrap=True)
            text.truncate(width, overflow="ellipsis")
            return text
        return painting.head(reading, self._trouble, self._paused, width)

    def _paint_gauges(self, reading: Reading, width: int, height: int) -> Text:
        return painting.gauges(reading, width, height, brief=not self._arrangement.traffic)

    def _paint_workers(self, chosen: int, width: int, height: int) -> Text:
        reading = self._shown.reading
        return tables.workers(reading.workers if reading else (), chosen, width, height)

    def _paint_requests(self, chosen: int, width: int, height: int) -> Text:
        if self._untold:
            return painting.fit([Text(self._untold, painting.RED)], width)
        return tables.running(self._shown.running, chosen, width, height)

    def _paint_events(self, width: int, height: int) -> Text:
        return painting.events(self._shown.events, width, height)

    def _paint_keys(self, width: int, _: int) -> Text:
        pieces = [Text.assemble((key, "bold"), f" {what}") for key, what in KEYS]
        return painting.fit(pieces, width)

    def _show(self) -> None:
        """Show what is known by now, unless that is to stand still."""
        if not self._worker_table.is_attached:  # the end has come
            return
        if self._terminal is not None and self._terminal.is_gone:
            self.exit(128 + signal.SIGHUP)
            return
        if not self._paused:
            self._shown = Shown(self._latest, self._in_threads, tuple(self._store.events))
        reading, running = self._shown.reading, self._shown.running
        workers = reading.workers if reading else ()
        if not self.under_way and time.monotonic() - self._said > WORD_SECONDS:
            self._word = Text()
        size, word = self.size, bool(self._word)
        self._arrange(arrange(size.width, size.height, len(workers), len(running), word))
        table = self._worker_table
        table.border_title = f"Workers {len(workers)}"
        table.show([each.pid for each in workers])
        table = self._request_table
        table.border_title = f"Running requests {len(running)}, the longest first"
        table.show([each.key for each in running])
        for panel in self._panels.values():
            panel.update()

    def _arrange(self, new: Arrangement) -> None:
        """Give the panels their room, if it has changed."""
        if new == self._arrangement:
            return
        self._arrangement = new
        self._boxes.set_class(new.narrow, "narrow")
        self.screen_stack[0].set_class(new.low, "low")
        for name in ("traffic", "latency", "gauges", "workers", "running", "events", "word"):
            styles = self._panels[name].styles
            styles.height = lines = getattr(new, name)
            styles.display = "block" if lines else "none"

    # --- beginning and end -----------------------------------------------------------------------

    def on_mount(self) -> None:
        """Begin to watch, or ask first which server."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self.exit, 128 + number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        if not self.is_headless:
            self._terminal = Terminal()
            watch_stops(lambda: self.call_later(self._come_back))
        self._worker_table.focus()
        self._show()
        if len(self._choices) > 1:
            self.push_screen(dialogs.Servers(self._choices), self._watch)
        else:
            self._watch(self._choices[0].path)

    def _come_back(self) -> None:
        """Set the terminal up anew: whoever has stopped us may have used it meanwhile."""
        with self.suspend():
            pass

    def on_unmount(self) -> None:
        """Ask no more."""
        for each in self._feeds:
            each.stop()

    def on_resize(self) -> None:
        """Arrange the panels anew."""
        self._show()

    def _watch(self, path: str | None) -> None:
        if path is None:
            self.exit()
            return
        self._server = Server(path)
        self._feeds = [
            Repeating(self._ask_status, self._period),
            Repeating(self._ask_running, self._period),
        ]
        for each in self._feeds:
            each.start()

    # --- in threads ------------------------------------------------------------------------------

    def _tell(self, message: Message) -> None:
        """Post a message from a thread; at the end there may be nobody for it."""
        with contextlib.suppress(RuntimeError):
            self.post_message(message)

    def _ask_status(self) -> None:
        assert self._server is not None
        try:
            self._tell(Came(self._server.status(), self._server.events()))
        except UserError as error:
            self._tell(Lost(error.message))

    def _ask_running(self) -> None:
        if self._arrangement.running and self._latest is not None and not self._trouble:
            self._ask_stacks(asked=False)

    def _ask_stacks(self, *, asked: bool) -> None:
        assert self._server is not None
        try:
            self._tell(Stacks(self._server.stacks(), asked))
        except UserError as error:
            self._tell(Stacks({}, asked, error.message))

    def _operate(self, operation: Operation) -> None:
        assert self._server is not None
        name, began = operation.name, time.monotonic()

        def on_progress(text: str, done: int, total: int) -> None:
            self._tell(Progress(f"{name} [{done}/{total}] {ctl_view.clean(text)}"))

        try:
            self._server.operate(operation.request, on_progress)
        except UserError as error:
            self._tell(Ended(f"The {name}", error.message))
        else:
            took = ctl_view.duration(time.monotonic() - began)
            self._tell(Ended(f"{operation.done} in {took}.", ""))

    # --- what is heard -----------------------------------------------------------------------------

    def on_came(self, message: Came) -> None:
        """Show how the server stands."""
        self._latest = reading = self._store.add(message.status, message.events)
        if self._trouble:
            self._trouble = ""
            self._store.events.append(Event(reading.at, "the server answers again", GOOD))
        self._show()

    def on_lost(self, message: Lost) -> None:
        """Say that the server is not there; the feed goes on asking."""
        why = ctl_view.clean(message.why)
        if not self._trouble:
            self._store.events.append(Event(time.time(), why, BAD))
            self._in_threads = []
        self._trouble = f"{why} Asking again …"
        self._show()

    def on_stacks(self, message: Stacks) -> None:
        """Show the running requests, or their stacks to whoever has asked for them."""
        found = requests(message.answer)
        if message.failure and message.asked:
            failure = ctl_view.clean(message.failure)
            self._say(Text(f"There are no stacks: {failure}", painting.RED))
        elif message.asked:
            chosen = self._request_table.chosen
            key = self._shown.running[chosen].key if chosen >= 0 else None
            first = next((at for at, each in enumerate(found) if each.key == key), 0)
            self.push_screen(dialogs.stack_pages(found, first, painting.clock(time.time())))
        else:
            self._in_threads = found
            self._untold = ctl_view.clean(message.failure)
            self._show()

    def on_progress(self, message: Progress) -> None:
        """Show how far an operation is."""
        self._say(Text(message.text, painting.YELLOW))

    def on_ended(self, message: Ended) -> None:
        """Show how an operation has ended."""
        self.under_way = ""
        if not message.failure:
            self._say(Text(message.text, painting.GREEN))
            return
        lines = [ctl_view.clean(line) for line in message.failure.splitlines()]
        self._say(Text(f"{message.text} failed: {lines[0]}", painting.RED))
        if len(lines) > 1:
            self.push_screen(dialogs.Pages(f"{message.text} failed", Text("\n".join(lines))))

    def _say(self, word: Text) -> None:
        self._word = word
        self._word.no_wrap = True
        self._said = time.monotonic()
        self._show()

    # --- keys --------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """End; an operation goes on without us."""
        self.exit()

    def action_pause(self) -> None:
        """Let what is shown stand still, or go on."""
        self._paused = not self._paused
        self._show()

    def action_help(self) -> None:
        """Explain the keys."""
        self.push_screen(dialogs.help_pages())

    def action_stacks(self) -> None:
        """Ask for the stacks of the running requests."""
        if self._server is not None:
            in_background(lambda: self._ask_stacks(asked=True))

    def action_reload(self) -> None:
        """Reload, after a question."""
        if self._latest is not None:
            question = f"Reload {self._latest.application}, a worker at a time?"
            self._propose(Operation("reload", question, {"command": "reload"}, "Reloaded"))

    def action_scale(self, more: int) -> None:
        """Change the number of workers, after a question."""
        if self._latest is None:
            return
        before, after = self._latest.wanted, self._latest.wanted + more
        if after < 1:
            self._say(Text("There has to be one worker.", painting.YELLOW))
            return
        question = f"Scale from {before} to {after} workers?"
        request = {"command": "scale", "workers": after}
        self._propose(Operation("scale", question, request, f"Scaled to {after}"))

    def action_recycle(self) -> None:
        """Replace the chosen worker, after a question."""
        chosen = self._worker_table.chosen
        if self._shown.reading is None or chosen < 0:
            return
        worker = self._shown.reading.workers[chosen]
        question = (
            f"Recycle worker {worker.number} (pid {worker.pid})? Another one takes its place."
        )
        request = {"command": "recycle", "pid": worker.pid}
        done = f"Replaced worker {worker.number} (pid {worker.pid})"
        self._propose(Operation("recycle", question, request, done))

    def _propose(self, operation: Operation) -> None:
        """Ask whether to do it, and do it."""
        if self.under_way:
            self._say(Text(f"The {self.under_way} is under way still.", painting.YELLOW))
            return

        def answer(yes: bool | None) -> None:
            if yes:
                self.under_way = operation.name
                self._say(Text(f"{operation.name} …", painting.YELLOW))
                in_background(lambda: self._operate(operation))

        self.push_screen(dialogs.Question(operation.question), answer)
