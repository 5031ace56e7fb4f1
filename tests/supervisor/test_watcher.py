"""The watcher: real files, a real process, both ways to learn of a change."""

from __future__ import annotations

import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breezeway.supervisor import source_tree, watcher
from breezeway.supervisor.source_tree import SourceTree
from breezeway.supervisor.watcher import Backend, WatcherProcess

from ..live import eventually

# Other tests may have left a thread; the child touches nothing that it might hold.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

DEADLINE_SECONDS = 20.0

LATENCY_SECONDS = {"watchfiles": 0.1, "polling": 0.35}
"""From a save to its report, when the machine has nothing else to do."""

SLACK_SECONDS = 0.4
"""What a busy machine may add to that."""

BACKENDS: list[Backend] = ["watchfiles", "polling"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make an application: a module, a package with a template, and what is none of its source."""
    directory = tmp_path / "site"
    for name in (
        "app.py",
        "shop/views.py",
        "shop/templates/cart.html",
        ".git/hooks/hook.py",
        "node_modules/some/setup.py",
        "env/pyvenv.cfg",
        "env/lib/there.py",
    ):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return directory


@pytest.fixture(params=BACKENDS)
def watching(request: pytest.FixtureRequest, site: Path) -> Iterator[WatcherProcess]:
    """Watch the application."""
    if request.param == "watchfiles" and importlib.util.find_spec("watchfiles") is None:
        pytest.skip("watchfiles is not installed")
    process = watcher.start([str(site)], backend=request.param)
    yield process
    process.close()


def report(process: WatcherProcess) -> list[str]:
    """Wait for a report."""
    assert select.select([process.fd], [], [], DEADLINE_SECONDS)[0], "nothing was reported"
    return process.read()


def save(file: Path, text: str = "changed\n") -> None:
    """Save as editors do that are careful: to another file, which is renamed."""
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_text(text)
    temporary.replace(file)


def warm_up(process: WatcherProcess, site: Path) -> None:
    """Wait until the process has imported what it needs."""
    save(site / "app.py", "warm\n")
    report(process)


class TestReport:
    def test_change_after_start(self, site: Path, watching: WatcherProcess) -> None:
        """What changes after `start` has returned is reported, ready or not."""
        (site / "app.py").write_text("changed")
        assert report(watching) == [str(site / "app.py")]

    @pytest.mark.parametrize(
        "change",
        [
            lambda file: file.write_text("changed"),
            lambda file: save(file),
            lambda file: file.unlink(),
            lambda file: file.touch(),
        ],
        ids=["in place", "by rename", "removal", "touch"],
    )
    def test_ways_to_change(
        self, site: Path, watching: WatcherProcess, change: Callable[[Path], None]
    ) -> None:
        """However a file changes, its path is reported once, and nothing beside it."""
        warm_up(watching, site)
        change(site / "shop/views.py")
        assert report(watching) == [str(site / "shop/views.py")]

    def test_one_save_of_several_files_is_one_report(
        self, site: Path, watching: WatcherProcess
    ) -> None:
        """`Save all` is one report."""
        warm_up(watching, site)
        files = sorted([site / "app.py", site / "shop/views.py", site / "shop/templates/cart.html"])
        for file in files:
            save(file)
        assert report(watching) == list(map(str, files))

    def test_latency(
        self, request: pytest.FixtureRequest, site: Path, watching: WatcherProcess
    ) -> None:
        """A save is reported soon enough for a restart within 300 ms."""
        warm_up(watching, site)
        backend = request.node.callspec.params["watching"]
        took = []
        for number in range(5):
            began = time.monotonic()
            save(site / "app.py", f"{number}\n")
            report(watching)
            took.append(time.monotonic() - began)
        assert min(took) < LATENCY_SECONDS[backend]
        assert max(took) < LATENCY_SECONDS[backend] + SLACK_SECONDS

    def test_new_directory(self, site: Path, watching: WatcherProcess) -> None:
        """A directory that is made later is watched, and so are those inside of it."""
        inner = site / "new" / "inner"
        inner.mkdir(parents=True)
        (inner / "first.py").write_text("")
        seen = report(watching)
        while str(inner / "first.py") not in seen:
            seen += report(watching)
        save(inner / "first.py", "again\n")
        assert report(watching) == [str(inner / "first.py")]

    def test_names_that_are_not_utf_8(self, site: Path, watching: WatcherProcess) -> None:
        """Any name of a file can be reported."""
        name = os.fsdecode(bytes(site) + b"/\xff\n.py")
        Path(name).write_text("")
        assert report(watching) == [name]

    def test_what_is_not_watched(self, site: Path, watching: WatcherProcess) -> None:
        """What is none of the application's source is not reported."""
        warm_up(watching, site)
        (site / "shop/__pycache__").mkdir()
        for name in (
            "shop/__pycache__/views.py",
            "node_modules/some/setup.py",
            "env/lib/there.py",
            ".git/hooks/hook.py",
            "app.py~",
            ".#app.py",
            "state.json",
        ):
            (site / name).write_text("changed")
        save(site / "app.py")
        assert report(watching) == [str(site / "app.py")]


class TestVanishing:
    @pytest.mark.parametrize("part", [".", "shop"])
    def test_directory_comes_back(self, site: Path, watching: WatcherProcess, part: str) -> None:
        """A directory may go, as a whole or in part, and come back: it is watched again."""
        directory, away = site / part, site.with_name("away")
        shutil.copytree(directory, away)
        shutil.rmtree(directory)
        assert str(site / "shop/views.py") in report(watching)
        shutil.copytree(away, directory)
        assert str(site / "shop/views.py") in report(watching)
        save(site / "shop/views.py", "after\n")
        seen = report(watching)  # maybe a rest of the copy before
        while str(site / "shop/views.py") not in seen:
            seen += report(watching)

    def test_directory_is_replaced_quickly(self, site: Path, watching: WatcherProcess) -> None:
        """A directory that is another one at the next look is watched: not the one that was."""
        warm_up(watching, site)
        shutil.rmtree(site / "shop")
        (site / "shop").mkdir()
        (site / "shop/views.py").write_text("new")
        report(watching)
        for number in range(3):
            save(site / "shop/views.py", f"{number}\n")
            assert report(watching) == [str(site / "shop/views.py")]

    def test_directory_that_is_not_there_yet(self, tmp_path: Path) -> None:
        """A directory that is made later is watched from then on."""
        process = watcher.start([str(tmp_path / "later")])
        try:
            (tmp_path / "later").mkdir()
            (tmp_path / "later/app.py").write_text("")
            assert report(process) == [str(tmp_path / "later/app.py")]
        finally:
            process.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_file(tmp_path: Path, backend: Backend) -> None:
    """A file that is named itself is watched, whatever its suffix; its neighbours are not."""
    file, neighbour = tmp_path / "production.settings", tmp_path / "app.py"
    file.write_text("")
    process = watcher.start([str(file)], backend=backend)
    try:
        neighbour.write_text("")
        save(file)
        assert report(process) == [str(file)]
    finally:
        process.close()


class TestProcess:
    def test_close_ends_it(self, site: Path, watching: WatcherProcess) -> None:
        """After `close` the process is gone and reaped; a second `close` does nothing."""
        watching.close()
        watching.close()
        with pytest.raises(ProcessLookupError):
            os.kill(watching.pid, 0)

    def test_close_in_a_worker_leaves_it_alone(self, site: Path, watching: WatcherProcess) -> None:
        """A worker that was forked closes its copy of the descriptor, and that is all."""
        if (pid := os.fork()) == 0:
            watching.close_in_child()
            os._exit(0)
        os.waitpid(pid, 0)
        save(site / "app.py")
        assert report(watching) == [str(site / "app.py")]

    def test_end_is_told(self, watching: WatcherProcess) -> None:
        """When the process ends by itself, its descriptor is readable, and it `ended`."""
        os.kill(watching.pid, signal.SIGKILL)
        assert report(watching) == []
        assert watching.ended

    def test_reaped_by_somebody_else(self, watching: WatcherProcess) -> None:
        """When the supervisor has reaped the process, `close` leaves its number alone."""
        os.kill(watching.pid, signal.SIGKILL)
        os.waitpid(watching.pid, 0)
        watching.reaped()
        watching.close()

    def test_signals_for_the_supervisor_are_ignored(
        self, site: Path, watching: WatcherProcess
    ) -> None:
        """Signals that the terminal sends to all do not end it."""
        warm_up(watching, site)
        for number in watcher.IGNORED:
            os.kill(watching.pid, number)
        save(site / "app.py")
        assert report(watching) == [str(site / "app.py")]

    def test_closes_what_it_inherits(self, site: Path) -> None:
        """It keeps nothing open that it is told to close, such as a listener."""
        ours, theirs = os.pipe()
        process = watcher.start([str(site)], close_inherited=lambda: os.close(theirs))
        try:
            os.close(theirs)
            assert os.read(ours, 1) == b""
        finally:
            os.close(ours)
            process.close()

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_ends_with_the_supervisor(self, site: Path, backend: Backend) -> None:
        """When the supervisor is killed, the watcher ends by itself."""
        script = (
            "import sys, time; from breezeway.supervisor import watcher\n"
            "process = watcher.start([sys.argv[1]], backend=sys.argv[2])\n"
            "print(process.pid, flush=True); time.sleep(60)"
        )
        supervisor = subprocess.Popen(
            [sys.executable, "-c", script, str(site), backend], stdout=subprocess.PIPE, text=True
        )
        with supervisor:
            assert supervisor.stdout is not None
            pid = int(supervisor.stdout.readline())
            supervisor.kill()
        eventually(lambda: is_gone(pid), "the watcher ends")

    def test_description(self, site: Path) -> None:
        """The description says what is watched and how, and that polling is the second choice."""
        for backend, text in (
            ("watchfiles", f"watching {site} with watchfiles"),
            ("polling", f"watching {site} by polling every 250 ms: pip install"),
        ):
            process = watcher.start([str(site)], backend=backend)
            process.close()
            assert process.description.startswith(text)


def is_gone(pid: int) -> bool:
    """Tell whether a process that is no child of ours has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class TestWatchfilesFails:
    def test_at_its_import(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """If watchfiles is there but cannot be imported, the watcher polls."""
        monkeypatch.setitem(sys.modules, "watchfiles", None)
        process = watcher.start([str(site)], backend="watchfiles")
        try:
            save(site / "app.py")
            assert report(process) == [str(site / "app.py")]
        finally:
            process.close()

    def test_later(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """If watchfiles fails, as it does when the system has too few watches, the watcher polls."""

        class Full:
            @staticmethod
            def watch(*paths: str, **options: object) -> Iterator[object]:
                raise OSError("OS file watch limit reached")
                yield

        monkeypatch.setitem(sys.modules, "watchfiles", Full)
        process = watcher.start([str(site)], backend="watchfiles")
        try:
            for text in ("one", "two"):
                save(site / "app.py", text)
                assert report(process) == [str(site / "app.py")]
        finally:
            process.close()


class TestSourceTree:
    def look(self, *paths: Path) -> SourceTree:
        """Look at the tree below those paths."""
        tree = SourceTree(map(str, paths))
        tree.look()
        return tree

    @pytest.mark.parametrize(
        ("name", "watched"),
        [
            ("app.py", True),
            ("page.jinja2", True),
            ("breezeway.toml", True),
            (".env", True),
            (".env.local", True),
            ("local.env", True),
            ("fast.cpython-311-x86_64-linux-gnu.so", True),
            ("app.pyc", False),
            ("types.pyi", False),
            (".app.py.swp", False),
            ("data.sqlite3", False),
            ("notes.txt", False),
        ],
    )
    def test_names(self, name: str, watched: bool) -> None:
        """A file is watched by its name."""
        assert source_tree.is_watched(name) is watched

    def test_files(self, site: Path) -> None:
        """The files of the application are found, those of its environment are not."""
        assert self.look(site).files.keys() == {
            str(site / name) for name in ("app.py", "shop/views.py", "shop/templates/cart.html")
        }

    def test_build_directory(self, site: Path) -> None:
        """A directory called `build` is skipped, unless it is a package."""
        (site / "build").mkdir()
        (site / "build/copy.py").write_text("")
        assert str(site / "build/copy.py") not in self.look(site).files
        (site / "build/__init__.py").write_text("")
        assert str(site / "build/copy.py") in self.look(site).files

    def test_what_is_named_is_never_skipped(self, site: Path) -> None:
        """A directory that is asked for is watched, whatever it is called."""
        assert self.look(site / ".git").files.keys() == {str(site / ".git/hooks/hook.py")}

    def test_symlinks(self, site: Path, tmp_path: Path) -> None:
        """Symlinks are followed, each target once; a loop ends."""
        (tmp_path / "library").mkdir()
        (tmp_path / "library/lib.py").write_text("")
        (tmp_path / "library/back").symlink_to(site)
        (site / "linked").symlink_to(tmp_path / "library")
        (site / "shop/loop").symlink_to(site)
        (site / "shop/broken.py").symlink_to(site / "nowhere")
        files = self.look(site).files
        assert str(site / "linked/lib.py") in files
        assert len(files) == 4

    def test_bound(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look ends at its bound, and what is near the top is seen first."""
        monkeypatch.setattr(source_tree, "MOST_ENTRIES", 6)
        tree = self.look(site)
        assert tree.cut_short
        assert tree.files.keys() == {str(site / "app.py")}

    def test_bound_is_told(
        self, site: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The watcher says that it does not see everything."""
        monkeypatch.setattr(source_tree, "MOST_ENTRIES", 6)
        watcher.start([str(site)]).close()
        assert "changes deep in there are not seen" in caplog.text

    def test_unreadable_directory(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A directory that cannot be read is left out."""
        scandir = os.scandir

        def refusing(path: str) -> object:
            if path.endswith("shop"):
                raise PermissionError
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        assert self.look(site).files.keys() == {str(site / "app.py")}
