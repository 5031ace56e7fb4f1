"""What the settings of TLS must be to each other; the files themselves are for `worker.tls` to read."""

from __future__ import annotations

from breezeway.config.network_settings import NetworkSettings
from breezeway.config.setting import SettingError


def check(settings: NetworkSettings) -> None:
    """Raise `SettingError` if one setting of TLS makes no sense beside another."""
    certificates, keys = len(settings.certfile), len(settings.keyfile)
    if keys and keys != certificates:
        counts = f"{keys} for {certificates} certificate{'' if certificates == 1 else 's'}"
        raise SettingError("keyfile", f"must be there once for each certfile, not {counts}")
    if not certificates:
        for name in ("ca_certs", "redirect_bind"):
            if getattr(settings, name):
                raise SettingError(name, "needs a certfile")
    if settings.client_certs == "none":
        if settings.ca_certs:
            raise SettingError("ca_certs", "needs client_certs to be optional or required")
    elif not settings.ca_certs:
        raise SettingError("client_certs", "needs ca_certs, by which to know them")
    for spec in settings.redirect_bind:
        if spec in settings.bind:
            raise SettingError("redirect_bind", f"{spec!r} is there as bind, too")
        if spec.startswith("unix:"):
            raise SettingError("redirect_bind", f"must be no unix socket: {spec!r}")
