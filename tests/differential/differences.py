"""Where another parser reads the same bytes otherwise, and which of that is understood.

What Breezeway refuses, others may take: that is their leniency, and no difference counts after it.
What Breezeway takes, others have to read in the same way: the same requests, and no more of them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .reading import End, Reading

REFUSES, ENDS, MORE, GOES_ON = "refuses", "ends early", "reads more", "goes on"


class Difference(NamedTuple):
    """The first thing in which two readings differ."""

    what: str
    """A field of `Request`, or how the other one ended."""
    number: int
    """Of the request on the connection, from 0."""
    told: str
    """Both values, or the other parser's words."""


class Known(NamedTuple):
    """A difference that is understood."""

    oracle: str
    what: str
    told: str
    """A pattern that is to be found in `Difference.told`."""
    data: bytes
    """A pattern that is to be found in the bytes."""
    reason: str


KNOWN = [
    Known(
        "httptools",
        REFUSES,
        "Invalid method|Expected space after method|Expected HTTP/2 Connection Preface",
        b"",
        "llhttp has a list of methods; RFC 9110 section 9.1: a method is any token",
    ),
    Known(
        "httptools",
        REFUSES,
        "invalid `Transfer-Encoding`",
        rb"(?i)chunked[ \t]*\t",
        "llhttp drops no tab behind a coding; RFC 9112 section 5: white space around is no part of it",
    ),
    Known(
        "httptools",
        "body",
        "",
        rb"(?i)\nUpgrade:",
        "llhttp takes what follows an Upgrade for the new protocol; RFC 9110 section 7.8: a server "
        "that ignores Upgrade goes on, and the body is a body",
    ),
    Known(
        "httptools",
        GOES_ON,
        "",
        rb"HTTP/1\.0\r\n(?:[^\r\n]+\r\n)*(?i:Proxy-)?(?i:Connection:)",
        "llhttp looks for keep-alive first, in Proxy-Connection too; RFC 9112 section 9.3: close comes "
        "first, appendix C.2.2: Proxy-Connection is not for a server",
    ),
    Known(
        "h11",
        REFUSES,
        "no request line received",
        rb"(?:\A|\n|hello|a)\r\n",
        "h11 takes no empty line before a request line; RFC 9112 section 2.2: one is ignored",
    ),
    Known(
        "h11",
        ENDS,
        "",
        rb"HTTP/1\.0\r\n",
        "h11 ends after any request of HTTP/1.0; RFC 9112 section 9.3: with keep-alive it goes on",
    ),
]


KNOWN_OF_PROXIES = [
    Known(
        "nginx",
        "uri '/",
        r"uri '/(\?.*)', but '\1' to",
        rb"(?i)http://[^/ ]*\?",
        "nginx adds the slash of an empty path when it forwards; what it says it has seen is without",
    ),
    Known(
        "HAProxy",
        "host",
        "but '' to the proxy",
        rb"(?i)\A\w+ https?://",
        "HAProxy forwards the absolute form, which names the host (RFC 9112 section 3.2.2); it tells "
        "of the Host field, and there is none",
    ),
    Known(
        "HAProxy",
        "host",
        r"host '(.*)', but '\1:(?:80|443)?' to|host '(.*):(?:80|443)?', but '\2' to",
        rb"(?i)https?://",
        "HAProxy takes a host with and without the default port for the same, as they are",
    ),
]


def compare(ours: Reading, theirs: Reading) -> Difference | None:
    """Find the first thing that matters in which another parser reads otherwise than ours."""
    for number, (our, their) in enumerate(zip(ours.requests, theirs.requests, strict=False)):
        for what, one, other in zip(our._fields, our, their, strict=True):
            if one != other:
                return Difference(what, number, f"{one!r} is {other!r}")
    number = min(len(ours.requests), len(theirs.requests))
    if len(ours.requests) > number:
        what = REFUSES if theirs.end is End.REFUSED else ENDS
        return Difference(what, number, theirs.why or theirs.end.value)
    if ours.end in (End.REFUSED, End.INCOMPLETE) and len(theirs.requests) == number:
        return None
    if ours.end is End.OPEN and theirs.end is End.CLOSED:
        return Difference(ENDS, number, theirs.end.value)
    if ours.end is End.CLOSED and (theirs.end is not End.CLOSED or len(theirs.requests) > number):
        return Difference(GOES_ON, number, theirs.end.value)
    if len(theirs.requests) > number and ours.end is not End.REFUSED:
        return Difference(MORE, number, repr(theirs.requests[number]))
    return None


def reason_for_complaint(proxy: str, complaint: str, data: bytes) -> str:
    """Return why a proxy has seen something else; nothing if that is not known."""
    for known in KNOWN_OF_PROXIES:
        if (
            proxy.startswith(known.oracle)
            and complaint.startswith(known.what)
            and re.search(known.told, complaint)
            and re.search(known.data, data)
        ):
            return known.reason
    return ""


def reason_for(oracle: str, difference: Difference, data: bytes) -> str:
    """Return why another parser reads otherwise; nothing if that is not known."""
    for known in KNOWN:
        if (
            (known.oracle, known.what) == (oracle, difference.what)
            and re.search(known.told, difference.told)
            and re.search(known.data, data)
        ):
            return known.reason
    return ""
