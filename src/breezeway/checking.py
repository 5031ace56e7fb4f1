"""`breezeway check`: whether a start would succeed, without one.

The settings were read and checked when this is called. What is left is what a start does with them:
the application and the hooks are imported, not called, the user, the group and the directories of files
are looked up, certificates and keys are read, and log files that are there are opened. No address is bound,
no file is made or written to. With `--lint` the application is called as well (`breezeway.linting`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from breezeway import importer, logging_setup
from breezeway.config.directories import check_directories
from breezeway.config.sources import DEFAULT, Resolved
from breezeway.observe import log_file
from breezeway.observe.access_options import file_of
from breezeway.worker import credentials
from breezeway.wrapping import wrap


def check(
    application: str, resolved: Resolved, *, lint: bool = False, paths: Sequence[str] = ()
) -> str:
    """Check what a start would need, and say in a line what was checked.

    With `lint` the application is asked for `/` and `paths`, too, and has to keep to PEP 3333.

    Raises:
        UserError: a start would fail with this error, or the application breaks PEP 3333.
    """
    settings = resolved.settings
    within = None
    with logging_setup.around_import(resolved.logging, settings.app_dir):
        loaded = importer.load(application, settings.app_dir)
        if lint and resolved.middleware:
            from breezeway.linting import Within

            loaded = within = Within(loaded)
        wrapped = wrap(loaded, resolved.middleware, settings.app_dir)
    for hook in (settings.before_fork, settings.after_fork):
        if hook is not None:
            importer.find_hook(hook, settings.app_dir)
    check_directories(settings)
    if settings.log_file is not None:
        log_file.check(settings.log_file, "--log-file")
    access_log_file = file_of(settings.access_log_file)
    if access_log_file is not None:
        log_file.check(access_log_file, "--access-log-file")
    if os.geteuid() == 0:  # nobody else can change the user, but may well check for one who can
        from breezeway.supervisor import privileges

        privileges.resolve(settings.user, settings.group)
    said = "".join(f"\nWarning: {each}." for each in credentials.check(settings))
    pieces = len(resolved.middleware)
    around = f" within {pieces} piece{'s' * (pieces > 1)} of middleware" if pieces else ""
    told = f"{application} can be served{around}; {_settings(resolved)}. Nothing was bound.{said}"
    if lint:
        from breezeway import linting

        told += f"\n{linting.check(wrapped, application, paths, within)}"
    return told


def _settings(resolved: Resolved) -> str:
    """Say how many settings there are from where."""
    origins = [origin.partition(", line")[0] for origin in resolved.origins.values()]
    counts = Counter(origin for origin in origins if origin != DEFAULT)
    if not counts:
        return "all settings are at their defaults"
    parts = [f"{origin} ({count})" if count > 1 else origin for origin, count in counts.items()]
    what = "setting is" if counts.total() == 1 else "settings are"
    return f"{counts.total()} {what} set: {', '.join(parts)}"
