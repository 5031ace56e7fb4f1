"""Who asks, and the database for the length of a request."""

from __future__ import annotations

from sqlalchemy.orm import Session

from breezeway.web import Request
from wiki.model.tables import User

USER = "user"
"""Where a session has the id of who is logged in."""


class LogInFirst(Exception):
    """Nobody is logged in, and somebody has to be."""


def database(request: Request) -> Session:
    """Return the database session of a request; it is opened when it is first asked for."""
    environ = request.environ
    session: Session | None = environ.get("wiki.database")
    if session is None:
        session = environ["wiki.database"] = request.app.sessions()
    return session


def close_database(request: Request) -> None:
    """Give the connection back, when the response is over."""
    session = request.environ.pop("wiki.database", None)
    if session is not None:
        session.close()


def user_of(request: Request) -> User | None:
    """Return who is logged in."""
    number = request.session.get(USER)
    return None if number is None else database(request).get(User, number)


def required_user(request: Request) -> User:
    """Return who is logged in.

    Raises:
        LogInFirst: nobody is.
    """
    user = user_of(request)
    if user is None:
        raise LogInFirst
    return user


def flash(request: Request, message: str) -> None:
    """Keep a message for the next page."""
    request.session["flashes"] = [*request.session.get("flashes", []), ["info", message]]


def flashed(request: Request) -> list[list[str]]:
    """Return the messages that were kept, once."""
    return request.session.pop("flashes", [])
