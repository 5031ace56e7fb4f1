"""The way to Redis, with a real server that is killed and started again."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from breezeway.middleware import redis_link
from breezeway.middleware.redis_link import RedisAwayError, RedisLink

from ..redis_server import RedisServer

DEADLINE_SECONDS = 10.0
SPIN = """
local function now() local time = redis.call('TIME') return time[1] * 1000000 + time[2] end
local ends = now() + 400000
while now() < ends do end
"""
"""Keeps Redis busy for a while."""

COUNT = "return redis.call('INCR', KEYS[1])"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "RETRY_SECONDS", 0.05)


def until_back(link: RedisLink) -> None:
    """Ask until it answers."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            link.call(link.client.ping)
            return
        except RedisAwayError:
            assert time.monotonic() < ends
            time.sleep(0.005)


def ask_until_it_fails(link: RedisLink) -> None:
    """Ask again and again."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < ends:
        link.call(lambda: link.client.get("a"))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Say in short what the log has."""
    return ["back" if "is back" in line else "away" for line in caplog.messages]


@contextmanager
def silent_port() -> Iterator[int]:
    """Open a port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_away_and_back_are_told_once(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A kill and a start make two lines, however many ask meanwhile."""
    link = RedisLink(redis.url)
    script = link.script(COUNT)
    assert link.call(lambda: script(keys=["n"])) == 1
    redis.stop()
    ends = time.monotonic() + 0.2
    while time.monotonic() < ends:
        with pytest.raises(RedisAwayError, match="is away"):
            link.call(link.client.ping)
    assert told(caplog) == ["away"]
    assert (caplog.records[0].name, caplog.records[0].levelno) == (
        "breezeway.middleware",
        logging.ERROR,
    )
    redis.start()
    until_back(link)
    assert link.call(link.client.ping)
    assert told(caplog) == ["away", "back"]
    assert link.call(lambda: script(keys=["n"])) == 1, "the script was not loaded again"


