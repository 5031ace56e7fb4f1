"""The dashboard in a real browser: what it shows, on which screens, and what an operator does there."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.admin.streams import STREAMS
from breezeway.testing import LiveServer

from ..examples.browser import Person, browser
from ..process.server import APPLICATION, Server, eventually, serving
from .supervisor import TOKEN

pytestmark = pytest.mark.once

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

Open = Callable[..., Person]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run the browser."""
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[Server]:
    """Serve with two workers, and a dashboard with a token."""
    directory: Path = tmp_path_factory.mktemp("dashboard")
    options = ("--admin-bind", "127.0.0.1:0", "--admin-token", TOKEN)
    with serving(directory, *options, workers=2, application=APPLICATION) as running:
        yield running


@pytest.fixture
def open_page(chromium: Any, server: Server) -> Iterator[Open]:
    """Open the dashboard in windows of their own; nothing was fetched elsewhere or went wrong."""
    url = server.log.wait_for(r"Dashboard on (\S+)")[1]
    people: list[Person] = []
    fetched: list[str] = []

    def open_one(**options: Any) -> Person:
        person = Person(chromium, url, **options)
        people.append(person)
        person.page.on("request", lambda request: fetched.append(request.url))
        person.go("/")
        person.page.locator("#workers tr").first.wait_for()
        return person

    yield open_one
    for person in people:
        person.close()
    assert [noticed for person in people for noticed in person.noticed] == []
    assert [each for each in fetched if not each.startswith(f"{url}/")] == []


def log_in(person: Person) -> None:
    """Log in."""
    page = person.page
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Token").press("Enter")
    page.get_by_role("button", name="Reload", exact=True).wait_for()


def test_shows_what_is_going_on(server: Server, open_page: Open) -> None:
    """Requests show in the numbers and the charts, and one that runs with its stack."""
    page = open_page().page
    with server.sleep(15):
        for _ in range(50):
            server.get()
        page.locator("#tile-rate", has_text=re.compile("^[1-9]")).wait_for()
        page.locator("#tile-p50", has_text=re.compile("[mµ]s$")).wait_for()
        row = page.locator("#running li", has_text="GET /sleep?15")
        assert row.count() == 0  # queries are for who has logged in
        row = page.locator("#running li", has_text="GET /sleep?…")
        row.locator("summary").focus()
        page.keyboard.press("Enter")
        row.locator("pre", has_text="time.sleep").wait_for()
    assert page.locator("#state").inner_text() == "serving"
    assert page.locator("#errors").inner_text().startswith("2xx success")
    settings = page.locator("#settings-details")
    settings.locator("summary").click()
    settings.get_by_role("row", name="admin_token").get_by_text("***").wait_for()
    assert TOKEN not in page.content()
    page.get_by_label("Search").fill("keep_alive")
    settings.get_by_role("row", name="keep_alive_timeout").wait_for()


