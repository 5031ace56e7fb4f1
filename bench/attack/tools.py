"""slowhttptest, the tool that operators know, as an attack."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal

from attack.hostile import Attack, Hostile

CONNECTIONS = 900  # below --limit-connections-per-client
RATE = 450  # new connections a second
RAMP = 2.5  # seconds until all are there
LENGTH = 60  # seconds; it is ended before
END_LIMIT = 5.0

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_FIGURE = re.compile(r"^(connected|closed|service available): *(\w+)", re.MULTILINE)


def slowhttptest(*options: str, path: str = "/") -> Attack:
    """Return the attack with those options."""

    async def attack(hostile: Hostile) -> None:
        program = shutil.which("slowhttptest")
        if program is None:
            hostile.tally.failures.append("slowhttptest is not installed")
            return
        child = await asyncio.create_subprocess_exec(
            *(program, *options, "-c", str(CONNECTIONS), "-r", str(RATE), "-l", str(LENGTH)),
            *("-u", f"http://127.0.0.1:{hostile.port}{path}", "-p", "3"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "TERM": "dumb"},
        )
        assert child.stdout is not None
        reading = asyncio.ensure_future(child.stdout.read())
        await hostile.pause(RAMP)
        hostile.ready()
        await hostile.stopped.wait()
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), END_LIMIT)
        if child.returncode is None:
            child.kill()
        said = _COLOUR.sub("", (await reading).decode(errors="replace"))
        figures = dict(_FIGURE.findall(said))
        hostile.tally.connections = CONNECTIONS
        hostile.tally.closed = int(figures.get("closed", 0))
        if figures.get("service available") != "YES":
            hostile.tally.failures.append("slowhttptest calls the service unavailable")

    attack.__doc__ = f"slowhttptest {' '.join(options)}, {CONNECTIONS} connections."
    return attack
