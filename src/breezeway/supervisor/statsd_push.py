"""When the metrics go to a statsd server (`--statsd`): every few seconds, and once more at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from breezeway.config import address
from breezeway.config.address import TcpAddress, UnixAddress
from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.observe.statsd import Statsd, StatsdError
from breezeway.supervisor.supervisor import Supervisor

logger = logging.getLogger("breezeway.supervisor")

LOOPBACK: Final = "127.0.0.1"
"""Where the server is when there is a port alone."""


class StatsdPush:
    """Pushes for a supervisor."""

    def __init__(self, supervisor: Supervisor, status: Callable[[], dict[str, Any]]) -> None:
        """`status` returns what the command of that name answers."""
        self._settings = supervisor.settings
        self._status = status
        self._due = time.monotonic() + self._settings.statsd_interval
        self._statsd: Statsd | None = None
        supervisor.on_look.append(self._look)
        supervisor.close_in_child.append(self._close_in_child)

    def open(self) -> None:
        """Begin, if the settings ask for it.

        Raises:
            UsageError: there is no such host.
        """
        self._statsd = _statsd(self._settings)

    def apply(self, settings: Settings) -> None:
        """Put in force what a reload has changed; what was counted before is not sent again."""
        before, self._settings = self._settings, settings
        if _concern(before) == _concern(settings):
            return
        try:
            new = _statsd(settings)
        except UsageError as error:
            logger.error("the metrics go where they went: %s", error.message)
            return
        self.close()
        if new is not None:
            new.begin(self._status())
        self._statsd = new

    def close(self) -> None:
        """Push for the last time."""
        if self._statsd is not None:
            self._statsd.push(self._status())
            self._close_in_child()

    def _close_in_child(self) -> None:
        if self._statsd is not None:
            self._statsd.close()
            self._statsd = None

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._settings.statsd_interval
        if self._statsd is not None:
            self._statsd.push(self._status())


def _concern(settings: Settings) -> tuple[Any, ...]:
    return settings.statsd, settings.statsd_prefix, settings.statsd_tags


def _statsd(settings: Settings) -> Statsd | None:
    if settings.statsd is None:
        return None
    where = address.parse(settings.statsd)
    host, port = "", 0
    if isinstance(where, TcpAddress):
        host, port = where.host or LOOPBACK, where.port
    elif isinstance(where, UnixAddress):
        host = where.path
    try:
        return Statsd(host, port, prefix=settings.statsd_prefix, tags=settings.statsd_tags)
    except StatsdError as error:
        raise UsageError(f"cannot push to --statsd {settings.statsd}: {error}.") from None
