"""The server that is watched: found as `breezeway ctl` finds it, asked, and found again.

After an upgrade another supervisor has the listeners, with another process id and another socket.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Final

from breezeway import ctl_client
from breezeway.ctl_client import Answer, NoServerError, Progress
from breezeway.ctl_view import clean
from breezeway.errors import UserError
from breezeway.supervisor import runtime_directory

STATUS: Final[dict[str, Any]] = {"command": "status", "watch": True}
"""Has the workers count requests and durations for the next seconds, too."""

PATIENCE_SECONDS: Final = 4.0
"""A supervisor that says nothing for so long does not answer; with `stacks` it waits 2 s itself."""

EVENTS: Final[dict[str, Any]] = {"command": "events"}

STACKS: Final[dict[str, Any]] = {"command": "stacks"}


def _ignore(text: str, done: int, total: int) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A server that can be meant."""

    path: str
    """Of its control socket."""
    text: str
    """What tells it from the others; empty if there are none."""


class Server:
    """The server that is meant."""

    def __init__(self, path: str) -> None:
        """`path` is its control socket."""
        self.path = path
        self._known: Answer = {}
        self._last_event = 0, 0
        """The supervisor that told the last one, and its number."""

    def status(self) -> Answer:
        """Ask how it stands; raise `UserError` if it cannot be asked, also after looking again."""
        try:
            answer = self._quick(STATUS)
        except NoServerError:
            self.path = self._successor()
            answer = self._quick(STATUS)
        self._known = answer
        return answer

    def events(self) -> list[dict[str, Any]]:
        """Ask what has happened since the last time; nothing is told by one that cannot tell."""
        pid = self._known.get("pid", 0)
        number = self._last_event[1] if self._last_event[0] == pid else 0
        try:
            found: list[dict[str, Any]] = self._quick({**EVENTS, "after": number})["events"]
        except (UserError, KeyError):
            return []
        self._last_event = pid, max((each.get("number", 0) for each in found), default=number)
        return found

    def stacks(self) -> Answer:
        """Ask what its threads are doing; raise `UserError` if it cannot be asked."""
        return self._quick(STACKS)

    def operate(self, request: dict[str, Any], on_progress: Progress) -> Answer:
        """Have it do something, and wait until that is done; raise `UserError` if it fails."""
        return ctl_client.ask(self.path, request, seconds=None, on_progress=on_progress)

    def _quick(self, request: dict[str, Any]) -> Answer:
        return ctl_client.ask(self.path, request, seconds=PATIENCE_SECONDS, on_progress=_ignore)

    def _successor(self) -> str:
        """Return the socket of the only server with our application and listeners, else our own."""
        found = []
        for path in runtime_directory.find() if self._known else ():
            with contextlib.suppress(UserError):
                answer = glance(path)
                if all(answer.get(n) == self._known.get(n) for n in ("application", "listeners")):
                    found.append(path)
        return found[0] if len(found) == 1 else self.path


def glance(path: str) -> Answer:
    """Ask a server who it is; raise `UserError` if it does not say so soon."""
    return ctl_client.ask(
        path, {"command": "status"}, seconds=ctl_client.GLANCE_SECONDS, on_progress=_ignore
    )


def find(path: str | None, pid: int | None) -> list[Choice]:
    """Find the servers that can be meant, one at least; raise `UserError` if there is none."""
    found = ctl_client.candidates(path, pid)
    return [Choice(each, _name(each) if len(found) > 1 else "") for each in found]


def _name(path: str) -> str:
    pid = runtime_directory.pid_of(path)
    try:
        answer = glance(path)
    except UserError as error:
        return clean(f"pid {pid}  {error.message}")
    urls = " ".join(map(str, answer.get("listeners", ())))
    return clean(f"pid {pid}  {answer.get('application', '?')}  {urls}")
