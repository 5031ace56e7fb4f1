"""Who asks, and the database for the length of a request."""

from __future__ import annotations

from sqlalchemy.orm import Session

from breezeway.web import Request
from wiki.model.tables import User

USER = "user"
"""Where a session has the id of who is logged in."""

DATABASE = "wiki.database"
"""Where the environ has the database session."""


class LogInFirst(Exception):
    """Nobody is logged in, and somebody has to be."""


def database(request: Request) -> Session:
    """Return the database session of a request; it is opened when it is first asked for."""
    session: Session | None = request.environ.get(DATABASE)
    if session is None:
        session = request.environ[DATABASE] = request.app.state.sessions()
    return session


def close_database(request: Request) -> None:
    """Give the connection back, when the response is over."""
    session: Session | None = request.environ.pop(DATABASE, None)
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
