"""Hostile forms: bodies by the thousand, each of which ends in a clean 4xx or in what is right.

    python -m tests.web.hostile_forms 10000 [SEED]

Each body is made of a seed, so that one that fails can be made again. It comes in pieces of some size, with
a length that is right, wrong or not there, and is read by a handler of an `App` with bounds of which some
are small. What counts: the status is 200, 400, 413 or 415; a 200 has read no more than the bounds allow;
no temporary file stays; and each is over within `MOST_SECONDS` and `MOST_BYTES`.
"""

from __future__ import annotations

import argparse
import collections
import io
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from breezeway.web import App, Limits, Request

from ..middleware.calling import call
from .forms import BOUNDARY, Dribble, body_of, part

MOST_SECONDS = 2.0
"""Of one body, on a machine that does other things as well; the slowest takes a tenth of it."""

MOST_BYTES = 8 << 20
"""Of memory beside the body itself: a body of 1 MiB is there, its text, and what is decoded of it."""

STATUSES = (200, 400, 413, 415)

MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"

BOUNDS = [
    Limits(),
    Limits(
        fields=5, files=2, field_bytes=2000, file_bytes=5000, files_bytes=8000, memory_bytes=100
    ),
    Limits(memory_bytes=0, body_bytes=1000),
    Limits(fields=0, files=0),
]

Made = tuple[bytes, str]
"""A body and its Content-Type."""


def _word(chance: random.Random, most: int = 40) -> str:
    letters = "abc-_. é\u0301\u202e\U0001f600/\\%\t;,='`<>&\x7f"
    return "".join(chance.choices(letters, k=chance.randrange(most)))


def _content(chance: random.Random) -> bytes:
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(3000))
    if kind == 1:
        return f"\r\n--{BOUNDARY}"[: chance.randrange(45)].encode() * chance.randrange(50)
    if kind == 2:
        return b"\r\n" * chance.randrange(100)
    if kind == 3:
        return b"x" * chance.choice([0, 1, 255, 4096, 65535, 65536, 300_000])
    return _word(chance, 500).encode()


LINES = [
    "Content-Type: text/plain",
    "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Type: text/plain; charset=utf-7",
    "Content-Type: multipart/mixed; boundary=inner",
    "Content-Type: image/png",
    "Content-Type: " + "a/b; x=1" * 300,
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: quoted-printable",
    "Content-Length: 3",
    "Content-Length: 99999999999999999999999",
    "Content-Length: -1",
    "X-Many: " + "y" * 3000,
    " folded",
    "no colon",
    ": no name",
    "Content-Disposition: form-data; name=again",
]


def _part(chance: random.Random) -> bytes:
    filename = chance.choice([None, None, _word(chance, 300), "../../etc/passwd", "CON", ""])
    lines = chance.choices(LINES, k=chance.choice([0, 0, 0, 1, 2, 12]))
    return part(_word(chance), _content(chance), filename, *lines)


def usual(chance: random.Random) -> Made:
    """Make a form such as browsers send."""
    parts = [part(f"n{number}", _word(chance)) for number in range(chance.randrange(6))]
    parts += [part("f", _content(chance), "a.txt") for _ in range(chance.randrange(3))]
    return body_of(*parts), MULTIPART


def odd(chance: random.Random) -> Made:
    """Make a form of odd parts."""
    return body_of(*[_part(chance) for _ in range(chance.randrange(1, 8))]), MULTIPART


def truncated(chance: random.Random) -> Made:
    """Cut a form off."""
    body, content_type = chance.choice([usual, odd])(chance)
    return body[: chance.randrange(len(body))], content_type


def mutated(chance: random.Random) -> Made:
    """Change some bytes of a form."""
    body = bytearray(chance.choice([usual, odd])(chance)[0])
    for _ in range(chance.randrange(1, 20)):
        at = chance.randrange(len(body))
        piece = chance.choice(
            [b"", b"\r", b"\n", b"\r\n", b"\x00", b"-", b"--", b'"', b";", b"\xff", b"\r\n\r\n",
             b"--" + BOUNDARY.encode(), chance.randbytes(3)]
        )  # fmt: skip
        body[at : at + chance.randrange(4)] = piece
    return bytes(body), MULTIPART


