"""The shared counts: nothing is lost when a worker ends, however it does."""

from __future__ import annotations

import os

import pytest

from breezeway.observe.recorder import Recorder
from breezeway.observe.tally import METHOD_AT, Tallies

from .entries import entry

GET = {"REQUEST_METHOD": "GET"}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_counts_of_a_killed_process_are_there() -> None:
    """What a child has counted is seen by its parent, and stays when its row is given back."""
    tallies = Tallies(2)
    child = os.fork()
    if not child:
        tallies.row(1).count(METHOD_AT["GET"] + 2, 5)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert tallies.totals([0, 1]).requests == {("GET", "2xx"): 5}
    tallies.retire(1)
    assert tallies.totals([0]).requests == {("GET", "2xx"): 5}
    tallies.row(1).count(METHOD_AT["GET"] + 2, 1)
    assert tallies.totals([0, 1]).requests == {("GET", "2xx"): 6}


@pytest.mark.parametrize(
    ("method", "status", "counted"),
    [
        ("GET", 200, ("GET", "2xx")),
        ("POST", 404, ("POST", "4xx")),
        ("BREW", 503, ("other", "5xx")),
        ("GET", None, ("GET", "none")),
    ],
)
def test_requests_are_counted_by_method_and_status(
    method: str, status: int | None, counted: tuple[str, str]
) -> None:
    """Methods that a client has made up share one place."""
    tallies = Tallies(1)
    recorder = Recorder(tallies.row(0), None)
    recorder.record(entry({"REQUEST_METHOD": method}, status=status), "", logged=True)
    assert tallies.totals([0]).requests == {counted: 1}


def test_fast_path_and_general_road_count_alike() -> None:
    """The lists of the fast path end where single entries do."""
    tallies = Tallies(1)
    recorder = Recorder(tallies.row(0), None)
    recorder.record(entry(GET, queued=0.5, seconds=1.0, size=7), "", logged=True)
    recorder.add_duration(1.5)
    recorder.add_queued(0.5)
    recorder.add_received(18)
    recorder.add_sent(7)
    recorder.settle()
    assert tallies.totals([0]).requests == {("GET", "2xx"): 2}
    recorder.advance()
    totals = tallies.totals([0])
    assert (totals.bytes_in, totals.bytes_out) == (36, 14)
    assert totals.durations.count == totals.queued.count == 2
    assert totals.durations.seconds == 3.0
    assert totals.queued.seconds == 1.0
    assert max(totals.durations.counts) == max(totals.queued.counts) == 2
