"""Statuses in, numbers out: rates, quantiles and events are differences of two statuses."""

import json
import math

import pytest

from breezeway.top.store import GAP_SECONDS, KEPT_MOMENTS, Store

from .statuses import STARTED, Server, worker


@pytest.fixture
def server():
    """Give a server."""
    return Server()


@pytest.fixture
def store(server):
    """Give a store that has had two statuses, after which it measures."""
    store = Store()
    assert not store.add(server.status()).measured
    assert not store.add(server.status(1)).measured
    return store


def texts(reading):
    """Return what has happened."""
    return [event.text for event in reading.news]


class TestRates:
    def test_are_of_the_last_second(self, server, store):
        """What was counted before does not matter, only what has come since."""
        server.answer(1000, 0.01)
        store.add(server.status(1))
        server.answer(30, 0.01)
        server.answer(10, 0.01, "4xx", "POST")
        server.answer(4, 0.01, "5xx")
        server.answer(1, 0.01, "none")
        server.counters.update({"refused.400": 4, "limit.idle": 2, "aborted": 9})
        reading = store.add(server.status(0.5))
        now = reading.now
        assert now.requests == 90
        assert {name: now.rate(now.classes[name]) for name in ("2xx", "3xx", "4xx")} == {
            "2xx": 60,
            "3xx": 0,
            "4xx": 20,
        }
        assert now.errors == 10
        assert now.rate(now.bytes_in) == 9_000
        assert now.rate(now.bytes_out) == 90_000
        assert now.refusals == 12
        assert now.as_dict()["refusals"] == {"refused.400": 8, "limit.idle": 4}
        assert [each.requests for each in reading.history] == [1000, 90]
        assert [each.errors for each in reading.history] == [0, 10]

    def test_of_ten_seconds_forget_what_is_older(self, server, store):
        """The longer window has ten seconds, whatever was before."""
        server.answer(1_000_000, 1.0)
        store.add(server.status(1))
        for _ in range(10):
            server.answer(7, 0.01)
            reading = store.add(server.status(1))
        assert reading.recent.seconds == 10
        assert reading.recent.requests == 7
        assert reading.recent.latency(0.99) == pytest.approx(0.01, rel=0.02)

    def test_first_second_is_not_measured(self, server):
        """Workers begin to count some time after the first status: it is not half a second for whole."""
        store = Store()
        store.add(server.status())
        server.answer(500, 0.01)
        reading = store.add(server.status(1))
        assert not reading.measured
        assert reading.now.requests == 0
        server.answer(700, 0.01)
        assert store.add(server.status(1)).now.requests == 700

    def test_of_workers(self, server, store):
        """A worker's rate is over some seconds; one that has just come has none yet."""
        for _ in range(5):
            server.answer(40, 0.01)
            reading = store.add(server.status(1))
        assert [each.rate for each in reading.workers] == [40, 0]
        server.facts["workers"].append(worker(3))
        reading = store.add(server.status(1))
        assert math.isnan(reading.workers[2].rate)
        assert reading.as_dict()["workers"][2]["requests_per_second"] is None

    def test_past_is_bounded(self, server, store):
        """Days of watching take no more memory than the widest terminal has columns."""
        for _ in range(KEPT_MOMENTS + 5):
            reading = store.add(server.status(1))
        assert len(reading.history) == KEPT_MOMENTS


class TestLatency:
    def test_is_the_difference_of_histograms(self, server, store):
        """A slow hour before does not show in the quantiles of now, which are right within 2 %."""
        server.answer(100_000, 3.0)
        store.add(server.status(1))
        server.answer(89, 0.004)
        server.answer(10, 0.1)
        server.answer(1, 2.0)
        now = store.add(server.status(1)).now
        assert now.latency(0.5) == pytest.approx(0.004, rel=0.02)
        assert now.latency(0.9) == pytest.approx(0.1, rel=0.02)
        assert now.latency(0.99) == pytest.approx(0.1, rel=0.02)
        assert now.latency(1) == pytest.approx(2.0, rel=0.02)
        assert now.queue(0.5) == pytest.approx(0.0004, rel=0.02)

    def test_without_requests_there_is_none(self, server, store):
        """Nothing in a second is no quantile, not that of before; JSON has no NaN."""
        server.answer(10, 0.01)
        store.add(server.status(1))
        reading = store.add(server.status(1))
        assert math.isnan(reading.now.latency(0.5))
        assert math.isnan(reading.history[-1].p99)
        text = json.dumps(reading.as_dict(), allow_nan=False)
        assert json.loads(text)["last_second"]["latency"] == {}


