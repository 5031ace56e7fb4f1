"""The PROXY header, versions 1 and 2: each rule of the specification, and any bytes in any pieces."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.http1.proxy_protocol import (
    FIXED_BYTES,
    LINE_BYTES,
    VARIABLE_BYTES,
    Header,
    HeaderError,
    parse,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def binary(family: int, addresses: bytes, *, command: int = 0x21, more: bytes = b"") -> bytes:
    """Write a header of version 2."""
    length = len(addresses) + len(more)
    return SIGNATURE + struct.pack("!BBH", command, family, length) + addresses + more


def endpoints(source: str, destination: str, ports: tuple[int, int] = (5555, 443)) -> bytes:
    """Write the addresses of a version 2 header."""
    packed = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return packed + struct.pack("!HH", *ports)


V4 = endpoints("192.0.2.1", "10.0.0.1")
V6 = endpoints("2001:db8::1", "2001:db8::2", (65535, 0))
TLVS = b"\x03\0\x04abcd" + b"\x20\0\x05\x01\0\0\0\0" + b"\x04\0\0"

GOOD = [
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 5555 443\r\n", ("192.0.2.1", "5555")),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", "65535")),
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 0 0\r\n", ("192.0.2.1", "0")),
    (b"PROXY TCP6 2001:DB8::1 ::1 5555 443\r\n", ("2001:db8::1", "5555")),
    (
        b"PROXY TCP6 %b %b 65535 65535\r\n" % ((b"ffff:" * 8)[:-1], (b"ffff:" * 8)[:-1]),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "65535"),
    ),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5555 443\r\n", ("192.0.2.1", "5555")),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN some thing \xff\r\n", None),
    (b"PROXY UNKNOWN " + b"f" * (LINE_BYTES - 16) + b"\r\n", None),
    (binary(0x11, V4), ("192.0.2.1", "5555")),
    (binary(0x11, V4, more=TLVS), ("192.0.2.1", "5555")),
    (binary(0x11, V4, more=b"\xff" * (VARIABLE_BYTES - len(V4))), ("192.0.2.1", "5555")),
    (binary(0x21, V6), ("2001:db8::1", "65535")),
    (binary(0x21, endpoints("::ffff:192.0.2.1", "::1")), ("192.0.2.1", "5555")),
    (binary(0x31, bytes(216)), ("", "")),
    (binary(0x31, b"/run/x".ljust(216, b"\0"), more=TLVS), ("", "")),
    (binary(0x00, b""), None),
    (binary(0x00, b"ignored"), None),
    (binary(0x12, V4), None),
    (binary(0x22, V6), None),
    (binary(0x32, bytes(216)), None),
    (binary(0x00, b"", command=0x20), None),
    (binary(0x11, V4, command=0x20, more=TLVS), None),
    (binary(0xFF, b"x", command=0x20), None),
]

BAD_LINES = [
    *(b"GET / HTTP/1.1\r\n", b"proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n", b"PROXY\tUNKNOWN\r\n"),
    *(b"PROXY UNKNOWNx\r\n", b"PROXY \r\n", b"PROXY  UNKNOWN\r\n", b"PROXY unknown\r\n"),
    *(b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n", b"PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n"),
    *(b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n", b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n"),
    *(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n", b"PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n"),
    *(b"PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n", b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n"),
    *(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n", b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 2\r\n"),
    *(b"PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n", b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n"),
    *(b"PROXY TCP4 ::1 ::1 1 2\r\n", b"PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n"),
    *(b"PROXY TCP4 192.0.2.1 x 1 2\r\n", b"PROXY TCP6 fe80::1%e ::1 1 2\r\n"),
    *(b"PROXY TCP6 [::1] ::1 1 2\r\n", b"PROXY TCP6 ::1 1.2.3.4 1 2\r\n"),
    *(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n\r\n", b"PROXY UNKNOWN \n\r\n"),
    b"PROXY UNKNOWN " + b"f" * (LINE_BYTES - 15) + b"\r\n",
    b"PROXY " + b"f" * LINE_BYTES,
]

BAD_BINARY = [
    binary(0x11, V4, command=0x11),
    binary(0x11, V4, command=0x31),
    binary(0x11, V4, command=0x22),
    binary(0x11, V4[:-1]),
    binary(0x21, V6[:-1]),
    binary(0x31, bytes(215)),
    binary(0x12, V4[:-1]),
    binary(0x22, V6[:-1]),
    binary(0x32, bytes(215)),
    binary(0x11, b""),
    *(binary(family, bytes(216)) for family in (0x01, 0x10, 0x13, 0x20, 0x30, 0x41, 0xFF)),
    binary(0x11, V4, more=bytes(VARIABLE_BYTES + 1 - len(V4))),
    binary(0x00, bytes(VARIABLE_BYTES + 1), command=0x20),
    b"\r\n\r\n\0\r\nQUIT\r",
    b"\r\n\r\n\0\r\nquit\n",
    b"\r\nGET / HTTP/1.1\r\n",
]


@pytest.mark.parametrize(("raw", "source"), GOOD)
def test_good(raw: bytes, source: tuple[str, str] | None) -> None:
    """A header tells the client and its own size, and what follows is none of its business."""
    expected = Header(len(raw), source)
    assert parse(raw) == expected
    assert parse(raw + REQUEST) == expected
    assert parse(raw + raw) == expected


@pytest.mark.parametrize("raw", [raw for raw, _ in GOOD])
def test_incomplete(raw: bytes) -> None:
    """As long as a byte is missing, it is not complete."""
    for end in range(len(raw)):
        assert parse(raw[:end]) is None


@pytest.mark.parametrize("raw", BAD_LINES + BAD_BINARY)
def test_bad(raw: bytes) -> None:
    """What a sender must not write is refused, and so it stays however it goes on."""
    with pytest.raises(HeaderError):
        parse(raw)
    with pytest.raises(HeaderError):
        parse(raw + REQUEST)


@pytest.mark.parametrize("raw", BAD_LINES + BAD_BINARY)
def test_bad_byte_by_byte(raw: bytes) -> None:
    """No beginning of a bad header is taken for a whole one."""
    for end in range(len(raw) + 1):
        try:
            assert parse(raw[:end]) is None
        except HeaderError:
            return
    pytest.fail("never refused")


def test_limits() -> None:
    """The limits are those of the specification, or told where it has none."""
    assert LINE_BYTES == 107
    assert FIXED_BYTES == 16
    with pytest.raises(HeaderError, match="over 107 bytes"):
        parse(b"PROXY TCP4" + b" " * 97)
    assert parse(b"PROXY TCP4" + b" " * 96) is None
    too_long = SIGNATURE + b"\x20\0" + struct.pack("!H", VARIABLE_BYTES + 1)
    with pytest.raises(HeaderError, match="over 4112 bytes"):
        parse(too_long)


BEGINNINGS = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ::1 ", SIGNATURE])
PIECES = st.lists(
    st.sampled_from([b"PROXY TCP4 ", b"UNKNOWN", b"\r\n", b"192.0.2.1 ", b"::1 ", b"80 ", b"1"])
    | st.sampled_from([b"\x21\x11\0\x0c", b"\x20\0\0\0", b"\x21\x21\0\x24", V4, V6, TLVS])
    | st.binary(max_size=6),
    max_size=7,
).map(b"".join)


@given(BEGINNINGS, PIECES)
def test_any_bytes(beginning: bytes, rest: bytes) -> None:
    """Any bytes are a header, the beginning of one or refused; pieces make no difference."""
    data = beginning + rest
    outcomes = []
    for end in range(len(data) + 1):
        try:
            found = parse(data[:end])
        except HeaderError:
            outcomes.append("refused")
            break
        if found is not None:
            assert found.size == end
            outcomes.append("complete")
            assert parse(data) == found
            break
    else:
        assert parse(data) is None
    if outcomes == ["refused"]:
        with pytest.raises(HeaderError):
            parse(data)
