"""Panels and tables at every width: nothing is wider than its panel, what matters most stays."""

import itertools

import pytest

from breezeway.top import painting, tables
from breezeway.top.arrangement import FOOT, HEAD, NARROW, arrange
from breezeway.top.events import BAD, Event
from breezeway.top.running import requests
from breezeway.top.store import Store

from ..fake_supervisor import STACKS
from .statuses import STARTED, Server, worker


@pytest.fixture(scope="module")
def reading():
    """Give a reading of a busy server."""
    server, store = Server(), Store()
    server.facts["application"] = "bücher.wsgi:application"
    server.facts["listeners"] = ["http://127.0.0.1:8000", "unix:/run/日本語.sock"]
    server.facts |= {"deaths": 1, "reloads": 2}
    server.facts["workers"].append(worker(3, state="hung", busy=8))
    store.add(server.status())
    store.add(server.status(1))
    for second in range(1, 40):
        server.answer(1000 * second, 0.001 * second)
        server.answer(second, 1.5, "5xx")
        server.counters["refused.503"] += second
        server.wait_for_gil(20, 0.0125)
        reading = store.add(server.status(1))
    return reading


EVENTS = [Event(STARTED, "worker 1 (pid 4712) died, " + "and more " * 20, BAD)]


def panels(reading, width, height):
    """Paint every panel for that size."""
    return {
        "head": painting.head(reading, "", False, width),
        "trouble": painting.head(reading, "no server answers. " * 10, True, width),
        "traffic": painting.traffic(reading, width, height),
        "latency": painting.latency(reading, width, height),
        "gauges": painting.gauges(reading, width, height, brief=False),
        "brief": painting.gauges(reading, width, 1, brief=True),
        "workers": tables.workers(reading.workers, 1, width, height),
        "running": tables.running(requests(STACKS), 0, width, height),
        "events": painting.events(EVENTS, width, height),
    }


@pytest.mark.parametrize("width", [1, 8, 20, 36, 56, 76, 96, 116, 236])
def test_fits(reading, width):
    """No line is wider than the panel, whatever the width, and there are not too many."""
    for name, text in panels(reading, width, 8).items():
        lines = text.split("\n", allow_blank=True)
        assert max(line.cell_len for line in lines) <= width, name
        assert len(lines) <= 8, name
        assert all(each.isprintable() for line in lines for each in line.plain), name


def test_what_matters_at_80_columns(reading):
    """At 80 columns, the two panels beside each other, everything is there."""
    shown = {name: text.plain for name, text in panels(reading, 36, 6).items()}
    assert "39,039 requests/s" in shown["traffic"]
    assert "5xx 39" in shown["traffic"]
    assert "refused" in shown["traffic"]
    latency = shown["latency"].split("\n")
    assert [line.split()[0] for line in latency[1:]] == ["p50", "p90", "p99", "queue", "errors"]
    assert latency[1].endswith("▇███")
    shown = {name: text.plain for name, text in panels(reading, 76, 6).items()}
    for text in ("bücher.wsgi:application", "serving", "pid 4711"):
        assert text in shown["head"]
    first, second = shown["gauges"].split("\n")
    for text in ("12/24", "waiting 3", "GIL 12.5ms", "memory 120.0 MiB"):
        assert text in first
    states = "idle 3  head 3  body 0  busy 6  sending 0  lingering 3"
    assert second == f"connections 15  {states}"
    assert "2/2 workers ready" in shown["head"]
    assert "1 worker died" in shown["head"]
    for text in ("PID", "STATE", "AGE", "MEMORY", "BUSY", "REQ/S", "hung", "40.0 MiB", "8/8"):
        assert text in shown["workers"]


def test_what_matters_at_60_columns(reading):
    """A narrow table leaves out what can be missed."""
    shown = tables.workers(reading.workers, 1, 56, 6).plain
    for text in ("PID", "STATE", "MEMORY", "BUSY", "REQ/S"):
        assert text in shown
    assert "GEN" not in shown
    assert "GET /report" in tables.running(requests(STACKS), 0, 56, 6).plain


def test_chosen_row_is_marked_and_shown(reading):
    """The table scrolls to the chosen row, which has a mark, for there may be no colour."""
    rows = [worker for worker in reading.workers for _ in range(20)]
    for chosen in range(60):
        lines = tables.workers(rows, chosen, 80, 6).plain.split("\n")
        assert len(lines) == 6
        assert sum(line.startswith("▸") for line in lines) == 1
    assert "▸" not in tables.workers(rows, -1, 80, 6).plain


def test_trouble_is_said(reading):
    """A server that does not answer is not shown as if it did."""
    text = painting.head(reading, "no server answers on /run/x.", False, 100).plain
    assert "not there" in text
    assert "no server answers on /run/x." in text
    assert "serving" not in text


def test_nothing_yet():
    """Before anything is measured, nothing is shown as zero requests that may be thousands."""
    first = Store().add(Server().status())
    assert "measuring" in painting.traffic(first, 40, 6).plain
    assert painting.events([], 40, 4).plain == "nothing yet"
    assert tables.running([], -1, 40, 4).plain == "none"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_arrangement(width):
    """Panels take the lines that there are, and never more; what matters least goes first."""
    for height, word in itertools.product((*range(4, 40), 60, 100), (False, True)):
        found = arrange(width, height, 4, 20, word)
        upper = found.traffic + found.latency if found.narrow else found.traffic
        lower = found.workers + found.running + found.events
        used = HEAD + found.gauges + FOOT + word + upper + lower
        assert used <= height or not (upper or found.workers)
        assert found.gauges == 2 or height - word < (24 if width >= NARROW else 30)
        if height >= 24:
            assert found.latency
            assert found.workers >= 3
        if height >= 24 and width >= 80:
            assert used == height
            assert found.traffic
            assert found.running
            assert found.events


def test_the_usual_terminal():
    """80 columns and 24 lines have room for four workers, beside everything else."""
    found = arrange(80, 24, 4, 2, False)
    assert found.low
    assert found.workers == 1 + 1 + 4  # its title, the names of the columns
    assert found.running >= 1 + 1 + 1
    assert found.events >= 1 + 1


def test_many_workers_leave_room():
    """A hundred workers do not push the running requests out; the table scrolls."""
    found = arrange(120, 40, 100, 3, False)
    assert found.workers > 10
    assert found.running >= 4
    assert found.events >= 3
