"""The middleware of a file of settings, put around the application."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from breezeway import importer, middleware, suggest
from breezeway.config.middleware_tables import MiddlewareTable
from breezeway.config.settings import TABLE
from breezeway.errors import UsageError
from breezeway.middleware.stack import unset


def wrap(application: Any, tables: Iterable[MiddlewareTable], app_dir: str) -> Any:
    """Return the application within its middleware; the first table is the outermost.

    Raises:
        UserError: a piece is not there, or an option is none or has a value that it cannot have.
    """
    for table in reversed([*tables]):
        if ":" in table.use:
            factory = importer.find(table.use, app_dir)
            with importer.users_code(f"the middleware {table.use!r}"):
                application = _make(table, factory, application)
        else:
            piece = _make(table, _piece(table))
            if getattr(piece, "application", None) is not unset:
                raise UsageError(
                    f"{table.place}: {table.use} does not go around an application.",
                    "Dispatch mounts other applications.",
                )
            application = middleware.stack(application, piece)
    return application


def _piece(table: MiddlewareTable) -> Any:
    if table.use in middleware.PIECES:
        return getattr(middleware, table.use)
    plain = table.use.lower().replace("_", "")
    named = {name.lower(): name for name in middleware.PIECES}
    if plain in named:
        hint = f"Did you mean {named[plain]!r}?"
    else:
        hint = suggest.near(table.use, middleware.PIECES)
    hint = hint or "A piece of your own is named as MODULE:NAME."
    raise UsageError(f"{table.place}: there is no middleware {table.use!r}.", hint)


def _make(table: MiddlewareTable, factory: Any, *application: Any) -> Any:
    """Call what makes the piece, with the options of its table."""
    _check_names(table, factory, application)
    try:
        return factory(*application, **table.options)
    except ValueError as error:
        raise UsageError(f"{table.place}: {table.use}: {error}.") from None


def _check_names(table: MiddlewareTable, factory: Any, application: tuple[Any, ...]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # C code does not tell
        return
    known = signature.parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    own = [name for name in known if name != "application"]
    for name in table.options:
        if name in own:
            continue
        hint = suggest.near(name, own)
        if not hint and name in {row.name for row in TABLE}:
            hint = f"{name} is a setting: it stands above all tables."
        message = f"{table.place}: {table.use} has no option {name!r}."
        raise UsageError(message, hint or suggest.every("Options", own))
    try:
        signature.bind(*application, **table.options)
    except TypeError as error:
        raise UsageError(f"{table.place}: {table.use}: {error}.") from None