def shuffled(chance: random.Random) -> Made:
    """Put the lines of a form into another order, or some of them many times."""
    lines = usual(chance)[0].split(b"\r\n")
    made = chance.choices(lines, k=chance.randrange(1, 60))
    return b"\r\n".join([f"--{BOUNDARY}".encode(), *made]), MULTIPART


def nested(chance: random.Random) -> Made:
    """Put forms into forms."""
    body = b"x"
    for depth in range(chance.randrange(1, 60)):
        boundary = chance.choice([f"b{depth}", BOUNDARY])
        line = f"Content-Type: multipart/mixed; boundary={boundary}"
        body = part(f"p{depth}", body_of(body, boundary=boundary), None, line)
    return body_of(body), MULTIPART


def crowded(chance: random.Random) -> Made:
    """Send thousands of parts."""
    count = chance.choice([999, 1000, 1001, 3000])
    filename = chance.choice([None, "f", ""])
    return body_of(*[part("a", "", filename)] * count), MULTIPART


def huge(chance: random.Random) -> Made:
    """Send a name, header, field, file, preamble or epilogue that is too large."""
    much = "y" * chance.choice([1000, 5000, 100_000, 1_500_000])
    return chance.choice(
        [
            body_of(part(much, "1")),
            body_of(part("a", "1", much)),
            body_of(part("a", "1", None, f"X-Large: {much}")),
            body_of(
                part("a", "1", None, *[f"X-{n}: {much[:3000]}" for n in range(len(much) // 3000)])
            ),
            body_of(part("a", much)),
            body_of(part("a", much, "f")),
            much.encode() + b"\r\n" + body_of(part("a", "1")),
            body_of(part("a", "1")) + much.encode(),
            body_of(part("a" + '"; x="' * (len(much) // 6), "1")),
            b"--" * len(much),
            b"\r\n" * len(much),
            b"\r" * len(much),
        ]
    ), MULTIPART


def charsets(chance: random.Random) -> Made:
    """Send texts that are not UTF-8."""
    codec = chance.choice(
        ["latin-1", "utf-16", "utf-7", "cp1252", "shift-jis", "utf-8-sig", "utf-32"]
    )
    text = "Größe ÿ ".encode(codec, "replace") + chance.choice(
        [b"", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf8"]
    )
    name = chance.choice([b"name", text.replace(b"\r", b"").replace(b"\n", b"")])
    head = b'Content-Disposition: form-data; name="' + name + b'"\r\n\r\n'
    parts = [part("_charset_", codec), head + text]
    return body_of(*parts), MULTIPART


def boundaries(chance: random.Random) -> Made:
    """Say a wrong boundary, or another type."""
    body = usual(chance)[0]
    content_type = chance.choice(
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            f"multipart/form-data; boundary={BOUNDARY[:-1]}",
            f"multipart/form-data; boundary={BOUNDARY}x",
            f'multipart/form-data; boundary="{BOUNDARY}"; boundary=x',
            f"multipart/form-data, boundary={BOUNDARY}",
            "multipart/form-data; boundary=-",
            'multipart/form-data; boundary="\x00"',
            "multipart/form-data; boundary=" + "x" * 5000,
            f"multipart/mixed; boundary={BOUNDARY}",
            "multipart/form-data; boundary*=utf-8''x",
            "application/json",
            ";" * 1000,
        ]
    )
    return body, content_type


def urlencoded(chance: random.Random) -> Made:
    """Send urlencoded forms that are none."""
    body = chance.choice(
        [
            b"a=1&" * chance.randrange(3000),
            b"&" * chance.randrange(100_000),
            b"%" * chance.randrange(100_000),
            b"%41" * chance.randrange(100_000),
            b"%ff" * chance.randrange(100),
            b"=" * chance.randrange(100_000),
            chance.randbytes(chance.randrange(3000)),
            b"a=" + b"+" * chance.choice([1000, 1 << 20]),
            usual(chance)[0],
        ]
    )
    return body, chance.choice([URLENCODED, URLENCODED, f"{URLENCODED}; charset=latin-1"])


def noise(chance: random.Random) -> Made:
    """Send anything."""
    return chance.randbytes(chance.randrange(5000)), chance.choice([MULTIPART, URLENCODED])


KINDS: list[Callable[[random.Random], Made]] = [
    usual,
    odd,
    truncated,
    truncated,
    mutated,
    mutated,
    shuffled,
    nested,
    crowded,
    huge,
    charsets,
    boundaries,
    urlencoded,
    noise,
]


def application(limits: Limits, seen: list[Request]) -> App:
    """Make an application that reads a form whole."""
    app = App(limits=limits)

    @app.post("/")
    def read(request: Request) -> Any:
        seen.append(request)
        form = request.form()
        files = [file for _, file in form.files.pairs]
        assert len(form.pairs) <= limits.fields
        assert len(files) <= limits.files
        assert sum(len(n.encode()) + len(v.encode()) for n, v in form.pairs) <= 1 << 20
        assert all(len(file.read()) == file.size <= limits.file_bytes for file in files)
        assert all("/" not in file.filename and file.filename.isprintable() for file in files)
        return [len(form.pairs), len(files)]

    return app


class Hostile:
    """The request of a seed."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        kind = chance.choice(KINDS)
        self.name = kind.__name__
        self.seed = seed
        body, self.content_type = kind(chance)
        sizes = [1 << 20, 1 << 20, 65536, 1000, 64]
        stream = Dribble(body, chance.choice(sizes)) if body else io.BytesIO()
        self.environ = {"wsgi.input": stream, "CONTENT_LENGTH": str(len(body))}
        way = chance.randrange(8)
        if way == 0:
            self.environ["CONTENT_LENGTH"] = str(max(0, len(body) + chance.randrange(-20, 20)))
        elif way == 1:
            self.environ.update({"CONTENT_LENGTH": "", "wsgi.input_terminated": True})
        self.limits = chance.choice([BOUNDS[0], BOUNDS[0], *BOUNDS])

    def send(self) -> tuple[int, float]:
        """Return the status of the response, and the seconds that it took.

        Raises:
            AssertionError: the response is none that there may be, or something stays.
        """
        seen: list[Request] = []
        app = application(self.limits, seen)
        began = time.perf_counter()
        result = call(app, "/", "POST", {"Content-Type": self.content_type}, **self.environ)
        seconds = time.perf_counter() - began
        assert result.code in STATUSES, f"{self}: {result.status}"
        if seen and seen[0].holds_files:
            spool = seen[0].form()._spool
            assert spool is not None
            assert spool.is_closed, f"{self}: a file stays"
        assert seconds < MOST_SECONDS, f"{self}: {seconds:.1f} s"
        return result.code, seconds

    def __repr__(self) -> str:
        return f"seed {self.seed} ({self.name})"


def main() -> None:
    """Send as many as are wanted, and say what has become of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    options = parser.parse_args()
    statuses: collections.Counter[tuple[str, int]] = collections.Counter()
    slowest, largest = (0.0, 0), (0, 0)
    tracemalloc.start()
    for seed in range(options.seed, options.seed + options.count):
        hostile = Hostile(seed)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        code, seconds = hostile.send()
        size = tracemalloc.get_traced_memory()[1] - before
        statuses[hostile.name, code] += 1
        slowest, largest = max(slowest, (seconds, seed)), max(largest, (size, seed))
        assert size < MOST_BYTES, f"{hostile}: {size / (1 << 20):.1f} MiB"
    for kind in sorted({kind for kind, _ in statuses}):
        counts = ", ".join(f"{code}: {statuses[kind, code]}" for code in STATUSES)
        print(f"{kind:12} {counts}")
    print(f"slowest {slowest[0]:.3f} s (seed {slowest[1]}, traced)")
    print(f"largest {largest[0] / (1 << 20):.1f} MiB (seed {largest[1]})")


if __name__ == "__main__":
    main()
