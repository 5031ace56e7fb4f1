"""`[logging]` of a file of settings, put in force: for the application's loggers, and for ours.

Our log stays what it is, whatever happens to `logging`, unless the table names the logger `breezeway`.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator

from breezeway import importer
from breezeway.config.logging_table import LoggingTable
from breezeway.errors import UsageError
from breezeway.observe import logs

_WHAT = re.compile(r"Unable to configure (formatter|filter|handler|logger) '(.*)'")


@contextlib.contextmanager
def around_import(table: LoggingTable | None, app_dir: str) -> Iterator[None]:
    """Put a table in force, and keep our log alive while the application is imported within this.

    Raises:
        UsageError: `logging` does not take it.
    """
    if table is not None:
        with logs.kept(table.logger(logs.ROOT)):
            _configure(table, app_dir)
    try:
        yield
    finally:
        logs.revive()


def _configure(table: LoggingTable, app_dir: str) -> None:
    import logging.config  # with a table alone

    importer.enter(app_dir)
    try:
        logging.config.dictConfig(copy.deepcopy({**table.config}))
    except Exception as error:
        path: tuple[str, ...] = ()
        what = "logging does not take this"
        found = _WHAT.search(str(error))
        if found:
            path = (f"{found[1]}s", found[2])
            what = f"the {found[1]} {found[2]!r} cannot be had"
        reason = error.__cause__ or error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        said = (
            str(reason) if isinstance(reason, ValueError) else f"{type(reason).__name__}: {reason}"
        )
        raise UsageError(f"{table.place(path)}: {what}: {said.rstrip('.')}.") from None
