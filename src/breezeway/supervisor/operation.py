"""What somebody asked for and what takes a while: a reload, a change of scale, a recycling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breezeway.supervisor.control import Caller


class Operation:
    """Tells the caller how far it is, and that it is done when nothing is left to do."""

    def __init__(
        self,
        caller: Caller,
        what: str,
        left: Callable[[], int],
        result: Callable[[], dict[str, Any]],
        *,
        is_settled: Callable[[], bool] = lambda: True,
        needs_workers: bool = False,
    ) -> None:
        """`left` returns how many steps there are still, the first time all of them.

        `what` is said of the steps that are done, such as "workers replaced". After the last one
        `is_settled` has still a say. One that `needs_workers` has failed when one does not come up.
        """
        self._caller = caller
        self._what = what
        self._left = left
        self._result = result
        self._is_settled = is_settled
        self.needs_workers = needs_workers
        self._total = self._last = left()
        self._ended = False

    def is_over(self) -> bool:
        """Tell the caller what is new; return whether this was the end of it."""
        if self._ended:
            return True
        left = self._left()
        if left < self._last:
            done = self._total - left
            self._caller.progress(f"{done} of {self._total} {self._what}", done, self._total)
        self._last = left
        if left <= 0 and self._is_settled():
            self._ended = True
            self._caller.succeed(self._result())
        return self._ended

    def fail(self, error: str) -> None:
        """End it without success."""
        if not self._ended:
            self._ended = True
            self._caller.fail(error)
