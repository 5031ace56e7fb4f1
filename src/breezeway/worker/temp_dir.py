"""Where large request bodies are kept: what is wrong with the directory, and what becomes of a body."""

from __future__ import annotations

import errno
import os
from typing import Final

from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.http1.errors import ProtocolError

_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Of the process or the system, not of the disk: over in a moment, perhaps."""


def check(settings: Settings) -> None:
    """Look whether files can be made in `--temp-dir`, as far as that can be known without making one.

    Raises:
        UsageError: they cannot.
    """
    directory = settings.temp_dir
    if directory is None:
        return
    if not os.path.isdir(directory):
        reason = "is not a directory" if os.path.exists(directory) else "does not exist"
    elif not os.access(directory, os.W_OK | os.X_OK):
        reason = "cannot be written to"
    else:
        return
    raise UsageError(f"--temp-dir {directory} {reason}: large request bodies are kept there.")


def refusal(error: OSError) -> ProtocolError:
    """Return what a client gets whose body could not be kept.

    507 (RFC 4918 section 11.5) for everything that a disk may say: it is full (ENOSPC), the user has
    used up a quota (EDQUOT) or may not have larger files (EFBIG), it is read-only, or fails.
    """
    if error.errno in _NO_ROOM:
        return ProtocolError(503, "the server is busy; try again in a moment")
    return ProtocolError(507, "the server has no room for the request body")
