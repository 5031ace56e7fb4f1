"""Tokens of `breezeway.middleware.Csrf` for forms and scripts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from breezeway.web.request import Request

KEY: Final = "breezeway.csrf_token"
"""Where the environ has the function that makes a token."""

FIELD: Final = "csrf_token"
"""The field of a form that `Csrf` looks at."""


class Html(str):
    """A text that is HTML already: templates do not escape it."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def csrf_token(request: Request) -> str:
    """Return a token for a page of this visitor's, another one each time; scripts send it as X-CSRF-Token.

    Raises:
        RuntimeError: there is no `Csrf` around, or it has neither sessions nor a secret.
    """
    make = request.environ.get(KEY)
    if make is None:
        raise RuntimeError(
            "there are no tokens: they need sessions, App(sessions=...), or Csrf around with a secret"
        )
    token: str = make()
    return token


def csrf_field(request: Request, name: str = FIELD) -> Html:
    """Return the field of a form with a token in it; `name` is the option `form_field` of `Csrf`.

    Raises:
        RuntimeError: as `csrf_token` does.
    """
    token = escape(csrf_token(request))
    return Html(f'<input type="hidden" name="{escape(name)}" value="{token}">')
