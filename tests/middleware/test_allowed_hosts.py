"""AllowedHosts: which requests are let in, and which are not."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import AllowedHosts, allowed_hosts

from .calling import Counted, call, make_environ, run

HOSTS = ["example.org", "*.shop.example", "[2001:db8::1]", "192.0.2.1:8000"]


def ask(host: str | None, path: str = "/", **options: Any) -> int:
    """Return the status code for a host."""
    environ = make_environ(path)
    if host is None:
        del environ["HTTP_HOST"]
    else:
        environ["HTTP_HOST"] = host
    return run(AllowedHosts(Counted(b"a"), **{"hosts": HOSTS, **options}), environ).code


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "EXAMPLE.org.",
        "example.org:8000",
        "a.b.shop.example:1",
        "[2001:db8::1]",
        "[2001:DB8:0::1]:8000",
        "192.0.2.1:8000",
    ],
)
def test_served(host: str) -> None:
    """A host that is served here is let in, with any port unless one is named."""
    assert ask(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "shop.example",
        "example.org.evil.test",
        "[::1]",
        "192.0.2.1",
        "192.0.2.1:80",
        None,
    ],
)
def test_not_served(host: str | None) -> None:
    """Another one is misdirected, and so is a request that names none."""
    assert ask(host) == 421


@pytest.mark.parametrize(
    "host",
    [
        "example.org/",
        "a@example.org",
        "example.org:x",
        "example.org:65536",
        "2001:db8::1",
        "[::1",
        "é",
        "example.org, example.org",
        " example.org",
        "example.org\n",
        "a..example.org",
        "%65xample.org",
    ],
)
def test_malformed(host: str) -> None:
    """What is no host is a bad request."""
    assert ask(host) == 400


def test_forwarded_host_is_not_looked_at() -> None:
    """A field that anybody can send neither lets in nor keeps out."""
    piece = AllowedHosts(Counted(b"a"), hosts="example.org")
    assert call(piece, fields={"Host": "evil.test", "X-Forwarded-Host": "example.org"}).code == 421
    assert call(piece, fields={"Host": "example.org", "X-Forwarded-Host": "evil.test"}).code == 200


def test_exempt() -> None:
    """A health check may ask by address; its neighbours may not."""
    assert ask("10.0.0.7:8000", "/health", exempt="/health") == 200
    assert ask("10.0.0.7:8000", "/healthy", exempt=["/health"]) == 421
    assert ask("10.0.0.7:8000", "/health/../login", exempt=["/health"]) == 421
    assert ask("10.0.0.7:8000", "/health//../../login", exempt=["/health"]) == 421


def test_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """The application is not called, HEAD has no content, and the log has a bounded word of it."""
    application = Counted(b"a")
    piece = AllowedHosts(application, hosts="example.org")
    with caplog.at_level(logging.INFO, "breezeway.middleware"):
        result = call(piece, method="HEAD", fields={"Host": "x" * 5000})
    assert (result.code, result.body, application.calls) == (400, b"", 0)
    (record,) = caplog.records
    assert len(record.getMessage()) < 400


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many names below one fill no memory, and each is still judged."""
    monkeypatch.setattr(allowed_hosts, "MOST_KNOWN", 10)
    piece = AllowedHosts(Counted(b"a"), hosts="*.example.org")
    with ThreadPoolExecutor(16) as pool:
        names = [f"a{number}.example.org" for number in range(300)] * 2
        codes = [*pool.map(lambda name: call(piece, fields={"Host": name}).code, names)]
    assert {*codes} == {200}
    assert len(piece._known) <= 10 + 16
    assert call(piece, fields={"Host": "evil.test"}).code == 421
    assert "evil.test" not in piece._known


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one"),
        ({"hosts": []}, "at least one"),
        ({"hosts": "*"}, "'\\*'"),
        ({"hosts": ["https://example.org"]}, "https"),
        ({"hosts": [5]}, "5"),
        ({"hosts": 5}, "5"),
        ({"hosts": "a", "exempt": "health"}, "slash"),
        ({"hosts": "a", "exempt": 5}, "exempt"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What cannot work is told when the piece is made."""
    with pytest.raises(ValueError, match=message):
        AllowedHosts(**options)


PIECE = AllowedHosts(Counted(b"a"), hosts=["example.org", "*.example.org"])


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_no_trick_gets_in(text: str) -> None:
    """Whatever is let in is the name that was meant, or one below it."""
    for host in (text, f"{text}.example.org", f"example.org{text}"):
        if call(PIECE, HTTP_HOST=host).code == 200:
            name = host.lower().partition(":")[0].removesuffix(".")
            assert name == "example.org" or name.endswith(".example.org")
