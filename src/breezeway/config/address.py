"""The addresses that `--bind` understands.

    HOST:PORT     one address; a name that has several takes its first IPv4 one
    [IPV6]:PORT   one IPv6 address; `[::]` means every IPv6 address and no IPv4 one
    :PORT         every address of the machine, IPv4 and IPv6
    unix:PATH     a unix socket
    fd://N        a listening socket that was inherited as file descriptor N

This is syntax alone: nothing is looked up or opened here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMS = "HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH or fd://N"
HIGHEST_PORT = 65535

_NUMBER = re.compile(r"\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host, or every address of the machine if it is None, and a port; port 0 means any."""

    host: str | None
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket."""

    path: str


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """A file descriptor that the parent process left open."""

    fd: int


Address = TcpAddress | UnixAddress | InheritedSocket


def parse(spec: str) -> Address:
    """Read one `--bind`; raise `ValueError` with a plain sentence if it is none of the forms."""
    if spec.startswith("unix:"):
        return UnixAddress(_path(spec))
    if spec.startswith("fd://"):
        return InheritedSocket(_number(spec, spec.removeprefix("fd://"), "file descriptor"))
    host, colon, port = spec.rpartition(":")
    if not colon:
        raise ValueError(f"{spec!r} is not an address: write {FORMS}")
    number = _number(spec, port, "port")
    if number > HIGHEST_PORT:
        raise ValueError(f"{spec!r} has a port above {HIGHEST_PORT}")
    return TcpAddress(_host(spec, host), number)


def _path(spec: str) -> str:
    path = spec.removeprefix("unix:")
    if not path or "\0" in path:
        raise ValueError(f"{spec!r} has no path: write unix:PATH")
    return path


def _number(spec: str, text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{spec!r} has no {what} number: write {FORMS}")
    return int(text)


def _host(spec: str, host: str) -> str | None:
    bracketed = host.startswith("[") and host.endswith("]") and ":" in host
    if bracketed:
        host = host[1:-1]
    if not host.isprintable() or set(host) & set("[]/@?# "):
        raise ValueError(f"{spec!r} has no host that could be one: write {FORMS}")
    if ":" in host and not bracketed:
        raise ValueError(f"{spec!r} is not clear: an IPv6 address goes in brackets, [::1]:8000")
    return host or None
