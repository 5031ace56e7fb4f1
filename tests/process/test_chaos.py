"""Everything at once, at random: whatever happens, only what was in a killed worker is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, Server, children_of, descriptors_of, eventually, serving

TURNS = int(os.environ.get("TEST_CHAOS_TURNS", "20"))
"""How many things happen in one test; more find more."""

BROKEN = "raise RuntimeError('half a deploy')\n"

SLOW = "import time\ntime.sleep(0.3)\n" + APPLICATION


class Chaos:
    """Does one thing after the other."""

    def __init__(self, server: Server, seed: int, *, preload: bool) -> None:
        self.random = random.Random(seed)
        self.server = server
        self.preload = preload
        self.supervisor = server.process.pid
        self.killed: set[str] = set()
        self.did: list[str] = []
        self.broken = False
        """What is on disk cannot be loaded."""

    def act(self) -> None:
        """Do something."""
        action = self.random.choice(
            [
                *[self.send] * 4,
                *[self.kill_worker] * 2,
                self.end_worker,
                self.deploy,
                self.recycle,
                self.scale,
                self.upgrade,
                self.kill_zygote,
                self.suspend,
            ]
        )
        try:
            self.did.append(f"{action.__name__} {action() or ''}")
        except UserError as error:
            self.did.append(f"{action.__name__}: {error.message}")

    def send(self) -> str:
        """Send the supervisor a signal."""
        number = self.random.choice(
            [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGHUP]
        )
        self.server.signal(number, self.supervisor)
        return number.name

    def _worker(self) -> int:
        if self.broken:
            return 0  # nobody could take its place
        found = [*self.server.workers(), *self.server.workers("starting")]
        return self.random.choice(found) if found else 0

    def kill_worker(self) -> int:
        """Kill a worker, also one that is starting."""
        if pid := self._worker():
            self.killed.add(f"1 {pid}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    def kill_zygote(self) -> str:
        """Kill a process that has loaded the application, if there is one."""
        if self.broken or not self.preload:
            return ""
        found = set(children_of(self.supervisor))
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return str(found)

    def suspend(self) -> int:
        """Have a worker stand still for a moment."""
        pid = self._worker()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.1)
                os.kill(pid, signal.SIGCONT)
        return pid

    def end_worker(self) -> int:
        """End a worker."""
        if pid := self._worker():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return pid

    def deploy(self) -> str:
        """Deploy code that works, works slowly, or does not."""
        code = self.random.choice([APPLICATION, SLOW, BROKEN])
        if code == BROKEN and not self.broken:
            eventually(lambda: _is_calm(self.server), "calm")
        self.broken = code == BROKEN
        self.server.deploy(code)
        return code[:10]

    def recycle(self) -> int:
        """Have a worker recycled."""
        if pid := self._worker():
            self.server.ask("recycle", pid=pid)
        return pid

    def scale(self) -> int:
        """Choose a number of workers."""
        number = self.random.randint(1, 4)
        self.server.ask("scale", workers=number)
        return number

    def upgrade(self) -> int:
        """Have another supervisor take over."""
        before = self.supervisor
        self.supervisor = self.server.ask("upgrade")["pid"]
        eventually(lambda: self.server.status()["pid"] != before, "the new supervisor")
        return self.supervisor


@pytest.mark.parametrize("seed", range(int(os.environ.get("TEST_CHAOS_SEEDS", "2"))))
@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_chaos(tmp_path: Path, options: tuple[str, ...], seed: int) -> None:
    """Signals, deaths, deploys, upgrades: it goes on, settles, and leaves nothing behind."""
    options = (*options, "--graceful-timeout", "5s", "--max-requests", "2000")
    with serving(tmp_path, *options, workers=2, trouble=True) as server:
        chaos = Chaos(server, seed, preload="--preload" in options)
        try:
            with Load(server.address, keep_alive=16, one_shot=4, pause=0.002) as load:
                for _ in range(TURNS):
                    chaos.act()
                    load.wait_for(20)
                server.deploy(APPLICATION)
                eventually(lambda: _is_calm(server), "calm", seconds=60)
                load.wait_for(200)
            lost = [each for each in load.failures if each.last_body not in ("", *chaos.killed)]
            assert not lost, lost
            assert load.longest_gap < 5
            wanted = server.status()["wanted"]
            count = 1 + chaos.preload + wanted
            eventually(lambda: len(server.processes()) == count, "the old processes gone")
            eventually(
                lambda: "Z" not in children_of(chaos.supervisor).values(), "the zombies reaped"
            )
            eventually(
                lambda: len(descriptors_of(chaos.supervisor)) <= 16 + 4 * wanted, "descriptors"
            )
            os.kill(chaos.supervisor, signal.SIGTERM)
            server.wait_until_gone()
        except BaseException:
            print("\n".join(chaos.did))
            raise


def _is_calm(server: Server) -> bool:
    status = server.status()
    states = [each["state"] for each in status["workers"]]
    return status["state"] == "serving" and states == ["ready"] * status["wanted"]
