"""`Errors`: what a client sees when an application fails, and what the log says."""

from __future__ import annotations

import html
import json
import logging
import re
import secrets
import string
from collections.abc import Callable, Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.failures import answered, begin, tell
from breezeway.middleware.option_checks import path as checked_path
from breezeway.middleware.stack import unset
from breezeway.semantics.negotiation import choose_type

STATUS: Final = "500 Internal Server Error"

REQUEST_ID: Final = "breezeway.request_id"
"""Where `RequestId` puts the id of a request."""

LONGEST_PATH: Final = 1000
"""Characters of a path in the log."""

ID_BYTES: Final = 8
"""Of an id of our own: nobody has to guess it, it only has to be one of a kind in a log."""

LARGEST_PAGE: Final = 1 << 20
"""Bytes of a page of the user's own."""

TYPES: Final = ("application/problem+json", "text/html", "application/json", "text/plain")
"""The first is for clients that take anything, as `fetch` does: programs. For a page browsers name HTML."""

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Something went wrong</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 36rem; padding: 18vh 1.5rem 3rem;
  font: 1.05rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0 0 .5rem; font-size: 1.9rem; line-height: 1.2; letter-spacing: -.02em; }
code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; user-select: all; }
.id { opacity: .75; }
</style>
</head>
<body>
<h1>Something went wrong</h1>
<p>The page could not be made. It is not your fault, and it has been noted. Please try again in a while.</p>
<p class="id">If you ask about it, say <code>$id</code>.</p>
</body>
</html>
"""

log = logging.getLogger("breezeway.middleware.errors")

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


class Errors:
    """Answers for an application that fails: in production, where nobody may see why.

    The client gets a 500 as HTML, as problem details (RFC 9457), as JSON or as plain text, by its Accept
    field (RFC 9110 section 12.5.1), with an id and nothing else; the log has the traceback under that id.
    The id is that of `RequestId`, if it stands around. A traceback in a response tells an attacker
    paths, versions and sometimes secrets.

    An application that fails when a part of its response was sent cannot be answered for: the error is
    logged and goes on to the server, which has to end the connection so that the client can tell (PEP
    3333, "Error Handling"). SystemExit, KeyboardInterrupt and other BaseExceptions are nobody's answer
    and go on, too.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        page: str | None = None,
        on_error: Callable[[WSGIEnvironment, BaseException, str], object] | None = None,
    ) -> None:
        """Answer for `application`.

        `page` is the path of an HTML page, in UTF-8 and of 1 MiB at most, in place of ours; `$id` in it
        is the id, `$$` a dollar. `on_error` is called with the environ, the exception and the id of each
        failure, such as to report it elsewhere; what it raises is logged.

        Raises:
            ValueError: `page` cannot be read or has other names after a dollar, or `on_error` cannot be
                called.
        """
        self.application = application
        self._page = string.Template(PAGE if page is None else _read(checked_path("page", page)))
        if on_error is not None and not callable(on_error):
            raise ValueError(f"on_error must be a function, not {on_error!r}")
        self._on_error = on_error

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and answer for it if it fails."""
        return answered(self.application, environ, start_response, self._answer)

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, error: Exception
    ) -> list[bytes]:
        """Begin a response in place of the application's; raise the error if that cannot be."""
        name = self._tell(environ, error)
        content_type, text = self._text(environ.get("HTTP_ACCEPT"), name)
        body = text.encode()
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        begin(start_response, STATUS, headers, error)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _text(self, accept: str | None, name: str) -> tuple[str, str]:
        chosen = choose_type(accept, TYPES)
        if chosen == "text/html":
            return "text/html; charset=utf-8", self._page.substitute(id=html.escape(name))
        if chosen in ("application/problem+json", "application/json"):
            told = {"title": "Internal Server Error", "status": 500, "id": name}
            return chosen, json.dumps(told) + "\n"
        return "text/plain; charset=utf-8", f"{STATUS}\nIf you ask about it, say {name}.\n"

    def _tell(self, environ: WSGIEnvironment, error: Exception) -> str:
        """Log a failure; return its id."""
        name = str(environ.get(REQUEST_ID) or secrets.token_hex(ID_BYTES))
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        method = str(environ.get("REQUEST_METHOD"))
        tell(
            log,
            error,
            "%s %s failed [%s]",
            _printable(method),
            _printable(path[:LONGEST_PATH]),
            name,
        )
        if self._on_error is not None:
            try:
                self._on_error(environ, error, name)
            except Exception as failed:
                tell(log, failed, "on_error failed for [%s]", name)
        return name


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST_PAGE + 1)
    except OSError as error:
        raise ValueError(f"page {path!r} cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"page {path!r} is not UTF-8 text") from None
    if len(text) > LARGEST_PAGE:
        raise ValueError(f"page {path!r} is larger than 1 MiB")
    template = string.Template(text)
    if not template.is_valid() or {*template.get_identifiers()} - {"id"}:
        raise ValueError(f"page {path!r} has other names after a dollar than $id; $$ is a dollar")
    return text
