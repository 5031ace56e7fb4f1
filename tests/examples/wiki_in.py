"""The wiki of the examples, with nothing in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "examples" / "wiki"

QUICK = {"n": 2, "r": 8, "p": 1}
"""Passwords need not be safe here."""


@contextmanager
def wiki_in(directory: Path, **settings: Any) -> Iterator[Any]:
    """Make a wiki that keeps everything in a directory; names that templates do not know are errors."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        from jinja2 import StrictUndefined
        from wiki import views
        from wiki.application import make_application
        from wiki.model import accounts
        from wiki.settings import Settings

        accounts.SCRYPT = QUICK
        views.templates.environment.undefined = StrictUndefined
        application = make_application(Settings(data=directory, **settings))
        yield application
        application.state.sessions.kw["bind"].dispose()  # a server has it to its end
    finally:
        sys.path.remove(str(EXAMPLE))
        for name in [name for name in sys.modules if name.partition(".")[0] == "wiki"]:
            del sys.modules[name]
