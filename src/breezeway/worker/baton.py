"""The baton: how threads share one event loop, and the warden that passes it on.

One thread at a time holds the baton: it polls, receives, parses and calls the application itself,
so that a fast application pays for no hand-off. What makes that safe are two agreements:

- **The window.** Around each call of the application the holder lays the baton down in `window` and
  takes it up again afterwards. Both are single atomic operations on a list. Whoever pops it holds
  it: when the warden finds the same call in the window at two looks, it takes the baton out and
  gives it to a spare thread, and the first thread finds the window empty when it comes back: it
  finishes its request apart from the event loop and joins the spares.
- **The pool.** When calls are slow on average, or all threads are in one, the warden keeps the baton
  itself (`pooled`): it runs the event loop and hands each complete request to a spare thread, to
  a new one, or to a bounded queue, from which threads help themselves when they are done. It
  gives the baton back when calls have become fast and a thread is free.

How long calls take is not measured on the fast path: the warden estimates it from how often it finds
a call in the window, and how many calls were made between its looks. A look is not cheap, for the
holder has to give up the GIL and the core for it; so it is rare until there is a slow call.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

logger = logging.getLogger("breezeway.worker")

ALERT_LOOK_SECONDS: Final = 0.001
"""Between two looks of the warden when calls have been slow lately: what the others may lose behind
a slow call. A look costs some 45 us, most of it for switching threads: hello at 113,000 requests/s
with a look each millisecond, 121,000 with one in 20 ms."""

CALM_LOOK_SECONDS: Final = 0.005
"""Between two looks when no call has been slow lately: 1 % of a core."""

ALERT_SECONDS: Final = 1.0
"""So long after a slow call the warden is alert."""

IDLE_LOOKS: Final = 10
"""After so many looks without a call the warden sleeps. Waking it costs the next request 3 us."""

SLOW_SECONDS: Final = 0.0005
"""Mean time of a call from which on requests go to the pool: some ten times what the two hand-offs
of a pool cost."""

FAST_SECONDS: Final = SLOW_SECONDS / 2
"""Mean time of a call below which the pool is left again."""

HALF_LIFE_SECONDS: Final = 0.05
"""After this time a call counts half in the mean."""

LONGEST_COUNTED_SECONDS: Final = 4 * SLOW_SECONDS
"""A longer call counts as this long: one call of a second says nothing about a thousand others."""

Job = Callable[[], None]


TOGETHER_SECONDS: Final = 0.0005
"""Responses that are complete within about this time may leave together: see `Baton.together`."""

WAKE_SECONDS: Final = 0.00002
"""Calls that take less than this keep a client on the same machine awake by themselves."""


class Call(Protocol):
    """What lies in the window: a call of the application."""

    def uncork(self) -> None:
        """Note that the event loop will not wait for the end of this call."""


class _Runner:
    """A thread, the lock on which it sleeps, and what it is to do when it wakes."""

    __slots__ = ("job", "lock")

    def __init__(self, job: Job) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.job: Job | None = job


class Baton:
    """Passes the event loop from thread to thread, and requests to the pool."""

    def __init__(
        self, lead: Callable[..., None], *, threads: int, queue_limit: int, queue_timeout: float
    ) -> None:
        """Set up; nothing runs yet.

        `lead` runs the event loop and returns when the thread that called it has lost the baton,
        or with `as_warden=True` when `give_back` has returned True. `queue_timeout` is in seconds.
        """
        self.window: list[Call] = []
        self.calls = 0
        """Events so far, each of which is a call of the application as a rule; the holder counts."""
        self.leads = 0
        """Times that a thread has begun to run the event loop; the thread itself counts."""
        self.submitted = 0
        """Requests for which the event loop wanted another thread."""
        self.pooled = False
        self.polling = False
        """The holder waits for events."""
        self.asleep = False
        """The warden sleeps; whoever is about to call the application has to `wake_warden`."""
        self.together = 0
        """How many complete responses may wait for each other: as many calls as take half a
        millisecond, none while calls are slow or have been lately."""
        self.forked = False
        """This is another process, forked by the application: its threads are not here."""
        self.threads_limit = threads
        self.complain: Callable[..., None] = logger.warning
        """Logs what cannot be had; takes what a logger's methods take."""
        self.parked = 0
        """Threads that wait for a client's body; they do not count against the limit."""
        self._lead = lead
        self._queue: deque[tuple[float, Job, Job]] = deque()
        self._queue_limit = queue_limit
        self._queue_timeout = queue_timeout
        self._mutex = threading.Lock()
        self._spares: list[_Runner] = []
        self._threads: set[threading.Thread] = set()
        self._written_off: set[threading.Thread] = set()
        self._started = 0
        self._stopped = False
        self._alarm = threading.Lock()  # what the warden sleeps on
        self._alarm.acquire()
        self._warden_holds = False
        self._warden = threading.Thread(target=self._watch, name="breezeway-warden", daemon=True)
        self._durations: list[float] = []
        self._mean_time = self._mean_calls = 0.0
        self._seen_calls = 0
        self._looked_at = 0.0
        self._alert_until = 0.0

    def start(self) -> None:
        """Start the warden, who gives the baton to the first thread."""
        self._warden_holds = True
        self._warden.start()

    def stop(self) -> None:
        """Let all threads end that are in no request; the event loop has ended."""
        with self._mutex:
            self._stopped = True
            spares, self._spares = self._spares, []
        for runner in spares:
            runner.job = None
            runner.lock.release()
        self.wake_warden()

    def join(self, seconds: float) -> None:
        """Wait at most this long until all threads have ended, after `stop`."""
        deadline = time.monotonic() + seconds
        for thread in [self._warden, *self._threads]:
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def written_off(self) -> int:
        """Threads that have not come back from a request long after its deadline."""
        return len(self._written_off)

    @property
    def busy_threads(self) -> int:
        """Threads that are in a request or lead."""
        return len(self._threads) - len(self._spares)

    @property
    def spare_threads(self) -> int:
        """Threads that wait for something to do."""
        return len(self._spares)

    @property
    def queued(self) -> int:
        """Requests that wait for a thread."""
        return len(self._queue)

    def employs_this_thread(self) -> bool:
        """Whether the thread that asks is one of those that answer requests."""
        return threading.current_thread() in self._threads

    # --- for the thread that holds the baton -------------------------------------------------

    def submit(self, job: Job, expired: Job, now: float) -> bool:
        """Give a request to the pool; False when the queue is full.

        `expired` is called in place of `job` when a thread comes too late for it. `now` is the
        monotonic time.
        """
        self.submitted += 1
        with self._mutex:
            if self._spares:
                runner = self._spares.pop()
                runner.job = job
                runner.lock.release()
                return True
            if self._may_start():
                return self._start_thread(job) or self._enqueue(job, expired, now)
            return self._enqueue(job, expired, now)

    def _enqueue(self, job: Job, expired: Job, now: float) -> bool:
        if len(self._queue) >= self._queue_limit:
            return False
        self._queue.append((now, job, expired))
        return True

    def withdraw(self, job: Job) -> bool:
        """Take a request out of the queue; False when it is not there any more."""
        with self._mutex:
            for entry in self._queue:
                if entry[1] is job:
                    self._queue.remove(entry)
                    return True
        return False

    def write_off(self, ident: int) -> None:
        """Reckon with a thread no more: another one may start in its place.

        If it comes back after all, it ends. At most as many as may work at a time are replaced.
        """
        with self._mutex:
            self._written_off.update(each for each in self._threads if each.ident == ident)
            self._start_for_queue()

    @property
    def due(self) -> float:
        """When the request that has waited longest has waited too long; 0 if none waits."""
        if self._queue:
            with contextlib.suppress(IndexError):  # a thread has just taken it
                return self._queue[0][0] + self._queue_timeout
        return 0.0

    def expire(self, now: float) -> None:
        """Turn away the queued requests that have waited too long."""
        while True:
            with self._mutex:
                if not self._queue or now - self._queue[0][0] < self._queue_timeout:
                    return
                _, _, expired = self._queue.popleft()
            expired()

    def hand_to_warden(self) -> None:
        """Give the baton to the warden, who leads for as long as `pooled` is set."""
        self._warden_holds = True
        self.wake_warden()

    def wake_warden(self) -> None:
        """Wake the warden if it sleeps."""
        self.asleep = False
        try:
            self._alarm.release()
        except RuntimeError:  # somebody else was faster
            pass

    # --- for a thread inside an application call -----------------------------------------------

    def watches(self, call: object) -> bool:
        """Whether this call is in the window, and so under the eyes of the warden."""
        return self._call_in_window() is call

    def step_aside(self, call: object) -> None:
        """Pass the baton on before a wait, if it still lies in the window with this call."""
        if self.watches(call):
            try:
                self.window.pop()
            except IndexError:  # the warden was faster
                return
            self._pass_on()

    @contextlib.contextmanager
    def parking(self) -> Iterator[None]:
        """Wait for a client within this: another thread may start in place of this one."""
        with self._mutex:
            self.parked += 1
            self._start_for_queue()
        try:
            yield
        finally:
            with self._mutex:
                self.parked -= 1

    def count(self, seconds: float) -> None:
        """Count the time of a call that was made apart from the event loop."""
        self._durations.append(min(seconds, LONGEST_COUNTED_SECONDS))

    # --- threads ---------------------------------------------------------------------------------

    def _counted(self) -> int:
        """Count the threads that stand against the limit."""
        replaced = min(len(self._written_off), self.threads_limit)
        return len(self._threads) - self.parked - replaced

    def _may_start(self) -> bool:
        return self._counted() < self.threads_limit and not self._stopped

    def _start_for_queue(self) -> None:
        """Start a thread for the request that has waited longest, if there may be one."""
        if self._queue and self._may_start():
            queued = self._queue.popleft()
            if not self._start_thread(queued[1]):
                self._queue.appendleft(queued)

    def _start_thread(self, job: Job) -> bool:
        self._started += 1
        name = f"breezeway-{self._started}"
        thread = threading.Thread(target=self._work, args=(_Runner(job),), name=name, daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            self._threads.discard(thread)
            self.complain("cannot start a thread: %s", error)
            return False
        return True

    def _work(self, runner: _Runner) -> None:
        job = runner.job
        while job is not None:
            try:
                job()
            except BaseException:
                with contextlib.suppress(BaseException):  # a filter of the log may raise any
                    logger.exception("internal error in a thread")
            job = None  # what it refers to must not wait as long as this thread
            job = self._next_job(runner)

    def _next_job(self, runner: _Runner) -> Job | None:
        with self._mutex:
            this = threading.current_thread()
            lost = this in self._written_off
            if self._queue and not lost:
                queued_at, job, expired = self._queue.popleft()
                late = time.monotonic() - queued_at >= self._queue_timeout
                return expired if late else job
            if lost or self._stopped or self._counted() > self.threads_limit:
                self._threads.discard(this)
                self._written_off.discard(this)
                return None
            runner.job = None
            self._spares.append(runner)
        runner.lock.acquire()
        return runner.job

    def _pass_on(self) -> None:
        """Give the baton that this thread holds to a spare, a new thread or the warden."""
        with self._mutex:
            if not self.pooled:
                if self._spares:
                    runner = self._spares.pop()
                    runner.job = self._lead
                    runner.lock.release()
                    return
                if self._may_start() and self._start_thread(self._lead):
                    return
                self.pooled = True
        self.hand_to_warden()

    # --- the warden ------------------------------------------------------------------------------

    def _watch(self) -> None:
        idle_looks = 0
        seen: Call | None = None  # the call that was in the window at the last look
        self._looked_at = time.monotonic()
        while not self._stopped:
            if self._warden_holds:
                self._warden_holds = False
                if self.pooled:
                    self._lead(as_warden=True)
                if not self._stopped:
                    self._pass_on()
            elif self.asleep:
                seen = None
                self._alarm.acquire()
                idle_looks = 0
                self._looked_at = time.monotonic()
            else:
                calls = self.calls
                alert = self._looked_at < self._alert_until
                self._alarm.acquire(timeout=ALERT_LOOK_SECONDS if alert else CALM_LOOK_SECONDS)
                call = self._call_in_window()
                self._estimate(call, seen)
                if call is not None and call is seen:
                    self._take_from_slow_call()
                seen = call
                idle_looks = 0 if call is not None or self.calls != calls else idle_looks + 1
                # A holder at work may come to a call at any time. One that polls, and has not seen
                # `asleep` afterwards, is seen here to be at work.
                self.asleep = idle_looks >= IDLE_LOOKS
                if self.asleep and (not self.polling or self.calls != calls):
                    self.asleep = False

    def _call_in_window(self) -> Call | None:
        try:
            return self.window[-1]
        except IndexError:
            return None

    def _take_from_slow_call(self) -> None:
        try:
            call = self.window.pop()
        except IndexError:  # the call has ended
            return
        self._alert_until = self._looked_at + ALERT_SECONDS
        call.uncork()
        self._pass_on()

    def _estimate(self, call: Call | None = None, seen: Call | None = None) -> None:
        """Bring the mean time of a call up to date, and decide about the pool.

        `call` is in the window now, `seen` was at the last look.
        """
        now = time.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        calls, self._seen_calls = self.calls - self._seen_calls, self.calls
        measured = 0.0
        while self._durations:
            measured += self._durations.pop()
        if call is not None:
            measured += passed if call is not seen else min(passed, LONGEST_COUNTED_SECONDS)
        fading = 0.5 ** (passed / HALF_LIFE_SECONDS)
        self._mean_time = self._mean_time * fading + measured
        self._mean_calls = self._mean_calls * fading + calls
        mean = self._mean_time / max(self._mean_calls, 1.0)
        calm = not self.pooled and now >= self._alert_until
        self.together = int(TOGETHER_SECONDS / mean) if calm and mean > WAKE_SECONDS else 0
        if not self.pooled and self._mean_time > SLOW_SECONDS * max(self._mean_calls, 1.0):
            self.pooled = True  # the holder brings the baton when it sees it

    def give_back(self) -> bool:
        """Tell the warden, who leads, whether to give the baton back; it asks after each poll."""
        now = time.monotonic()
        self._alert_until = now + ALERT_SECONDS
        if now - self._looked_at >= ALERT_LOOK_SECONDS:
            self._estimate()
        if self._mean_time > FAST_SECONDS * self._mean_calls or self._queue:
            return False
        if self._spares or self._may_start():
            self.pooled = False
        return not self.pooled
