"""Request lines, one rule at a time."""

from __future__ import annotations

import ipaddress
from itertools import product
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.http1.errors import ProtocolError
from breezeway.http1.grammar import HOST
from breezeway.http1.target import check_host, parse_request_line, percent_decode


def refused(line: bytes) -> int:
    """Return the status with which a request line is refused."""
    with pytest.raises(ProtocolError) as caught:
        parse_request_line(line, "")
    return caught.value.status


@given(st.binary())
def test_percent_decode(path: bytes) -> None:
    """RFC 3986 section 2.1: what is encoded comes back; the standard library agrees."""
    encoded = b"".join(b"%%%02x" % byte for byte in path)
    assert percent_decode(encoded) == percent_decode(encoded.upper()) == path
    assert percent_decode(encoded) == unquote_to_bytes(encoded)


@pytest.mark.parametrize("path", [b"%", b"/%a", b"/%0g", b"/%%41", b"/%+1", b"/% 1", b"/%4"])
def test_bad_percent_encoding(path: bytes) -> None:
    """RFC 3986 section 2.1: a percent sign without two hexadecimal digits is refused."""
    with pytest.raises(ProtocolError):
        percent_decode(path)


@pytest.mark.parametrize(
    ("line", "authority", "path", "query", "uri"),
    [
        (b"GET / HTTP/1.1", None, "/", "", "/"),
        (b"GET //a//b/ HTTP/1.1", None, "//a//b/", "", "//a//b/"),
        (b"GET /a/../b HTTP/1.1", None, "/a/../b", "", "/a/../b"),
        (b"GET /?a?b HTTP/1.1", None, "/", "a?b", "/?a?b"),
        (b"GET /%c3%A4?%zz HTTP/1.1", None, "/Ã¤", "%zz", "/%c3%A4?%zz"),
        (b"OPTIONS * HTTP/1.1", None, "*", "", "*"),
        (b"GET http://a HTTP/1.1", "a", "/", "", "/"),
        (b"GET HTTPS://a:8?b HTTP/1.1", "a:8", "/", "b", "/?b"),
        (b"GET http://[::1]:8/b?c HTTP/1.1", "[::1]:8", "/b", "c", "/b?c"),
    ],
)
def test_forms(line: bytes, authority: str | None, path: str, query: str, uri: str) -> None:
    """RFC 9112 section 3.2: each form of request-target and what it becomes."""
    parsed = parse_request_line(line, "")
    assert parsed.authority == authority
    assert parsed.environ["PATH_INFO"] == path
    assert parsed.environ["QUERY_STRING"] == query
    assert parsed.environ["REQUEST_URI"] == uri
    assert parsed.environ["RAW_URI"] == line.split()[1].decode()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /\tHTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET /\x80 HTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/0.9", 505),
        (b"CONNECT a:1 HTTP/1.1", 501),
        (b"GET * HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET /#a HTTP/1.1", 400),
        (b"GET ftp://a/ HTTP/1.1", 400),
        (b"GET http:///a HTTP/1.1", 400),
        (b"GET http://a@b/ HTTP/1.1", 400),
        (b"G\xc3\x84T / HTTP/1.1", 400),
    ],
)
def test_refused(line: bytes, status: int) -> None:
    """RFC 9112 section 3: what is no request line of this server."""
    assert refused(line) == status


@pytest.mark.parametrize(
    ("path", "rest"),
    [("/shop", ""), ("/shop/a", "/a"), ("/shopping", "/shopping"), ("/", "/"), ("/%73hop/", "/")],
)
def test_root_path(path: str, rest: str) -> None:
    """PEP 3333: SCRIPT_NAME comes off the front of PATH_INFO, at a border of segments."""
    environ = parse_request_line(f"GET {path} HTTP/1.1".encode(), "/shop").environ
    assert environ["PATH_INFO"] == rest
    assert environ["REQUEST_URI"] == path


@pytest.mark.parametrize("host", ["a", "a.b:80", "127.0.0.1", "[::1]", "[::1]:65535", "a:", "%41"])
def test_good_hosts(host: str) -> None:
    """RFC 9110 section 7.2: host names, addresses, and a port that may be empty."""
    check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "a:65536",
        "a:b",
        "a b",
        "a/b",
        "u@a",
        "[]",
        "[a]",
        "[::1",
        "::1",
        "a,b",
        "[::1]a",
        "ä",
    ],
)
def test_bad_hosts(host: str) -> None:
    """RFC 9110 section 7.2: what could be read in two ways is no host."""
    with pytest.raises(ProtocolError):
        check_host(host)


def test_ipv6_addresses() -> None:
    """RFC 3986 section 3.2.2: of any number of groups; the standard library agrees."""
    tails = ("", "1.2.3.4", "255.0.249.99", "1.2.3.256", "1.2.3.04", "1.2.3", "12345")
    for before, after, between, tail in product(range(9), range(9), (":", "::"), tails):
        last = ["b"] * after + ([tail] if tail else [])
        text = ":".join(["a"] * before) + between + ":".join(last)
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            assert HOST.fullmatch(f"[{text}]") is None, text
        else:
            assert HOST.fullmatch(f"[{text}]") is not None, text
