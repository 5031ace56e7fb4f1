"""Load what a migration printed, with the sources that a start reads."""

from __future__ import annotations

from pathlib import Path

from breezeway.config import sources
from breezeway.config.settings import TABLE
from breezeway.config.sources import DEFAULT


def load(text: str, directory: Path) -> dict[str, object]:
    """Return the settings that a breezeway.toml with this text sets, and the application if any."""
    (directory / "breezeway.toml").write_text(text, encoding="utf-8")
    resolved = sources.resolve({}, {}, str(directory))
    found: dict[str, object] = {
        row.name: getattr(resolved.settings, row.name)
        for row in TABLE
        if resolved.origins[row.name] != DEFAULT
    }
    if resolved.application is not None:
        found["application"] = resolved.application
    return found


def comments(text: str) -> str:
    """Return the comments of a file as one line, for a search."""
    lines = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    return " ".join(lines)
