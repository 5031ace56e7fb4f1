"""Settings that do nothing without another one."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.config.network_settings import FORWARDED_FIELDS
from breezeway.config.setting import SettingError
from breezeway.config.settings import Settings
from breezeway.config.sources import resolve
from breezeway.errors import UserError

ALONE: list[tuple[dict[str, Any], str]] = [
    ({"proxy_hops": 1}, "proxy_hops needs trusted_proxies"),
    ({"trusted_headers": ("forwarded",)}, "trusted_headers needs trusted_proxies"),
    ({"static_symlinks": True}, "static_symlinks needs static"),
]


@pytest.mark.parametrize(("settings", "said"), ALONE)
def test_alone(settings: dict[str, Any], said: str) -> None:
    """Each is refused without the other one."""
    with pytest.raises(SettingError, match=said) as caught:
        Settings(**settings)
    assert caught.value.name in settings


@pytest.mark.parametrize(("settings", "said"), ALONE)
def test_the_command_line_names_the_option(settings: dict[str, Any], said: str) -> None:
    """The message has the setting as it was given."""
    (name,) = settings
    with pytest.raises(UserError) as caught:
        resolve(settings, {}, "/")
    assert f"--{name.replace('_', '-')}" in caught.value.message
    assert said.partition(" ")[2] in caught.value.message


def test_together() -> None:
    """With the other one they are taken, and so is a default that is spelled out."""
    Settings(trusted_proxies=("*",), proxy_hops=2, trusted_headers=("forwarded",))
    Settings(static=("/s=d",), static_symlinks=True)
    Settings(trusted_headers=FORWARDED_FIELDS[::-1], static_symlinks=False)
