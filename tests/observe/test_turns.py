"""Processes that write to one pipe, one after another."""

from __future__ import annotations

import json
import subprocess
import sys

from breezeway.observe import turns

WRITERS = """
import logging, os, sys
from breezeway.observe import logs
logs.STUCK_SECONDS = 20.0  # nothing is lost, however busy the machine is
logs.configure("info", style="json")
logger = logging.getLogger("breezeway.test")
pids = []
for _ in range(4):
    pid = os.fork()
    if not pid:
        for number in range(100):
            logger.info("x" * 15_000)
        os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitpid(pid, 0)
"""


def test_long_lines_of_several_processes() -> None:
    """Each line is whole, although a pipe takes it in pieces."""
    with subprocess.Popen([sys.executable, "-c", WRITERS], stderr=subprocess.PIPE) as writers:
        assert writers.stderr is not None
        lines = writers.stderr.read().splitlines()
    assert writers.returncode == 0
    assert lines
    for line in lines:
        json.loads(line)


HOLDER = """
import fcntl, sys
fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX)
print("mine", flush=True)
sys.stdin.read()
"""


def test_out_of_turn() -> None:
    """Who has waited long enough goes on; who has had his turn, or is dead, lets others in."""
    turns.prepare()
    fd = turns._fd
    assert fd is not None
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[fd],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        assert not turns._try(fd)
        with turns.turn(0.01):
            pass
        holder.kill()
    with turns.turn(0.0):
        pass
    assert turns._try(fd)
    with turns.turn(0.0):
        pass
