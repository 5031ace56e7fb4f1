"""The directories of files that settings name: they have to be there before the server starts."""

from __future__ import annotations

import os

from breezeway.config.checks import statics
from breezeway.config.settings import Settings
from breezeway.errors import UsageError


def check_directories(settings: Settings, directory: str = "") -> None:
    """Want the directories of settings to be there, and that of --temp-dir to be writable.

    No file is made to find out. `directory` is where relative paths start.

    Raises:
        UsageError: one is not.
    """
    wanted = [(f"--static {prefix}={path}", path) for prefix, path in statics(settings.static)]
    if settings.sendfile_root is not None:
        wanted.append((f"--sendfile-root {settings.sendfile_root}", settings.sendfile_root))
    if settings.temp_dir is not None:
        wanted.append((f"--temp-dir {settings.temp_dir}", settings.temp_dir))
    if settings.reload:
        wanted += [(f"--reload-dirs {path}", path) for path in settings.reload_dirs]
    for what, path in wanted:
        place = os.path.join(directory, path)
        if os.path.isdir(place):
            if path != settings.temp_dir or os.access(place, os.W_OK | os.X_OK):
                continue
            problem = "this user cannot write to it"
        elif os.path.exists(place):
            problem = "that is no directory"
        else:
            problem = "there is no such directory"
        hint = "Put that right before the server starts, or correct the setting."
        if not os.path.isabs(path):
            hint = f"In full that is {os.path.abspath(place)}."
        raise UsageError(f"{what}: {problem}.", hint)
