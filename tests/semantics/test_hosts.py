"""Hosts: which Host fields an operator's patterns let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.hosts import Hosts, parse_host, parse_port, port_of


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        (
            "example.org",
            ["example.org", "EXAMPLE.org", "example.org.", "example.org:81", "example.org:"],
            ["a.example.org", "example.org..", "example.orga", "aexample.org", ""],
        ),
        ("Example.ORG.", ["example.org"], ["org"]),
        (
            "*.example.org",
            ["a.example.org", "a.b.Example.org:80", "a.example.org."],
            ["example.org", ".example.org", "a..example.org", "aexample.org", "a.example.com"],
        ),
        (
            "example.org:8443",
            ["example.org:8443", "example.org:08443"],
            ["example.org", "example.org:443", "example.org:84430"],
        ),
        ("*.example.org:81", ["a.example.org:81"], ["a.example.org", "a.example.org:82"]),
        ("[::1]", ["[::1]", "[::1]:8000", "[0:0::1]"], ["::1", "[::2]", "[::1", "::1]", "[::1]x"]),
        ("[::1]:8000", ["[::1]:8000"], ["[::1]", "[::1]:80"]),
        ("192.0.2.1", ["192.0.2.1", "192.0.2.1:80"], ["192.0.2.10", "1.192.0.2.1"]),
    ],
)
def test_patterns(pattern: str, inside: list[str], outside: list[str]) -> None:
    """A pattern lets in what it says: the port counts if it is given, the case never."""
    hosts = Hosts([pattern])
    assert [host for host in inside if host not in hosts] == []
    assert [host for host in outside if host in hosts] == []


@pytest.mark.parametrize(
    "host",
    [
        *("a@example.org", "example.org/x", "example.org?x", "example.org#x", "example.org x"),
        *("example.org:80:80", "example.org:x", "example.org:65536", "example.org:0"),
        *(
            "example%2eorg",
            "example.org\0",
            "example.org,example.org",
            "ex\u00e4mple.org",
            ".",
            "a..b",
            ".a",
        ),
        "a" * 254,
    ],
)
def test_malformed_host(host: str) -> None:
    """What is no host is in no set of hosts, and is not read as one."""
    assert host not in Hosts(["example.org", "*.example.org", "a" * 253])
    with pytest.raises(ValueError, match="is not a"):
        parse_host(host)


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "",
        "*.",
        "*example.org",
        "a.*.org",
        ".example.org",
        "a..b",
        "::1",
        "http://a",
        "a/b",
        "a:0",
    ],
)
def test_malformed_pattern(pattern: str) -> None:
    """What is no pattern is told as such, with examples of what is."""
    with pytest.raises(ValueError, match="is not a host, such as"):
        Hosts([pattern])


def test_several() -> None:
    """A host is in if one of several patterns lets it in."""
    hosts = Hosts(["example.org", "*.example.com", "[::1]:80"])
    assert all(host in hosts for host in ("example.org", "a.example.com", "[::1]:80"))
    assert "example.com" not in hosts


@pytest.mark.parametrize(
    ("host", "port"),
    [("a:80", "80"), ("a", ""), ("a:", ""), ("[::1]", ""), ("[::1]:81", "81"), ("", "")],
)
def test_port_of(host: str, port: str) -> None:
    """The port is what stands behind the host, not within an address."""
    assert port_of(host) == port


@given(st.text(alphabet="aA.:[]0159-*%@/ ", max_size=20))
def test_any_text(text: str) -> None:
    """Any text is in or not, and what was read once reads the same again."""
    assert text not in Hosts(["zzz"])
    try:
        host = parse_host(text)
    except ValueError:
        return
    again = f"{host.name}:{host.port}" if host.port else host.name
    assert parse_host(again) == host
    assert text in Hosts([again])


def test_forms_that_can_be_compared() -> None:
    """One host is one text: no dot at the end, an address in its shortest form and in brackets."""
    assert parse_host("A_~-1.Example.org.:080") == ("a_~-1.example.org", "80")
    assert parse_host("[0:0::1]:8000") == ("[::1]", "8000")


@pytest.mark.parametrize("text", ["", "0", "65536", "123456", "-1", "+1", " 1", "x", "\u0663"])
def test_no_port(text: str) -> None:
    """It is a number from 1 to 65535."""
    assert (parse_port("1"), parse_port("00080"), parse_port("65535")) == ("1", "80", "65535")
    with pytest.raises(ValueError, match="port"):
        parse_port(text)
