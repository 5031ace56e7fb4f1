"""The front: who is believed, which hosts are served, who answers in place of the application."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.config.setting import SettingError
from breezeway.config.settings import Settings
from breezeway.http1.errors import ProtocolError
from breezeway.worker.front import Front, believed_fields

from .driven import Driven, echo


def front(**settings: Any) -> Front:
    """Return the front of a worker with some settings."""
    driven = Driven(echo, **settings)
    driven.end()
    assert driven.reactor.front is not None
    return driven.reactor.front


def environ(**more: str) -> dict[str, Any]:
    """Make the environ of a head."""
    return {
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "5",
        "HTTP_HOST": "example.org",
        "wsgi.url_scheme": "http",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        **more,
    }


def test_nothing_to_do() -> None:
    """Without a setting that needs it there is no front, and it costs nothing."""
    driven = Driven(echo)
    driven.end()
    assert driven.reactor.front is None


def test_client_and_peer() -> None:
    """The environ tells both the client and the other end of the connection."""
    head = environ(HTTP_X_FORWARDED_FOR="192.0.2.1")
    front(trusted_proxies=("10.0.0.0/8",)).admit(head)
    assert head == environ(REMOTE_ADDR="192.0.2.1", REMOTE_PORT="") | {"breezeway.peer": "10.0.0.1"}


def test_peer_without_fields_is_told_the_same_way() -> None:
    """An application can rely on it wherever there are trusted proxies."""
    for address, told in (("192.0.2.9", "192.0.2.9"), ("", "unix")):
        head = environ(REMOTE_ADDR=address)
        front(trusted_proxies=("10.0.0.0/8",)).admit(head)
        assert head["breezeway.peer"] == told


def test_refusal_of_a_trusted_proxy() -> None:
    """What a trusted proxy says and cannot be is 400."""
    head = environ(HTTP_X_FORWARDED_FOR="192.0.2.1", HTTP_FORWARDED="for=192.0.2.2")
    with pytest.raises(ProtocolError, match="contradict") as refusal:
        front(trusted_proxies=("10.0.0.0/8",)).admit(head)
    assert refusal.value.status == 400


def test_hops() -> None:
    """The number of proxies is that of the setting."""
    head = environ(HTTP_X_FORWARDED_FOR="192.0.2.1, 192.0.2.2, 192.0.2.3")
    front(trusted_proxies=("*",), proxy_hops=2).admit(head)
    assert head["REMOTE_ADDR"] == "192.0.2.2"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        *(("example.org", True), ("EXAMPLE.org.:80", True), ("[::1]:8000", True)),
        *(("evil.example", False), ("[::1]:8001", False), ("", False), (None, False)),
    ],
)
def test_hosts(host: str | None, allowed: bool) -> None:
    """Another host is 421, and so is none (HTTP/1.0)."""
    asked = front(allowed_hosts=("example.org", "[::1]:8000"))
    head = environ()
    del head["HTTP_HOST"]
    if host is not None:
        head["HTTP_HOST"] = host
    asked.admit(head)
    if allowed:
        assert asked.local(head) is None
        return
    with pytest.raises(ProtocolError) as refusal:
        asked.local(head)
    assert refusal.value.status == 421


def test_host_is_the_one_that_the_proxy_tells() -> None:
    """Hosts are compared after a trusted proxy has had its say."""
    asked = front(allowed_hosts=("example.org",), trusted_proxies=("10.0.0.1",))
    inside = environ(HTTP_HOST="backend:8000", HTTP_X_FORWARDED_HOST="example.org")
    asked.admit(inside)
    assert asked.local(inside) is None
    outside = environ(HTTP_X_FORWARDED_HOST="evil.example")
    asked.admit(outside)
    with pytest.raises(ProtocolError):
        asked.local(outside)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("allowed_hosts", ("*",)), ("allowed_hosts", ("http://a",)), ("allowed_hosts", ("::1",))),
        *(("trusted_proxies", ("localhost",)), ("trusted_proxies", ("10.0.0.1/8",))),
        *(("proxy_protocol", ("10.0.0",)), ("trusted_headers", ("x-real-ip",)), ("proxy_hops", 0)),
    ],
)
def test_settings_that_cannot_be(name: str, values: Any) -> None:
    """What is no host, network, field or number is told at the start, with the setting's name."""
    with pytest.raises(SettingError, match=name):
        Settings(**{name: values})


def test_handlers_are_asked_in_order() -> None:
    """The first that has an answer gives it; the others are not asked."""
    asked: list[str] = []

    def handler(name: str, answers: bool) -> Any:
        def look(environ: dict[str, Any]) -> Any:
            asked.append(name)
            return echo if answers else None

        return look

    both = Front([handler("a", False), handler("b", True), handler("c", True)])
    assert both.local({}) is echo
    assert asked == ["a", "b"]
    assert Front([]).local({}) is None


def test_fields_that_the_parser_keeps() -> None:
    """Without trusted proxies it drops them all; with them, those that are not listed."""
    assert believed_fields(Settings()) == ()
    some = Settings(trusted_proxies=("unix",), trusted_headers=("forwarded",))
    assert believed_fields(some) == ("forwarded",)


def get(path: str, host: str = "example.org") -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n".encode()


def test_same_fields_with_another_request_line() -> None:
    """A handler is asked about each path, also where the rest of the head is known."""
    paths = []

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        paths.append((environ["PATH_INFO"], environ.get("breezeway.peer"), environ["REMOTE_ADDR"]))
        return echo(environ, start_response)

    def answering(environ: dict[str, Any]) -> Any:
        if environ["PATH_INFO"] == "/no":
            raise ProtocolError(421, "no")
        return echo if environ["PATH_INFO"] == "/me" else None

    driven = Driven(application, trusted_proxies=("unix",))
    front = driven.reactor.front
    driven.reactor.front = Front([answering], front.admit)
    try:
        for path in ("/a", "/b", "/me", "/c", "/c"):
            assert driven.event(get(path))
            driven.settle()
        assert driven.bodies(5) == [b"/a", b"/b", b"/m", b"/c", b"/c"]
        assert paths == [(path, "unix", "192.0.2.1") for path in ("/a", "/b", "/c", "/c")]
        assert driven.event(get("/no"))
        assert driven.client.recv(65536).startswith(b"HTTP/1.1 421 ")
    finally:
        driven.end()
