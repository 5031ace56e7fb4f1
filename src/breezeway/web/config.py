"""Configuration: from a TOML file and the environment into a dataclass of the application's.

    @dataclass(frozen=True)
    class Config:
        name: str
        database: Database          # a dataclass, a table of the file
        key: Secret

    config = load_config(Config, "shop.toml", env_prefix="SHOP_")

It is read in two steps, first into values of their types and then into objects. In no frame in which code
of the application runs (the checks of its dataclasses; of those in lists already in the first step) a
variable has the text of a secret: error pages show variables.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import json
import os
import pathlib
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from breezeway.web.config_file import Path, read
from breezeway.web.conversion import check_made, hints_of, kind_of
from breezeway.web.kinds import At, EnoughError, Faults, Kind, Wrong
from breezeway.web.secret import Secret

C = TypeVar("C")

_PREFIX: Final = re.compile(r"(?:[A-Z][A-Z0-9_]*_)?")

# What Kubernetes and Docker set for a service that is called as the prefix is.
_FOREIGN: Final = re.compile(
    r".*(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)\w*)?)"
)
_LINK: Final = re.compile(r"(?:tcp|udp|sctp)://")

_ABSENT: Final = object()

_FROM_FILE: Final = "_FILE"
"""After the variable of a secret: the path of a file with it, as containers get them."""


class ConfigError(ValueError):
    """A configuration is wrong; `faults` are all that is, each with its place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load_config(
    kind: type[C],
    path: str | os.PathLike[str] | None = None,
    *,
    env_prefix: str = "",
    environ: Mapping[str, str] | None = None,
) -> C:
    """Return an object of the dataclass `kind` from a TOML file and the environment, which goes first.

    A member `url` of a member `database` is the key `url` of the table `[database]`, and the variable
    `SHOP_DATABASE_URL` with `env_prefix` "SHOP_". Without a prefix the environment is left alone. Lists
    in a variable are JSON, or texts with commas between. A `Secret` may also be in a file that
    `SHOP_KEY_FILE` names. `path` None: there is no file.

    Raises:
        ConfigError: values are missing or wrong, keys or variables are not known, the file is none. It
            lists everything, and has no value of a secret in it.
        TypeError: `kind` is no dataclass, or a member has a type that there is nothing for.
        ValueError: the prefix is none.
    """
    if not _PREFIX.fullmatch(env_prefix):
        raise ValueError(f"env_prefix is in capitals and ends with _, not {env_prefix!r}")
    table = _table(kind, (), env_prefix)
    faults: list[str] = []
    reading = _Reading(path, env_prefix, environ, faults)
    environ = None  # variables of this frame are shown if code of the application fails in it
    tree = reading.values(table)
    if not faults:
        found = _built(table, tree, faults)
    if faults:
        raise ConfigError(faults)
    made: C = found
    return made


# --- what there can be -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Leaf:
    """A member that is one value."""

    path: Path
    variable: str
    is_required: bool
    is_secret: bool
    from_text: Callable[[str], Any]
    from_toml: Callable[[Any, Faults], Any]


@dataclass(frozen=True)
class _Table:
    """A member that is a dataclass."""

    path: Path
    kind: Any
    is_required: bool
    members: dict[str, _Leaf | _Table] = field(default_factory=dict)

    def leaves(self) -> Iterator[_Leaf]:
        """Go over all values below."""
        for member in self.members.values():
            if isinstance(member, _Table):
                yield from member.leaves()
            else:
                yield member


