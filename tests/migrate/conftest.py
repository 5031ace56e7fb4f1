"""What several tests of migrations need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from breezeway.migrate import migrate

from .loading import comments, load


@pytest.fixture
def translate_ini(tmp_path: Path) -> Callable[..., tuple[dict[str, object], str]]:
    """Return a function that translates options: what is set beyond the base, and the comments."""

    def function(*lines: str) -> tuple[dict[str, object], str]:
        file = tmp_path / "shop.ini"
        base = ["[uwsgi]", "disable-logging = true", "threads = 8"]
        file.write_text("\n".join([*base, *lines]))
        out = migrate(str(file))
        found = load(out, tmp_path)
        assert found.pop("threads") == 8
        return found, comments(out)

    return function
