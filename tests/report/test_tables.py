"""Tables have bounds, and what is not in them is counted all the same."""

import json

from breezeway.observe import histogram
from breezeway.report import tables, tally
from breezeway.report.summary import summary
from breezeway.report.tables import Durations, Row, Slowest, Table, Timeline
from breezeway.report.tally import MOST_NAMES, MOST_OUTCOMES, MOST_ROUTES, Selection, Tally


def counted(text):
    """Count lines, as a process does."""
    found = Tally()
    found.count(text, Selection())
    found.settle()
    return found


def hostile(number):
    """Return a line in which everything is new."""
    return json.dumps(
        {
            "time": f"{1000 + number}-01-01T00:00:00Z",
            "client": f"c{number}" * 50,
            "method": "GET",
            "target": f"/{'xyz'[number % 3] * 2}{number}z" * 40,
            "status": 400 + number % 200,
            "user_agent": f"a{number}" * 100,
            "outcome": f"o{number}",
            "duration_us": number * number,
        }
    )


def test_a_hostile_log_has_bounds():
    """Each line has names, a time and an ending of its own; all of them are counted."""
    text = "\n".join(map(hostile, range(3000))) + "\n" + hostile(0).replace("/", "/home") + "\n"
    total = counted(text)
    total.merge(counted(text))
    assert total.requests == 6002
    assert len(total.routes.rows) <= 2 * MOST_ROUTES
    assert len(total.errors.rows) <= 2 * MOST_ROUTES
    assert len(total.clients.rows) <= 2 * MOST_NAMES
    assert len(total.programs.rows) <= 2 * MOST_NAMES
    assert len(total.outcomes) <= MOST_OUTCOMES + 1
    assert len(total.timeline.parts) <= tables.MOST_PARTS
    assert len(total.slowest.requests) == tables.SLOWEST
    for table in (total.routes, total.clients, total.programs):
        assert sum(row.requests for row in (*table.rows.values(), table.other)) == 6002
        assert all(len(name) <= 200 for name in table.rows)
    assert sum(part.requests for part in total.timeline.parts.values()) == 6002
    found = summary(total, ["hostile"])
    assert len(json.dumps(found)) < 400_000
    assert found["duration"]["count"] == 6002
    assert len(found["timeline"]["parts"]) <= 120


def test_memory_for_targets_has_a_bound(monkeypatch):
    """What is remembered from one line to the next is forgotten in time."""
    monkeypatch.setattr(tally, "MEMO", 3)
    counting = tally._Counting(Tally(), Selection())
    for number in range(10):
        counting._route("GET", f"/{number}")
        counting._program(f"a/{number}")
    assert len(counting._routes) <= 3
    assert len(counting._programs) <= 3


class TestTable:
    def test_the_frequent_stay(self):
        """Rare names that come later do not drive them out."""
        table = Table(2, Row)
        for name in "aabbb" + "cdefgh" + "ab":
            table.row(name).requests += 1
        assert table.rows["a"].requests == 3
        assert table.rows["b"].requests == 4
        table.cut()
        assert set(table.rows) == {"a", "b"}
        assert table.other.requests == 6
        assert table.cuts

    def test_merging_adds_rows_and_the_others(self):
        """Also those that only one of them has."""
        one, two = Table(9, Row), Table(9, Row)
        one.row("a").bytes_out += 1
        two.row("a").bytes_out += 2
        two.row("b").client_errors += 3
        two.other.server_errors += 4
        one.merge(two)
        assert one.rows["a"].bytes_out == 3
        assert one.rows["b"].client_errors == 3
        assert one.other.server_errors == 4


class TestTimeline:
    def test_parts_become_wider(self, monkeypatch):
        """Each width divides the next, so that nothing has to be divided."""
        monkeypatch.setattr(tables, "MOST_PARTS", 10)
        timeline = Timeline()
        for second in range(-100, 4000):
            timeline.part(second).requests += 1
        assert timeline.width == 900
        assert sum(part.requests for part in timeline.parts.values()) == 4100
        assert timeline.parts[1].requests == 900
        for narrow, wide in zip(tables.WIDTHS, tables.WIDTHS[1:], strict=False):
            assert wide % narrow == 0

    def test_merging_takes_the_wider_parts(self):
        """Whichever has them."""
        one, two = Timeline(), Timeline()
        one.part(7).requests += 1
        two.part(8).requests += 2
        two.widen(60)
        one.merge(two)
        assert one.width == 60
        assert one.parts[0].requests == 3

    def test_all_times_that_a_line_can_have_fit(self):
        """From the year 1 to 9999 there are only a few of the widest parts."""
        assert 9999 * 366 * 86_400 // tables.WIDTHS[-1] < 10


def test_durations_are_a_histogram():
    """Those that are not known are left out."""
    durations = Durations()
    durations.pending += [1000, 1000, 3_000_000, -1]
    durations.settle()
    durations.merge(durations)
    assert (sum(durations.buckets.values()), durations.total, durations.most) == (
        6, 6_004_000, 3_000_000,
    )  # fmt: skip
    low, high = sorted(durations.buckets)
    assert histogram.lower_bound(low) <= 0.001 < histogram.lower_bound(low + 1)
    assert histogram.lower_bound(high) <= 3 < histogram.lower_bound(high + 1)


def test_the_slowest_are_kept():
    """In whatever order they come."""
    slowest = Slowest()
    for number in (*range(100), *range(300, 200, -1)):
        if number > slowest.floor:
            slowest.add((number, 0, "GET", "/", 200, "-", 0, "-"))
    assert sorted(each[0] for each in slowest.requests) == list(range(251, 301))
