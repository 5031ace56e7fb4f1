"""Pushes the metrics to a statsd server, as datagrams over UDP or a unix socket.

Counters go as what was added since the last push, so that the sums at the other end are exact as long
as datagrams arrive; what could not be sent goes with the next push. Gauges go as they are, and of each
distribution how many there were, the mean and three quantiles of those since the last push.

Pushing never waits: the socket does not block, and a server that is not there costs a failed system call.
A name of a host is looked up when the pusher is made, and that may wait.

https://github.com/statsd/statsd/blob/master/docs/metric_types.md and, with tags,
https://docs.datadoghq.com/extend/dogstatsd/datagram_shell/
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from breezeway.errors import StatsdError
from breezeway.observe.histogram import quantile_of
from breezeway.observe.metrics import COUNTER, INFO, METRICS, Distribution, Metric

OWN_PREFIX: Final = "breezeway_"
"""What all names in the table begin with; the setting is there instead."""

DATAGRAM_BYTES: Final = 1432
"""Of a datagram: what fits into an Ethernet frame after IPv6 and UDP, as statsd's documentation has it."""

QUANTILES: Final = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_NO_TAG: Final = re.compile(r"[|,#\s]+")

Address = tuple[str, int] | tuple[str, int, int, int] | str


@dataclass(frozen=True)
class _Line:
    """A line to be sent; afterwards, `value` is what the other end knows of `key`."""

    text: str
    key: str = ""
    value: float | Distribution = 0


class Statsd:
    """Pushes to one server."""

    def __init__(self, host: str, port: int, *, prefix: str, tags: bool) -> None:
        """`host` is a name or an address; with port 0 it is the path of a unix socket.

        `tags` are those of DogStatsD; without them, labels are parts of the name.

        Raises:
            StatsdError: there is no such host.
        """
        self._prefix = f"{prefix}." if prefix else ""
        self._tags = tags
        self._known: dict[str, float | Distribution] = {}
        family, self._address = _look_up(host, port)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def begin(self, status: dict[str, Any]) -> None:
        """Take what was counted so far for sent."""
        self._known.update((line.key, line.value) for line in self._lines(status) if line.key)

    def push(self, status: dict[str, Any]) -> bool:
        """Send what has changed since the last push; return False if not all of it could be sent."""
        lines: list[_Line] = []
        size = 0
        for line in self._lines(status):
            size += len(line.text) + 1
            if size > DATAGRAM_BYTES:
                if not self._send(lines):
                    return False
                lines, size = [], len(line.text) + 1
            lines.append(line)
        return self._send(lines)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _send(self, lines: list[_Line]) -> bool:
        data = "\n".join(line.text for line in lines).encode()
        try:
            self._socket.sendto(data, self._address)
        except OSError:  # nobody is there, or has time
            return False
        self._known.update((line.key, line.value) for line in lines if line.key)
        return True

    # --- what is sent ------------------------------------------------------------------------------

    def _lines(self, status: dict[str, Any]) -> Iterator[_Line]:
        for metric in METRICS:
            if metric.kind == INFO:
                continue
            for values, value in metric.read(status):
                name, tags = self._name(metric, values)
                if isinstance(value, Distribution):
                    yield from self._distribution(name, tags, value)
                elif metric.kind == COUNTER:
                    before = self._known.get(name + tags, 0)
                    assert not isinstance(before, Distribution)
                    if value > before:
                        yield _Line(f"{name}:{value - before}|c{tags}", name + tags, value)
                else:
                    yield _Line(f"{name}:{value}|g{tags}")

    def _distribution(self, name: str, tags: str, value: Distribution) -> Iterator[_Line]:
        key = name + tags
        before = self._known.get(key)
        recent = value.since(before) if isinstance(before, Distribution) else value
        if not recent.count:
            return
        yield _Line(f"{name}.mean:{recent.sum / recent.count:.9f}|g{tags}")
        if recent.buckets:
            for part, share in QUANTILES:
                yield _Line(f"{name}.{part}:{quantile_of(recent.buckets, share):.9f}|g{tags}")
        yield _Line(f"{name}.count:{recent.count}|c{tags}", key, value)

    def _name(self, metric: Metric, values: tuple[str, ...]) -> tuple[str, str]:
        """Return the name, and the tags with all that stands before them."""
        name = self._prefix + metric.name.removeprefix(OWN_PREFIX)
        if not self._tags:
            return ".".join([name, *(_NO_NAME.sub("_", value) for value in values)]), ""
        pairs = zip(metric.labels, values, strict=True)
        tags = ",".join(f"{label}:{_NO_TAG.sub('_', value)}" for label, value in pairs)
        return name, f"|#{tags}" if tags else ""


def _look_up(host: str, port: int) -> tuple[socket.AddressFamily, Address]:
    if not port:
        return socket.AF_UNIX, host
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise StatsdError(f"{host} cannot be found: {error.strerror or error}") from None
    return family, address  # type: ignore[return-value]
