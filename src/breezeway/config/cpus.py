"""How many CPUs this process may use: what `--workers auto` stands for.

A container sees every CPU of its machine and may use a part of them. Two things hold it to that
part: the affinity mask, and the quota of its cgroup or of any cgroup above it. A quota is time in
each period, so that 150 ms in each 100 ms is one and a half CPUs; halves are rounded up, since a
worker too many costs little and an idle CPU costs throughput.

cgroup v2 keeps both numbers in `cpu.max`; v1 keeps them in `cpu.cfs_quota_us` and
`cpu.cfs_period_us`, in a hierarchy of its own. Inside a container `/proc/self/cgroup` may name a
path that only its host has; the files are then at the top of what is mounted, which is looked at in
any case.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

MOUNT = "/sys/fs/cgroup"
MEMBERSHIP = "/proc/self/cgroup"
V1_MOUNTS = ("cpu,cpuacct", "cpuacct,cpu", "cpu")
"""Where distributions mount the hierarchy of v1 that has the quota."""


def available() -> int:
    """Return the number of CPUs that this process may use, at least 1."""
    return count(affinity(), quota())


def count(cpus: int, share: float | None) -> int:
    """Return how many of `cpus` are worth a worker if the quota is `share` CPUs; at least 1."""
    if share is None:
        return max(1, cpus)
    return max(1, min(cpus, math.ceil(share)))


def affinity() -> int:
    """Return on how many CPUs the kernel may run this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not on Linux


def quota(mount: str = MOUNT, membership: str = MEMBERSHIP) -> float | None:
    """Return the smallest quota on the way from this process's cgroup to the top, in CPUs.

    None if there is none. `mount` is where the cgroups are, `membership` the file that says in
    which of them this process is (cgroups(7)).
    """
    shares = []
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            # A hybrid system mounts v2 beside the hierarchies of v1.
            for base in (mount, os.path.join(mount, "unified")):
                shares += [_v2(folder) for folder in _folders(base, path)]
        elif "cpu" in controllers.split(","):
            for name in V1_MOUNTS:
                shares += [_v1(folder) for folder in _folders(os.path.join(mount, name), path)]
    return min((share for share in shares if share is not None), default=None)


def _folders(base: str, path: str) -> Iterator[str]:
    """Name the folders from `path` up to `base` itself."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for length in range(len(parts), -1, -1):
        yield os.path.join(base, *parts[:length])


def _v2(folder: str) -> float | None:
    allowed, _, period = _read(os.path.join(folder, "cpu.max")).partition(" ")
    return _share(allowed, period)


def _v1(folder: str) -> float | None:
    allowed = _read(os.path.join(folder, "cpu.cfs_quota_us"))
    return _share(allowed, _read(os.path.join(folder, "cpu.cfs_period_us")))


def _share(allowed: str, period: str) -> float | None:
    # "max" (v2) and "-1" (v1) mean that there is no quota; no file, no numbers.
    try:
        share = int(allowed) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
