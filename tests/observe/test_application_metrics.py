"""The application's metrics in shared memory: merged over processes, kept, and never misread."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import prometheus_client
import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    values,
)
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

import breezeway
from breezeway.observe import application_metrics, application_metrics_memory
from breezeway.observe.application_metrics_families import UNSHARED, Family, merge
from breezeway.observe.application_metrics_memory import Contents, Region, Regions
from breezeway.observe.application_metrics_series import key_of
from breezeway.observe.application_metrics_text import lines

ROWS = 4


pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.fixture
def regions() -> Regions:
    """Make the memory, as a supervisor does."""
    return Regions(ROWS)


def run(regions: Regions, number: int, work: Callable[[], None], *, end: int = 0) -> int:
    """Do some work in a worker of its own, which ends with the signal `end`; return its pid."""
    pid = os.fork()
    if not pid:
        status = 1
        with contextlib.suppress(BaseException):
            application_metrics.enter(regions, number)
            application_metrics.share()
            work()
            if end:
                os.kill(os.getpid(), end)
            status = 0
        os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status == end
    return pid


def told(regions: Regions, *, openmetrics: bool = False) -> dict[tuple[str, frozenset], float]:
    """Return all samples, as prometheus_client's parser reads them."""
    families = merge(regions.read())
    written = lines(families, openmetrics=openmetrics, leave_out=lambda *_: None)
    text = "".join(f"{each}\n" for each in written)
    if openmetrics:
        families = openmetrics_parser.text_string_to_metric_families(text + "# EOF\n")
    else:
        families = text_string_to_metric_families(text)
    samples = {
        (each.name, frozenset(each.labels.items())): each.value
        for family in families
        for each in family.samples
    }
    assert samples.pop((f"{UNSHARED}_total", frozenset()), 0.0) == 0.0
    return samples


def sample(name: str, **labels: str) -> tuple[str, frozenset]:
    """Name a sample."""
    return name, frozenset(labels.items())


@contextlib.contextmanager
def sharing(regions: Regions, number: int | None) -> Iterator[CollectorRegistry]:
    """Be a worker, or what loads the application for workers, for a while."""
    store, before = application_metrics.STORE, values.ValueClass
    kept = {name: getattr(store, name) for name in type(store).__slots__}
    try:
        if number is None:
            application_metrics.expect(regions)
        else:
            application_metrics.enter(regions, number)
        yield breezeway.share_metrics()
    finally:
        values.ValueClass = before
        for name, value in kept.items():
            setattr(store, name, value)
        store._places = {}


def count() -> None:
    """Use one of each kind."""
    counter = Counter("seen", "What was seen.", ["who"], registry=None)
    counter.labels('a\\b "c"\n').inc()
    counter.labels("d").inc(1.5)
    summary = Summary("took", "What it took.", registry=None)
    summary.observe(2.0)
    histogram = Histogram("size", "How large.", ["of"], registry=None, buckets=[1, 10])
    for size in (0.5, 5, 50):
        histogram.labels("x").observe(size)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_workers_are_added_up(regions: Regions, openmetrics: bool) -> None:
    """Counters, summaries and histograms are the sums, whether a worker lives, has ended or was killed."""
    run(regions, 0, count)
    run(regions, 1, count, end=signal.SIGKILL)
    regions.retire(1)
    run(regions, 1, count)
    assert told(regions, openmetrics=openmetrics) == {
        sample("seen_total", who='a\\b "c"\n'): 3.0,
        sample("seen_total", who="d"): 4.5,
        sample("took_count"): 3.0,
        sample("took_sum"): 6.0,
        sample("size_bucket", of="x", le="1.0"): 3.0,
        sample("size_bucket", of="x", le="10.0"): 6.0,
        sample("size_bucket", of="x", le="+Inf"): 9.0,
        sample("size_count", of="x"): 9.0,
        sample("size_sum", of="x"): 166.5,
    }


@pytest.mark.parametrize(
    ("mode", "alive", "afterwards"),
    [
        ("min", 1.0, 1.0),
        ("max", 3.0, 3.0),
        ("sum", 6.0, 6.0),
        ("mostrecent", 2.0, 2.0),
        ("livemin", 1.0, 2.0),
        ("livemax", 3.0, 2.0),
        ("livesum", 6.0, 2.0),
        ("livemostrecent", 2.0, 2.0),
    ],
)
def test_gauges(regions: Regions, mode: str, alive: float, afterwards: float) -> None:
    """A gauge becomes what its mode says; a mode that begins with live forgets who has ended."""
    for number, value in enumerate((1.0, 3.0, 2.0)):
        run(regions, number, lambda value=value: gauge(mode).set(value))
    assert told(regions) == {sample("level"): alive}
    regions.retire(0)
    regions.retire(1)
    assert told(regions) == {sample("level"): afterwards}