class TestWaitsForTheGil:
    def test_is_the_mean_of_a_span(self, server, store):
        """What was before does not count; without a sample there is none, in JSON neither."""
        server.wait_for_gil(1000, 1.0)
        store.add(server.status(1))
        server.wait_for_gil(20, 0.003)
        store.add(server.status(1))
        server.wait_for_gil(20, 0.001)
        reading = store.add(server.status(1))
        assert reading.now.gil_wait == pytest.approx(0.001)
        assert reading.as_dict()["last_second"]["gil_wait"] == pytest.approx(0.001)
        reading = store.add(server.status(1))
        assert math.isnan(reading.now.gil_wait)
        assert reading.as_dict()["last_second"]["gil_wait"] is None

    def test_over_ten_seconds(self, server, store):
        """Spans together weigh by their samples."""
        for _ in range(10):
            server.wait_for_gil(10, 0.001)
            server.wait_for_gil(10, 0.003)
            reading = store.add(server.status(1))
        assert reading.recent.gil_wait == pytest.approx(0.002)


class TestAfresh:
    def test_after_a_gap(self, server, store):
        """Workers may have stopped to count meanwhile: there is no rate over a gap."""
        server.answer(10, 0.01)
        assert store.add(server.status(1)).measured
        server.answer(10, 0.01)
        assert not store.add(server.status(GAP_SECONDS + 1)).measured
        assert not store.add(server.status(1)).measured
        server.answer(10, 0.01)
        reading = store.add(server.status(1))
        assert [each.requests for each in reading.history] == [10]

    def test_with_another_supervisor(self, server, store):
        """After an upgrade all counts begin at zero; no rate is negative, and the change is told."""
        server.answer(1000, 0.01)
        store.add(server.status(1))
        after = Server()
        after.uptime = 1.0
        after.facts["pid"] = 5000
        reading = store.add(after.status())
        assert not reading.measured
        assert texts(reading) == ["supervisor 5000 has taken over"]
        store.add(after.status(1))
        after.answer(5, 0.01)
        assert store.add(after.status(1)).now.requests == 5

    def test_when_the_clock_goes_back(self, server, store):
        """The uptime is by the clock of the day, which somebody may set."""
        server.answer(10, 0.01)
        assert not store.add(server.status(-3600)).measured


class TestReading:
    def test_sums_up_workers(self, server, store):
        """Threads, connections and memory are those of all workers."""
        reading = store.add(server.status(1))
        assert (reading.busy, reading.threads, reading.connections) == (4, 16, 10)
        assert reading.memory == 80 * 1024**2
        assert sum(reading.connection_states.values()) == 10
        assert reading.as_dict()["connection_states"]["busy"] == 4
        assert (reading.ready, reading.wanted) == (2, 2)
        assert reading.at == STARTED + 102

    def test_has_no_control_characters(self, server, store):
        """What could be meant for the terminal does not reach it."""
        server.facts["application"] = "shop\x1b[2J:app"
        server.facts["listeners"] = ["unix:/run/\x07bell"]
        server.facts["state"] = "serving\n"
        server.facts["workers"][0]["state"] = "rea\x9bdy"
        reading = store.add(server.status(1))
        shown = [reading.application, reading.state, *reading.listeners, reading.workers[0].state]
        assert all(text.isprintable() for text in shown)

    def test_needs_little(self):
        """A server of another version, that tells less, is shown all the same."""
        store = Store()
        for _ in range(3):
            reading = store.add({"workers": [{"pid": 1, "requests": None, "memory": None}]})
        assert reading.application == "?"
        assert reading.workers[0].memory == 0


class TestEvents:
    def test_nothing(self, server, store):
        """Where nothing happens, nothing is told."""
        assert texts(store.add(server.status(1))) == []
        assert not store.events

    def test_logged(self, server, store):
        """What the supervisor has logged is told, in a line without control characters."""
        told = [
            {"number": 1, "time": 7.5, "level": "error", "text": "the reload failed\nTraceback"},
            {"number": 2, "time": 6.5, "level": "info", "text": "stopping\x1b[2J"},
            {"number": 3, "time": 8.0, "level": "warning", "text": "not scaled"},
            {},
        ]
        reading = store.add(server.status(1), told)
        assert [(each.at, each.kind) for each in reading.news] == [
            (0.0, "plain"),
            (6.5, "plain"),
            (7.5, "bad"),
            (8.0, "warning"),
        ]
        assert texts(reading)[2] == "the reload failed"
        assert all(text.isprintable() for text in texts(reading))
        assert list(store.events) == list(reading.news)

    def test_workers(self, server, store):
        """Workers that serve from now on, and those that have ended as they should."""
        server.facts["workers"][1]["state"] = "retiring"
        store.add(server.status(1))
        server.facts["workers"] = [worker(3, state="starting")]
        (event,) = store.add(server.status(1)).news
        assert event.text == "worker 2 (pid 4713) has ended"
        assert event.at == STARTED + server.uptime
        server.facts["workers"][0]["state"] = "ready"
        assert texts(store.add(server.status(1))) == ["worker 3 (pid 4714) serves"]
        assert texts(store.add(server.status(1))) == []

    def test_scale(self, server, store):
        """A change of scale is told."""
        server.facts["wanted"] = 3
        assert texts(store.add(server.status(1))) == ["scaled from 2 to 3 workers"]
