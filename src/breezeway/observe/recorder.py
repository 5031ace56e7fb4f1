"""Keeps account of requests: counts them in shared memory, and has the access log write of them.

The thread that holds the baton only leaves what it knows in lists, and settles them at one go before
it waits for events again. So what a worker has answered is on record before it looks at the next
events: when it is killed, nothing is missing but what it had in hand. The buckets of durations alone
are filled later, at the next tick, which costs less than one by one.
"""

from __future__ import annotations

import threading

from breezeway.observe.access_log import AccessLog
from breezeway.observe.entry import Entry
from breezeway.observe.tally import METHOD_AT, OTHER_AT, Tally

MOST_PENDING = 4096
"""Durations that wait to be put into buckets."""

_COMMON_AT = METHOD_AT["GET"] + 200 // 100


class Recorder:
    """The account of one worker.

    For a response on the fast path the holder of the baton calls `add_duration`, `add_queued` (both in
    seconds), `add_received`, `add_sent` (both in bytes), `count_uncommon` if it was no GET that got 200,
    and `add_entry` if `logs`. For any other, whoever is done with it calls `record`.
    """

    def __init__(self, tally: Tally, access_log: AccessLog | None) -> None:
        self.logs = access_log is not None
        self._access_log = access_log
        self._tally = tally
        self._lock = threading.Lock()
        self._thread = ""
        self._durations: list[float] = []
        self._queued: list[float] = []
        self._received: list[int] = []
        self._sent: list[int] = []
        self._entries: list[Entry] = []
        self._uncommon: list[int] = []
        # Bound once, for they are called for each request.
        self.add_duration = self._durations.append
        self.add_queued = self._queued.append
        self.add_received = self._received.append
        self.add_sent = self._sent.append
        self.add_entry = self._entries.append

    # --- for the holder of the baton ---------------------------------------------------------------

    def change_thread(self, thread: str) -> None:
        """Note that a thread of this name answers from now on."""
        self.settle()
        self._thread = thread

    def count_uncommon(self, method: str, status: int) -> None:
        """Count a response that is not the common one."""
        self._uncommon.append(METHOD_AT.get(method, OTHER_AT) + status // 100)

    def settle(self) -> None:
        """Count everything that was left, and have the access log write of it."""
        sent = self._sent
        if not sent:
            return
        try:
            with self._lock:
                self._tally.count(_COMMON_AT, len(sent) - len(self._uncommon))
                for at in self._uncommon:
                    self._tally.count(at, 1)
                self._tally.count_bytes(sum(self._received), sum(sent))
                if self._access_log is not None:
                    self._access_log.write(self._entries, self._thread)
        finally:  # what cannot be written once cannot the next time
            for pending in (sent, self._received, self._uncommon, self._entries):
                pending.clear()
        if len(self._durations) >= MOST_PENDING:
            self.advance()

    def advance(self) -> None:
        """Put the durations into their buckets; called at each tick."""
        if self._durations:
            with self._lock:
                self._tally.count_durations(self._durations, self._queued)
                self._durations.clear()
                self._queued.clear()

    # --- for any thread ------------------------------------------------------------------------------

    def record(self, entry: Entry, thread: str, *, logged: bool) -> None:
        """Take an entry of a thread of this name; not `logged`, only count it."""
        request, _, response, size, began, called, _, returned, finished, _ = entry
        method = request.environ["REQUEST_METHOD"]
        status = 0 if response is None else response.status
        with self._lock:
            self._tally.count(METHOD_AT.get(method, OTHER_AT) + status // 100, 1)
            self._tally.count_bytes(request.whole, size)
            self._durations.append((finished or returned) - began)
            self._queued.append(called - began)
            if logged and self._access_log is not None:
                self._access_log.write([entry], thread)

    def reopen(self) -> None:
        """Have the file of the access log opened again."""
        if self._access_log is not None:
            self._access_log.reopen()

    def close(self) -> None:
        """Take what is left, and have it written."""
        self.settle()
        self.advance()
        self.end_log()

    def end_log(self) -> None:
        """Have the access log write what it has; from any thread."""
        if self._access_log is not None:
            self._access_log.close()
