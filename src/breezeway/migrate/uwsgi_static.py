"""uWSGI's static files: directories by prefix (`static-map`), or for every path (`check-static`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from breezeway.config import checks
from breezeway.migrate.page import Page

NAMES: Final = ("check-static", "static-map", "static-map2")

EVERY_PATH: Final = "/"
"""The prefix that leaves to the application what is no file."""


def translate(values: Mapping[str, Sequence[str]], page: Page) -> None:
    """Set the directories of static files."""
    found: dict[str, str] = {}
    for old, prefix, directory in _mounts(values):
        spec = f"{prefix}={directory}"
        try:
            checks.statics((spec,))
        except ValueError:
            page.advise(old, "That is no path and a directory.")
            continue
        if _is_file(prefix, directory):
            page.advise(old, "A prefix has a directory; let the application send a single file.")
        elif prefix in found:
            page.advise(old, f"A prefix has one directory, and {prefix} has {found[prefix]}.")
        else:
            found[prefix] = directory
    specs = tuple(f"{prefix}={path}" for prefix, path in found.items())
    if not specs or not page.set("static", specs):
        return
    if found.keys() - {EVERY_PATH}:
        page.comment(
            "static",
            "What is below a prefix is the server's: uWSGI asked the application for what is no"
            " file; here that is 404, and another method than GET, HEAD and OPTIONS is 405.",
        )
    if EVERY_PATH in found:
        page.comment("static", "Below / the application is asked for what is no file.")
    page.comment("static", "Names that begin with a dot are not served.")


def _mounts(values: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    """Yield the old option, the prefix, and the directory of each; "" for what is missing."""
    for name in NAMES:
        for value in values.get(name, ()):
            if name == "check-static":
                prefix, directory = EVERY_PATH, value
            else:
                prefix, _, directory = value.partition("=")
                prefix = prefix.rstrip("/") or prefix[:1]
                if name == "static-map2" and directory:
                    directory = (directory.rstrip("/") + prefix).rstrip("/") or "/"
            yield f"{name} = {value}", prefix, directory


def _is_file(prefix: str, path: str) -> bool:
    """Tell whether a file is mapped, such as /favicon.ico; it need not be on this machine."""
    if os.path.isfile(path):
        return True
    extension = os.path.splitext(path)[1]
    return extension != "" and os.path.splitext(prefix)[1] == extension