def _table(
    kind: Any, path: Path, prefix: str, *, is_required: bool = True, around: tuple[Any, ...] = ()
) -> _Table:
    """Look at a dataclass; `around` are those that it is within."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"a configuration is a dataclass, not {kind!r}")
    hints = hints_of(kind, kind.__qualname__)
    table = _Table(path, kind, is_required)
    for each in dataclasses.fields(kind):
        if not each.init:
            continue
        below = (*path, each.name)
        has_default = (
            each.default is not dataclasses.MISSING
            or each.default_factory is not dataclasses.MISSING
        )
        annotation = _without_none(hints[each.name])
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            if annotation in (*around, kind):
                raise TypeError(f"{'.'.join(below)} is within itself")
            inner = _table(
                annotation, below, prefix, is_required=not has_default, around=(*around, kind)
            )
            table.members[each.name] = inner
        else:
            table.members[each.name] = _leaf(annotation, below, prefix, not has_default)
    check_made(kind, table.members)
    if not path:
        _check_variables(table)
    return table


def _check_variables(table: _Table) -> None:
    """Raise TypeError if one variable could mean two members."""
    by_variable: dict[str, str] = {}
    for leaf in table.leaves():
        name = ".".join(leaf.path)
        for variable in _variables(leaf):
            other = by_variable.setdefault(variable, name)
            if other != name:
                raise TypeError(f"{other} and {name} would both be the variable {variable}")


def _variables(leaf: _Leaf) -> list[str]:
    return [leaf.variable, leaf.variable + _FROM_FILE] if leaf.is_secret else [leaf.variable]


def _without_none(annotation: Any) -> Any:
    """Return what an annotation is beside None, which neither TOML nor a variable can say."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        others = [each for each in typing.get_args(annotation) if each is not type(None)]
        if len(others) == 1:
            return others[0]
    return annotation


def _leaf(annotation: Any, path: Path, prefix: str, is_required: bool) -> _Leaf:
    try:
        kind = _kind(annotation)
    except TypeError as error:
        name = ".".join(path)
        raise TypeError(f"{name} cannot be of type {annotation!r}: {error}") from None
    variable = prefix + "_".join(path).upper()

    def from_toml(value: Any, faults: Faults) -> Any:
        return kind.from_json(_as_json(value), "", faults)

    return _Leaf(path, variable, is_required, annotation is Secret, _from_text(kind), from_toml)


def _kind(annotation: Any) -> Kind:
    """Return the kind of a value: as for an argument of a handler, and what only a configuration has.

    A path or a secret is nothing that a request should be able to give.
    """
    if annotation in (Secret, pathlib.Path):
        return _of_text(annotation)
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in (list, tuple, set, frozenset) and {*arguments} <= {Secret, pathlib.Path, Ellipsis}:
        return _of_several(origin, _kind(arguments[0]))
    return kind_of(annotation)


def _of_text(make: Callable[[str], Any]) -> Kind:
    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if isinstance(value, str):
            return make(value)
        faults.add("", at, "must be a string")
        return None

    return Kind({"type": "string"}, from_json, make)


def _of_several(origin: type, item: Kind) -> Kind:
    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if isinstance(value, list):
            return origin(item.from_json(each, (at, n), faults) for n, each in enumerate(value))
        faults.add("", at, "must be a list")
        return None

    return Kind({"type": "array", "items": item.schema}, from_json, item=item, collect=origin)


def _from_text(kind: Kind) -> Callable[[str], Any]:
    """Return how a variable is read; it raises Wrong."""
    if kind.from_text is not None:
        return kind.from_text
    item = kind.item.from_text if kind.item is not None else None

    def from_text(text: str) -> Any:
        stripped = text.strip()
        if item is not None and not stripped.startswith("["):
            return kind.collect(
                [item(each.strip()) for each in text.split(",")] if stripped else []
            )
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            raise Wrong("must be JSON") from None
        faults = Faults()
        try:
            made = kind.from_json(value, "", faults)
        except EnoughError:
            made = None
        if faults:
            raise Wrong(_said(faults))
        return made

    return from_text


def _said(faults: Faults) -> str:
    return ", ".join(f"{each.at[1:].replace('/', '.')} {each.says}".strip() for each in faults)


