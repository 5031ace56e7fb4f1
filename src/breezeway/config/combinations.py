"""Settings that do nothing without another one: to set one alone is a mistake, and is told."""

from __future__ import annotations

from breezeway.config.network_settings import FORWARDED_FIELDS, NetworkSettings
from breezeway.config.setting import SettingError


def check(settings: NetworkSettings) -> None:
    """Raise `SettingError` if a setting would silently do nothing."""
    if not settings.trusted_proxies:
        if settings.proxy_hops is not None:
            raise SettingError("proxy_hops", "needs trusted_proxies, whose hops it counts")
        if set(settings.trusted_headers) != {*FORWARDED_FIELDS}:
            raise SettingError("trusted_headers", "needs trusted_proxies, who set them")
    if settings.static_symlinks and not settings.static:
        raise SettingError("static_symlinks", "needs static, the directories that it is about")
