"""Somebody at the other end of the links: answers as a test has it, and notes what was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from breezeway.admin.access import Access
from breezeway.admin.application import Application
from breezeway.admin.link import Link
from breezeway.admin.source import Source
from breezeway.admin.streams import Streams

from ..observe.statuses import status

TOKEN = "a-token-of-some-length"

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Supervisor:
    """Answers each command with what `answers` has for it, or with "no"."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {
            "status": lambda _: status(),
            "settings": lambda _: {"groups": []},
            "events": lambda asked: {
                "events": [each for each in self.events if each["number"] > asked["after"]]
            },
            "stacks": lambda _: {"workers": []},
            "reload": lambda _: {"generation": 2},
            "scale": lambda asked: {"workers": asked["workers"]},
            "recycle": lambda asked: {"recycled": [asked.get("pid")]},
        }
        self.events: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def _events(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"events": [each for each in self.events if each["number"] > asked["after"]]}

    def link(self, **options: Any) -> Link:
        """Return a link to it."""
        ours, theirs = socket.socketpair()
        self._sockets.append(theirs)
        thread = threading.Thread(target=self._serve, args=(theirs,))
        thread.start()
        self._threads.append(thread)
        return Link(ours, **options)

    def _serve(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                self.asked.append(request)
                answer = self.answers.get(request["command"])
                message: dict[str, Any] = {"ok": False, "error": "no"}
                if answer is not None:
                    message = {"ok": True, "result": answer(request)}
                progress = {"progress": "on the way", "done": 0, "total": 1}
                for each in (progress, message):
                    sock.sendall(json.dumps(each).encode() + b"\n")

    def count(self, command: str) -> int:
        """Return how often something was asked for."""
        return sum(each["command"] == command for each in self.asked)

    def hang_up(self) -> None:
        """End all connections."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        self.hang_up()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


class Admin:
    """An application with links to a supervisor."""

    def __init__(self, supervisor: Supervisor, bind: str, token: str | None, hosts: Any) -> None:
        self._links = [supervisor.link(), supervisor.link(), supervisor.link(seconds=None)]
        self.source = Source(*self._links[:2])
        self.streams = Streams(self.source, tick_seconds=0.02)
        self.access = Access(bind, token, hosts)
        self.application = Application(
            self.source, self._links[2], self.streams, self.access, application_metrics=list
        )

    def close(self) -> None:
        """Close the links."""
        self.streams.close()
        for each in self._links:
            each.close()
