"""How the server stands: the answer to the control command `status`, from which all others are made.

`ctl status`, the metrics, `breezeway top` and the dashboard show these numbers; docs/control.md tells
each field.
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any

from breezeway import __version__
from breezeway.supervisor.handle import READY, Handle, resident
from breezeway.supervisor.rollout import Rollouts
from breezeway.supervisor.supervisor import Supervisor
from breezeway.worker.scoreboard import (
    BUSY,
    CONNECTION_STATES,
    CONNECTIONS,
    QUEUED,
    SPARE,
    STATES,
    THREADS,
)


def status(supervisor: Supervisor, rollouts: Rollouts) -> dict[str, Any]:
    """Say how it stands, in what JSON can hold."""
    generation, account, workers = supervisor.current, supervisor.account, supervisor.workers
    return {
        "version": __version__,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "application": generation.deployment.name,
        "state": _state(supervisor),
        "started": supervisor.started,
        "uptime": round(time.time() - supervisor.started, 3),
        "generation": generation.number,
        "listeners": [each.url for each in generation.listeners],
        "wanted": supervisor.wanted,
        "memory": resident(os.getpid()),
        "workers": [_worker(each) for each in workers],
        "reloads": rollouts.reloads,
        "failed_reloads": rollouts.failed,
        "deaths": account.deaths,
        "death_causes": account.death_causes(),
        "counters": account.counters(workers),
        "refusals": account.refusals(workers),
        "metrics": supervisor.board.totals().as_dict(),
    }


def _state(supervisor: Supervisor) -> str:
    if supervisor.stopping:
        return "stopping"
    if supervisor.candidate is not None:
        return "reloading"
    return "serving" if any(each.state == READY for each in supervisor.workers) else "starting"


def _worker(worker: Handle) -> dict[str, Any]:
    row = worker.row
    return {
        "pid": worker.pid,
        "number": worker.number,
        "state": worker.state,
        "generation": worker.generation.number,
        "age": round(worker.age, 3),
        "requests": worker.requests,
        "connections": row[CONNECTIONS],
        "connection_states": {name: row[STATES + at] for at, name in enumerate(CONNECTION_STATES)},
        "busy": row[BUSY],
        "spare": row[SPARE],
        "threads": row[THREADS],
        "queued": row[QUEUED],
        "memory": worker.memory,
    }
