"""The upload page, and a small, strict reader of form bodies.

A body is read whole, up to `MAX_BODY_SIZE`; multipart/form-data (RFC 7578) is cut at its boundary
and anything that is not as the RFC and the browsers write it is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from breezeway.demo.render import Answer, Html, RefusedError, facts, fill, page, root_of, text

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

# Bytes. A photo fits in; a thousand guests at once still fit in memory of a small machine.
MAX_BODY_SIZE = 8 * 1024 * 1024
# One byte more tells a body that is too large from one that just fits.
READ_LIMIT = MAX_BODY_SIZE + 1
# Parts or fields; the form of the page has two, more come with several files.
MAX_PARTS = 50
# Characters of a text value that the page repeats.
MAX_SHOWN = 200

# RFC 2046, section 5.1.1: boundary := 0*69<bchars> bcharsnospace. Quoted if it holds a special.
BOUNDARY = re.compile(
    r"""multipart/form-data\s*;\s*boundary=
        (?: "([0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?])"
          | ([0-9A-Za-z'+_\-.]{1,70}) )\s*""",
    re.VERBOSE | re.IGNORECASE,
)
# RFC 7578, section 4.2; browsers write a quote in a name as %22, so that none can stand inside.
DISPOSITION = re.compile(
    rb'content-disposition:[ \t]*form-data;[ \t]*name="([^"]*)"'
    rb'(?:;[ \t]*filename="([^"]*)")?[ \t]*',
    re.IGNORECASE,
)
CONTENT_TYPE = re.compile(rb"content-type:([\t\x20-\x7e]{1,200})", re.IGNORECASE)


class Part(NamedTuple):
    """A field of a form; `filename` is None for a field that is no file."""

    name: str
    filename: str | None
    content_type: str
    content: bytes


def form(environ: WSGIEnvironment) -> Answer:
    """Show the form, and after a POST what was uploaded."""
    received = Html("")
    if environ["REQUEST_METHOD"] == "POST":
        received = fill("received", parts=facts(map(describe, read_form(environ))))
    limit = text(f"{MAX_BODY_SIZE // 1024**2} MiB")
    main = fill("upload", root=root_of(environ), received=received, limit=limit)
    return page(environ, "A form upload", main)


def describe(part: Part) -> tuple[str, Html]:
    """Return the label and the description of one part."""
    # Here, because hashlib would cost every start 5 ms and most visits never come this way.
    from hashlib import sha256

    what = f"{part.content_type}, {len(part.content):,} bytes"
    if part.filename is None:
        value = part.content.decode("utf-8", "replace")
        what = f"“{value[:MAX_SHOWN]}”{'…' * (len(value) > MAX_SHOWN)}, {what}"
    digest = sha256(part.content).hexdigest()
    description = f'{text(what)}<span class="note">SHA-256 <code>{digest}</code></span>'
    return part.filename or part.name, Html(description)


def read_form(environ: WSGIEnvironment) -> list[Part]:
    """Return the parts of the request's form; raises RefusedError (400, 413 or 415)."""
    content_type = environ.get("CONTENT_TYPE", "")
    if boundary := BOUNDARY.fullmatch(content_type):
        body = read_body(environ)
        return parse_multipart(body, (boundary[1] or boundary[2]).encode())
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return parse_urlencoded(read_body(environ))
    raise RefusedError(
        "415 Unsupported Media Type", "The upload takes multipart/form-data or a urlencoded form."
    )


def read_body(environ: WSGIEnvironment) -> bytes:
    """Return the whole body of the request, of at most `MAX_BODY_SIZE` bytes."""
    size = size_to_read(environ)
    body: bytes = environ["wsgi.input"].read(size) if size <= READ_LIMIT else b""
    if size > READ_LIMIT or len(body) > MAX_BODY_SIZE:
        raise RefusedError(
            "413 Content Too Large", f"The upload takes at most {MAX_BODY_SIZE:,} bytes."
        )
    return body


def size_to_read(environ: WSGIEnvironment) -> int:
    """Return how many bytes to ask wsgi.input for: Content-Length, as far as there is one."""
    length = environ.get("CONTENT_LENGTH")
    if not length:
        # A chunked body has no length; reading on is safe only where the server says so.
        return READ_LIMIT if environ.get("wsgi.input_terminated") else 0
    if not re.fullmatch("[0-9]{1,18}", length):
        raise RefusedError("400 Bad Request", "The length of the body is not a number.")
    return int(length)


def parse_urlencoded(body: bytes) -> list[Part]:
    """Return the fields of an application/x-www-form-urlencoded body."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARTS
        )
    except ValueError:
        raise RefusedError("400 Bad Request", "The urlencoded form is malformed or too long.")
    return [Part(name, None, "text/plain", value.encode()) for name, value in pairs]


def parse_multipart(body: bytes, boundary: bytes) -> list[Part]:
    """Return the parts of a multipart/form-data body, strictly: no preamble, no epilogue."""
    # With a line end in front of it, the first delimiter looks like the others.
    first, *sections = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 1)
    if first or not sections or sections.pop() not in {b"--", b"--\r\n"}:
        raise RefusedError("400 Bad Request", "The form does not begin and end with its boundary.")
    return [parse_part(section) for section in sections]


def parse_part(section: bytes) -> Part:
    """Return the part between two delimiters: header lines, an empty line, the content."""
    head, separator, content = section.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"\r\n"):
        raise RefusedError(
            "400 Bad Request", "A part of the form has no header, or it does not end."
        )
    lines = head[2:].split(b"\r\n")
    dispositions = list(filter(None, map(DISPOSITION.fullmatch, lines)))
    if len(dispositions) != 1:
        raise RefusedError("400 Bad Request", "A part of the form does not say its name, once.")
    name, filename = dispositions[0].groups()
    types = list(filter(None, map(CONTENT_TYPE.fullmatch, lines)))
    return Part(
        decoded(name),
        None if filename is None else decoded(filename),
        types[0][1].decode("ascii").strip() if types else "text/plain",
        content,
    )


def decoded(name: bytes) -> str:
    """Return a name of a part: UTF-8 (RFC 7578, section 5.1) with the browsers' escapes undone."""
    try:
        escaped = name.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError("400 Bad Request", "A name in the form is not UTF-8.")
    return escaped.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