def _as_json(value: Any) -> Any:
    """Write times, which TOML has and JSON has not, as kinds read them."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list) else value


# --- reading ---------------------------------------------------------------------------------------------


class _Reading:
    """One reading of file and environment into values; whatever is wrong goes into `faults`."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        prefix: str,
        environ: Mapping[str, str] | None,
        faults: list[str],
    ) -> None:
        self._file = "" if path is None else os.path.basename(os.fspath(path))
        self._document: dict[str, Any] = {}
        self._lines: dict[Path, int] = {}
        self._environ = (os.environ if environ is None else environ) if prefix else {}
        self._prefix = prefix
        self._faults = faults
        self._is_readable = True
        if path is not None:
            self._document, self._lines, wrong = read(os.fspath(path))
            if wrong:
                self._is_readable = False
                faults.append(wrong)

    def values(self, table: _Table) -> dict[str, Any]:
        """Return the values of all members that there are, tables as dictionaries."""
        found = self._values(table)
        known = {variable for leaf in table.leaves() for variable in _variables(leaf)}
        for name in sorted(self._environ):
            if name.startswith(self._prefix) and name not in known and not _FOREIGN.fullmatch(name):
                self._faults.append(f"{name} is not known{_meant(name, known)}")
        return found

    def _values(self, table: _Table) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in table.members.items():
            if not isinstance(member, _Table):
                self._value(member, found)
            elif not isinstance(self._given(member.path, {}), dict):
                self._tell(member.path, "must be a table")
            elif member.is_required or self._given(member.path) or self._has_variable(member):
                found[name] = self._values(member)
        for name in self._given(table.path, {}):
            if name not in table.members:
                self._tell((*table.path, name), f"is not known{_meant(name, table.members)}")
        return found

    def _given(self, path: Path, default: Any = None) -> Any:
        """Return what the file has there, a value or a table."""
        found: Any = self._document
        for name in path:
            if name not in found:
                return default
            found = found[name]
        return found

    def _has_variable(self, table: _Table) -> bool:
        return any(name in self._environ for leaf in table.leaves() for name in _variables(leaf))

    def _value(self, leaf: _Leaf, found: dict[str, Any]) -> None:
        name, variable = leaf.path[-1], leaf.variable
        text = self._environ.get(variable)
        if text is not None and _LINK.match(text) and _FOREIGN.fullmatch(variable):
            text = None
        file = self._environ.get(variable + _FROM_FILE) if leaf.is_secret else None
        if text is not None and file is not None:
            self._faults.append(f"{variable} and {variable}{_FROM_FILE} are both there")
        elif text is not None:
            self._from_variable(leaf, text, found)
        elif file is not None:
            self._from_file(leaf, file, found)
        elif self._given(leaf.path, _ABSENT) is not _ABSENT:
            faults = Faults()
            try:
                found[name] = leaf.from_toml(self._given(leaf.path), faults)
            except EnoughError:
                pass
            for each in faults:
                self._tell((*leaf.path, *each.at.split("/")[1:]), each.says)
        elif leaf.is_required and self._is_readable:
            ways = [f"as {'.'.join(leaf.path)} in {self._file}"] if self._file else []
            ways += [f"as {variable} in the environment"] if self._prefix else []
            self._faults.append(
                f"{'.'.join(leaf.path)} is missing: set it {' or '.join(ways)}".strip()
            )

    def _from_variable(self, leaf: _Leaf, text: str, found: dict[str, Any]) -> None:
        try:
            found[leaf.path[-1]] = leaf.from_text(text)
        except Wrong as error:
            self._faults.append(f"{leaf.variable} {error}")

    def _from_file(self, leaf: _Leaf, path: str, found: dict[str, Any]) -> None:
        try:
            with open(path, encoding="utf-8") as file:
                found[leaf.path[-1]] = leaf.from_text(file.read().rstrip("\r\n"))
        except UnicodeDecodeError:
            self._faults.append(f"{leaf.variable}{_FROM_FILE}: {_shown(path)} is not UTF-8 text")
        except (OSError, ValueError) as error:  # a path has no NUL
            why = error.strerror if isinstance(error, OSError) else "no file is called so"
            self._faults.append(
                f"{leaf.variable}{_FROM_FILE}: {_shown(path)} cannot be read: {why}"
            )

    def _tell(self, path: Path, says: str) -> None:
        """Note what is wrong with a key, and where it stands."""
        at = path
        while at and at not in self._lines:
            at = at[:-1]
        line = f", line {self._lines[at]}" if at else ""
        self._faults.append(f"{self._file}{line}: {'.'.join(path)} {says}")


def _shown(path: str) -> str:
    """Return a path for a message, unless it could be a secret that somebody took for its file."""
    return path if path.startswith(("/", "./", "../", "~")) else "what it names"


def _meant(name: str, names: Any) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


# --- making ----------------------------------------------------------------------------------------------


def _built(table: _Table, tree: dict[str, Any], faults: list[str]) -> Any:
    """Make the objects, the inner ones first; a ValueError of their own checks is a fault."""
    found = dict(tree)
    for name, member in table.members.items():
        if isinstance(member, _Table) and name in tree:
            found[name] = _built(member, tree[name], faults)
    if faults:
        return None
    try:
        return table.kind(**found)
    except ValueError as error:
        faults.append(f"{'.'.join(table.path) or table.kind.__name__}: {error}")
        return None
