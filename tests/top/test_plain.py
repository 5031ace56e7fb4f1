"""Lines and JSON, out of canned answers."""

import json

import pytest

from breezeway.errors import UserError
from breezeway.top import plain

from ..fake_supervisor import STACKS
from .statuses import Server


class Told:
    """A server that answers a hundred requests a second, and goes away now and then."""

    def __init__(self, away=()):
        self.server = Server()
        self.away = away
        """After how many statuses it is away for two."""
        self.asked = 0
        self.log = [{"number": 1, "time": 5.0, "level": "info", "text": "long ago"}]

    def status(self):
        self.asked += 1
        if any(each < self.asked <= each + 2 for each in self.away):
            raise UserError("no server answers\x1b[2J.")
        self.server.answer(100, 0.002)
        return self.server.status(1)

    def events(self):
        told, self.log = self.log, []
        return told

    def stacks(self):
        return STACKS


def follow(server, count, **options):
    """Return so many lines."""
    lines = []

    def write(line):
        lines.append(line)
        if len(lines) == count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain.follow(server, write, period=0.0, **options)
    return lines


def test_lines():
    """A head, a line a second, and a head again after some; what is long ago is not told."""
    lines = follow(Told(), plain.HEAD_EVERY + 3, as_json=False)
    assert lines[0].split() == [title for title, _ in plain.COLUMNS]
    _, *cells = lines[1].split()
    assert cells[:5] == ["100", "0", "0", "98K", "0"]
    assert cells[5:9] == ["1.98ms", "1.98ms", "1.98ms", "200us"]
    assert cells[9:] == ["10", "4/16", "2/2"]
    assert lines[plain.HEAD_EVERY + 1] == lines[0]
    assert not [line for line in lines if "long ago" in line]


def test_narrow_terminals_get_the_columns_that_matter():
    """No line is broken, whatever the terminal has become since the last one."""
    widths = iter([80, 80, 60, 60, 60, 10, 10, 500])
    lines = follow(Told(), 8, as_json=False, width=lambda: next(widths))
    for width, line in ((80, lines[0]), (80, lines[1]), (60, lines[3]), (60, lines[4])):
        assert len(line) < width
    assert lines[0].split() == (
        ["time", "req/s", "5xx/s", "refused", "p50", "p99", "queue", "busy", "workers"]
    )
    assert len(lines[1].split()) == 9
    assert lines[3].split() == ["time", "req/s", "5xx/s", "p50", "p99", "busy", "workers"]
    assert lines[7].split() == ["time", "req/s"]


def test_events_are_lines():
    """What happens is told when it is known, also while the server is not there, once."""
    server = Told(away=[5])
    server.events()
    lines = []

    def write(line):
        lines.append(line)
        server.log.append({"number": 2, "time": 6.0, "level": "error", "text": "a worker died"})
        if len(lines) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain.follow(server, write, as_json=False, period=0.0)
    assert "-- 00:00:06 a worker died" in lines
    assert [line for line in lines if "no server" in line] == [
        "-- no server answers\N{REPLACEMENT CHARACTER}[2J."
    ]


def test_json_lines():
    """Each line is an object; nothing that happened is missing, although the first ones have no rates."""
    server = Told(away=[3])
    first, *rest = follow(server, 3, as_json=True)
    assert json.loads(first) == {"error": "no server answers\N{REPLACEMENT CHARACTER}[2J."}
    told = [json.loads(line) for line in rest]
    assert [each["last_second"]["requests"] for each in told] == [100, 100]
    assert all(each["events"] == [] for each in told)


def test_events_of_seconds_without_rates_are_told():
    """With JSON, they come with the first object."""
    server = Told()
    status = server.status

    def scaled():
        server.server.facts["wanted"] = min(4, 1 + server.asked)
        return status()

    server.status = scaled
    (line,) = follow(server, 1, as_json=True)
    assert [each["text"] for each in json.loads(line)["events"]] == [
        "scaled from 2 to 3 workers",
        "scaled from 3 to 4 workers",
    ]


def test_server_that_is_not_there_at_first():
    """Then there is nothing to follow."""
    with pytest.raises(UserError, match="no server answers"):
        plain.follow(Told(away=[0]), print, as_json=False, period=0.0)


def test_once_has_no_control_characters():
    """A target that was meant for the terminal is shown without what it was meant to do."""
    written = []
    plain.once(Told(), written.append, as_json=False, period=0.0)
    (text,) = written
    assert "GET /report?\N{REPLACEMENT CHARACTER}[2J  shop.py:3 report" in text
    assert all(each.isprintable() for line in text.split("\n") for each in line)


def test_once_tells_connections_and_waits():
    """Connections by state, and how late threads run."""
    told, written = Told(), []
    told.server.wait_for_gil(20, 0.004)
    status = told.status

    def waits():
        told.server.wait_for_gil(20, 0.002)
        return status()

    told.status = waits
    plain.once(told, written.append, as_json=False, period=0.0)
    assert "  waiting 2  GIL 2.00ms  memory 80.0 MiB\n" in written[0]
    states = "idle 2  reading_head 2  reading_body 0  busy 4  sending 0  lingering 2"
    assert f"connected  10  {states}\n" in written[0]
