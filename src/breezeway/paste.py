"""Paste Deploy's entry points, so that Pyramid's `pserve` runs on Breezeway.

In the ini file:

    [server:main]
    use = egg:breezeway
    bind = 127.0.0.1:6543 [::1]:6543
    threads = 16

Every setting is a key, spelled with `_` or `-`, and takes the text that its option takes on the
command line; a switch takes `true` or `false`, and a list has commas. `listen` means `bind`, as in
waitress, and `host` with `port` is the form that every Paste server knows. If the ini file sets
logging up, that stands. With `workers` the workers are forked from a process that has the application
loaded already, so that a reload makes new workers, not new code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breezeway import suggest
from breezeway.config.setting import SettingError
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import UsageError, UserError
from breezeway.gateway.types import Application

ROWS = {row.name: row for row in TABLE if row.name != "app_dir"}
"""The settings that an ini file may have: Paste Deploy itself finds the application."""

ADDRESS_KEYS = ("bind", "listen", "host", "port")


def server_factory(global_conf: Mapping[str, str], **local_conf: str) -> Callable[[Any], None]:
    """Return a function that serves the WSGI application it is given (paste.server_factory).

    Raises `SystemExit` with a sentence for a section that cannot be meant.
    """
    settings = _or_exit(read, local_conf)

    def serve(application: Application) -> None:
        if status := _or_exit(_serve, application, settings):
            raise SystemExit(status)

    return serve


def _serve(application: Application, settings: Settings) -> int:
    """Serve in this process, or with `workers` in processes that are forked from it."""
    from breezeway import serving

    if settings.workers is None:
        return serving.serve_settings(application, settings)
    return serving.supervise_settings(application, settings, "the PasteDeploy file")


def server_runner(
    application: Application, global_conf: Mapping[str, str], **local_conf: str
) -> None:
    """Serve `application` until it is stopped (paste.server_runner)."""
    server_factory(global_conf, **local_conf)(application)


def read(section: Mapping[str, str]) -> Settings:
    """Return the settings of a `[server:...]` section; raises `UsageError`."""
    texts = {key.replace("-", "_"): text for key, text in section.items()}
    addresses = {key: texts.pop(key) for key in ADDRESS_KEYS if key in texts}
    values = _bind(addresses)
    for name, text in texts.items():
        if name not in ROWS:
            hint = suggest.near(name, [*ROWS, *ADDRESS_KEYS])
            raise UsageError(f"there is no setting {name!r} for a [server] section.", hint)
        try:
            values[name] = ROWS[name].from_text(text)
        except ValueError as error:
            raise UsageError(f"{name} in the [server] section: {error}.") from None
    try:
        return Settings(**values)
    except SettingError as error:
        raise UsageError(
            f"{error.name} in the [server] section {error.reason}.", error.hint
        ) from None


def _bind(addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return `bind` as the keys for addresses have it; without any of them, nothing."""
    if not addresses:
        return {}
    if {"host", "port"}.issuperset(addresses):
        host, _, port = Settings().bind[0].rpartition(":")
        host = addresses.get("host", host)
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        specs = [f"{host}:{addresses.get('port', port)}"]
    elif len(addresses) == 1:
        specs = " ".join(addresses.values()).split()
    else:
        raise UsageError(f"{' and '.join(addresses)} in the [server] section: give one of them.")
    # Paste's servers write "*" for every address.
    return {"bind": tuple(spec.removeprefix("*") for spec in specs)}


def _or_exit(function: Callable[..., Any], *args: Any) -> Any:
    # pserve shows the text of a SystemExit, and of any other exception a traceback.
    try:
        return function(*args)
    except UserError as error:
        raise SystemExit(f"breezeway: {error.message} {error.hint}".rstrip()) from None
