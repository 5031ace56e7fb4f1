"""The screen, driven by Textual's own pilot, against a supervisor with canned answers."""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

import pytest
import textual.app
import textual.pilot
from textual.widgets import Static

from breezeway.top import dialogs, screen, servers
from breezeway.top.arrangement import FOOT, GAUGES, HEAD
from breezeway.top.panels import Panel, Table
from breezeway.top.running import Request
from breezeway.top.servers import Choice

from ..fake_supervisor import DEADLINE, TRACEBACK, Fake
from .statuses import Server

pytestmark = pytest.mark.once

PERIOD = 0.05
"""Seconds between two statuses; the server says that it was one."""


class Live(Fake):
    """A supervisor whose numbers go on, and that does what it is told."""

    def __init__(self, path, pid=4711):
        self.server = Server()
        self.server.facts["pid"] = pid
        self.fails = ""
        self.held = None
        self.finishes = False
        super().__init__(path)

    def on_status(self, request, caller):
        assert request.get("watch") or self.server.facts["pid"] != 4711
        if self.held and self.finishes:
            self.held.succeed({"workers": 3})
            self.server.facts["wanted"] = 3
            self.held = None
        self.server.answer(1000, 0.004)
        caller.succeed(self.server.status(1))

    def on_events(self, request, caller):
        event = {"number": 1, "time": 0.0, "level": "info", "text": "reloaded\x1b[2J in 59ms"}
        caller.succeed({"events": [] if request["after"] else [event]})

    def on_reload(self, request, caller):
        if self.fails:
            caller.fail(self.fails)
        else:
            super().on_reload(request, caller)

    def on_scale(self, request, caller):
        caller.progress("1 of 1 workers started or ended", 1, 1)
        self.held = caller

    def asked(self, command):
        """Return what was asked for of that kind."""
        return [each for each in self.requests if each["command"] == command]


@pytest.fixture(autouse=True)
def never_idle(monkeypatch):
    """Have the pilot not wait until nothing happens: the server goes on talking."""

    async def wait(*_):
        await asyncio.sleep(0)

    for module in (textual.app, textual.pilot):
        monkeypatch.setattr(module, "wait_for_idle", wait)


@pytest.fixture
def directory():
    """Give a directory for sockets, whose paths must not be long."""
    with tempfile.TemporaryDirectory(prefix="bw") as name:
        yield Path(name)


@pytest.fixture
def live(directory):
    """Give a supervisor."""
    supervisor = Live(directory / "4711.sock")
    yield supervisor
    supervisor.close()


def shown(app, name=""):
    """Return the text of a panel, or of all of them."""
    panels = [app.query_one(f"#{name}", Panel)] if name else app.screen_stack[0].query(Panel)
    return "\n".join(panel.render().plain for panel in panels)


async def until(pilot, condition, what):
    """Wait until a condition holds."""
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends, f"not in time: {what}\n{shown(pilot.app)}"
        await pilot.pause(0.01)


def run(story, *supervisors, size=(100, 32)):
    """Run the screen for these servers, and a story with it; return its exit status."""
    choices = [Choice(each.path, f"pid {each.server.facts['pid']}") for each in supervisors]

    async def play():
        app = screen.Top(choices, PERIOD)
        async with app.run_test(size=size) as pilot:
            await story(app, pilot)
        return app.return_value

    return asyncio.run(play())


async def question(pilot, key):
    """Press a key that asks; return the question."""
    await pilot.press(key)
    await opened(pilot, dialogs.Question)
    return str(pilot.app.screen.query_one("#question").render())


