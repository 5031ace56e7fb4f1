"""`Conditional`: entity tags, conditional requests and ranges for any application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.conditional.file import Offered
from breezeway.middleware.conditional.plan import Options
from breezeway.middleware.conditional.response import Response
from breezeway.middleware.stack import unset

MAXIMUM_BYTES: Final = 4 * 1024 * 1024
"""Default of the largest content that a tag is made of: 2 ms on a common core."""

ETAGS: Final = ("strong", "weak", "none")


class Conditional:
    """Answers 304 to who has the current version already, and sends parts to who asks for parts.

    It makes an ETag for responses of status 200 to GET and HEAD whose content is there as a whole: by
    its bytes for a list or tuple, and for a first block that is as long as Content-Length says, which
    is how most frameworks return a page; by size and time of modification for a file of
    `wsgi.file_wrapper`. An ETag or Last-Modified of the application's stays, and counts. Then
    If-None-Match, If-Modified-Since, If-Match and If-Unmodified-Since are evaluated (RFC 9110
    section 13.2.2), and ranges are cut out (section 14), one or several, with If-Range.

    What comes block by block goes on block by block; with validators of its own it can become a 304
    or 412, too. The application runs all the same: this saves the network, not the application.

    Requests with other methods are the application's alone. Whether a PUT may replace what is there
    can be judged only by who knows what is there, before it is done.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        etag: str = "strong",
        maximum: int = MAXIMUM_BYTES,
        ranges: bool = True,
    ) -> None:
        """Make tags as `etag` says: `strong`, `weak` (the default of many frameworks), or `none`.

        `maximum` is the largest content in bytes that is read for a tag. `ranges` can be switched off.

        Raises:
            ValueError: an option is wrong.
        """
        if etag not in ETAGS:
            raise ValueError(f"etag must be 'strong', 'weak' or 'none', not {etag!r}")
        if not isinstance(maximum, int) or isinstance(maximum, bool) or maximum < 0:
            raise ValueError(f"maximum must be a number of bytes, 0 or more, not {maximum!r}")
        if not isinstance(ranges, bool):
            raise ValueError(f"ranges must be true or false, not {ranges!r}")
        self.application = application
        self._options = Options(etag, maximum, ranges)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and send what of its response is asked for."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self.application(environ, start_response)
        response = Response(environ, start_response, self._options)
        wrapper = environ.get("wsgi.file_wrapper")
        environ["wsgi.file_wrapper"] = Offered
        try:
            returned = self.application(environ, response.start)
        finally:
            # What stands around knows the server's objects by it, and lets those go on untouched.
            if wrapper is None:
                environ.pop("wsgi.file_wrapper", None)
            else:
                environ["wsgi.file_wrapper"] = wrapper
        return response.returned(returned)
