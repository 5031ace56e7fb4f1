"""One server process tree: started on its own core, asked for CPU time and memory, stopped.

The tree is a session of its own, so that every process in it is found in /proc by the session's
number, whoever its parent is. CPU time is what the scheduler counted for its threads, exact to the
nanosecond; how it splits into user and kernel is what the kernel sampled for utime and stime.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from client import Connection, Response

HERE = Path(__file__).parent
HOST = "127.0.0.1"
TICK = 1 / os.sysconf("SC_CLK_TCK")
START_LIMIT = 20.0  # seconds from spawn to the first answer
CONNECT_PAUSE = 0.0005  # seconds between two attempts to connect
STOP_GRACE = 1.0  # seconds from SIGTERM to SIGKILL
SAMPLE_SLACK = 3 * TICK  # by which sampled and exact time may differ
ANSWER_LIMIT = 5.0  # seconds for the first answer once connected

_STAT_SESSION = 3  # fields of /proc/PID/stat counted from the one after the name
_STAT_UTIME = 11
_STAT_STIME = 12


class Cpu(NamedTuple):
    """CPU time of a process tree in seconds: sampled user and kernel time, and the exact sum."""

    user: float
    kernel: float
    exact: float

    def since(self, earlier: Cpu) -> Cpu:
        """Return what was used from `earlier` until now, with a split that adds up to the sum.

        A thread that ended took its exact time along; then the sampled sum is larger, and counts.
        """
        user, kernel = self.user - earlier.user, self.kernel - earlier.kernel
        sampled = user + kernel
        exact = self.exact - earlier.exact
        if exact < sampled - SAMPLE_SLACK:
            exact = sampled
        share = user / sampled if sampled else 0.5
        return Cpu(exact * share, exact * (1 - share), exact)


class Memory(NamedTuple):
    """Memory in bytes: summed over the processes, and RSS of the largest alone."""

    rss: int
    pss: int
    uss: int
    worker_rss: int


class ServerError(Exception):
    """The server did not start, or has gone."""


def cores() -> tuple[int, int]:
    """Return the core for the server and the one for its clients; the same if there is but one."""
    usable = sorted(_ALL_CORES)
    return usable[0], usable[-1]


def busy_time(core: int) -> float:
    """Return the seconds for which a core has been busy, with whatever."""
    name = f"cpu{core} "
    line = next(line for line in _read(Path("/proc/stat")).splitlines() if line.startswith(name))
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK


def pin_clients() -> None:
    """Keep this process, and what it starts from now on, on the clients' core."""
    os.sched_setaffinity(0, {cores()[1]})


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


class Server:
    """A context manager: started on entering, gone on leaving."""

    def __init__(self, command: list[str], port: int) -> None:
        self.command = command
        self.port = port
        self.spawned = 0.0
        self._log = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed in __exit__
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        # The child inherits the affinity; unlike a preexec_fn this leaves the fast spawn possible.
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        server_core, client_core = cores()
        os.sched_setaffinity(0, {server_core})
        self.spawned = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                self.command,
                cwd=HERE,
                env={**environ, "PYTHONPATH": str(HERE)},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerError(f"does not start: {error}") from None
        finally:
            os.sched_setaffinity(0, {client_core})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._log.close()

    def use_both_cores(self) -> None:
        """Let the server, and what it starts from now on, run on the clients' core, too."""
        assert self._process is not None
        os.sched_setaffinity(self._process.pid, set(cores()))

    def first_answer(self, request: bytes) -> tuple[Response, float]:
        """Wait until it answers; return the answer and the seconds since spawn."""
        deadline = self.spawned + START_LIMIT
        while time.perf_counter() < deadline:
            if not self.alive():
                raise ServerError(f"does not start: {self.last_words()}")
            try:
                with Connection(self.port, ANSWER_LIMIT) as connection:
                    response = connection.ask(request)
                    return response, time.perf_counter() - self.spawned
            except ConnectionRefusedError:
                time.sleep(CONNECT_PAUSE)
            except (OSError, ValueError) as error:
                raise ServerError(f"the first request fails: {error}") from None
        raise ServerError(f"no answer after {START_LIMIT:.0f} s: {self.last_words()}")

    def alive(self) -> bool:
        """Say whether the process that was started still runs."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return its output so far."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(
            errors="replace"
        )

    def last_words(self) -> str:
        """Return the last line of its output."""
        spoken = [line.strip() for line in self.log().split("\n") if line.strip()]
        return spoken[-1][:200] if spoken else "it said nothing"

    def cpu(self) -> Cpu:
        """Return the CPU time of all its processes until now."""
        user = kernel = nanoseconds = 0
        for pid, stat in self._processes():
            user += int(stat[_STAT_UTIME])
            kernel += int(stat[_STAT_STIME])
            for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                nanoseconds += int((_read(schedstat) or "0").split()[0])
        return Cpu(user * TICK, kernel * TICK, nanoseconds / 1e9)

    def memory(self) -> Memory:
        """Return the memory of all its processes now."""
        totals = {"Rss": 0, "Pss": 0, "Private_Clean": 0, "Private_Dirty": 0}
        worker_rss = 0
        for pid, _ in self._processes():
            rollup = _read(Path(f"/proc/{pid}/smaps_rollup"))
            sizes = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
            for name in totals:
                totals[name] += _kilobytes(sizes.get(name, "0 kB"))
            worker_rss = max(worker_rss, _kilobytes(sizes.get("Rss", "0 kB")))
        uss = totals["Private_Clean"] + totals["Private_Dirty"]
        return Memory(totals["Rss"], totals["Pss"], uss, worker_rss)

    def worker(self) -> int:
        """Return the process with the most threads, or of several the one with the most memory."""

        def size(pid: int) -> tuple[int, int]:
            resident = (_read(Path(f"/proc/{pid}/statm")) or "0 0").split()[1]
            return len(os.listdir(f"/proc/{pid}/task")), int(resident)

        return max((pid for pid, _ in self._processes()), key=size)

    def stop(self) -> None:
        """End every process of the session, kindly and then not."""
        process = self._process
        if process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            process.wait(STOP_GRACE)
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)
        process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for pid, _ in self._processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _processes(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the stat fields of each process of the session."""
        if self._process is None:
            return
        session = str(self._process.pid)
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                fields = _read(Path(f"/proc/{entry}/stat")).rpartition(")")[2].split()
                if len(fields) > _STAT_STIME and fields[_STAT_SESSION] == session:
                    yield int(entry), fields


def _read(path: Path) -> str:
    """Return the text of a file below /proc, or nothing when its process has gone."""
    try:
        return path.read_text()
    except (OSError, ProcessLookupError):
        return ""


def _kilobytes(text: str) -> int:
    return int(text.split()[0]) * 1024


_ALL_CORES = frozenset(os.sched_getaffinity(0))
