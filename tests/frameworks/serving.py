"""A server in a process of its own, as a user starts it."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 30.0
"""Until an application must have been imported and its URL printed, on a busy machine."""

STOP_SECONDS = 10.0
"""Until a process must have ended that nobody asks anything any more."""

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def serving(module: str, *arguments: str, directory: Path) -> Iterator[str]:
    """Run `python -m MODULE ARGUMENTS` in `directory`; give the URL that it says it serves on.

    Afterwards SIGTERM has to end it in good order.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    urls: queue.Queue[str] = queue.Queue()
    log: list[str] = []
    reader = threading.Thread(target=read_log, args=(process, urls, log))
    reader.start()
    try:
        url = urls.get(timeout=START_SECONDS)
        assert url, "".join(log)
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, "".join(log)
    finally:
        process.kill()
        process.wait(STOP_SECONDS)
        reader.join()


def read_log(process: subprocess.Popen[str], urls: queue.Queue[str], log: list[str]) -> None:
    """Read what the process logs, to its end, so that it never waits; put its URL into `urls`."""
    assert process.stderr
    with process.stderr as lines:
        for line in lines:
            log.append(line)
            if match := re.search(r"Serving .*(http://127\.0\.0\.1:[1-9]\d*)", line):
                urls.put(match[1])
    urls.put("")
