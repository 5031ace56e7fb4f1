"""Request line -> method, target and the environ keys that stem from them (RFC 9112 section 3)."""

from __future__ import annotations

from typing import Final, NamedTuple

from breezeway.http1.errors import ProtocolError
from breezeway.http1.grammar import ABSOLUTE_FORM, HOST, REQUEST_LINE

_MAX_PORT: Final = 65535

_OCTETS: Final = {
    f"{high}{low}".encode(): bytes([int(high + low, 16)])
    for high in "0123456789abcdefABCDEF"
    for low in "0123456789abcdefABCDEF"
}


class RequestLine(NamedTuple):
    """What one request line says."""

    environ: dict[str, str]
    """REQUEST_METHOD, PATH_INFO, QUERY_STRING, SERVER_PROTOCOL, REQUEST_URI, RAW_URI."""

    version: int
    """The minor version of HTTP/1: 0 or 1."""

    authority: str | None
    """The host of an absolute-form target, which takes the place of the Host field."""


def parse_request_line(line: bytes, root_path: str) -> RequestLine:
    """Parse a request line without its CRLF.

    `root_path` is taken off the front of PATH_INFO where it stands there (it is SCRIPT_NAME).

    Raises:
        ProtocolError: 400 malformed, 501 CONNECT, 505 another version than HTTP/1.0 and HTTP/1.1.
    """
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, "malformed request line")
    method, target, major, minor = match.groups()
    if major != b"1" or minor > b"1":
        raise ProtocolError(505, "HTTP version is neither 1.0 nor 1.1")
    if method == b"CONNECT":
        raise ProtocolError(501, "CONNECT is not implemented")
    if b"#" in target:
        raise ProtocolError(400, "fragment in the request-target")
    authority, origin = _split_target(method, target)
    path, _, query = origin.partition(b"?")
    decoded = percent_decode(path).decode("latin-1")
    if root_path and (decoded == root_path or decoded.startswith(root_path + "/")):
        decoded = decoded[len(root_path) :]
    environ = {
        "REQUEST_METHOD": method.decode("ascii"),
        "PATH_INFO": decoded,
        "QUERY_STRING": query.decode("ascii"),
        "SERVER_PROTOCOL": f"HTTP/1.{minor.decode('ascii')}",
        "REQUEST_URI": origin.decode("ascii"),
        "RAW_URI": target.decode("ascii"),
    }
    return RequestLine(environ, int(minor), authority)


def _split_target(method: bytes, target: bytes) -> tuple[str | None, bytes]:
    """Tell the form of a request-target (RFC 9112 section 3.2); return (authority, origin-form)."""
    if target.startswith(b"/"):
        return None, target
    if target == b"*":
        if method != b"OPTIONS":
            raise ProtocolError(400, "request-target '*' with another method than OPTIONS")
        return None, target
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise ProtocolError(400, "request-target is in none of the forms of RFC 9112")
    authority = match[1].decode("ascii")
    check_host(authority)
    return authority, (match[2] or b"/") + (match[3] or b"")


def check_host(host: str) -> None:
    """Check a Host field or the authority of a target; a userinfo or path does not match either.

    Raises:
        ProtocolError: 400.
    """
    match = HOST.fullmatch(host)
    if match is None or int(match[1] or 0) > _MAX_PORT:
        raise ProtocolError(400, "malformed Host" if host else "empty Host")


def percent_decode(path: bytes) -> bytes:
    """Decode a path (RFC 3986 section 2.1).

    Raises:
        ProtocolError: 400 for a `%` that is not followed by two hexadecimal digits.
    """
    if b"%" not in path:
        return path
    first, *others = path.split(b"%")
    decoded = [first]
    for part in others:
        octet = _OCTETS.get(part[:2])
        if octet is None:
            raise ProtocolError(400, "bad percent-encoding in the path")
        decoded += octet, part[2:]
    return b"".join(decoded)
