"""Requests that are nearly right: a grammar that knows the rules, and where they are broken.

Random bytes end at the first line of a strict parser. These requests get further: most parts are
right, some are what published attacks and sloppy clients send, and at last a few bytes are changed.

Where the choices come from is left open (`Choices`), so that hypothesis, a seeded random generator
and a coverage-guided fuzzer draw from the same grammar. The first option of each choice is the
plainest, so that what hypothesis shrinks becomes plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")

MOST_REQUESTS = 3
"""On one connection: enough for the memory of a connection to be used and to be wrong."""

MOST_CHANGES = 3

OF_1000 = 1000
CHANGED_OF_1000 = 400
ODD_OF_1000 = [0, 20, 20, 60]
"""So many parts are not as they should be: most of the time few, or nothing but the first would count."""

SPECIAL = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b"\n\n", b"\r\r\n"),
    *(b" ", b"\t", b"\x0b", b"\x0c", b"\0", b"\x01", b"\x1b", b"\x7f"),
    *(b"\x80", b"\x85", b"\xa0", b"\xff", b"\xc3\xa9", b"\xe2\x80\xa8"),
    *(b":", b",", b";", b"=", b'"', b"\\", b"#", b"?", b"%", b"%0d%0a", b"%2", b"/", b"*", b"@"),
    *(b"_", b"-", b"+", b"0", b"0x", b"a", b"X-A: b\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n"),
    *(b"Host: b\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
]
"""What a change puts in: everything that has a meaning to some parser."""

METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"]
ODD_METHODS = [b"get", b"M-SEARCH", b"!#$%&'*+-.^_`|~", b"CONNECT", b"PRI", b"G(T", b"GE\0T", b"G:"]

TARGETS = [b"/", b"/a", b"/a/b?c=d", b"/%41%2f", b"/;x?", b"//a", b"/a?b?c=/", b"/.."]
ODD_TARGETS = [
    *(b"*", b"http://b/", b"HTTP://b:8?c", b"https://[::1]/x", b"http://b", b"http://b:/"),
    *(b"/%", b"/%4", b"/%zz", b"/?%zz", b"/#a", b"/a#", b"/\xe9", b"/\0", b"/\x7f", b"a:80", b"a"),
    *(b"http://u@b/", b"http:///", b"ftp://b/", b"http:/b", b"http://b\\c/", b"/ ", b"/a b", b""),
    *(b"?a", b"/a\tb", b"/%00%0d%0a", b"/\\", b"/<>{}|^`", b"http://b,c/", b"http://b%zz/"),
]

VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]
ODD_VERSIONS = [
    *(b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1"),
    *(b"HTTP/1.1 ", b"HTTP/1.1 x", b"HTTP/1,1", b"HTTP/ 1.1", b"HTTP/1.\xb2", b"HTTP/1.1\0", b""),
]

HOSTS = [b"Host: a", b"Host: a", b"Host: a.example:8080", b"host:a", b"HOST: [::1]:80"]
ODD_HOSTS = [
    *(b"Host:", b"Host: a\r\nHost: b", b"Host: a\r\nHost: a", b"Host: a, b", b"Host: a b"),
    *(b"Host: u@a", b"Host: a/b", b"Host: a:b", b"Host: a:65536", b"Host: :80", b"Host: \xe9"),
    *(b"Host : a", b"Host\t: a", b" Host: a", b"Host_: a", b"X-Host: a", b"Host: a%zz", b"Host: ["),
    *(b"Host: a\0b", b"Host: [::1", b"Host: [:::]", b"Host: a#b", b"Host: a?b", b"Host: a\\b"),
]

FIELDS = [
    *(b"X-A: b", b"Accept: */*", b"X-A:", b"X-A: \t b \t", b"X-A: c", b"Cookie: a=b", b"Cookie: c"),
    *(
        b"Connection: keep-alive",
        b"Connection: close",
        b"Content-Type: text/plain",
        b"TE: trailers",
    ),
    *(b"Expect: 100-continue", b"Authorization: Basic YTpi", b"Upgrade: h2c", b"Keep-Alive: 5"),
    *(b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk", b"Trailer: X-T"),
    *(b"Connection: Content-Length", b"Connection: Transfer-Encoding", b"Proxy: x", b"X_A: b"),
    *(b"X-Caf: \xc3\xa9", b"X-A: \xa0b\x85", b"X-Forwarded-For: 1.2.3.4", b"Via: 1.0 a", b"!~: x"),
]
ODD_FIELDS = [
    *(b"X-A : b", b"X-A\t: b", b" X-A: b", b"\tX-A: b", b"X A: b", b"X-A", b":", b": b", b"X(A: b"),
    *(b"X-A: b\r\n c", b"X-A: b\r\n\tc: d", b"X-A: b\nX-B: c", b"X-A: b\rX-B: c", b"X-A: \0"),
    *(b"X-A: b\r", b"X-A: \x0bb", b"X-A: \x7f", b"X\0A: b", b"Caf\xe9: b", b"X-A\xa0: b", b"\r: b"),
    *(b"Expect: y 100-continue", b"Expect: 100-continue, x", b"Expect:", b"Expect: 100-Continue"),
    *(b"Connection: close, keep-alive", b"Connection: ,close,", b"Connection\xa0: close"),
    *(b"Content-Type:", b"Content-Type: a\r\nContent-Type: b", b"Content-Encoding: chunked"),
    *(b"Authorization: a\r\nAuthorization: b", b"X-A: b\r\n ", b"X-A: b\r\n\r", b"X\\A: b"),
]

LENGTHS = [b"%d", b"%d", b"0%d", b"%d "]
ODD_LENGTHS = [
    *(b"+%d", b"-%d", b"0x%x", b"%d_0", b"%d, %d", b"%d,%d", b"%d.0", b"%de0", b'"%d"', b"%d ;a"),
    *(b"", b"\xb2", b"\xd9\xa5", b"%d\0", b"%d\x0b", b"\xa0%d", b"%d,", b",%d", b"0o%o", b"%d %d"),
    *(b"9" * 19, b"18446744073709551621", b"4294967301", b"x", b"%d\x85", b"%d\r\n ", b"\r\n %d"),
]

CODINGS = [b"chunked", b"chunked", b"Chunked", b"\tchunked "]
ODD_CODINGS = [
    *(b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"gzip", b"xchunked"),
    *(b"chunkedx", b"chunk", b"chunked;q=1", b'"chunked"', b"'chunked'", b",chunked", b"chunked,"),
    *(b"\x0bchunked", b"chunked\x0b", b"\xa0chunked", b"chunked\x85", b"\xffchunked", b"chunked\0"),
    *(
        b"chun\xe2\x84\xaaed",
        b"ch\x96nked",
        b"cow chunked bar",
        b"identity, chunked, identity",
        b"",
    ),
    *(
        b"chunked\r",
        b"\r\n chunked",
        b"\n chunked",
        b"chunked\r\nTransfer-Encoding: cow",
        b"chun ked",
    ),
]

NAME_CHANGES = [
    *(b"%s ", b"%s\t", b" %s", b"\t%s", b"X: y\r\n %s", b"X: y\n%s", b"X: y\r%s", b"%s\0", b"\0%s"),
    *(
        b"%s\x0b",
        b"\x0b%s",
        b"%s\xa0",
        b"%s\x85",
        b"%s\r\n ",
        b"%s x",
        b"%s\n ",
        b"\r%s",
        b"\x7f%s",
    ),
    *(b"X-%s", b"%s-X", b"%s_", b"Foo: bar\r\n\r%s", b"Foo: bar\r\n\t%s", b"%s\xff", b"%s;"),
]
"""How the name of a framing field is hidden from one of two parsers."""

SIZES = [b"%x", b"%x", b"%X", b"0%x", b"%x;a", b"%x;a=b", b'%x;a="b;c"', b'%x;a="\\""', b"0000%x"]
ODD_SIZES = [
    *(b"+%x", b"-%x", b"0x%x", b" %x", b"%x ", b"%x\t", b"%x ;a", b"%x; a", b"%x;", b"%x;;a", b""),
    *(b"%x;a=", b'%x;a="', b'%x;a="b"c', b"%x;=b", b"%x;\0", b'%x;a="\r\n"', b'%x;a="\n"', b"%x\0"),
    *(b"0_%x", b"%x_", b"%x.0", b"%xg", b"%x,", b"\xb5", b"1000000000000000%x", b"%x\r", b"%x\r\r"),
    *(b"%x;a\n", b"%x;a\r", b"%x;a\rX", b"%x\rX", b"%x;a\r\r", b"ffffffffffffffff", b"100000000%x"),
    *(b"7fffffffffffffff", b"%x\x85", b"%x;\xe9", b"0%x;x\n0\r\n\r\n", b"%x;a=b c", b"%x a=b"),
]
DATA_ENDS = [
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"",
    b"XX",
    b"\rX",
    b"\r\r",
    b"\r\n\r\n",
    b" \r\n",
]
TRAILERS = [b"", b"", b"X-T: u\r\n", b"X-T:\r\nX-U: v\r\n", b"X_T: u\r\n", b"x-t: \xe9\r\n"]
ODD_TRAILERS = [
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"X-T : u\r\n"),
    *(b"X-T\r\n", b": u\r\n", b" X-T: u\r\n", b"X-T: u\r\n v\r\n", b"X-T: u\n", b"X-T: u\rX\r\n"),
    *(
        b"X-T: \x0bu\r\n",
        b"X-T: u\x0c\r\n",
        b"X-T\xa0: u\r\n",
        b"X-T: \0\r\n",
        b"\n",
        b"\r",
        b"Cookie: a\r\n",
        b"X:GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n",
    ),
]
CHUNKED_ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"XX", b"\rX", b"", b" \r\n"]

CONTENTS = [b"", b"hello", b"a", b"\r\n", b"0\r\n\r\n", b"hello" * 40]
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

GAPS = [b"", b"", b"", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"x", b"\0"]
SEPARATORS = [b" ", b"  ", b"\t", b"", b"\x0b", b"\x0c", b"\xa0", b"\r", b"\n", b" \t"]


class Choices(Protocol):
    """Where choices come from."""

    def below(self, bound: int) -> int:
        """Choose a number from 0 to `bound` - 1."""


class Writer:
    """Writes what goes over one connection."""

    def __init__(self, choices: Choices) -> None:
        self._below = choices.below
        self._odd = self._pick(ODD_OF_1000)

    def connection(self) -> bytes:
        """Write requests, one behind the other; some are like the one before but for one part."""
        last = self.request()
        written = last
        for _ in range(self._below(MOST_REQUESTS)):
            written += self._of(GAPS[:3], GAPS[3:])
            way = self._below(4)
            if way < 2:
                last = self.request()
            elif way == 2:
                _, end, rest = last.partition(b"\r\n")
                last = self._line() + end + rest
            else:
                last = self.changed(last)
            written += last
        return self.changed(written)

    def changed(self, data: bytes) -> bytes:
        """Change some bytes, more often than not none."""
        for _ in range(MOST_CHANGES):
            if self._below(OF_1000) < OF_1000 - CHANGED_OF_1000:
                break
            start = self._below(len(data) + 1)
            length = self._pick([0, 0, 1, 1, 2, 5, 20])
            way = self._below(4)
            taken = data[start : start + length]
            put = self._pick(SPECIAL) if way < 2 else taken * 2 if way == 2 else taken.swapcase()
            data = data[:start] + put + data[start + length :]
        return data

    def request(self) -> bytes:
        """Write one request."""
        line = self._line()
        framing, body = self._framing()
        lines = [self._of(FIELDS, ODD_FIELDS) for _ in range(self._below(4))]
        lines.insert(self._below(len(lines) + 1), self._of(HOSTS, ODD_HOSTS))
        place = self._below(len(lines) + 1)
        lines[place:place] = framing
        ends = [self._line_end() for _ in range(len(lines) + 2)]
        head = b"".join(text + end for text, end in zip([line, *lines, b""], ends, strict=True))
        return head + body

    def _line(self) -> bytes:
        parts = (self._of(METHODS, ODD_METHODS), self._of(TARGETS, ODD_TARGETS))
        version = self._of(VERSIONS, ODD_VERSIONS)
        return self._of(SEPARATORS[:1], SEPARATORS[1:]).join([*parts, version])

    def _framing(self) -> tuple[list[bytes], bytes]:
        way = self._below(8)
        if way < 3:
            return [], b""
        if way < 5:
            content = self.content()
            return [self._length_line(len(content))], content
        body = self.chunks()
        lines = [self._coding_line()]
        if self._is_odd(3):
            lines.insert(self._below(2), self._length_line(self._pick([0, len(body), 5])))
        return lines, body

    def content(self) -> bytes:
        """Write the content of a body."""
        return self._of(CONTENTS, [SMUGGLED])

    def _length_line(self, length: int) -> bytes:
        value = self._of(LENGTHS, ODD_LENGTHS)
        count = value.count(b"%")
        return self._field(b"Content-Length", value % ((length,) * count))

    def _coding_line(self) -> bytes:
        return self._field(b"Transfer-Encoding", self._of(CODINGS, ODD_CODINGS))

    def _field(self, name: bytes, value: bytes) -> bytes:
        if self._is_odd(1):
            name = self._pick(NAME_CHANGES) % name
        return name + self._of([b": ", b":"], [b":\t", b" : ", b"", b" ", b":\r\n "]) + value

    def chunks(self) -> bytes:
        """Write a body in the chunked coding."""
        written = b""
        for _ in range(self._below(4)):
            content = self.content()
            written += self._size(len(content)) + content
            written += self._of(DATA_ENDS[:3], DATA_ENDS[3:])
        written += self._size(0) + self._of(TRAILERS, ODD_TRAILERS)
        return written + self._of(CHUNKED_ENDS[:3], CHUNKED_ENDS[3:])

    def _size(self, size: int) -> bytes:
        text = self._of(SIZES, ODD_SIZES)
        return (text % size if b"%" in text else text) + self._line_end()

    def _line_end(self) -> bytes:
        return (
            self._pick([b"\n", b"\r", b"", b"\r\r\n", b"\n\r"]) if self._is_odd(0.25) else b"\r\n"
        )

    def _of(self, good: Sequence[T], odd: Sequence[T]) -> T:
        return self._pick(odd if self._is_odd(1) else good)

    def _is_odd(self, weight: float) -> bool:
        return self._below(OF_1000) >= OF_1000 - self._odd * weight

    def _pick(self, options: Sequence[T]) -> T:
        return options[self._below(len(options))]