def lightness(page: Any) -> int:
    """Return how light the page is, 0 to 765."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(", ")))


def test_fits_a_phone(open_page: Open) -> None:
    """360 pixels are enough, dark and light, and nothing scrolls sideways but wide tables."""
    person = open_page(color_scheme="dark", **PHONE)
    page = person.page
    log_in(person)
    page.locator("#log-out:focus").wait_for()  # "Log in" is not there any more
    page.locator("#settings-details summary").click()
    page.locator("#settings tr.given").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="Log out").click()  # from here on without a column for actions
    page.get_by_role("button", name="Log in", exact=True).wait_for()
    page.locator("#workers tr").first.wait_for()
    page.set_viewport_size({"width": 768, "height": 1024})
    hidden = "(node) => node.closest('.scroll').scrollWidth - node.closest('.scroll').clientWidth"
    assert page.locator("#workers").evaluate(hidden) == 0
    page.set_viewport_size(PHONE["viewport"])
    assert lightness(page) < 150
    page.emulate_media(color_scheme="light")
    assert lightness(page) > 600
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    page.get_by_role("button", name="Theme: dark").wait_for()
    assert lightness(page) < 150


def test_is_for_everybody(open_page: Open) -> None:
    """Charts are read with the arrow keys; headings, tables and alarms say what they are."""
    page = open_page(reduced_motion="reduce").page
    chart = page.get_by_role("slider", name="Requests per second over time")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#readout", has_text=re.compile("^[0-9:]{8}: ")).wait_for()
    assert chart.get_attribute("aria-valuetext") == page.locator("#readout").inner_text()
    before = int(chart.get_attribute("aria-valuenow"))
    page.keyboard.press("Home")
    assert chart.get_attribute("aria-valuenow") == "0" != before
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1
    assert page.get_by_role("columnheader", name="PID").count() == 1
    assert page.get_by_role("status", name="Alarms").get_attribute("aria-live") == "polite"
    live = page.evaluate(
        "getComputedStyle(document.querySelector('#live'), '::before').animationName"
    )
    assert live == "none"
    colour = "(node) => getComputedStyle(node).backgroundColor"
    swatch = page.locator("#legend .swatch").nth(3)
    before = swatch.evaluate(colour)
    page.emulate_media(forced_colors="active")
    assert swatch.evaluate(colour) == before
    page.emulate_media(forced_colors="none")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "traffic"


def test_actions(server: Server, open_page: Open) -> None:
    """Who has the token scales, recycles and reloads, after a question; others see no buttons."""
    person = open_page()
    page = person.page
    assert not page.get_by_role("button", name="Scale").is_visible()
    log_in(person)
    page.get_by_role("button", name="Scale", exact=True).click()
    question = page.get_by_role("dialog", name="Scale")
    question.get_by_role("button", name="Cancel").click()
    question.wait_for(state="hidden")
    page.get_by_role("button", name="Scale", exact=True).click()
    question.get_by_label("Workers").fill("3")
    question.get_by_role("button", name="Scale").click()
    question.wait_for(state="hidden")
    assert len(server.wait_for_workers(3)) == 3
    page.locator("#workers tr:nth-child(3)").wait_for()
    pid = page.locator("#workers tr:nth-child(3) th").inner_text()
    page.get_by_role("button", name=f"Recycle worker {pid}").click()
    page.get_by_role("dialog").get_by_role("button", name="Recycle").click()
    server.wait_for_workers(3, but=[int(pid)])
    page.get_by_role("dialog").wait_for(state="hidden")
    page.get_by_role("button", name="Reload", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Reload").click()
    page.locator("#log li", has_text="reloaded application:app").wait_for()
    eventually(lambda: server.status()["reloads"] == 1, "a reload")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in", exact=True).wait_for()


def test_locked(chromium: Any, make_admin: Any) -> None:
    """Where reading takes the token, the page asks for it, and then shows the numbers.

    A wrong one leaves the keyboard where it was.
    """
    admin = make_admin("10.1.2.3:9300", TOKEN)
    admin.streams.start()
    with LiveServer(admin.application, threads=STREAMS) as live:
        person = Person(chromium, live.url)
        page = person.go("/")
        page.get_by_label("Token").fill("another one")
        page.get_by_role("dialog").get_by_role("button", name="Log in").press("Enter")
        page.get_by_role("alert").get_by_text("not the token").wait_for()
        assert page.evaluate("document.activeElement.id") == "question-yes"
        page.get_by_label("Token").fill(TOKEN)
        assert page.locator("#workers tr").count() == 0
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Recycle worker 4712").wait_for()
        page.context.clear_cookies()  # as when the token has changed
        admin.streams.close()
        alarms = page.get_by_role("status", name="Alarms")
        alarms.get_by_text("The session has ended").wait_for()
        assert "Nothing is heard" not in alarms.inner_text()
        person.close()
    assert [each for each in person.noticed if "status of 40" not in each] == []


def test_in_bad_circumstances(chromium: Any, make_admin: Any, supervisor: Any) -> None:
    """A long target takes three lines; nothing needs the browser's storage; too many pages are told so."""
    thread = {
        "name": "t",
        "request": "GET /" + 5000 * "a",
        "seconds": 1.0,
        "stack": ["a\u202e\x1b", "b"],
    }
    supervisor.answers["stacks"] = lambda _: {"workers": [{"pid": 1, "threads": [thread]}]}
    admin = make_admin()
    admin.streams.start()
    with LiveServer(admin.application, threads=STREAMS + 4) as live:
        person = Person(chromium, live.url, **PHONE)
        page = person.page
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw Error() }})"
        )
        others = [admin.streams.open({}) for _ in range(STREAMS)]
        person.go("/")
        page.locator("#live", has_text="too many pages look on").wait_for()
        for each in others:
            each.close()
        page.reload()
        row = page.locator("#running li", has_text="aaa")
        row.wait_for()
        assert row.bounding_box()["height"] < 150
        row.locator("summary").click()
        assert row.bounding_box()["height"] > 1000
        assert row.locator("pre").inner_text() == "a\ufffd\ufffd\nb"
        page.get_by_role("button", name="Theme: auto").click()
        page.get_by_role("button", name="Theme: light").wait_for()
        admin.streams.close()
        person.close()
    assert {each.partition(" (")[0] for each in person.noticed} == {
        "console: Failed to load resource: the server responded with a status of 503"
    }


def test_says_when_nothing_is_heard(chromium: Any, make_admin: Any, supervisor: Any) -> None:
    """Numbers of a server that is gone, or stands still, are not taken for what is going on."""
    admin = make_admin()
    admin.streams.start()
    with LiveServer(admin.application, threads=STREAMS) as live:
        person = Person(chromium, live.url)
        page = person.page
        page.clock.install()
        person.go("/")
        state = page.locator("#state")
        state.get_by_text("serving").wait_for()
        alarm = page.get_by_role("status", name="Alarms").get_by_text("Nothing is heard")
        answer = supervisor.answers.pop("status")

        def is_told() -> bool:
            page.clock.fast_forward(6000)
            return alarm.is_visible() and state.inner_text() == "no answer"

        eventually(is_told, "an alarm")
        supervisor.answers["status"] = answer
        state.get_by_text("serving").wait_for()
        assert not alarm.is_visible()
        admin.streams.close()
        state.get_by_text("no answer").wait_for()
        assert alarm.is_visible()
        person.close()


def test_alarm(server: Server, open_page: Open) -> None:
    """A worker that dies is an alarm, and an event."""
    page = open_page().page
    victim = min(server.workers())
    os.kill(victim, signal.SIGKILL)
    alarms = page.get_by_role("status", name="Alarms")
    alarms.get_by_text("1 worker has died").wait_for()
    page.locator("#log li", has_text="another one takes its place").wait_for()
    server.wait_for_workers(server.status()["wanted"], but=[victim])