def test_restart_between_two_calls_is_not_noticed(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that the server has closed is opened anew, and the script loaded."""
    link = RedisLink(redis.url)
    script = link.script(COUNT)
    assert [link.call(lambda: script(keys=["n"])) for _ in "ab"] == [1, 2]
    redis.stop()
    redis.start()
    assert link.call(lambda: script(keys=["n"])) == 1
    assert told(caplog) == []


def test_fails_at_once_while_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One waits for a server that does not answer, as long as the timeout; the next do not."""
    monkeypatch.setattr(redis_link, "RETRY_SECONDS", 60.0)
    with silent_port() as port:
        took = []
        for _ in range(3):  # the machine may be busy
            link = RedisLink(f"redis://127.0.0.1:{port}", timeout=0.1)
            began = time.monotonic()
            with pytest.raises(RedisAwayError):
                link.call(link.client.ping)
            took.append(time.monotonic() - began)
        assert 0.1 <= min(took) < 0.19, "it has waited twice"
        calls = []
        began = time.monotonic()
        for _ in range(1000):
            with pytest.raises(RedisAwayError):
                link.call(lambda: calls.append(1))
        assert time.monotonic() - began < 5
        assert not calls


def test_one_thread_only_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sixteen that come when the time has come, one asks, and the others go on."""
    with silent_port() as port:
        link = RedisLink(f"redis://127.0.0.1:{port}", timeout=0.05)
        with pytest.raises(RedisAwayError):
            link.call(link.client.ping)
        monkeypatch.setattr(redis_link, "RETRY_SECONDS", 60.0)
        link._away_until = 0.0  # the next attempt is due
        probes: list[int] = []
        release = threading.Event()

        def ask() -> None:
            probes.append(1)
            release.wait(DEADLINE_SECONDS)

        failed = []

        def run() -> None:
            try:
                link.call(ask)
            except RedisAwayError:
                failed.append(1)
            if len(failed) == 15:
                release.set()

        threads = [threading.Thread(target=run) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(probes), len(failed)) == (1, 15)


def test_late_success_does_not_bring_it_back(caplog: pytest.LogCaptureFixture) -> None:
    """An answer from before the failure says nothing of what is after it."""
    link = RedisLink("redis://127.0.0.1:1")

    def ask() -> int:
        with pytest.raises(RedisAwayError):
            link.call(_refuse)
        return 1

    assert link.call(ask) == 1
    with pytest.raises(RedisAwayError):
        link.call(lambda: 1)
    assert told(caplog) == ["away"]


def test_late_failure_does_not_send_it_away(caplog: pytest.LogCaptureFixture) -> None:
    """A timeout of a call from before the restart says nothing of the server of now."""
    link = RedisLink("redis://127.0.0.1:1")

    def ask() -> None:
        with pytest.raises(RedisAwayError):
            link.call(_refuse)
        link._away_until = 0.0
        assert link.call(lambda: 1) == 1
        _refuse()

    with pytest.raises(RedisAwayError):
        link.call(ask)
    assert link.call(lambda: 1) == 1
    assert told(caplog) == ["away", "back"]


def _refuse() -> None:
    raise ConnectionRefusedError("no")


def test_mistakes_are_raised_and_count_as_an_answer(redis: RedisServer) -> None:
    """An error that is the caller's is not taken for an absence, and ends one."""
    from redis.exceptions import ResponseError

    link = RedisLink(redis.url)
    link._is_away = True
    with pytest.raises(ResponseError):
        link.call(lambda: link.client.execute_command("NONSENSE"))
    assert link.call(link.client.ping)


@pytest.mark.parametrize("through_script", [False, True])
def test_out_of_memory_is_away(redis: RedisServer, through_script: bool) -> None:
    """A server that may not write is of no use for now, and is used again when it can."""
    link = RedisLink(redis.url)
    script = link.script("return redis.call('SET', KEYS[1], 'x')")
    ask = (lambda: script(keys=["n"])) if through_script else (lambda: link.client.set("n", "x"))
    link.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(RedisAwayError):
            link.call(ask)
    finally:
        link.client.config_set("maxmemory", 0)
    until_back(link)
    assert link.call(ask)


def test_cluster_without_nodes_is_away() -> None:
    """What the client of a cluster raises is no error of Redis, and none of a connection."""
    from redis.exceptions import RedisClusterException

    def ask() -> None:
        raise RedisClusterException("Redis Cluster cannot be connected. Please provide")

    with pytest.raises(RedisAwayError):
        RedisLink("redis://127.0.0.1:1").call(ask)


def test_answer_that_comes_too_late_is_nobodys(redis: RedisServer) -> None:
    """After a timeout the next one gets his own answer, not that for which nobody waited."""
    link = RedisLink(redis.url, timeout=0.1)
    link.client.mset({"a": "1", "b": "2"})
    other = RedisLink(redis.url, timeout=DEADLINE_SECONDS)
    sleeper = threading.Thread(target=other.client.execute_command, args=("EVAL", SPIN, "0"))
    sleeper.start()
    with pytest.raises(RedisAwayError):
        ask_until_it_fails(link)
    sleeper.join()
    until_back(link)
    for _ in range(5):
        assert link.call(lambda: link.client.get("b")) == b"2"


def test_forked_process_has_its_own_connection(redis: RedisServer) -> None:
    """A link that was used before the fork works in both processes, on two connections."""
    link = RedisLink(redis.url)
    script = link.script(COUNT)
    link.call(lambda: script(keys=["n"]))
    parent = link.call(link.client.client_id)
    reader, writer = os.pipe()
    with warnings.catch_warnings():  # of threads that the runner of the tests may have
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            for _ in range(50):
                link.call(lambda: script(keys=["n"]))
            os.write(writer, str(link.call(link.client.client_id)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    for _ in range(50):
        link.call(lambda: script(keys=["n"]))
    with open(reader, "rb") as pipe:
        assert int(pipe.read()) != parent
    os.waitpid(child, 0)
    assert link.call(link.client.client_id) == parent
    assert link.call(lambda: script(keys=["n"])) == 102


def test_password_is_not_told() -> None:
    """Neither the log nor an error has what is before the `@`."""
    link = RedisLink("redis://user:secret@127.0.0.1:1/0")
    with pytest.raises(RedisAwayError) as raised:
        link.call(link.client.ping)
    assert "secret" not in str(raised.value)
    assert "127.0.0.1:1/0" in str(raised.value)


def test_wrong_url() -> None:
    """What is no URL of Redis is told at construction."""
    with pytest.raises(ValueError, match="redis://"):
        RedisLink("localhost:6379")
