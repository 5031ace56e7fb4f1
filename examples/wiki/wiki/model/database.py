"""The database: a file of SQLite, its tables, and sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from wiki.model.tables import Table

WAIT_SECONDS = 5
"""For another one that is writing: SQLite has one writer at a time."""

INDEX = """
CREATE VIRTUAL TABLE IF NOT EXISTS page_index
USING fts5(title, text, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3')
"""


def open_database(path: Path) -> sessionmaker[Session]:
    """Open a database, and make it if it is not there; return what makes sessions.

    No connection stays open, so that processes may be forked afterwards.
    """
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": WAIT_SECONDS})
    event.listen(engine, "connect", _prepare)
    with engine.connect() as connection:
        # Of several processes that start at once, one makes the tables, and the others wait for it.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        Table.metadata.create_all(connection)
        connection.exec_driver_sql(INDEX)
        connection.commit()
    engine.dispose()
    return sessionmaker(engine, expire_on_commit=False)


def _prepare(connection: Any, _: Any) -> None:
    """Let readers go on while one writes, and hold references to what they say."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
