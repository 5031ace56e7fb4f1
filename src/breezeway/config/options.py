"""The settings as options of the command line, made from the table."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from breezeway.config.kinds import FILE, SWITCH, Kind
from breezeway.config.setting import Setting
from breezeway.config.settings import TABLE


class KindType(click.ParamType):  # type: ignore[type-arg]  # generic in new releases alone
    """Reads a value of one kind; what the kind does not accept is a usage error."""

    def __init__(self, kind: Kind) -> None:
        self.name = kind.name
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the value that the text stands for."""
        try:
            return self.kind.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SettingOption(click.Option):
    """The option of one setting; without it on the command line, its value is None or ()."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        if setting.kind is SWITCH:
            flags = f"{setting.flag}/--no-{setting.flag.removeprefix('--')}"
            super().__init__([flags], default=None, help=_help(setting))
        else:
            super().__init__(
                [setting.flag],
                type=KindType(setting.kind),
                metavar=setting.kind.name,
                multiple=setting.repeatable,
                help=_help(setting),
            )


def _help(setting: Setting) -> str:
    text = setting.doc
    if setting.choices:
        text += f" One of {', '.join(setting.choices)}."
    if setting.default in (None, "", ()):
        return text
    values = setting.default if setting.repeatable else (setting.default,)
    return f"{text} [default: {', '.join(map(setting.kind.show, values))}]"


def options(*, without: tuple[str, ...] = (), **defaults: object) -> list[click.Parameter]:
    """Make the options of all settings but those named; `defaults` changes what the help says."""
    return [
        SettingOption(dataclasses.replace(row, default=defaults.get(row.name, row.default)))
        for row in TABLE
        if row.name not in without
    ]


def config() -> click.Option:
    """Make the option that names the file of settings."""
    return click.Option(
        ["--config"],
        metavar=FILE.name,
        help="File of settings, instead of breezeway.toml or pyproject.toml in this directory.",
    )
