"""Which media types get smaller when they are compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from breezeway.middleware.option_checks import listed

TYPES: Final = (
    "text/*",
    "*+json",
    "*+xml",
    "*+yaml",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/sql",
    "application/toml",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
)
"""What is not compressed by its own format. SVG is `*+xml`."""


class Types:
    """A set of media types."""

    def __init__(self, types: Sequence[str]) -> None:
        """Take types such as `text/css`, `text/*` and `*+json`.

        Raises:
            ValueError: one is none.
        """
        lowered = [each.strip().lower() for each in listed("types", types)]
        for each in lowered:
            if not each.strip("*") or "*" in each[1:-1] or ("/" not in each and each[0] != "*"):
                raise ValueError(f"types are as text/css, text/* or *+json, not {each!r}")
        self._exact = frozenset(lowered)
        self._beginnings = tuple(each[:-1] for each in lowered if each[-1] == "*")
        self._endings = tuple(each[1:] for each in lowered if each[0] == "*")

    def have(self, content_type: str) -> bool:
        """Whether a Content-Type is one of them."""
        media_type = content_type.partition(";")[0].strip().lower()
        return (
            media_type in self._exact
            or media_type.startswith(self._beginnings)
            or media_type.endswith(self._endings)
        )
