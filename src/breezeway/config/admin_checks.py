"""The admin listener: who can reach it, and what that takes."""

from __future__ import annotations

from typing import Final

from breezeway.config import address
from breezeway.config.address import TcpAddress, UnixAddress
from breezeway.config.process_settings import ProcessSettings
from breezeway.config.setting import SettingError

WHAT_TO_DO: Final = (
    "Set admin_token in the settings file, or BREEZEWAY_ADMIN_TOKEN, to a long random text; or listen on"
    " this machine alone, such as --admin-bind 127.0.0.1:9300."
)


def check(settings: ProcessSettings) -> None:
    """Raise `SettingError` if strangers could look in, or if a setting would do nothing."""
    spec = settings.admin_bind
    if spec is None:
        for name in ("admin_token", "admin_hosts"):
            if getattr(settings, name):
                raise SettingError(name, "needs admin_bind, the address that it is about")
    elif settings.admin_token is None and not is_local(spec):
        raise SettingError(
            "admin_bind",
            f"needs admin_token (--admin-token), for other machines can reach {spec}",
            WHAT_TO_DO,
        )


def is_local(spec: str) -> bool:
    """Whether nobody beyond this machine can reach an address."""
    where = address.parse(spec)
    if isinstance(where, UnixAddress):
        return True
    if not isinstance(where, TcpAddress) or where.host is None:
        return False
    return is_loopback(where.host)


def is_loopback(host: str) -> bool:
    """Whether a name (`localhost` and what is below it, RFC 6761) or an address is this machine."""
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    import ipaddress  # here alone, since few have a listener for operators

    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
