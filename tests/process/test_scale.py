"""Scale: more and fewer workers, by signal and by command."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, as_json, eventually, serving


def test_signals(tmp_path: Path) -> None:
    """TTIN adds a worker and TTOU takes one away, under load and without a loss."""
    with serving(tmp_path, workers=1) as server:
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            for number, wanted in (
                (signal.SIGTTIN, 2),
                (signal.SIGTTIN, 3),
                (signal.SIGTTOU, 2),
                (signal.SIGTTOU, 1),
            ):
                server.signal(number)
                server.wait_for_workers(wanted)
                load.wait_for(200)
        assert not load.failures
        server.log.wait_for("scaling to 3 workers")


def test_no_fewer_than_one(tmp_path: Path) -> None:
    """TTOU leaves the last worker, and says that there can be no fewer."""
    with serving(tmp_path, workers=1) as server:
        before = set(server.workers())
        server.signal(signal.SIGTTOU)
        server.log.wait_for("not scaled: there can be 1 to 128 workers, not 0")
        assert set(server.workers()) == before


def test_command(tmp_path: Path) -> None:
    """`ctl scale` returns when the workers serve, or have gone."""
    with serving(tmp_path, workers=1) as server:
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            for wanted in (4, 2):
                assert as_json(server.ctl("scale", str(wanted))) == {"workers": wanted}
                assert len(server.workers()) == wanted
                load.wait_for(200)
        assert not load.failures
        with pytest.raises(UserError, match="1 to 128 workers, not 0"):
            server.ask("scale", workers=0)
        with pytest.raises(UserError, match="a whole number"):
            server.ask("scale", workers="many")


def test_idle_clients_see_the_end(tmp_path: Path) -> None:
    """A worker that goes tells its clients with `Connection: close`, and leaves the idle for a while."""
    with serving(tmp_path, workers=2) as server:
        # All at once they may all go to the one worker that happens to be awake.
        with (
            Load(server.address, keep_alive=16, pause=0.05) as early,
            contextlib.ExitStack() as more,
        ):
            loads = [early]

            def workers() -> set[str]:
                return {each for load in loads for each in load.spread() if each}

            for _ in range(10):
                early.wait_for(32)
                if len(workers()) == 2:
                    break
                late = Load(server.address, keep_alive=4, pause=0.05)
                loads.append(more.enter_context(late))
            assert len(workers()) == 2
            server.ask("scale", workers=1)
            eventually(lambda: len(workers()) == 1, "all clients at one worker")
        assert not any(load.failures for load in loads)
        assert any(load.closed for load in loads)


def test_code_that_does_not_come_up(tmp_path: Path) -> None:
    """`ctl scale` to more workers fails with the reason when the code on disk is broken."""
    with serving(tmp_path, workers=1, trouble=True) as server:
        before = set(server.workers())
        server.deploy("raise RuntimeError('half a deploy')\n")
        failed = server.ctl("scale", "2")
        assert failed.returncode == 1
        assert "RuntimeError: half a deploy" in failed.stderr
        assert set(server.workers()) == before
        server.deploy(APPLICATION)
        server.wait_for_workers(2)  # it goes on trying


def test_changed_mind(tmp_path: Path) -> None:
    """A worker that is starting when it is wanted no more ends without having served."""
    with serving(tmp_path, workers=1) as server:
        before = set(server.workers())
        server.deploy("import time\ntime.sleep(60)\n")
        server.signal(signal.SIGTTIN)
        eventually(lambda: server.workers("starting"), "a worker that starts")
        server.ask("scale", workers=1)
        assert set(server.workers()) == before
        eventually(lambda: len(server.processes()) == 2, "the other one gone")
        assert server.status()["deaths"] == 0
