"""The manifest of a collected directory: which fingerprinted name each file has.

`breezeway collect` writes it and `Static` reads it. It is JSON, so that anything else can read it, too:

    {"version": 1,
     "files": {"css/site.css": {"name": "css/site.3f2a9c1b7d04.css", "size": 1234,
                                "integrity": "sha384-...", "encodings": {"gzip": 456}}}}
"""

from __future__ import annotations

import json
from typing import Any, Final

NAME: Final = "breezeway-manifest.json"
"""In the directory that it is about; it is not served."""

VERSION: Final = 1


def read(path: str) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each file: its `name`, and more.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no manifest, or one that only a later version understands.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        manifest = json.loads(text)
        version, files = manifest["version"], manifest["files"]
        names = {name: each["name"] for name, each in files.items()}
        sound = all(isinstance(name, str) for name in names.values())
    except (ValueError, TypeError, KeyError, AttributeError):
        sound, version = False, None
    if not sound:
        raise ValueError(f"{path} is no manifest of breezeway collect")
    if version != VERSION:
        raise ValueError(f"{path} has version {version!r}; this Breezeway reads version {VERSION}")
    return dict(files)
