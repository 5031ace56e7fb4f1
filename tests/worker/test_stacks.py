"""What every thread is doing, as an operator sees it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.testing import LiveServer
from breezeway.worker.stacks import (
    FRAMES_SHOWN,
    ThreadStack,
    _without_gil,
    describe,
    lines,
    places,
    places_of,
    stacks,
)

from ..applications import PLAIN
from ..gil import needs_gil
from ..live import eventually
from ..wire.client import Client, request
from .parts import answers, asked, hello, serving


def of_requests(server: LiveServer) -> list[ThreadStack]:
    """Return what the threads in requests do."""
    return [each for each in stacks() if each.request is not None]


@needs_gil
def test_requests_are_named() -> None:
    """A thread in a request has its line, its time, and the application's frames alone."""
    with serving(threads=3) as (server, parts), asked(server, "/wait?a=%0A", 2) as waiting:
        began = time.monotonic()
        for _ in waiting:
            assert parts.entered.acquire(timeout=5)
        found = of_requests(server)
        assert [each.request for each in found] == ["GET /wait?a=%0A"] * 2
        for each in found:
            assert each.name.startswith("breezeway-")
            assert each.seconds is not None
            assert 0 <= each.seconds <= time.monotonic() - began + 1
            assert each.stack[0].startswith(f'File "{__file__.replace("test_stacks", "parts")}"')
            assert "assert self.go.wait(5)" in "".join(each.stack)
            assert "breezeway/worker" not in "".join(each.stack)
        parts.go.set()
        answers(waiting)


@needs_gil
def test_threads_without_a_request() -> None:
    """The leader, the warden and the spares say what they are; the one that asks, too."""
    with serving(threads=3) as (server, parts):
        with asked(server, "/wait", 2) as waiting:
            for _ in waiting:
                assert parts.entered.acquire(timeout=5)
            parts.go.set()
            answers(waiting)
        with Client(server.address) as client:

            def told() -> set[str]:
                hello(client)  # fast calls: the pool is left
                return {line for each in stacks() for line in each.stack}

            eventually(
                lambda: (
                    {
                        "waiting for work",
                        "warden: watching over the calls",
                        "event loop",
                        "taking these stacks",
                    }
                    <= told()
                ),
                "all of them are at rest",
            )


@needs_gil
def test_generator_in_the_middle() -> None:
    """A thread between two blocks is in its request, and its frames begin with the generator."""
    inside, go = threading.Event(), threading.Event()

    def blocks() -> Iterator[bytes]:
        yield b"one"
        inside.set()
        assert go.wait(5)
        yield b"two"

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return blocks()

    with LiveServer(application) as server, Client(server.address) as client:
        client.send(request("GET", "/stream"))
        assert inside.wait(5)
        [found] = of_requests(server)
        assert "in blocks" in found.stack[0]
        go.set()
        assert client.response().body == b"onetwo"


def test_what_json_and_the_log_get() -> None:
    """The dictionary goes to JSON as it is; the text names everything in lines."""
    found = ThreadStack("breezeway-3", "GET /x", 1.25, ("File ...", "  code()"))
    assert json.loads(json.dumps(found.as_dict())) == {
        "name": "breezeway-3",
        "request": "GET /x",
        "seconds": 1.25,
        "stack": ["File ...", "  code()"],
    }
    assert str(found) == "breezeway-3: GET /x, for 1.2 s\n  File ...\n    code()"
    assert str(ThreadStack("other", None, None, ("line",))) == "other\n  line"


def test_request_line_is_one_line() -> None:
    """Whatever an application has put into its environ, the line stays one line."""
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "RAW_URI": "/a\n\x1b[31m\u202e"}
    assert describe(environ) == "GET /a\\n\\x1b[31m\\u202e"
    assert describe({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}) == "GET /a"
    assert describe({}) == "- -"


def test_deep_recursion_is_cut() -> None:
    """Of a stack without end the innermost frames are shown."""
    here: list[str] = []

    def down(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            here.extend(lines(places(sys._getframe())))

    def deeper(left: int) -> None:
        down(left)

    down(100)
    assert here[0].endswith("frames left out)")
    assert sum(line.startswith("File ") for line in here) == FRAMES_SHOWN


def test_places_without_touching_frames() -> None:
    """Where Python runs without the GIL, a dump of all threads tells the same."""
    with serving(threads=2) as (server, parts), asked(server, "/wait", 1) as waiting:
        assert parts.entered.acquire(timeout=5)
        [ident] = parts.threads

        def both() -> list[list[tuple[str, int | None, str]]]:
            return [
                [(each.filename, each.lineno, each.name) for each in found]
                for found in (_without_gil()[ident], places_of(ident))
            ]

        eventually(lambda: both()[0] == both()[1], "the thread waits")
        assert both()[0][0][0] == parts.__call__.__code__.co_filename
        assert _without_gil()[threading.get_ident()][-1].name == "_without_gil"
        parts.go.set()
        answers(waiting)


def test_threads_at_work() -> None:
    """Stacks are taken while threads go on: without the GIL, too, that harms nobody."""
    ends = threading.Event()

    def down(left: int) -> int:
        return down(left - 1) if left else sum(each for each in range(3))

    def work() -> None:
        while not ends.is_set():
            down(20)
            down(200)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    try:
        for _ in range(10):
            idents = {each.ident for each in threads}
            assert len(stacks()) > len(idents)
            assert all(isinstance(places_of(ident or 0), list) for ident in idents)
    finally:
        ends.set()
        for each in threads:
            each.join(5)
