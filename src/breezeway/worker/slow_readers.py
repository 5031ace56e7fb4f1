"""Clients that read slowly: how slowly, and how much of a worker's memory may wait for them.

What a client has taken is not what the system has taken for it: Linux keeps megabytes for a socket, and
asks for more when much of that has gone, which is minutes later for a client that reads a kilobyte
a second. So what is still in the system's queue is subtracted (SIOCOUTQ of tcp(7)).

`Unsent` bounds what waits in all outboxes of a worker together. It is asked before anything is added.
When there is no room, the slowest readers are dropped until there is. What cannot be dropped are
those that have just begun, of whom nobody knows whether they are slow; if there are only such, the one
that would be added goes. A response that alone is larger than the bound is the application's own
memory, which it has filled before anybody could refuse: one at a time is let through uncounted.
"""

from __future__ import annotations

import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from breezeway.config.settings import Settings

if sys.platform == "linux":
    import fcntl
    import termios

if TYPE_CHECKING:
    from breezeway.worker.layer import Channel
    from breezeway.worker.outbox import Outbox
    from breezeway.worker.sender import Sender

LOOK_SECONDS: Final = 5.0
"""How often at least a connection is looked at whose response is being made or sent."""

RATE_SECONDS: Final = 60.0
"""A rate is the mean of at most so long: who has read fast for an hour may not rest for a day. The
system makes a client's progress known in lumps, of which this has to contain some."""

YOUNG_SECONDS: Final = 1.0
"""A reader that has begun less than this ago is not yet known to be slow."""

SCAN_SHARE: Final = 0.05
"""The part of a core that may go into looking for the slowest."""

FRESH_SECONDS: Final = 1.0
"""So long the order in which a scan has found the slow readers is good."""

_QUEUED: Final = struct.Struct("i")


def look_seconds(settings: Settings) -> float:
    """Return how long after now a reader is to be looked at again."""
    return min(LOOK_SECONDS, settings.send_timeout, settings.min_rate_after)


class Pace:
    """How fast a client takes what waits for it. Times are monotonic seconds."""

    __slots__ = ("_ahead", "_mark", "_waited", "_waits_since", "began", "sent", "taken")

    def __init__(self, connection: Channel, now: float) -> None:
        """Begin, before anything waits."""
        self.began = now
        self.sent = 0
        """Bytes that the system has taken."""
        self.taken = 0
        """Bytes that the client has taken, at the last look."""
        self._ahead = queued(connection)
        self._waited = 0.0
        self._waits_since = 0.0
        self._mark = 0, 0.0  # bytes taken and seconds waited at which the mean begins

    def wait(self, now: float) -> None:
        """Note that something waits for the client from now on."""
        if not self._waits_since:
            self._waits_since = now

    def rest(self, now: float) -> None:
        """Note that nothing does any more."""
        if self._waits_since:
            self._waited += now - self._waits_since
            self._waits_since = 0.0

    def waited(self, now: float) -> float:
        """Return for how long something has waited, in seconds."""
        return self._waited + (now - self._waits_since if self._waits_since else 0.0)

    def look(self, connection: Channel) -> bool:
        """See how much the client has taken; return whether it was more than at the last look."""
        taken = self._ahead + self.sent - queued(connection)
        if taken <= self.taken:
            return False
        self.taken = taken
        return True

    def rate(self, now: float) -> float:
        """Return the mean in bytes a second, up to the last look."""
        taken, waited = self._mark
        return (self.taken - taken) / max(self.waited(now) - waited, 0.001)

    def is_too_slow(self, rate: int, after: float, now: float) -> bool:
        """Whether the client takes less than `rate`, on the mean of `after` seconds and more."""
        seconds = self.waited(now) - self._mark[1]
        if seconds < after:
            return False
        slow = self.rate(now) < rate
        if seconds >= max(after, RATE_SECONDS):
            self._mark = self.taken, self.waited(now)
        return slow


class Unsent:
    """The bytes that wait in all outboxes of a worker; from any thread."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self.total = 0
        self._readers: dict[Outbox, Sender] = {}
        self._giant: tuple[Outbox, Sender] | None = None
        self._slow: list[tuple[float, Outbox]] = []  # the slowest last
        self._found_at = self._next_scan = 0.0
        self._lock = threading.Lock()

    def take(self, sender: Sender, outbox: Outbox, size: int) -> bool:
        """Count bytes that are about to be added; drop slower readers for them.

        Returns:
            False when `sender` is the one that has to go. The caller holds no outbox's lock.
        """
        while True:
            with self._lock:
                if self._enter(sender, outbox, size):
                    return True
                now = time.monotonic()
                victim = self._victim(outbox, size, now)
                unsorted = [] if victim else self._to_scan(now)
            if unsorted:
                self._scan(unsorted, now)
                continue
            if victim is None or victim[0] is outbox:
                return False
            victim[1].drop_slow(victim[0])

    def give(self, outbox: Outbox, size: int) -> None:
        """Count bytes no longer, which have gone out of an outbox."""
        if not size:
            return
        with self._lock:
            if self._giant is not None and self._giant[0] is outbox:
                if not outbox.size:
                    self._giant = None
                return
            self.total -= size
            outbox.counted -= size
            if not outbox.counted:
                self._readers.pop(outbox, None)

    def _enter(self, sender: Sender, outbox: Outbox, size: int) -> bool:
        if not size or (self._giant is not None and self._giant[0] is outbox):
            return True
        if outbox.counted + size > self._limit:
            if self._giant is not None:
                return False
            self.total -= outbox.counted
            outbox.counted = 0
            self._readers.pop(outbox, None)
            self._giant = outbox, sender
            return True
        if self.total + size > self._limit:
            return False
        self.total += size
        outbox.counted += size
        self._readers[outbox] = sender
        return True

    def _victim(self, outbox: Outbox, size: int, now: float) -> tuple[Outbox, Sender] | None:
        """Return who goes next; None if nobody is known to be slow."""
        if outbox.counted + size > self._limit:
            giant = self._giant
            return giant if giant and now - giant[0].pace.began >= YOUNG_SECONDS else None
        if now - self._found_at >= FRESH_SECONDS:
            self._slow.clear()
        while self._slow:
            _, slow = self._slow.pop()
            sender = self._readers.get(slow)
            if sender is not None:
                return slow, sender
        return None

    def _to_scan(self, now: float) -> list[tuple[Outbox, Sender]]:
        """Return the readers to be looked at, none if that was done a moment ago."""
        if now < self._next_scan:
            return []
        self._next_scan = now + FRESH_SECONDS  # only one thread does it
        return [each for each in self._readers.items() if now - each[0].pace.began >= YOUNG_SECONDS]

    def _scan(self, readers: list[tuple[Outbox, Sender]], now: float) -> None:
        """Put the readers into order, the slowest last."""
        found = []
        for outbox, sender in readers:
            outbox.pace.look(sender.socket)
            found.append((-outbox.pace.rate(now), id(outbox), outbox))
        found.sort()
        ended = time.monotonic()
        with self._lock:
            self._slow = [(rate, outbox) for rate, _, outbox in found]
            self._found_at = ended
            self._next_scan = ended + (ended - now) / SCAN_SHARE


def queued(connection: Channel) -> int:
    """Return how many bytes the system keeps that the client has not taken; 0 if it cannot tell."""
    if sys.platform == "linux":
        try:
            answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_QUEUED.size))
        except (OSError, ValueError):  # another thread has closed it
            return 0
        return int(_QUEUED.unpack(answer)[0])
    return 0
