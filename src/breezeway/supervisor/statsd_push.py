"""When the metrics go to a statsd server (`--statsd`): every few seconds, and once more at the end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from breezeway.config import address
from breezeway.config.address import TcpAddress, UnixAddress
from breezeway.config.settings import Settings
from breezeway.errors import StatsdError, UsageError
from breezeway.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from breezeway.observe.statsd import Statsd
    from breezeway.supervisor.name_lookup import NameLookup

logger = logging.getLogger("breezeway.supervisor")

LOOPBACK: Final = "127.0.0.1"
"""Where the server is when there is a port alone."""


START_SECONDS: Final = 2.0
"""So long the start waits for the address of a host; after that, it is found while requests are served."""

AGAIN_SECONDS: Final = 30.0
"""When nobody could say at the start where a host is, it is asked again after so long."""


class StatsdPush:
    """Pushes for a supervisor."""

    def __init__(self, supervisor: Supervisor, status: Callable[[], dict[str, Any]]) -> None:
        """`status` returns what the command of that name answers."""
        self._supervisor = supervisor
        self._settings = supervisor.settings
        self._status = status
        self._due = time.monotonic() + self._settings.statsd_interval
        self._statsd: Statsd | None = None
        self._lookup: NameLookup | None = None
        self._look_up_at = math.inf
        """When a name is looked up again."""
        self._from_start = True
        """Whether the next server gets what was counted before."""
        supervisor.on_look.append(self._look)
        supervisor.close_in_child.append(self._close_in_child)

    def open(self) -> None:
        """Begin, if the settings ask for it.

        Raises:
            UsageError: there is no such host.
        """
        try:
            self._find()
            if self._lookup is not None and not self._take(START_SECONDS):
                where = self._settings.statsd
                logger.warning("%s (--statsd) is looked up still: pushes begin later", where)
        except StatsdError as error:
            raise UsageError(f"{self._failure(error)}.") from None

    def apply(self, settings: Settings) -> None:
        """Put in force what a reload has changed; what was counted before is not sent again.

        Until the address of a new host is known, the metrics go where they went.
        """
        before, self._settings = self._settings, settings
        if _concern(before) == _concern(settings):
            return
        self._stop_looking_up()
        self._from_start = False
        if settings.statsd is None:
            self._push_last()
            return
        self._survive(self._find)

    def _find(self) -> None:
        """Push to the address that the settings have; if that is a name, begin to look it up."""
        if self._settings.statsd is None:
            return
        host, port = _place(self._settings.statsd)
        if not port or _is_address(host):
            self._use(host, port)
            return
        from breezeway.supervisor.name_lookup import NameLookup

        try:
            self._lookup = NameLookup(host, port, self._supervisor.after_fork)
        except OSError as error:
            raise StatsdError(f"{host} cannot be looked up: {error.strerror}") from None

    def _take(self, seconds: float = 0.0) -> bool:
        """Use what has been looked up; return whether it was there after so long."""
        assert self._lookup is not None
        assert self._settings.statsd is not None
        from breezeway.supervisor.name_lookup import NotFoundError

        try:
            found = self._lookup.wait(seconds)
        except NotFoundError as error:
            self._lookup = None
            raise StatsdError(str(error)) from None
        if found is None:
            return False
        self._lookup = None
        self._use(found, _place(self._settings.statsd)[1])
        return True

    def _use(self, host: str, port: int) -> None:
        from breezeway.observe.statsd import Statsd  # here alone, since few push

        settings = self._settings
        new = Statsd(host, port, prefix=settings.statsd_prefix, tags=settings.statsd_tags)
        self._push_last()
        if not self._from_start:
            new.begin(self._status())
        self._statsd = new

    def _survive(self, act: Callable[[], object]) -> None:
        """Log a failure; where nothing is pushed now, try again later."""
        try:
            act()
        except StatsdError as error:
            if self._statsd is not None:
                logger.error("the metrics go where they went: %s", self._failure(error))
                return
            self._look_up_at = time.monotonic() + AGAIN_SECONDS
            logger.error("%s; again in %g s", self._failure(error), AGAIN_SECONDS)

    def _failure(self, error: StatsdError) -> str:
        return f"cannot push to --statsd {self._settings.statsd}: {error}"

    def _stop_looking_up(self) -> None:
        self._look_up_at = math.inf
        if self._lookup is not None:
            self._lookup.close()
            self._lookup = None

    def _push_last(self) -> None:
        if self._statsd is not None:
            self._statsd.push(self._status())
            self._statsd.close()
            self._statsd = None

    def close(self) -> None:
        """Push for the last time."""
        self._stop_looking_up()
        self._push_last()

    def _close_in_child(self) -> None:
        if self._lookup is not None:
            self._lookup.close_in_child()
            self._lookup = None
        if self._statsd is not None:
            self._statsd.close()
            self._statsd = None

    def _look(self) -> None:
        now = time.monotonic()
        if self._lookup is not None:
            self._survive(self._take)
        elif now >= self._look_up_at:
            self._look_up_at = math.inf
            self._survive(self._find)
        if now < self._due:
            return
        self._due = now + self._settings.statsd_interval
        if self._statsd is not None:
            self._statsd.push(self._status())


def _concern(settings: Settings) -> tuple[Any, ...]:
    return settings.statsd, settings.statsd_prefix, settings.statsd_tags


def _place(spec: str) -> tuple[str, int]:
    """Return host and port; of a unix socket its path and 0."""
    where = address.parse(spec)
    if isinstance(where, TcpAddress):
        return where.host or LOOPBACK, where.port
    assert isinstance(where, UnixAddress)
    return where.path, 0


def _is_address(host: str) -> bool:
    import ipaddress  # here alone, since few have such a server

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
