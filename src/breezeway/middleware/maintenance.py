"""`Maintenance`: a page for the time of maintenance."""

from __future__ import annotations

import hmac
import html
import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.option_checks import prefixes, texts
from breezeway.middleware.stack import unset
from breezeway.semantics.negotiation import choose_type
from breezeway.semantics.networks import Networks
from breezeway.semantics.path_prefixes import PathTable

LOOK_SECONDS: Final = 1.0
"""Between two looks at the file."""

RETRY_AFTER: Final = 300
MESSAGE: Final = "This site is being worked on. Please come back soon."

LEAST_SECRET: Final = 16
"""Characters: a short secret could be guessed, request by request."""

COOKIE: Final = "maintenance"
SECRET_KEY: Final = "HTTP_X_MAINTENANCE"  # noqa: S105  # the name of a field

_STATUS: Final = "503 Service Unavailable"
_TYPES: Final = ("text/plain", "text/html", "application/json")
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Maintenance</title>
<style>body{{font:1.1em/1.5 system-ui,sans-serif;margin:20vh auto;max-width:32em;padding:0 1em}}</style>
<p>{message}</p>
</html>
"""


class Maintenance:
    """Answers 503 while a site is being worked on, to all but those who work on it.

    It is on while a file is there, so that a script can turn it on and off for all processes at once,
    or by an option, or when a callable says so. The answer has Retry-After (RFC 9110 section 15.6.4), so
    that search engines come back and keep what they know, and is HTML, JSON or plain text by Accept.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        file: str = "",
        on: bool | Callable[[], bool] = False,
        allow: Iterable[str] = (),
        paths: Iterable[str] = (),
        secret: str = "",
        retry_after: int = RETRY_AFTER,
        message: str = MESSAGE,
        page: str = "",
    ) -> None:
        """Say when it is on, and for whom not.

        While there is a `file` of that name it is on; that is looked at once a second at most. `on`
        turns it on for good, or is a callable that is asked at each request and says so.

        Clients of the networks `allow`, such as `10.0.0.0/8`, get through, by REMOTE_ADDR: behind a
        proxy that must be the client. So do requests for `paths`, such as `/health`, and for what is
        below them; and those with the `secret`, of 16 letters and digits at least, in the field
        `X-Maintenance` or a cookie `maintenance`.

        `retry_after` is in seconds. `message` is the text of the answer, and `page` is HTML in place of
        the page that says it.

        Raises:
            ValueError: an option cannot be.
        """
        self.application = application
        for name, value in (
            ("file", file),
            ("secret", secret),
            ("message", message),
            ("page", page),
        ):
            if not isinstance(value, str):
                raise ValueError(f"{name} must be a text, not {value!r}")
        if not isinstance(on, bool) and not callable(on):
            raise ValueError(f"on must be true or false, or a callable that says so, not {on!r}")
        if secret and (len(secret) < LEAST_SECRET or not (secret.isascii() and secret.isalnum())):
            raise ValueError(f"secret must be {LEAST_SECRET} letters and digits at least")
        if type(retry_after) is not int or retry_after < 0:
            raise ValueError(f"retry_after must be whole seconds, not {retry_after!r}")
        self._file = file
        self._on = on
        networks = texts("allow", allow)
        try:
            self._allowed = Networks(networks)
        except ValueError as error:
            raise ValueError(f"allow: {error}") from None
        open_paths = [prefix.rstrip("/") for prefix in prefixes("paths", paths)]
        if "" in open_paths:
            raise ValueError("paths must not have /, which would be all of them")
        self._paths = PathTable(dict.fromkeys(open_paths, True))
        self._secret = secret.encode()
        plain = f"{message}\n"
        data = json.dumps({"error": "maintenance", "message": message}) + "\n"
        page = page or _PAGE.format(message=html.escape(message))
        self._bodies = dict(
            zip(_TYPES, (plain.encode(), page.encode(), data.encode()), strict=True)
        )
        self._retry_after = str(retry_after)
        self._look_again = 0.0
        self._is_there = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or let the application answer."""
        on = self._on
        if on is False:
            on = self._file_is_there() if self._file else False
        elif on is not True:
            on = on() or (self._file_is_there() if self._file else False)
        if not on or self._may_pass(environ):
            return self.application(environ, start_response)
        return self._refuse(environ, start_response)

    def _file_is_there(self) -> bool:
        now = time.monotonic()
        if now >= self._look_again:
            self._look_again = now + LOOK_SECONDS
            self._is_there = os.path.exists(self._file)
        return self._is_there

    def _may_pass(self, environ: WSGIEnvironment) -> bool:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if self._paths.agreed(path, False, False):
            return True
        if environ.get("REMOTE_ADDR", "") in self._allowed:
            return True
        return bool(self._secret) and self._has_secret(environ)

    def _has_secret(self, environ: WSGIEnvironment) -> bool:
        given = [environ.get(SECRET_KEY, "")]
        for pair in environ.get("HTTP_COOKIE", "").split(";"):
            name, _, value = pair.strip(" \t").partition("=")
            if name == COOKIE:
                given.append(value)
        # In a time that does not tell how much of it was right.
        return any(
            hmac.compare_digest(text.encode("utf-8", "replace"), self._secret) for text in given
        )

    def _refuse(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        kind = choose_type(environ.get("HTTP_ACCEPT"), _TYPES) or _TYPES[0]
        body = self._bodies[kind]
        start_response(
            _STATUS,
            [
                ("Content-Type", kind if kind == _TYPES[2] else f"{kind}; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Retry-After", self._retry_after),
                ("Cache-Control", "no-store"),
                ("Vary", "Accept"),
            ],
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
