"""The one table of settings.

Each setting is declared once, as a field of one of the parts of `Settings`: its type for the type
checker, its default, and beside them what everybody else needs, such as the unit and the sentence
for the help. `TABLE` is the same as rows of `Setting`; the command line's options are made from it.
Whoever has a `Settings` has values that were checked: there is no other way to make one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from breezeway.config import (
    admin_checks,
    checks,
    combinations,
    network_settings,
    process_settings,
    request_settings,
    tls_checks,
)
from breezeway.config.kinds import AUTO, WORKERS
from breezeway.config.network_settings import NetworkSettings
from breezeway.config.process_settings import ProcessSettings
from breezeway.config.request_settings import RequestSettings
from breezeway.config.setting import Setting
from breezeway.http1 import limits

GROUPS = (
    network_settings.LISTEN,
    network_settings.APPLICATION,
    network_settings.TLS,
    network_settings.PROXIES,
    network_settings.FILES,
    request_settings.CAPACITY,
    request_settings.CONNECTIONS,
    request_settings.TIME,
    request_settings.SIZES,
    process_settings.PROCESSES,
    process_settings.LOGGING,
    process_settings.ADMIN,
    process_settings.SERVICE,
    process_settings.DEVELOPMENT,
)
"""In the order in which the help shows them."""


@dataclass(frozen=True, kw_only=True)
class Settings(NetworkSettings, RequestSettings, ProcessSettings):
    """The settings in force; sizes in bytes, durations in seconds.

    Raises `SettingError`, a `ValueError`, for a value that a setting cannot have.
    """

    def __post_init__(self) -> None:
        workers: object = self.workers
        if workers == AUTO:  # as text it is parsed; in Python it is a value, too
            object.__setattr__(self, "workers", WORKERS.parse(AUTO))
        for setting in TABLE:
            setting.check(getattr(self, setting.name))
        tls_checks.check(self)
        combinations.check(self)
        admin_checks.check(self)

    @classmethod
    def given(cls, **values: Any) -> Settings:
        """Make those that a program gives by their names; of a repeatable one a list, or one item.

        Raises:
            TypeError: there is no setting of a name.
            SettingError: one has a value that it cannot have.
        """
        names = [row.name for row in TABLE]
        for name in values:
            if name not in names:
                from breezeway import suggest

                hint = "Say bind='HOST:PORT'." if name in ("host", "port") else ""
                hint = hint or suggest.near(name, names, 1)
                raise TypeError(f"there is no setting {name!r}. {hint}".rstrip())
        for row in TABLE:
            value = values.get(row.name)
            if row.repeatable and isinstance(value, list):
                values[row.name] = tuple(value)
            elif row.repeatable and row.kind.accepts(value):
                values[row.name] = (value,)
        return cls(**values)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Everything to listen on: `bind`, then `redirect_bind`."""
        return (*self.bind, *self.redirect_bind)

    @property
    def counts_requests(self) -> bool:
        """Whether requests are counted from the start: for whoever looks at any time."""
        return self.metrics or self.admin_bind is not None or self.statsd is not None

    @property
    def limits(self) -> limits.Limits:
        """The limits of the protocol, in the form that `breezeway.http1` takes."""
        return limits.Limits(
            request_line=self.limit_request_line,
            head=self.limit_head,
            fields=self.limit_fields,
            body=self.limit_body,
        )

    @property
    def request_timeouts(self) -> tuple[tuple[str, float], ...]:
        """Pairs of a prefix of the path and seconds, longest prefix first; "" is every path."""
        return checks.request_timeouts(self.request_timeout)


TABLE: tuple[Setting, ...] = tuple(
    sorted(
        (
            Setting(field.name, field.default, **field.metadata)
            for field in dataclasses.fields(Settings)
        ),
        key=lambda setting: GROUPS.index(setting.group),
    )
)
"""Every setting, in the order in which the help shows them."""
