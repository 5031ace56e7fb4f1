"""Metrics: what counts, that nobody can make it grow, and that many processes add up to one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import urllib.request
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from breezeway.middleware.metrics import Metrics
from breezeway.middleware.metrics import files as metrics_files
from breezeway.middleware.metrics.files import Directory
from breezeway.middleware.metrics.text import wants_openmetrics

from ..live import eventually
from .calling import Counted, Result, call, make_environ

NEAR = {"REMOTE_ADDR": "127.0.0.1"}


def hello(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with five bytes; `/route/X` tells X as its route."""
    route = environ["PATH_INFO"].partition("/route/")[2]
    if route:
        environ["breezeway.route"] = route
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def scrape(application: WSGIApplication, **more: Any) -> Result:
    """Ask for the metrics."""
    return call(application, "/metrics", **{**NEAR, **more})


def samples(application: WSGIApplication, **more: Any) -> dict[str, float]:
    """Return all samples, by name and labels, as the Prometheus client reads them."""
    text = scrape(application, **more).body.decode()
    return {
        sample.name + "".join(f",{k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def test_counts() -> None:
    """Requests count by method, class of status and route, with their bytes and durations."""
    application = Metrics(hello)
    call(application)
    call(application, method="POST", body=b"x" * 7)
    call(application, "/route//users/<id>")
    found = samples(application)
    assert found["http_requests_total,method=GET,status=2xx"] == 1
    assert found["http_requests_total,method=POST,status=2xx"] == 1
    assert found["http_requests_total,method=GET,route=/users/<id>,status=2xx"] == 1
    assert found["http_request_bytes_total,method=POST,status=2xx"] == 7
    assert found["http_response_bytes_total,method=POST,status=2xx"] == 5
    assert found["http_request_duration_seconds_count,method=GET,status=2xx"] == 1
    assert found["http_request_duration_seconds_bucket,le=+Inf,method=GET,status=2xx"] == 1
    assert found["http_request_duration_seconds_bucket,le=10.0,method=GET,status=2xx"] == 1
    assert 0 < found["http_request_duration_seconds_sum,method=GET,status=2xx"] < 5
    assert found["http_requests_in_progress"] == 0


def test_both_formats_are_read_alike() -> None:
    """The parsers of the Prometheus client take both, with labels that need escapes."""
    application = Metrics(hello)
    call(application, '/route/a"b\\c\nd')
    text = scrape(application)
    opened = scrape(application, fields={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert text["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert opened["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert text["Vary"] == "Accept"

    def read(families: Any) -> list[Any]:
        return sorted(
            (sample.name, sorted(sample.labels.items()), sample.value)
            for family in families
            for sample in family.samples
        )

    assert read(parse_text(text.body.decode())) == read(parse_openmetrics(opened.body.decode()))
    routes = {labels for family in read(parse_text(text.body.decode())) for labels in family[1]}
    assert ("route", 'a"b\\c\nd') in routes


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", True),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.3", False),
        ('Application/OpenMetrics-Text; Version="1.0.0"', True),
        ("application/openmetrics-text;q=x", False),
    ],
)
def test_accept(accept: str, wanted: bool) -> None:
    """The format is negotiated as Prometheus asks for it."""
    assert wants_openmetrics(accept) is wanted


def test_clients_make_no_series() -> None:
    """Methods and paths that a client invents do not grow anything."""
    application = Metrics(hello)
    for number in range(100):
        call(application, f"/{number}", method="GET")
        application(make_environ(method=f"M{number}"), lambda status, headers, exc_info=None: None)
    found = [name for name in samples(application) if name.startswith("http_requests_total")]
    assert sorted(found) == [
        "http_requests_total,method=GET,status=2xx",
        "http_requests_total,method=OTHER,status=2xx",
    ]


def test_series_have_a_bound() -> None:
    """Past the bound, routes count as OTHER, and none is lost; nor is one that is too long."""
    application = Metrics(hello, series=20)
    call(application, "/route/" + "x" * 300)
    for number in range(100):
        call(application, f"/route/{number}")
    found = samples(application)
    totals = {
        name: value for name, value in found.items() if name.startswith("http_requests_total")
    }
    assert len(totals) <= 20
    assert sum(totals.values()) == 101
    assert totals["http_requests_total,method=OTHER,route=OTHER,status=2xx"] > 80


@pytest.mark.parametrize("route", [None, 7, [], {}, b"x", "é\ud800"])
def test_odd_routes_do_not_matter(route: Any, tmp_path: Path) -> None:
    """An application may leave anything in the environ."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["breezeway.route"] = route
        return hello(environ, start_response)

    for directory in (None, tmp_path):
        metrics = Metrics(application, directory=directory)
        call(metrics)
        assert (
            sum(v for n, v in samples(metrics).items() if n.startswith("http_requests_total")) == 1
        )


def test_route_by_a_function(caplog: pytest.LogCaptureFixture) -> None:
    """A function may tell the route; when it fails, the request is answered, and the log says so once."""
    application = Metrics(hello, route=lambda environ: {"/a": "A"}[environ["PATH_INFO"]])
    for path in ("/a", "/b", "/c"):
        assert call(application, path).code == 200
    found = samples(application)
    assert found["http_requests_total,method=GET,route=A,status=2xx"] == 1
    assert found["http_requests_total,method=GET,route=OTHER,status=2xx"] == 2
    assert len(caplog.records) == 1


def test_failures_and_clients_that_leave() -> None:
    """Both are told apart, and both are over."""

    def failing(environ: Any, start_response: Any) -> Any:
        raise LookupError

    metrics = Metrics(failing)
    with pytest.raises(LookupError):
        call(metrics)
    metrics.application = Counted(b"a", b"b")
    found = metrics(make_environ(), lambda status, headers, exc_info=None: None)
    next(iter(found))
    assert samples(metrics)["http_requests_in_progress"] == 1
    found.close()  # type: ignore[attr-defined]
    told = samples(metrics)
    assert told["http_requests_failed_total"] == 1
    assert told["http_requests_left_total"] == 1
    assert told["http_requests_in_progress"] == 0
    assert told["http_requests_total,method=GET,status=5xx"] == 1


@pytest.mark.parametrize("length", ["x", "-1", "²", "9" * 5000, ""])
def test_odd_lengths_do_not_matter(length: str) -> None:
    """A Content-Length that is none counts as nothing."""
    application = Metrics(hello)
    application(make_environ(CONTENT_LENGTH=length), lambda status, headers, exc_info=None: None)
    assert samples(application)["http_request_bytes_total,method=GET,status=2xx"] == 0


class TestWhoAsks:
    def test_strangers_are_refused(self) -> None:
        """Only this machine gets the figures by default, and nobody through a proxy."""
        application = Metrics(hello)
        assert scrape(application, REMOTE_ADDR="192.0.2.1").code == 403
        assert scrape(application, HTTP_X_FORWARDED_FOR="127.0.0.1").code == 403
        assert (
            scrape(Metrics(hello, networks=["192.0.2.0/24"]), REMOTE_ADDR="192.0.2.1").code == 200
        )

    def test_methods(self) -> None:
        """Figures are got, and nothing else."""
        application = Metrics(hello)
        assert scrape(application, method="HEAD").body == b""
        refused = scrape(application, method="POST")
        assert (refused.code, refused["Allow"]) == (405, "GET, HEAD")

    def test_other_path(self) -> None:
        """The path is the operator's; the application has all others."""
        application = Metrics(hello, path="/-/figures")
        assert call(application, "/metrics", **NEAR).body == b"hello"
        assert b"http_requests_total{" in call(application, "/-/figures", **NEAR).body

    def test_one_of_many_says_which(self) -> None:
        """Without a directory, the figures of several processes are kept apart by a label."""
        application = Metrics(hello)
        call(application)
        found = samples(application, **{"wsgi.multiprocess": True})
        assert found[f"http_requests_total,method=GET,pid={os.getpid()},status=2xx"] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"path": "metrics"},
        {"path": 1},
        {"networks": "127.0.0.1"},
        {"networks": ["x"]},
        {"buckets": []},
        {"buckets": 1},
        {"buckets": [1, 1]},
        {"buckets": [0, 1]},
        {"buckets": [1, float("inf")]},
        {"buckets": ["1"]},
        {"buckets": range(1, 100)},
        {"route": ""},
        {"route": 1},
        {"series": 1},
        {"series": True},
        {"series": "100"},
        {"directory": "/proc/nowhere"},
    ],
)
def test_wrong_options(options: Any) -> None:
    """Each option is checked at construction, in words that name it."""
    (name,) = options
    with pytest.raises(ValueError, match=name.rstrip("s")):
        Metrics(**options)


