"""The wheel of deadlines: nothing is looked at too early, nothing is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from breezeway.worker.deadlines import BEHIND_SECONDS, LOOKS, SLOT_SECONDS, Deadlines

LATE = 2 * SLOT_SECONDS


class Task:
    """Something with a deadline, which notes when it was looked at."""

    def __init__(self, due: float, *following: float) -> None:
        self.slot = 0
        self.due = [due, *following]
        self.looks: list[float] = []

    def on_deadline(self, now: float) -> float:
        """Note the time; go on with the next deadline that has not passed."""
        self.looks.append(now)
        while self.due and now >= self.due[0]:
            del self.due[0]
        return self.due[0] if self.due else 0


TIMES = st.floats(0, 50)


@given(
    tasks=st.lists(st.lists(TIMES, min_size=1, max_size=4).map(sorted)), steps=st.floats(0.01, 3)
)
def test_every_deadline_is_met(tasks: list[list[float]], steps: float) -> None:
    """Each is looked at after its time, at most two slots late, however often the wheel advances."""
    deadlines = Deadlines()
    now = 1000.0
    deadlines.advance(now)
    all_tasks = [Task(*[now + due for due in times]) for times in tasks]
    for task in all_tasks:
        deadlines.schedule(task, task.due[0])
    while now < 1052:
        now += steps
        deadlines.advance(now)
        for task in all_tasks:
            assert not task.due or task.due[0] > now - LATE - steps
    assert not any(task.due for task in all_tasks)
    assert not deadlines


def test_looked_at_once_per_time_limit() -> None:
    """A task costs one look for each of its deadlines, not one for each slot."""
    deadlines = Deadlines()
    deadlines.advance(0)
    task = Task(10, 20)
    deadlines.schedule(task, 10)
    for tenth in range(300):
        deadlines.advance(tenth / 10)
    assert len(task.looks) == 2


def test_earlier_look_stays() -> None:
    """A later deadline does not move a task, an earlier one does."""
    deadlines = Deadlines()
    deadlines.advance(0)
    task = Task(1)
    deadlines.schedule(task, 5)
    deadlines.schedule(task, 50)
    deadlines.schedule(task, 1)
    deadlines.advance(2)
    assert task.looks == [2]
    assert not deadlines


def test_deadline_that_has_passed() -> None:
    """It is looked at in the next call, wherever the wheel has been by then."""
    deadlines = Deadlines()
    early, moved, other = Task(1), Task(50), Task(60)
    deadlines.schedule(moved, 50)
    deadlines.schedule(other, 60)
    deadlines.advance(10)
    deadlines.schedule(early, 1)
    deadlines.schedule(moved, 2)
    deadlines.advance(10 + SLOT_SECONDS)
    assert early.looks == moved.looks == [10 + SLOT_SECONDS]
    assert not other.looks


def test_is_behind() -> None:
    """It is so in one turn after a pause, however long the next one takes."""
    deadlines = Deadlines()
    assert not deadlines.is_behind(1000)
    assert not deadlines.is_behind(1000 + BEHIND_SECONDS)
    assert deadlines.is_behind(1002 + BEHIND_SECONDS)
    assert not deadlines.is_behind(2000)
    assert deadlines.is_behind(3000)


def test_many_take_turns() -> None:
    """Of very many that are due together, so many are looked at in a call, and each of them once."""
    deadlines = Deadlines()
    deadlines.advance(0)
    tasks = [Task(1) for _ in range(2 * LOOKS + 1)]
    for task in tasks:
        deadlines.schedule(task, 1)
    assert deadlines.advance(2)
    assert sum(len(task.looks) for task in tasks) == LOOKS
    assert deadlines.advance(2)
    assert not deadlines.advance(2)
    assert [len(task.looks) for task in tasks] == [1] * len(tasks)
    assert not deadlines


def test_removed() -> None:
    """What is removed is not looked at, and may come back."""
    deadlines = Deadlines()
    task = Task(1)
    deadlines.schedule(task, 1)
    deadlines.remove(task)
    deadlines.remove(task)
    deadlines.advance(10)
    assert task.looks == []
    deadlines.schedule(task, 11)
    deadlines.advance(12)
    assert task.looks == [12]


def test_removed_while_others_are_looked_at() -> None:
    """A look may remove another task of the same slot: it is looked at, and does not stay."""
    deadlines = Deadlines()

    class Remover(Task):
        def on_deadline(self, now: float) -> float:
            deadlines.remove(other)
            return super().on_deadline(now)

    other = Task(1)
    for task in (Remover(1), other):
        deadlines.schedule(task, 1)
    deadlines.advance(2)
    deadlines.advance(3)
    assert not deadlines


def test_long_pause() -> None:
    """After a suspended machine wakes up, everything that was due is looked at."""
    deadlines = Deadlines()
    deadlines.advance(0)
    tasks = [Task(due) for due in range(1, 100)]
    for task in tasks:
        deadlines.schedule(task, task.due[0])
    deadlines.advance(1_000_000)
    assert all(task.looks == [1_000_000] for task in tasks)


class Slots(dict[int, dict[int, Task]]):
    """Slots in the middle of whose list another thread comes to take one up."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._late = threading.Thread(target=deadlines.schedule, args=(Task(9000), 9000))

    def __iter__(self) -> Iterator[int]:
        for slot in super().__iter__():
            if self._late.ident is None:
                self._late.start()
                self._late.join(0.01)
            yield slot


def test_scheduled_while_the_wheel_advances() -> None:
    """Another thread may schedule while the event loop, after a pause, looks for what is due."""
    deadlines = Deadlines()
    deadlines.advance(0)
    deadlines._slots = Slots(deadlines)
    tasks = [Task(1), Task(2), Task(3)]
    for task in tasks:
        deadlines.schedule(task, task.due[0])
    deadlines.advance(5000)
    assert [len(task.looks) for task in tasks] == [1, 1, 1]
    deadlines._slots._late.join(5)
    assert list(map(len, deadlines._slots.values())) == [1]
