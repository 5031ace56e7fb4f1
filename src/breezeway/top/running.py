"""The requests that are running now, out of what `stacks` tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breezeway.ctl_view import clean


@dataclass(frozen=True, slots=True)
class Request:
    """One request in a thread; all text is without control characters."""

    pid: int
    thread: str
    line: str
    """Such as `GET /orders?page=2`."""
    seconds: float
    """Since it was complete."""
    stack: tuple[str, ...]
    """Lines as in a traceback, the innermost call last."""

    @property
    def key(self) -> tuple[int, str, str]:
        """Tell it from others, second by second."""
        return self.pid, self.thread, self.line

    @property
    def place(self) -> str:
        """The innermost line of code, such as `views.py:12 in report`."""
        for line in reversed(self.stack):
            if line.startswith('File "'):
                path, _, rest = line.removeprefix('File "').partition('", line ')
                at, _, name = rest.partition(", in ")
                return f"{path.rpartition('/')[2]}:{at} {name}".rstrip()
        return self.stack[-1] if self.stack else ""

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "pid": self.pid,
            "thread": self.thread,
            "request": self.line,
            "seconds": round(self.seconds, 3),
            "stack": list(self.stack),
        }


def requests(answer: Mapping[str, Any]) -> list[Request]:
    """Return the requests in an answer to `stacks`, the longest first."""
    found = [
        Request(
            worker.get("pid", 0),
            clean(thread.get("name", "?")),
            clean(thread["request"]),
            thread.get("seconds") or 0.0,
            tuple(
                clean(line) for text in thread.get("stack", ()) for line in str(text).splitlines()
            ),
        )
        for worker in answer.get("workers", ())
        for thread in worker.get("threads", ())
        if thread.get("request") is not None
    ]
    return sorted(found, key=lambda each: -each.seconds)
