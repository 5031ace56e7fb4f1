"""The log of a whole server, as a program reads it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .server import Server, eventually, launching

APPLICATION = """
import logging, logging.config, time

logging.getLogger("shop").info("imported")
logging.config.dictConfig({"version": 1, "loggers": {"shop": {"level": "INFO"}}})

def app(environ, start_response):
    path = environ["PATH_INFO"]
    environ["breezeway.request_id"] = environ["QUERY_STRING"]
    logging.getLogger("shop").info("asked for %s", path)
    print("complaint", "about", path, file=environ["wsgi.errors"])
    if path == "/fail":
        raise ValueError("no")
    if path == "/slow":
        while not environ["breezeway.client_disconnected"]():
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""

TABLE = """
[logging.formatters.json]
"()" = "breezeway.logs.JSONFormatter"
[logging.filters.request]
"()" = "breezeway.logs.RequestFilter"
[logging.handlers.file]
class = "logging.handlers.WatchedFileHandler"
filename = "shop.log"
formatter = "json"
filters = ["request"]
[logging.root]
level = "INFO"
handlers = ["file"]
"""


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[Server]:
    """Serve with a log of JSON, of which each line is held to be that."""
    (directory / "breezeway.toml").write_text(TABLE)
    given = ("--log-format", "json", "--slow-request-log", "10ms", *options)
    with launching(directory, *given, application=APPLICATION, trouble=True) as server:
        server.log.wait_for("Serving application:app on ")
        told = [each["message"] for each in messages(server, "breezeway.supervisor")]
        server.url = next(each for each in told if "Serving" in each).rpartition(" ")[2]
        yield server


def messages(server: Server, logger: str) -> list[dict[str, Any]]:
    """Return the messages of a logger."""
    found = [json.loads(line) for line in server.log.text.splitlines()]
    return [each for each in found if each["logger"] == logger]


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
def test_for_machines(tmp_path: Path, options: tuple[str, ...]) -> None:
    """All lines are objects: of the supervisor, of failures, of wsgi.errors, of slow requests."""
    with serving(tmp_path, "--workers", "1", *options) as server:
        with server.send("/slow?s1"):
            server.log.wait_for("slow_requests.*so far")
        with server.send("/fail?f1") as client:
            assert client.recv(65536).startswith(b"HTTP/1.1 500 ")
        server.log.wait_for(r"slow_requests.* after \d")
        server.log.wait_for("the application failed")
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        complaints = {each["message"] for each in messages(server, "breezeway.application")}
        *_, failure = messages(server, "breezeway.application")
        slow, ended = messages(server, "breezeway.slow_requests")
        stopping = messages(server, "breezeway.supervisor")[-1]
    assert {"complaint about /slow", "complaint about /fail"} <= complaints
    assert (failure["request_id"], failure["target"]) == ("f1", "/fail?f1")
    assert failure["exceptions"][0]["frames"][-1]["source"] == 'raise ValueError("no")'
    assert (failure["role"], failure["worker"]) == ("worker", 1)
    assert "app" in {each["function"] for each in slow["frames"]}
    assert slow["request_id"] == ended["request_id"] == "s1"
    assert ended["duration"] > slow["duration"]
    assert stopping["role"] == "supervisor"


def test_logging_of_the_application(tmp_path: Path) -> None:
    """[logging] is in force before the import, in each worker; records have their request."""
    with serving(tmp_path, "--workers", "2") as server:
        log = tmp_path / "shop.log"
        eventually(lambda: log.read_text().count("\n") == 2, "two imports")
        assert server.get("/?r1") == "done"
        *imports, asked = map(json.loads, log.read_text().splitlines())
        assert [each["message"] for each in imports] == ["imported"] * 2
        assert "target" not in imports[0]
        assert (asked["message"], asked["request_id"]) == ("asked for /", "r1")


def test_logging_that_cannot_be(tmp_path: Path) -> None:
    """What [logging] asks for in vain is told with its line, as any other setting."""
    table = TABLE.replace("shop.log", "nowhere/shop.log")
    (tmp_path / "breezeway.toml").write_text(table)
    with launching(tmp_path, application=APPLICATION) as server:
        assert server.end() != 0
        assert server.log.wait_for(
            "breezeway.toml, line 6: the handler 'file' cannot be had: FileNotFoundError: "
        )
