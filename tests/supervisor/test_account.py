"""What the supervisor counts: deaths by cause, and what workers that have ended had counted."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, cast

import pytest

from breezeway.supervisor.account import Account
from breezeway.supervisor.handle import Handle
from breezeway.supervisor.out_of_memory import LATELY_SECONDS, OutOfMemory


class Worker:
    """What a worker has told."""

    def __init__(self, refused: int) -> None:
        self.counters = {"refused.400": refused, "limit.client": 1}
        self.refusals = [(400, "malformed request line", refused)]


def workers(*refused: int) -> list[Handle]:
    """Return workers that have refused so many requests."""
    return [cast(Handle, Worker(each)) for each in refused]


def machine(path: Path, groups: str, **files: str) -> OutOfMemory:
    """Make the files of a system, and watch them."""
    (path / "self").mkdir(exist_ok=True)
    (path / "self/cgroup").write_text(groups)
    for name, text in files.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return OutOfMemory(str(path), str(path / "cgroup"))


@pytest.mark.parametrize(
    ("status", "cause", "detail"),
    [
        (signal.SIGSEGV, "signal", "SIGSEGV"),
        (signal.SIGKILL, "signal", "SIGKILL"),
        (signal.SIGRTMIN + 1, "signal", str(signal.SIGRTMIN + 1)),
        (3 << 8, "exit", "3"),
        (None, "unknown", ""),
    ],
)
def test_deaths_are_counted_by_cause(status: int | None, cause: str, detail: str) -> None:
    """As the system tells how a process ended."""
    account = Account()
    account.note_death(status)
    account.note_death(status)
    assert account.death_causes() == [{"cause": cause, "detail": detail, "count": 2}]
    assert account.deaths == 2


def test_those_that_were_never_ready_are_told_apart() -> None:
    """They are no deaths of workers that served."""
    account = Account()
    account.note_failed_boot(3 << 8)
    account.note_late_boot()
    account.note_hang()
    causes = [(each["cause"], each["detail"]) for each in account.death_causes()]
    assert causes == [("boot", "3"), ("boot", "timeout"), ("hang", "")]


def test_what_workers_have_counted_stays() -> None:
    """It is summed up over those that are there and those that have ended."""
    account = Account()
    gone, *there = workers(1, 2, 3)
    account.keep(gone)
    assert account.counters(there) == {"limit.client": 3, "refused.400": 6}
    wanted = {"status": 400, "reason": "malformed request line", "count": 6}
    assert account.refusals(there) == [wanted]


@pytest.mark.parametrize(
    ("groups", "files", "later"),
    [
        (
            "0::/web\n",
            {"cgroup__web__memory.events": "high 5\noom 0\noom_kill 1\n", "vmstat": "oom_kill 7\n"},
            {"cgroup__web__memory.events": "high 9\noom 3\noom_kill 2\n"},
        ),
        ("4:memory:/web\n0::/\n", {"vmstat": "a 1\noom_kill 7\n"}, {"vmstat": "oom_kill 8\n"}),
    ],
)
def test_want_of_memory_is_seen(
    tmp_path: Path, groups: str, files: dict[str, str], later: dict[str, str]
) -> None:
    """By the counter of the control group, else by that of the machine; and not for ever."""
    account = Account()
    account.out_of_memory = found = machine(tmp_path, groups, **files)
    assert not found.happened()
    assert account.describe_exit(signal.SIGKILL) == "was killed by SIGKILL (from outside)"
    machine(tmp_path, groups, **later)
    assert account.describe_exit(signal.SIGKILL) == "was killed by SIGKILL (out of memory)"
    assert account.describe_exit(signal.SIGTERM) == "was killed by SIGTERM"
    account.note_death(signal.SIGKILL)
    account.note_death(signal.SIGTERM)
    causes: dict[str, Any] = {each["cause"]: each["detail"] for each in account.death_causes()}
    assert causes == {"out_of_memory": "SIGKILL", "signal": "SIGTERM"}
    now = found._due
    found.look(now - 1)
    found.look(now)
    assert found.happened()
    found.look(now + LATELY_SECONDS)
    assert not found.happened()


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    """Nobody is said to have died so."""
    assert not OutOfMemory(str(tmp_path / "none"), str(tmp_path)).happened()
