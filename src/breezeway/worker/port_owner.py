"""Which process listens on a TCP port: Linux tells in /proc; elsewhere nobody knows."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp, see proc_pid_net_tcp(5)."""


def find(port: int) -> tuple[int, str] | None:
    """Return the id and the name of the first process that listens on `port`, if it can be known.

    The sockets of other users' processes show to root alone.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid in sorted(int(name) for name in _entries(PROC) if name.isdigit()):
        process = PROC / str(pid)
        if any(_target(process / "fd" / fd) in sockets for fd in _entries(process / "fd")):
            try:
                return pid, (process / "comm").read_text().strip()
            except OSError:
                continue
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()
        except OSError:
            continue
        for line in lines[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _entries(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
