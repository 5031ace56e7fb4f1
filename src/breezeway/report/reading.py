"""Has the tasks of a log counted, by several processes when there is much of it, and adds up.

The processes are new ones (spawned), so that nothing of this one is in them, and ignore Ctrl-C: this one
gets it, too, and ends them. What they have counted is added in the order of the tasks.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from breezeway.config import cpus
from breezeway.errors import UserError
from breezeway.report.sources import Source, Task, Warn
from breezeway.report.tally import Selection, Tally

FEW: Final = 3
"""Tasks that this process does alone: to start others takes as long as one or two of them."""

MOST_PROCESSES: Final = 8
"""From there on this process, which adds up, cannot keep up with them."""

AHEAD: Final = 4
"""Tasks for each process that may be done before one that is not: what is held to be added later."""

Advance = Callable[[int], None]


def read(
    sources: Iterable[Source],
    selection: Selection,
    advance: Advance,
    warn: Warn,
    *,
    processes: int | None = None,
) -> Tally:
    """Count what is in the sources, and tell after each task how many bytes are done.

    Raises:
        UserError: something cannot be read.
    """
    tasks = chain.from_iterable(source.tasks(warn) for source in sources)
    first = list(islice(tasks, FEW + 1))
    processes = processes or min(cpus.available(), MOST_PROCESSES)
    total = Tally()
    every = chain(first, tasks)
    if processes == 1 or len(first) <= FEW:
        results = ((task.size, count(task, selection)) for task in every)
        _add(total, results, advance)
    else:
        with _started(processes, selection) as connections:
            _add(total, _in_order(every, connections), advance)
    return total


def count(task: Task, selection: Selection) -> Tally:
    """Count the lines of one task."""
    tally = Tally()
    tally.count(task.text(), selection)
    tally.settle()
    return tally


def _add(total: Tally, results: Iterable[tuple[int, Tally]], advance: Advance) -> None:
    for size, tally in results:
        total.merge(tally)
        advance(size)


def _in_order(
    tasks: Iterator[Task], connections: Sequence[Connection]
) -> Iterator[tuple[int, Tally]]:
    """Give each process a task when it has none; return what they found in the order of the tasks."""
    idle = list(connections)
    busy: dict[Any, int] = {}
    sizes: dict[int, int] = {}
    done: dict[int, Tally] = {}
    given = taken = 0
    while True:
        while idle and given < taken + AHEAD * len(connections):
            task = next(tasks, None)
            if task is None:
                break
            connection = idle.pop()
            _send(connection, task)
            busy[connection], sizes[given] = given, task.size
            given += 1
        if not busy:
            return
        for ready in wait(list(busy)):
            done[busy.pop(ready)] = _receive(ready)
            idle.append(ready)  # type: ignore[arg-type]
        while taken in done:
            yield sizes.pop(taken), done.pop(taken)
            taken += 1


def _send(connection: Connection, task: Task) -> None:
    try:
        connection.send(task)
    except OSError:
        raise _died() from None


def _receive(connection: Any) -> Tally:
    try:
        result = connection.recv()
    except (EOFError, OSError):
        raise _died() from None
    if isinstance(result, Exception):
        raise result
    assert isinstance(result, Tally)
    return result


def _died() -> UserError:
    return UserError(
        "a process that was reading the log has died.", "There may be too little memory for it."
    )


@contextmanager
def _started(processes: int, selection: Selection) -> Iterator[list[Connection]]:
    """Start processes that count; end them afterwards, whatever they are at."""
    context = get_context("spawn")
    started, connections = [], []
    try:
        with _no_interrupts():
            for _ in range(processes):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, selection), daemon=True)
                process.start()
                theirs.close()
                started.append(process)
                connections.append(ours)
        yield connections
    finally:
        for process in started:
            process.kill()
            process.join()
            process.close()
        for connection in connections:
            connection.close()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while processes are started: they inherit that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(connection: Connection, selection: Selection) -> None:
    """Count task after task until there is no other end any more."""
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        result: Tally | UserError
        try:
            result = count(task, selection)
        except UserError as error:
            result = error
        connection.send(result)
