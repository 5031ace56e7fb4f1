"""The table `[logging]` of a file of settings: a configuration for `logging.config.dictConfig` (PEP 391).

    [logging.handlers.file]
    class = "logging.handlers.WatchedFileHandler"
    filename = "shop.log"

    [logging.root]
    level = "INFO"
    handlers = ["file"]

What can be seen to be wrong without doing it is told here, with its line; `breezeway.logging_setup`
does it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from breezeway import suggest
from breezeway.errors import UsageError

KEY: Final = "logging"

VERSION: Final = 1
"""The only one that PEP 391 has; who leaves it out means it."""

SECTIONS: Final = ("formatters", "filters", "handlers", "loggers")
"""Tables of tables, each with a name."""

KEYS: Final = (*SECTIONS, "root", "version", "incremental", "disable_existing_loggers")

Place = Callable[[tuple[str, ...]], str]
"""Says where a key is, such as `breezeway.toml, line 3`."""


@dataclass(frozen=True, slots=True)
class LoggingTable:
    """A configuration that was checked as far as that goes; `place` says where a key of it is."""

    config: Mapping[str, Any]
    place: Place

    def logger(self, name: str) -> Mapping[str, Any] | None:
        """Return what it says of a logger, None if nothing."""
        found: Mapping[str, Any] | None = self.config.get("loggers", {}).get(name)
        return found


def read(found: object, place: Place) -> LoggingTable:
    """Check what a file has under `logging`.

    Raises:
        UsageError: it is no configuration.
    """
    if not isinstance(found, dict):
        _fail(place, (), "logging must be a table", "It begins with [logging], or [logging.root].")
    for key in found:
        if key not in KEYS:
            hint = suggest.near(key, KEYS) or "Settings stand above all tables."
            _fail(place, (key,), f"[logging] has no {key!r}", hint)
    if found.get("version", VERSION) != VERSION:
        _fail(place, ("version",), f"version is {VERSION} or left out: there is no other")
    for key in ("incremental", "disable_existing_loggers"):
        _check_switch(place, (key,), found)
    for section in SECTIONS:
        _check_section(place, section, found.get(section, {}))
    _Check(found, place).run()
    config = {"version": VERSION, "disable_existing_loggers": False, **found}
    return LoggingTable(config, place)


def _check_section(place: Place, section: str, tables: object) -> None:
    if not isinstance(tables, dict):
        _fail(place, (section,), f"{section} must be tables, each with a name")
    for name, table in tables.items():
        if not isinstance(table, dict):
            _fail(place, (section, name), f"{section}.{name} must be a table")


def _check_switch(place: Place, path: tuple[str, ...], table: Mapping[str, Any]) -> None:
    if not isinstance(table.get(path[-1], False), bool):
        _fail(place, path, f"{path[-1]} must be true or false")


def _fail(place: Place, path: tuple[str, ...], message: str, hint: str = "") -> NoReturn:
    raise UsageError(f"{place(path)}: {message}.", hint) from None


class _Check:
    """Checks what handlers and loggers refer to."""

    def __init__(self, config: Mapping[str, Any], place: Place) -> None:
        self._config = config
        self._place = place
        # An incremental one changes what is there already, which nobody knows yet.
        self._whole = not config.get("incremental", False)

    def run(self) -> None:
        for name, handler in self._config.get("handlers", {}).items():
            self._check_handler(("handlers", name), handler)
        for name, logger in self._config.get("loggers", {}).items():
            self._check_logger(("loggers", name), logger)
        root = self._config.get("root", {})
        if not isinstance(root, dict):
            _fail(self._place, ("root",), "root must be a table")
        self._check_logger(("root",), root)

    def _check_handler(self, path: tuple[str, ...], handler: Mapping[str, Any]) -> None:
        kinds = [key for key in ("class", "()") if key in handler]
        if not kinds and self._whole:
            hint = 'Write its class, as in: class = "logging.StreamHandler"'
            _fail(self._place, path, f"the handler {path[-1]!r} has no class", hint)
        for key in kinds:
            if not isinstance(handler[key], str):
                _fail(self._place, (*path, key), f"{key} must be the name of a class as a string")
        self._check_level(path, handler)
        if "formatter" in handler:
            self._check_known((*path, "formatter"), handler["formatter"], "formatters")
        self._check_list(path, handler, "filters")

    def _check_logger(self, path: tuple[str, ...], logger: Mapping[str, Any]) -> None:
        self._check_level(path, logger)
        _check_switch(self._place, (*path, "propagate"), logger)
        self._check_list(path, logger, "filters")
        self._check_list(path, logger, "handlers")

    def _check_level(self, path: tuple[str, ...], table: Mapping[str, Any]) -> None:
        level = table.get("level", 0)
        names = logging.getLevelNamesMapping()
        if isinstance(level, int) and not isinstance(level, bool):
            return
        if not isinstance(level, str) or level not in names:
            hint = suggest.near(str(level).upper(), names, most=1) or f"Levels: {', '.join(names)}"
            _fail(self._place, (*path, "level"), f"there is no level {level!r}", hint)

    def _check_list(self, path: tuple[str, ...], table: Mapping[str, Any], section: str) -> None:
        names = table.get(section, [])
        if not isinstance(names, list):
            _fail(self._place, (*path, section), f"{section} must be a list of names")
        for name in names:
            self._check_known((*path, section), name, section)

    def _check_known(self, path: tuple[str, ...], name: object, section: str) -> None:
        known = self._config.get(section, {})
        if name in known or not self._whole:
            return
        hint = suggest.near(str(name), known) or f"Write a table [logging.{section}.{name}]."
        _fail(self._place, path, f"there is no {section.removesuffix('s')} {name!r}", hint)