async def opened(pilot, kind):
    """Wait for a dialog, and for what is in it."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind), kind.__name__)
    await until(pilot, lambda: pilot.app.screen.query(Static), "its text")


async def closed(pilot):
    """Wait until there is no dialog."""
    await until(pilot, lambda: len(pilot.app.screen_stack) == 1, "no dialog")


async def measured(app, pilot):
    """Wait for the first rates and the first running requests."""
    await until(pilot, lambda: "1,000 requests/s" in shown(app, "traffic"), "rates")
    await until(pilot, lambda: "GET /report" in shown(app, "running"), "running requests")


def test_everything_is_there(live):
    """Each panel has its numbers; what comes from clients has no control characters."""

    async def story(app, pilot):
        await measured(app, pilot)
        assert "shop.wsgi:application" in shown(app, "head")
        assert "serving" in shown(app, "head")
        assert "http://127.0.0.1:8000" in shown(app, "head")
        assert "3.97ms" in shown(app, "latency")
        assert "4/16" in shown(app, "gauges")
        assert "connections 10  idle 2" in shown(app, "gauges")
        assert "4712" in shown(app, "workers")
        assert "00:00:00  reloaded" in shown(app, "events")
        assert "q quit" in shown(app, "keys")
        assert "\x1b" not in shown(app)
        await pilot.press("q")

    assert run(story, live) is None


def fits(app, width, height):
    """Tell whether all panels are within the terminal; of one with very few lines, the first are."""
    shown = [panel.region for panel in app.query(Panel) if panel.display]
    most = max(height, HEAD + GAUGES + FOOT)
    return app.size == (width, height) and all(
        region.right <= width and region.bottom <= most for region in shown
    )


@pytest.mark.parametrize("size", [(20, 6), (60, 20), (80, 24), (200, 60)])
def test_every_size(live, size):
    """The panels fit into the terminal, also after it was resized."""

    async def story(app, pilot):
        await until(pilot, lambda: "up " in shown(app, "head") or size[0] < 60, "a status")
        for width, height in (size, (120, 40), size):
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda: fits(app, width, height), f"{width} x {height}")

    run(story, live, size=size)


def test_asks_before_a_change(live):
    """Any key but y is no."""

    async def story(app, pilot):
        await measured(app, pilot)
        for key in ("n", "escape", "enter", "q", "r"):
            await question(pilot, "r")
            await pilot.press(key)
            await closed(pilot)
        assert not live.asked("reload")
        await question(pilot, "r")
        await pilot.press("y")
        await until(pilot, lambda: "Reloaded in" in shown(app, "word"), "reloaded")
        assert live.asked("reload") == [{"command": "reload"}]

    run(story, live)


def test_how_an_operation_ended_is_not_shown_for_ever(live, monkeypatch):
    """Whoever comes hours later would take it for something that has just happened."""
    monkeypatch.setattr(screen, "WORD_SECONDS", 0.0)

    async def story(app, pilot):
        await measured(app, pilot)
        await question(pilot, "plus")
        await pilot.press("y")
        await until(pilot, lambda: "scale [1/1]" in shown(app, "word"), "progress, which stays")
        live.finishes = True
        await until(pilot, lambda: not app.query_one("#word").display, "nothing said any more")

    run(story, live)


def test_failure_is_shown(live):
    """A reload that fails shows why, with the traceback."""
    live.fails = f"\x1b[2Jimporting 'shop' failed\n{TRACEBACK}"

    async def story(app, pilot):
        await measured(app, pilot)
        await question(pilot, "r")
        await pilot.press("y")
        await opened(pilot, dialogs.Pages)
        text = str(app.screen.query_one("#pages").render())
        assert "ValueError: no shop" in text
        assert "\x1b" not in text
        await pilot.press("escape")
        await until(pilot, lambda: "importing 'shop' failed" in shown(app, "word"), "why")
        assert "\x1b" not in shown(app)

    run(story, live)


def test_scale(live):
    """Progress is shown, and only one operation goes on at a time."""

    async def story(app, pilot):
        await measured(app, pilot)
        assert "from 2 to 1 workers" in await question(pilot, "minus")
        await pilot.press("n")
        await closed(pilot)
        assert "from 2 to 3 workers" in await question(pilot, "plus")
        await pilot.press("y")
        await until(pilot, lambda: "scale [1/1]" in shown(app, "word"), "progress")
        await pilot.press("r")
        await until(pilot, lambda: "The scale is under way" in shown(app, "word"), "a refusal")
        live.finishes = True
        await until(pilot, lambda: "Scaled to 3 in" in shown(app, "word"), "scaled")
        await until(pilot, lambda: "scaled from 2 to 3" in shown(app, "events"), "the event")
        assert live.asked("scale") == [{"command": "scale", "workers": 3}]

    run(story, live)


def test_last_worker_stays(live):
    """There is no scaling to nothing."""
    live.server.facts["wanted"] = 1

    async def story(app, pilot):
        await measured(app, pilot)
        await pilot.press("minus")
        await until(pilot, lambda: "one worker" in shown(app, "word"), "a refusal")

    run(story, live)


def test_recycles_the_chosen_worker(live):
    """It is the one that is marked, also when its row has moved."""

    async def story(app, pilot):
        await measured(app, pilot)
        await pilot.press("down")
        await until(pilot, lambda: app.query_one("#workers", Table).chosen == 1, "the second")
        live.server.facts["workers"].reverse()
        live.server.facts["workers"][0]["number"] = 0
        await until(pilot, lambda: app.query_one("#workers", Table).chosen == 0, "moved")
        assert "(pid 4713)" in await question(pilot, "x")
        await pilot.press("y")
        await until(pilot, lambda: "Replaced worker 0" in shown(app, "word"), "replaced")
        assert live.asked("recycle") == [{"command": "recycle", "pid": 4713}]

    run(story, live)


def test_stacks(live):
    """The chosen request comes first, with its stack."""

    async def story(app, pilot):
        await measured(app, pilot)
        await pilot.press("tab", "down")
        await until(pilot, lambda: app.query_one("#running", Table).chosen == 1, "the second")
        await pilot.press("s")
        await opened(pilot, dialogs.Pages)
        text = str(app.screen.query_one("#pages").render())
        assert text.index("GET /  for 20ms") < text.index("GET /report")
        assert "time.sleep(99)" in text
        assert "\x1b" not in text
        await pilot.press("q")
        await closed(pilot)

    run(story, live)


def test_stacks_of_many():
    """The screen would stand still with all of them."""
    found = [Request(1, "t", f"GET /{n}", 1.0, ("stack",)) for n in range(dialogs.MOST_STACKS + 2)]
    shown = dialogs.stack_pages(found, len(found) - 1, "now")._text.plain
    assert shown.startswith(f"GET /{len(found) - 1} ")
    assert shown.endswith("\n\nand 2 more")
    assert shown.count("GET") == dialogs.MOST_STACKS


def test_stacks_are_not_told(live):
    """Where the threads cannot be asked, it does not say that no request is running."""
    live.on_stacks = lambda _, caller: caller.fail("no answer\x1b[2J from the workers")

    async def story(app, pilot):
        await until(pilot, lambda: "no answer" in shown(app, "running"), "why")
        await pilot.press("s")
        await until(pilot, lambda: "no stacks: no answer" in shown(app, "word"), "why")
        assert "\x1b" not in shown(app)

    run(story, live)


def test_pause(live):
    """A pause lets the screen stand still, and nothing is missing after it."""

    async def story(app, pilot):
        await measured(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: "PAUSED" in shown(app, "head"), "paused")
        before, asked = shown(app), len(live.asked("status"))
        await until(pilot, lambda: len(live.asked("status")) > asked + 3, "more statuses")
        assert shown(app) == before
        await pilot.press("p")
        await until(pilot, lambda: shown(app) != before, "going on")

    run(story, live)


def test_help(live):
    """Help names all keys of the last line."""

    async def story(app, pilot):
        await pilot.press("question_mark")
        await opened(pilot, dialogs.Pages)
        text = str(app.screen.query_one("#pages").render())
        named = {key for keys, _ in dialogs.HELP for key in keys.split()}
        assert {key for keys, _ in screen.KEYS for key in keys.split()} <= named
        assert "recycle the worker" in text

    run(story, live)


def test_server_goes_and_comes_back(directory):
    """It says so, keeps the last numbers, and goes on when there is a server again."""
    path = directory / "4711.sock"
    with contextlib.ExitStack() as stack:
        first = Live(path)
        closing = stack.enter_context(contextlib.closing(first))

        async def story(app, pilot):
            await measured(app, pilot)
            stack.pop_all()
            await asyncio.to_thread(closing.close)
            await until(pilot, lambda: "no server answers" in shown(app, "head"), "gone")
            assert "shop.wsgi:application" in shown(app, "head")
            assert "no server answers" in shown(app, "events")
            await question(pilot, "r")
            await pilot.press("y")
            await until(pilot, lambda: "The reload failed" in shown(app, "word"), "no reload")
            second = Live(path)
            stack.enter_context(contextlib.closing(second))
            await until(pilot, lambda: "answers again" in shown(app, "events"), "back")
            await until(pilot, lambda: "serving" in shown(app, "head"), "serving")

        run(story, first)


def test_server_hangs(live, monkeypatch):
    """A supervisor that says nothing is not shown as if it did, and keeps nobody."""
    monkeypatch.setattr(servers, "PATIENCE_SECONDS", 0.05)

    async def story(app, pilot):
        live.on_status = lambda *_: None
        await until(pilot, lambda: "does not answer" in shown(app, "head"), "trouble")
        await pilot.press("q")

    run(story, live)


def test_which_server(live, directory):
    """If there are several, it asks; Escape is none of them."""
    other = Live(directory / "4800.sock", 4800)

    async def story(app, pilot):
        await opened(pilot, dialogs.Servers)
        assert "▸ pid 4711" in str(app.screen.query_one("#servers").render())
        await pilot.press("down", "enter")
        await until(pilot, lambda: "pid 4800" in shown(app, "head"), "the second")
        assert not live.requests

    async def leaving(app, pilot):
        await opened(pilot, dialogs.Servers)
        await pilot.press("escape")

    with contextlib.closing(other):
        run(story, live, other)
        assert run(leaving, live, other) is None
