"""The PROXY header before the first request of a connection: whom a proxy has accepted it from.

Versions 1 and 2 of HAProxy's specification, doc/proxy-protocol.txt (2020-03-05 and later). Each header has
exactly one reading here: what is over its limit, or is not what the specification lets a sender write,
is refused. However, version 2's TLVs are skipped without a look, PP2_TYPE_SSL and the checksum included:
TCP has a checksum of its own. The destination address is checked and not used.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final, NamedTuple

LINE_BYTES: Final = 107
"""Of a version 1 header with its CRLF, at most (section 2.1)."""

FIXED_BYTES: Final = 16
"""Of a version 2 header before the addresses (section 2.2)."""

VARIABLE_BYTES: Final = 4096
"""Of the addresses and TLVs, at most: senders should keep within 536, and certificates may be in TLVs."""

_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"

# "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP source-port SP destination-port CRLF
# "PROXY UNKNOWN" [ SP anything ] CRLF                                     section 2.1
_PORT: Final = rb"(0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(
    rb"PROXY (TCP[46]) ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39}) " + _PORT + rb" " + _PORT
)
_UNKNOWN_LINE: Final = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?")

_MOST_PORT: Final = 65535

_LOCAL, _PROXY = 0, 1
_TCP4, _UDP4, _TCP6, _UDP6, _UNIX_STREAM, _UNIX_DATAGRAM = 0x11, 0x12, 0x21, 0x22, 0x31, 0x32
_ADDRESS_BYTES: Final = {
    0x00: 0,
    _TCP4: 12,
    _UDP4: 12,
    _TCP6: 36,
    _UDP6: 36,
    _UNIX_STREAM: 216,
    _UNIX_DATAGRAM: 216,
}


class HeaderError(ValueError):
    """There is no PROXY header, or a bad one; the text is one plain clause."""


class Header(NamedTuple):
    """A complete header."""

    size: int
    """Its bytes."""

    source: tuple[str, str] | None
    """The client's address and port, both empty for a unix socket; None: they are those of the socket,
    for the proxy speaks for itself (LOCAL), or does not know (UNKNOWN, datagrams)."""


def parse(data: bytes) -> Header | None:
    """Parse the header at the start of `data`; None if it is not complete.

    What is wrong however it goes on is refused at once, in whatever pieces it comes.

    Raises:
        HeaderError: it is not, or not a good one.
    """
    if data.startswith(_V2) or _V2.startswith(data):
        return _parse_binary(data)
    if data.startswith(_V1) or _V1.startswith(data):
        return _parse_line(data)
    raise HeaderError("the connection does not begin with a PROXY header")


def _parse_line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, LINE_BYTES)
    if end < 0:
        if len(data) >= LINE_BYTES:
            raise HeaderError(f"the PROXY line is over {LINE_BYTES} bytes")
        return None
    if _UNKNOWN_LINE.fullmatch(data, 0, end):
        return Header(end + 2, None)
    match = _LINE.fullmatch(data, 0, end)
    if match is None:
        raise HeaderError("the PROXY line is malformed")
    family, source, destination, *ports = (part.decode() for part in match.groups())
    version = int(family[-1])
    if max(map(int, ports)) > _MOST_PORT:
        raise HeaderError("the PROXY line has a port over 65535")
    address = _address(source, version)
    _address(destination, version)
    return Header(end + 2, (address, ports[0]))


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise HeaderError("the PROXY line has a malformed address") from None
    if address.version != version:
        raise HeaderError("the PROXY line has an address of another family than it says")
    return _plain(address)


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return the text of an address, IPv4 where IPv6 carries it."""
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)


def _parse_binary(data: bytes) -> Header | None:
    if len(data) > len(_V2):
        version, command = divmod(data[12], 16)
        if version != 2 or command not in (_LOCAL, _PROXY):
            raise HeaderError("the PROXY header has an unknown version or command")
    if len(data) < FIXED_BYTES:
        return None
    family = data[13]
    (length,) = struct.unpack_from("!H", data, 14)
    if length > VARIABLE_BYTES:
        raise HeaderError(f"the PROXY header is over {FIXED_BYTES + VARIABLE_BYTES} bytes")
    if command == _PROXY and length < _ADDRESS_BYTES.get(family, length + 1):
        raise HeaderError("the PROXY header has an unknown family, or is too short for it")
    size = FIXED_BYTES + length
    if len(data) < size:
        return None
    return Header(size, _source(data, family) if command == _PROXY else None)


def _source(data: bytes, family: int) -> tuple[str, str] | None:
    if family == _TCP4:
        source, _, port, _ = struct.unpack_from("!4s4sHH", data, FIXED_BYTES)
        return _plain(ipaddress.IPv4Address(source)), str(port)
    if family == _TCP6:
        source, _, port, _ = struct.unpack_from("!16s16sHH", data, FIXED_BYTES)
        return _plain(ipaddress.IPv6Address(source)), str(port)
    return ("", "") if family == _UNIX_STREAM else None
