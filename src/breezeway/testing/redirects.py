"""Following redirects: what is asked next (RFC 9110 section 15.4)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from breezeway.testing.request_body import RequestBody
from breezeway.testing.response import Response
from breezeway.testing.urls import PORTS, origin, redirected

MOST_REDIRECTS: Final = 20
"""As browsers: more are a circle."""

_OF_CONTENT: Final = frozenset(
    ["content-encoding", "content-language", "content-length", "content-location", "content-type"]
)
"""Fields that go when a redirect takes the content away."""

_OF_ORIGIN: Final = frozenset(["authorization", "cookie", "host", "origin"])
"""Fields that are for one server, and do not go to another one."""


class RedirectError(RuntimeError):
    """A redirect cannot be followed; it has the `response`."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response


class Step(NamedTuple):
    """A request of which redirects may make another one."""

    method: str
    url: str
    fields: list[tuple[str, str]]
    body: RequestBody
    is_first_origin: bool = True
    """No redirect has led to another scheme, host or port yet."""

    def after(self, response: Response, hosts: Collection[str]) -> Step:
        """Return what is asked after a redirect, to the same host or one of `hosts`, `*` for all.

        303 asks with GET, and so do 301 and 302 after a POST, as browsers have it ever since; all
        others ask the same again, with its body.

        Raises:
            RedirectError: it leads to another host or nowhere, or there were too many.
        """
        if len(response.history) >= MOST_REDIRECTS:
            raise RedirectError(f"more than {MOST_REDIRECTS} redirects", response)
        location = response.headers["location"]
        try:
            target = redirected(self.url, location)
            scheme, host, _ = origin(target)
        except ValueError as error:
            raise RedirectError(f"a redirect leads to {location!r}: {error}", response) from None
        if scheme not in PORTS:
            raise RedirectError(
                f"a redirect leads to {target}, which is neither http nor https", response
            )
        if not {host, "*"} & {origin(self.url)[1], *hosts}:
            raise RedirectError(
                f"a redirect leads to {target}, another host; name it in hosts= to follow", response
            )
        method, fields, body = self.method, self.fields, self.body
        if response.status == 303 or (response.status in (301, 302) and method == "POST"):
            method = "HEAD" if method == "HEAD" else "GET"
            body = RequestBody([])
            fields = [field for field in fields if field[0].lower() not in _OF_CONTENT]
        stays = origin(target) == origin(self.url)
        if not stays:
            fields = [field for field in fields if field[0].lower() not in _OF_ORIGIN]
        return Step(method, target, fields, body, self.is_first_origin and stays)
