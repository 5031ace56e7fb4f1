"""Lint beside wsgiref.validate. It has no idle: its work is each request."""

from __future__ import annotations

import io
from wsgiref.validate import validator

from case import Application, Case

from breezeway.middleware import Lint


def _validate(application: Application) -> Application:
    return validator(application)


def cases() -> list[Case]:
    """Return the cases."""
    environ = {"wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO()}
    return [Case("Lint", "a request", Lint, "wsgiref.validate", _validate, environ=environ)]