def gauge(mode: str) -> Gauge:
    """Make a gauge."""
    return Gauge("level", "How high.", registry=None, multiprocess_mode=mode)


def test_gauges_of_each_process(regions: Regions) -> None:
    """One series for each pid, in the mode `all` also for the last workers that have ended."""
    pids = [run(regions, number, lambda: gauge("all").set(1.0)) for number in (0, 1)]
    both = {sample("level", pid=str(pid)): 1.0 for pid in pids}
    assert told(regions) == both
    regions.retire(0)
    assert told(regions) == both
    regions.retire(1)
    live = run(regions, 0, lambda: gauge("liveall").set(2.0))
    assert told(regions) == {sample("level", pid=str(live)): 2.0}  # of another mode now


def test_gauges_of_the_departed_have_a_bound(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the workers that ended first are forgotten."""
    monkeypatch.setattr(application_metrics_memory, "DEPARTED_PIDS", 2)
    pids = []
    for _ in range(4):
        pids.append(run(regions, 0, lambda: gauge("all").set(1.0)))
        regions.retire(0)
    assert told(regions) == {sample("level", pid=str(pid)): 1.0 for pid in pids[2:]}


def test_what_is_counted_before_a_fork_is_each_worker_s(regions: Regions) -> None:
    """With --preload, workers begin with what loading has left, and then count for themselves."""
    with sharing(regions, None):
        counter = Counter("loads", "Loads.", registry=None)
        counter.inc()
        level = gauge("max")
        level.set(5.0)
        run(regions, 0, counter.inc)
        run(regions, 1, lambda: counter.inc(2))
        regions.retire(1)
        assert counter._value.get() == 1.0
    assert told(regions) == {sample("loads_total"): 5.0, sample("level"): 5.0}


def test_forks_of_a_worker_count_for_themselves(regions: Regions) -> None:
    """Two processes never write to the same word; and no lock stays locked in the child."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with application_metrics.STORE.lock:
            held.set()
            assert over.wait(20)

    with sharing(regions, 0):
        counter = Counter("jobs", "Jobs.", registry=None)
        counter.inc()
        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(20)
        pid = os.fork()
        if not pid:
            counter.inc()
            Counter("child", "In the child.", registry=None).inc()
            os._exit(counter._value.get() != 2.0)
        over.set()
        holder.join()
        killer = threading.Timer(20, os.kill, (pid, signal.SIGKILL))  # if it waits for the lock
        killer.start()
        assert os.waitpid(pid, 0)[1] == 0
        killer.cancel()
        counter.inc()
    assert told(regions) == {sample("jobs_total"): 2.0}


def test_what_interrupts_counting_can_count(regions: Regions) -> None:
    """Signal handlers and finalizers run anywhere, also while their thread has the lock."""
    with sharing(regions, 0):
        counter = Counter("signals", "Signals.", registry=None)

        def interrupt() -> None:
            with application_metrics.STORE.lock:
                counter.inc()

        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert told(regions) == {sample("signals_total"): 1.0}


def test_the_application_s_own_page(regions: Regions) -> None:
    """What `share_metrics` returns tells of all workers, also of series that this one has not."""
    run(regions, 1, lambda: Counter("other", "Of another.", registry=None).inc())
    with sharing(regions, 0) as registry:
        assert breezeway.share_metrics() is registry
        Counter("mine", "Of this one.", registry=None).inc()
        page = prometheus_client.generate_latest(registry).decode()
        only = registry.restricted_registry(["mine_total"])
        assert b"mine_total 1.0" in prometheus_client.generate_latest(only)
        assert b"other" not in prometheus_client.generate_latest(only)
    assert "\nmine_total 1.0\n" in page
    assert "\nother_total 1.0\n" in page


def test_metrics_can_be_made_in_that_registry(regions: Regions) -> None:
    """Those that are shared are told once, and those that cannot be for this worker."""
    run(regions, 1, lambda: Counter("mine", "Of all.", registry=None).inc())
    with sharing(regions, 0) as registry:
        Counter("mine", "Of all.", registry=registry).inc()
        Info("version", "Which.", registry=registry).info({"number": "1.2"})
        Enum("state", "How it is.", states=["up", "down"], registry=registry).state("down")
        found = {
            each.name: (family.name, each.labels, each.value)
            for family in registry.collect()
            for each in family.samples
            if each.value and each.name != f"{UNSHARED}_total"
        }
        assert registry.get_sample_value("mine_total") == 2.0
    assert found == {
        "mine_total": ("mine", {}, 2.0),
        "version_info": ("version", {"number": "1.2"}, 1.0),
        "state": ("state", {"state": "down"}, 1.0),
    }


def test_without_a_supervisor_nothing_changes() -> None:
    """It is plain prometheus_client, with its own registry."""
    before = values.ValueClass
    assert breezeway.share_metrics() is prometheus_client.REGISTRY
    assert values.ValueClass is before


@pytest.mark.parametrize("is_preloaded", [False, True])
def test_a_worker_that_cannot_have_the_memory_serves_all_the_same(
    regions: Regions,
    is_preloaded: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It counts for itself, and says so."""

    def region(_: int) -> Region:
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(regions, "region", region)
    with sharing(regions, None if is_preloaded else 0):
        counter = Counter("alone", "Alone.", registry=None)
        if is_preloaded:
            application_metrics.enter(regions, 0)
        counter.inc()
        assert counter._value.get() == 1.0
    assert [each.message for each in caplog.records] == [
        "the metrics of this worker are not shared: Cannot allocate memory"
    ]


def test_metrics_that_are_too_early_are_told(
    regions: Regions, caplog: pytest.LogCaptureFixture
) -> None:
    """Who calls `share_metrics` too late can read so in the log."""
    early = Counter("too_early", "Made before.")
    try:
        with sharing(regions, 0):
            early.inc()
    finally:
        prometheus_client.REGISTRY.unregister(early)
    assert [each.message for each in caplog.records if "too_early" in each.message]
    assert told(regions) == {}


def test_series_have_a_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What has no room counts for its worker alone; it is counted, and told once."""
    monkeypatch.setattr(application_metrics_memory, "REGION_BYTES", 2 * 4096)
    regions = Regions(ROWS)
    with sharing(regions, 0):
        counter = Counter("many", "Too many.", ["number"], registry=None)
        for number in range(100):
            counter.labels(number).inc()
        assert counter.labels(99)._value.get() == 1.0
        counter.labels(0).inc()
    assert len([each for each in caplog.records if "no room" in each.message]) == 1
    samples = {name: family.samples for family in merge(regions.read()) for name in [family.name]}
    kept = samples["many"]
    assert 20 < len(kept) < 100
    assert ("many_total", (("number", "0"),), 2.0) in kept
    assert samples[UNSHARED] == [(f"{UNSHARED}_total", (), 100.0 - len(kept))]


def test_what_is_kept_has_a_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Labels that are others in each worker do not fill memory for ever."""
    monkeypatch.setattr(application_metrics_memory, "DEPARTED_BYTES", 4096)
    regions = Regions(ROWS)
    for worker in range(30):
        region = regions.region(0)
        region.clear(pid=worker + 1)
        for number in range(2):
            labels = [("worker", f"{worker}-{number}")]
            region.append(key_of("counter", "", "many", "many_total", "", labels), (1.0, 0.0))
        regions.retire(0)
    (many, unshared) = merge(regions.read())
    assert 20 < len(many.samples) < 60
    assert many.samples.count(("many_total", (("worker", "0-0"),), 1.0)) == 1
    assert unshared.samples[0][2] == 60.0 - len(many.samples)
    assert len([each for each in caplog.records if "no room" in each.message]) == 1


def test_a_worker_killed_in_an_entry_leaves_nothing_of_it(regions: Regions) -> None:
    """An entry is there when all of it is; the next worker of that row begins clean."""

    class Killing:
        """Stands for the header, and kills when the entry would be published."""

        def __init__(self, words: memoryview) -> None:
            self.words = words

        def __getitem__(self, at: int) -> int:
            return self.words[at]

        def __setitem__(self, at: int, value: int) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        Counter("whole", "Whole.", registry=None).inc()
        region = application_metrics.STORE._region
        assert region is not None
        region._header = Killing(region._header)  # type: ignore[assignment]
        Counter("torn", "Torn.", registry=None)

    run(regions, 0, work, end=signal.SIGKILL)
    assert told(regions) == {sample("whole_total"): 1.0}
    regions.retire(0)
    run(regions, 0, lambda: Counter("x", "Short.", registry=None).inc())
    assert told(regions) == {sample("whole_total"): 1.0, sample("x_total"): 1.0}


def test_what_cannot_be_an_entry_is_not_read() -> None:
    """Bytes whose checksum is wrong, as when a part of them is not visible yet, end the list."""
    region = Region.private()
    region.append(b"first", (1.0, 0.0))
    at = region.append(b"second", (2.0, 0.0))
    assert at is not None
    assert list(region.entries()) == [(b"first", (1.0, 0.0)), (b"second", (2.0, 0.0))]
    for place, value in ((at - 1, 0), (at + 1 + 1, 7)):
        before = region._heads[place]
        region._heads[place] = value
        assert list(region.entries()) == [(b"first", (1.0, 0.0))]
        region._heads[place] = before


def test_readers_wait_while_a_worker_is_taken_from_the_living(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads between the steps of that sees each count once, neither twice nor not at all."""
    run(regions, 0, count)
    run(regions, 1, count)
    found = []
    has_looked = threading.Event()

    def read() -> None:
        found.append(told(regions)[sample("took_count")])
        has_looked.set()

    def sleep(_: float) -> None:
        has_looked.set()

    def clear(region: Region, *arguments: int) -> None:
        has_looked.clear()
        threads.append(threading.Thread(target=read))
        threads[-1].start()
        assert has_looked.wait(20)
        plain(region, *arguments)

    threads: list[threading.Thread] = []
    plain = Region.clear
    monkeypatch.setattr(Region, "clear", clear)
    monkeypatch.setattr(application_metrics_memory.time, "sleep", sleep)
    regions.retire(0)
    for each in threads:
        each.join()
    assert found == [2.0, 2.0]


def test_readers_begin_anew_when_a_worker_has_ended_meanwhile(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before and after is not mixed."""
    run(regions, 0, count)
    plain = regions._read

    def read() -> Contents:
        contents = plain()
        if contents.workers:
            regions.retire(0)
            return contents._replace(departed=plain().departed)
        return contents

    monkeypatch.setattr(regions, "_read", read)
    assert told(regions)[sample("took_count")] == 1.0


def test_readers_do_not_wait_for_a_supervisor_that_was_killed(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take what is there."""
    monkeypatch.setattr(application_metrics_memory, "READ_SECONDS", 0.01)
    run(regions, 0, count)
    regions._words[0] += 1
    assert told(regions)[sample("took_count")] == 1.0


def test_threads_lose_nothing(regions: Regions) -> None:
    """Increments of several threads all count."""
    with sharing(regions, 0):
        counter = Counter("seen", "Seen.", registry=None)
        threads = [
            threading.Thread(target=lambda: [counter.inc() for _ in range(5000)]) for _ in range(4)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert told(regions) == {sample("seen_total"): 20_000.0}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_text_of_unusual_values(regions: Regions, openmetrics: bool) -> None:
    """Infinity, what is no number, below zero, names of dots, and help of several lines."""

    def work() -> None:
        Gauge("up", 'Line\n"two" \\', registry=None, multiprocess_mode="max").set(float("inf"))
        Gauge("down", "Down.", registry=None, multiprocess_mode="max").set(float("-inf"))
        Gauge("none", "None.", registry=None, multiprocess_mode="max").set(float("nan"))
        Histogram("cold", "Below zero.", registry=None, buckets=[-5, 0]).observe(-3)

    run(regions, 0, work)
    key = key_of("gauge", "max", "with.dots", "with.dots", "", [("a.b", "c")])
    regions.region(0).append(key, (1.0, 0.0))
    found = told(regions, openmetrics=openmetrics)
    assert str(found.pop(sample("none"))) == "nan"
    assert found == {
        sample("up"): float("inf"),
        sample("down"): float("-inf"),
        sample("with_dots", a_b="c"): 1.0,
        sample("cold_bucket", le="-5.0"): 0.0,
        sample("cold_bucket", le="0.0"): 1.0,
        sample(
            "cold_bucket", le="+Inf"
        ): 1.0,  # a sum that may fall is none, and has no count beside it
    }


def test_a_metric_of_another_kind_takes_the_place_of_the_old(regions: Regions) -> None:
    """After a reload that has made a gauge of a counter, what is told is of one kind."""
    run(regions, 0, lambda: Counter("kind", "Before.", registry=None).inc())
    regions.retire(0)
    run(regions, 0, lambda: Gauge("kind", "Now.", registry=None, multiprocess_mode="sum").set(7))
    assert [each for each in merge(regions.read()) if each.name == "kind"] == [
        Family("kind", "gauge", "Now.", [("kind", (), 7.0)])
    ]
