"""From templates to answers.

The templates in `pages/` are `string.Template`: `$name` stands for a part. A part must be `Html`,
and only `text` (which escapes) and `fill` make that, so that the type checker sees a value that
was not escaped.
"""

from __future__ import annotations

import html
from functools import cache
from string import Template
from typing import TYPE_CHECKING, NamedTuple, NewType
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from wsgiref.types import WSGIEnvironment

Html = NewType("Html", str)

NAVIGATION = (
    ("/", "Start"),
    ("/request", "Request"),
    ("/upload", "Upload"),
    ("/stream", "Stream"),
    ("/download", "Download"),
    ("/error", "Error"),
    ("/slow", "Slow"),
)


class Answer(NamedTuple):
    """What a handler returns: PEP 3333's status, headers and iterable of byte strings."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]


class RefusedError(Exception):
    """A request that the demo does not take: `status` with its reason, and a sentence why."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why


def text(value: str) -> Html:
    """Return `value` escaped, for text and for quoted attributes."""
    return Html(html.escape(value))


def packaged(*path: str) -> Traversable:
    """Return a file of this package, which may be in a zip archive."""
    from importlib.resources import files  # here, for it brings tempfile to every start

    return files(__package__).joinpath(*path)


@cache
def template(name: str) -> Template:
    """Return the template `pages/NAME.html`."""
    return Template(packaged("pages", f"{name}.html").read_text("utf-8"))


def fill(name: str, **parts: Html) -> Html:
    """Return the template `name` with its parts put in."""
    return Html(template(name).substitute(parts))


def root_of(environ: WSGIEnvironment) -> Html:
    """Return the start of the demo's links: SCRIPT_NAME, encoded, no slash at its end."""
    script_name: str = environ.get("SCRIPT_NAME", "")
    return text(quote(script_name, encoding="latin-1").rstrip("/"))


def path_of(environ: WSGIEnvironment) -> str:
    """Return PATH_INFO; the bare SCRIPT_NAME is the start page too."""
    return environ.get("PATH_INFO") or "/"


def page(environ: WSGIEnvironment, title: str, main: Html, *, status: str = "200 OK") -> Answer:
    """Return the answer with `main` in the layout of all pages."""
    root = root_of(environ)
    document = fill(
        "layout",
        title=text(title),
        root=root,
        navigation=navigation(root, path_of(environ)),
        main=main,
    ).encode()
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(document))),
        ("Cache-Control", "no-store"),
    ]
    return Answer(status, headers, [document])


def plain(sentence: str, *, status: str = "200 OK") -> Answer:
    """Return a line of plain text."""
    line = sentence.encode() + b"\n"
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(line))),
        ("Cache-Control", "no-store"),
    ]
    return Answer(status, headers, [line])


def navigation(root: Html, path: str) -> Html:
    """Return the links to all pages, the current one marked."""
    items = []
    for target, name in NAVIGATION:
        current = ' aria-current="page"' if target == path else ""
        items.append(f'<li><a href="{root}{target}"{current}>{text(name)}</a></li>')
    return Html("".join(items))


def facts(pairs: Iterable[tuple[str, Html]]) -> Html:
    """Return a list of names and values as `<dl>`; the values are HTML already."""
    rows = (f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return Html(f'<dl class="facts">{"".join(rows)}</dl>')
