"""Where an argument of a handler comes from, where its annotation does not say so by itself.

def search(q: str, page: int = 1): ...                       # the query
def save(id: int, note: Note): ...                           # id of the path, a dataclass of the body
def log_in(name: Annotated[str, Form()]): ...                # a form
def show(token: Annotated[str, Header("X-Token")]): ...      # a field of the request
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """From the query, by `name` if that is not the argument's."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """From a field of the request; without a name, the argument's with hyphens."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Cookie:
    """From a cookie."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """From a form; of a dataclass, each member is a field of it."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """The whole body as JSON."""


Marker = Query | Header | Cookie | Form | Body
