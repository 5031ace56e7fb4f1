"""What a worker serves with `--reload` while the user's application cannot be loaded.

Every request is answered with 500 and the error, as a page for browsers and as plain text for others.
The page looks again each second with a HEAD request, and reloads itself when the answer no longer
has the field `Breezeway-Failure`, or has another value: another failure.

Status 500 and not 503: this does not pass with time, and a client that retries a 503 on its own would
hide it. The worker should leave the access log out; the looks would bury the traceback.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable
from importlib.resources import files
from string import Template
from typing import Final, NewType

from breezeway.errors import UserError
from breezeway.gateway.types import Application, Environ, StartResponse

STATUS: Final = "500 Internal Server Error"

FIELD: Final = "Breezeway-Failure"
"""Field of every answer; its value is the same for the same error, whichever worker answers."""

REFRESH: Final = '<noscript><meta http-equiv="refresh" content="2"></noscript>\n'
"""Without scripts the page is simply loaded again, every two seconds."""

PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})

Html = NewType("Html", str)

_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
_AT = re.compile(r'(\s+File )"(.*)", line (\d+)(.*)', re.DOTALL)
_MARK = re.compile(r"[\s~^]+")


def application(error: UserError) -> Application:
    """Return the WSGI application that shows `error`."""
    template = Template(files(__package__).joinpath("failure_page.html").read_text("utf-8"))
    text = _text(error)
    failure = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
    common = [
        (FIELD, failure),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", _policy(template.template)),
        ("X-Content-Type-Options", "nosniff"),
    ]

    def fail(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if _wants_page(environ.get("HTTP_ACCEPT", "")):
            kind, body = "text/html", _page(template, error, failure, method)
        else:
            kind, body = "text/plain", text
        data = body.encode(errors="backslashreplace")
        fields = [
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(data))),
            *common,
        ]
        start_response(STATUS, fields)
        return [] if method == "HEAD" else [data]

    return fail


def _wants_page(accept: str) -> bool:
    """Tell whether the client takes HTML and says so: `*/*` alone is curl or a script."""
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind in PAGES and not any(re.fullmatch(r"q=0(\.0*)?", one) for one in parameters):
            return True
    return False


def _text(error: UserError) -> str:
    parts = [error.detail.rstrip("\n"), error.message, error.hint]
    return "\n".join(part for part in parts if part) + "\n"


def _policy(page: str) -> str:
    """Allow the page's own style and script, which their hashes name, and to ask this server."""
    hashes = {
        kind: base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        for kind, content in _INLINE.findall(page)
    }
    return (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'"
    )


def _page(template: Template, error: UserError, failure: str, method: str) -> str:
    return template.substitute(
        failure=failure,
        method=_escape(method),
        title=_escape(error.message.rstrip(".")),
        refresh=REFRESH if method == "GET" else "",
        message=_escape(error.message),
        hint=f'<p class="hint">{_escape(error.hint)}</p>\n' if error.hint else "",
        cause=_cause(error.detail),
        traceback=_traceback(error.detail),
    )


def _cause(detail: str) -> Html:
    """Show the exception that a traceback ends with, and the place that it names last."""
    lines = detail.rstrip("\n").split("\n")
    error: list[str] = []
    place = ""
    for line in lines:
        if match := _AT.fullmatch(line):
            error = []
            place = f'<p class="place">{_escape(match[2])}:{match[3]}</p>'
        elif error or line[:1].strip():
            error.append(line)
    if not error:
        return Html("")
    text = _escape("\n".join(error))
    return Html(f'<div class="cause"><p>{text}</p>{place}</div>\n')


def _traceback(detail: str) -> Html:
    if not detail:
        return Html("")
    lines = "\n".join(map(_line, detail.rstrip("\n").split("\n")))
    return Html(f'<h2>Traceback</h2>\n<pre tabindex="0" aria-label="Traceback">{lines}</pre>\n')


def _line(line: str) -> Html:
    """Mark up a line of a traceback by what it is."""
    if match := _AT.fullmatch(line):
        before, file, number, after = map(_escape, match.groups())
        return Html(f'<span class="at">{before}"<b>{file}</b>", line <b>{number}</b>{after}</span>')
    kind = ""
    if line.endswith((":", ".")) and line.startswith(("Traceback ", "During ", "The above ")):
        kind = "at"
    elif line.strip() and _MARK.fullmatch(line):
        kind = "mark"
    elif line[:1].strip():
        kind = "error"
    return Html(f'<span class="{kind}">{_escape(line)}</span>' if kind else _escape(line))


def _escape(value: str) -> Html:
    return Html(html.escape(value))