@pytest.mark.parametrize("shared", [True, False])
def test_threads(shared: bool, tmp_path: Path) -> None:
    """Sixteen threads lose nothing, while somebody reads."""
    application = Metrics(hello, directory=tmp_path if shared else None)

    def ask() -> None:
        for number in range(100):
            call(application, f"/route/{number % 5}")

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        samples(application)
    found = samples(application)
    assert sum(v for n, v in found.items() if n.startswith("http_requests_total")) == 1600
    assert sum(v for n, v in found.items() if n.startswith("http_response_bytes_total")) == 8000
    assert found["http_requests_in_progress"] == 0


class TestDirectory:
    """Processes share what they count."""

    TOTAL = "http_requests_total,method=GET,status=2xx"

    def in_child(self, work: Any) -> int:
        """Do something in a forked process, which then ends without a farewell."""
        pid = os.fork()
        if pid == 0:
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)
        return pid

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_forked_workers(self, tmp_path: Path) -> None:
        """A piece that was made before the fork counts in each; all living and dead add up, once."""
        application = Metrics(hello, directory=tmp_path)
        call(application)
        for number in (1, 2, 3):
            pid = self.in_child(lambda n=number: [call(application) for _ in range(n)])  # type: ignore[misc]
            assert os.waitpid(pid, 0)[1] == 0
        for _ in range(2):
            assert samples(application)[self.TOTAL] == 7
        assert len(list(tmp_path.glob("*.numbers"))) == 1

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_the_living_are_not_folded(self, tmp_path: Path) -> None:
        """A process that lives is read, also when it is asked for the sum by a newer one."""
        application = Metrics(hello, directory=tmp_path)
        call(application)
        read, write = os.pipe()

        def work() -> None:
            call(application)
            os.write(write, json.dumps(samples(application)).encode())

        os.waitpid(self.in_child(work), 0)
        assert json.loads(os.read(read, 100_000))[self.TOTAL] == 2
        os.close(read)
        os.close(write)
        call(application)
        assert samples(application)[self.TOTAL] == 3

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_gauge_of_the_dead_is_gone(self, tmp_path: Path) -> None:
        """A process that was killed within a request has none in progress any more."""
        application = Metrics(hello, directory=tmp_path)

        def work() -> None:
            call(application)
            application.application = lambda environ, start: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,return-value]
            call(application)

        os.waitpid(self.in_child(work), 0)
        found = samples(application)
        assert found["http_requests_in_progress"] == 0
        assert found[self.TOTAL] == 1

    def dead(self, tmp_path: Path, number: int = 1) -> Metrics:
        """Leave what a process that has ended leaves."""
        application = Metrics(hello, directory=tmp_path)
        for _ in range(number):
            call(application)
        application._store.forget()
        return application

    def test_folding_cut_short(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that dies while it folds, at any step, makes nothing count twice or not at all."""
        application = self.dead(tmp_path, 3)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", self.killed)
            with pytest.raises(KeyboardInterrupt):
                samples(application)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", self.killed)
            with pytest.raises(KeyboardInterrupt):
                samples(application)
        for _ in range(2):
            assert samples(application)[self.TOTAL] == 3

    @staticmethod
    def killed(*args: Any, **kwargs: Any) -> None:
        """Stand for the end."""
        raise KeyboardInterrupt

    def test_other_buckets(self, tmp_path: Path) -> None:
        """What was counted in other buckets is not mixed in, and its file goes."""
        self.dead(tmp_path)
        samples(self.dead(tmp_path, 2))
        other = Metrics(hello, directory=tmp_path, buckets=[1, 2])
        assert self.TOTAL not in samples(other)
        self.dead(tmp_path)
        samples(other)
        assert not list(tmp_path.glob("*.numbers"))

    def test_damage(self, tmp_path: Path) -> None:
        """Files that are not ours, or damaged, break nothing."""
        application = Metrics(hello, directory=tmp_path)
        call(application)
        suffix = application._store._directory._suffix  # type: ignore[union-attr]
        (tmp_path / f"1-a{suffix}").write_bytes(b"short")
        (tmp_path / f"1-b{suffix}").write_bytes(b"\xff" * 2_000_000)
        (tmp_path / "x.numbers").write_bytes(b"")
        (tmp_path / "folded.json").write_text("{")
        assert samples(application)[self.TOTAL] == 1
        for found in ("[]", '{"width": 1}', '{"width": 15, "values": 1, "rows": [], "taken": []}'):
            (tmp_path / "folded.json").write_text(found)
            assert samples(application)[self.TOTAL] == 1

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        """A link among the files leads nowhere."""
        application = Metrics(hello, directory=tmp_path)
        call(application)
        (tmp_path / "x.numbers").symlink_to("/etc/passwd")
        assert scrape(application).code == 200

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        """What is no file of numbers, whatever its name, holds nobody up."""
        os.mkfifo(tmp_path / "pipe.numbers")
        (tmp_path / "directory.numbers").mkdir()
        read: list[object] = []
        asking = threading.Thread(
            target=lambda: read.append(scrape(Metrics(hello, directory=tmp_path))), daemon=True
        )
        asking.start()
        asking.join(10)
        assert read

    def test_lock_that_is_held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """While somebody holds the lock, a scrape fails in time, and requests go on."""
        monkeypatch.setattr(metrics_files, "LOCK_SECONDS", 0.01)
        first = Metrics(hello, directory=tmp_path)
        assert isinstance(first._store._directory, Directory)
        with first._store._directory._locked():
            assert call(first).code == 200
            assert scrape(first).code == 503
        assert samples(first)[self.TOTAL] == 1

    def test_directory_that_has_gone(self, tmp_path: Path) -> None:
        """Requests go on without it; a scrape says 503."""
        directory = tmp_path / "a" / "b"
        application = Metrics(hello, directory=str(directory))
        directory.rmdir()
        assert call(application).code == 200
        assert scrape(application).code == 503

    def test_workers_of_a_server(self, tmp_path: Path) -> None:
        """Under a server with two workers, each scrape sees the requests of both."""
        (tmp_path / "it.py").write_text(
            textwrap.dedent(
                f"""
                import os
                from breezeway.middleware import Metrics
                def application(environ, start_response):
                    start_response("200 OK", [("Content-Type", "text/plain")])
                    return [str(os.getpid()).encode()]
                application = Metrics(application, directory={str(tmp_path / "d")!r})
                """
            )
        )
        command = [
            sys.executable,
            "-m",
            "breezeway",
            "it:application",
            "--bind=127.0.0.1:0",
            "--workers=2",
        ]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                url = next(
                    m[0] for line in process.stderr if (m := re.search(r"http://[\d.:]+", line))
                )

                def get(path: str) -> str:
                    with urllib.request.urlopen(url + path, timeout=10) as response:
                        return str(response.read().decode())

                pids: list[str] = []

                def both() -> bool:
                    pids.append(get("/"))
                    return len(set(pids)) == 2

                eventually(both, "answers of both workers")
                for _ in range(10):
                    assert f'http_requests_total{{method="GET",status="2xx"}} {len(pids)}\n' in get(
                        "/metrics"
                    )
            finally:
                process.terminate()
                process.stderr.read()  # type: ignore[union-attr]
