"""docs/web/testing.md: its example for pytest runs there, and its tables name all options."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from breezeway.testing import Client
from breezeway.testing.options import Options

PAGE = (Path(__file__).parents[2] / "docs" / "web" / "testing.md").read_text(encoding="utf-8")


def test_fixture_runs(tmp_path: Any) -> None:
    """The fixture runs the test in the process and live."""
    (source,) = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_example.py").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_options_are_named() -> None:
    """Each option of a client and of a request has its row, and each is in the docstring."""
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    signature = inspect.signature(Client.__init__)
    options = {
        name for name, each in signature.parameters.items() if each.kind is each.KEYWORD_ONLY
    }
    assert options | Options.__annotations__.keys() <= rows
    assert all(f"`{name}`" in Client.__init__.__doc__ for name in options - {"follow_redirects"})
