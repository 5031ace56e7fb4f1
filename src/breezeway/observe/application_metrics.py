"""The application's own metrics, of prometheus_client, kept in memory that all workers share.

prometheus_client keeps each number in a value, and takes the class of values from a variable when a
metric or a child of it is made. `share` puts a class there whose values are in the region of this worker
(`application_metrics_memory`). Everything else stays as it is, and without a supervisor all of it.

A process has one place for its values. In the process that `--preload` loads the application in it is
memory of its own, and each worker begins with a copy of that: as if it had loaded the application
itself. What a worker forks counts for itself alone: two processes that add to one word lose counts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from breezeway.observe.application_metrics_memory import Region, Regions
from breezeway.observe.application_metrics_series import key_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

logger = logging.getLogger("breezeway.worker")

SHOWN_BYTES: Final = 200
"""Of a key in the log; a label can have any length."""

_NOT_SHARED: Final = "the metrics of this worker are not shared: %s"


class _Store:
    """Where the values of this process are."""

    __slots__ = (
        "_has_told",
        "_places",
        "_region",
        "lock",
        "number",
        "regions",
        "registry",
        "words",
    )

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held by who changes a value; a signal handler or a finalizer may do so in the middle of that."""
        self.regions: Regions | None = None
        """Those of all workers; None without a supervisor."""
        self.number: int | None = None
        """The row of this worker, if it is one."""
        self.registry: CollectorRegistry | None = None
        """What `share` has returned."""
        self.words = memoryview(bytearray(8)).cast("d")
        """The values of this process."""
        self._region: Region | None = None
        self._places: dict[bytes, int] = {}
        self._has_told = False

    def use(self, region: Region) -> None:
        """Have the values of this process in a region, from here on."""
        with self.lock:
            if self._region is not None:
                region.take_over(self._region, os.getpid())
            else:
                region.clear(pid=os.getpid())
            self._region = region
            self.words = region.words

    def place(self, key: bytes) -> int | None:
        """Return the place of a value, at first 0.0; None if there is no room for it."""
        with self.lock:
            at = self._places.get(key)
            if at is not None:
                return at
            assert self._region is not None
            at = self._region.append(key)
            if at is not None:
                self._places[key] = at
                return at
            tell, self._has_told = not self._has_told, True
        if tell:
            logger.error(
                "no room for more values of metrics, the first is %s: from here on new ones count for"
                " this worker alone, and are not told; do labels have values without bound?",
                key[:SHOWN_BYTES].decode(),
            )
        return None

    def forget_parent(self) -> None:
        """Go on after a fork: somebody may have held the lock, and the region is the parent's."""
        self.lock = threading.RLock()
        if self.number is not None:
            self.number = None
            self.use(Region.private())


STORE: Final = _Store()


def expect(regions: Regions) -> None:
    """Have metrics that are shared from here on wait for a worker, which `enter` makes of its forks."""
    if regions.is_shared:
        STORE.regions = regions


def enter(regions: Regions, number: int) -> None:
    """Be the worker of this row, before it loads its application."""
    expect(regions)
    if STORE.registry is not None:  # by --preload
        try:
            STORE.use(regions.region(number))
        except OSError as error:
            logger.error(_NOT_SHARED, error)
            return
    STORE.number = number


def share() -> CollectorRegistry:
    """Share the metrics that are made from here on with all workers of this server.

    Returns a registry of them, of all workers together. Without a supervisor, as in tests or in another
    server, nothing is changed, and it is the default registry of prometheus_client.

    Raises:
        ImportError: there is no prometheus_client.
    """
    from prometheus_client import REGISTRY, values

    regions = STORE.regions
    if regions is None:
        return REGISTRY
    if STORE.registry is None:
        try:
            number = STORE.number
            STORE.use(Region.private() if number is None else regions.region(number))
        except OSError as error:
            logger.error(_NOT_SHARED, error)
            return REGISTRY
        from breezeway.observe.application_metrics_registry import SharedRegistry, registered

        if early := registered():
            names = ", ".join(early)
            logger.warning(
                "metrics made before share_metrics() was called are not shared: %s", names
            )
        values.ValueClass = SharedValue
        os.register_at_fork(after_in_child=STORE.forget_parent)
        STORE.registry = SharedRegistry(regions)
    return STORE.registry


class SharedValue:
    """A value in the region of this process; prometheus_client makes it, and says what it is of."""

    __slots__ = ("_at",)

    _at: int
    _multiprocess = True

    def __new__(
        cls,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Iterable[str],
        labelvalues: Iterable[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> Any:
        """Take the arguments of prometheus_client; without room, return one of its own values."""
        labels = zip(labelnames, labelvalues, strict=True)
        at = STORE.place(key_of(typ, multiprocess_mode, metric_name, name, help_text, labels))
        if at is None:
            from prometheus_client.values import MutexValue

            return MutexValue(  # type: ignore[no-untyped-call]
                typ, metric_name, name, labelnames, labelvalues, help_text
            )
        value = object.__new__(cls)
        value._at = at
        return value

    def inc(self, amount: float) -> None:
        """Add to it."""
        with STORE.lock:
            STORE.words[self._at] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Set it; `timestamp` says when that is, for the mode `mostrecent`."""
        with STORE.lock:
            STORE.words[self._at] = value
            STORE.words[self._at + 1] = timestamp or 0.0

    def get(self) -> float:
        """Return what this process has counted."""
        return STORE.words[self._at]

    def set_exemplar(self, exemplar: Any) -> None:
        """Drop it: which one of several workers it would be, nobody can say."""

    def get_exemplar(self) -> None:
        """There is none."""
