"""One row of the table of settings: everything about a setting but its value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from breezeway.config.kinds import Kind

ENV_PREFIX = "BREEZEWAY_"

T = TypeVar("T")


class SettingError(ValueError):
    """A value that a setting cannot have; its text is a sentence that names the setting.

    `hint` (may be empty) says what to do about it.
    """

    def __init__(self, name: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: everything about a setting but its value.

    `least` and `most` are inclusive and in the unit of `kind`; `choices` holds all the values
    that there are, unless it is empty. A `repeatable` setting's value is a tuple, which may be empty
    if that is its default. `form` checks what is special to this setting (`breezeway.config.checks`).
    A `secret` one is shown nowhere. `since` is the first release that has the setting.
    """

    name: str
    default: Any
    kind: Kind
    group: str
    doc: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    form: Callable[[Any], object] | None = None
    secret: bool = False
    since: str = "0.1"

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """The environment variable."""
        return ENV_PREFIX + self.name.upper()

    def from_text(self, text: str) -> Any:
        """Read the whole value from one text, such as an environment variable; raise `ValueError`.

        The items of a repeatable setting have commas between them. No text at all is None or no
        items, for a setting that can be that.
        """
        if not text.strip() and self.default in (None, ()):
            return self.default
        if self.repeatable:
            return tuple(self.kind.parse(item.strip()) for item in text.split(","))
        return self.kind.parse(text)

    def check(self, value: Any) -> None:
        """Raise `SettingError` unless the setting can have this value."""
        if value is None and self.default is None:
            return
        if not self.repeatable:
            self._check_one(value)
        elif not isinstance(value, tuple) or len(value) < len(self.default[:1]):
            raise SettingError(self.name, f"must be a tuple of at least one, not {value!r}")
        else:
            for item in value:
                self._check_one(item)
        if self.form is not None:
            try:
                self.form(value)
            except ValueError as error:
                raise SettingError(self.name, str(error)) from None

    def _check_one(self, value: Any) -> None:
        kind = self.kind
        if not kind.accepts(value):
            found = "another value" if self.secret else repr(value)
            raise SettingError(self.name, f"must be {kind.noun}, not {found}")
        if self.choices and value not in self.choices:
            allowed = ", ".join(self.choices)
            raise SettingError(self.name, f"must be one of {allowed}, not {value!r}")
        if self.least is not None and value < self.least:
            raise SettingError(self.name, f"must be at least {kind.show(self.least)}")
        if self.most is not None and value > self.most:
            raise SettingError(self.name, f"must be at most {kind.show(self.most)}")


def setting(default: T, kind: Kind, group: str, doc: str, **more: Any) -> T:
    """Declare a setting as a field of a dataclass; the arguments are those of `Setting`."""
    row = {"kind": kind, "group": group, "doc": doc, **more}
    return dataclasses.field(default=default, metadata=row, repr=not more.get("secret"))
