"""uWSGI's static files become directories of `static`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Translate = Callable[..., tuple[dict[str, Any], str]]

OWNED = "uWSGI asked the application for what is no file; here that is 404"


@pytest.mark.parametrize(
    ("lines", "static"),
    [
        (["static-map = /static=/srv/static"], ("/static=/srv/static",)),
        (["static-map = /static/=/srv/static/"], ("/static=/srv/static/",)),
        (["static-map = /a=/b", "static-map = /c=/d"], ("/a=/b", "/c=/d")),
        (["static-map = /a=/b", "static-map = /a/=/d"], ("/a=/b",)),
        (["static-map2 = /a=/b"], ("/a=/b/a",)),
        (["static-map2 = /a/=/b/"], ("/a=/b/a",)),
        (["static-map2 = /=/b"], ("/=/b",)),
        (["check-static = /srv/public"], ("/=/srv/public",)),
        (["static-check = /srv/public"], ("/=/srv/public",)),
        (["static-map = /v1.2=/srv/v1.2.d"], ("/v1.2=/srv/v1.2.d",)),
        (["static-map = /favicon.ico=/srv/favicon.ico"], None),
        (["static-map = static=/srv/static"], None),
        (["static-map = /static"], None),
        (["static-map2 = /static"], None),
        (["static-map = /a b=/c", "check-static ="], None),
    ],
)
def test_translation(
    translate_ini: Translate, lines: list[str], static: tuple[str, ...] | None
) -> None:
    """Each prefix has one directory."""
    assert translate_ini(*lines)[0] == ({} if static is None else {"static": static})


def test_file_that_is_there(translate_ini: Translate, tmp_path: Path) -> None:
    """What is a file on this machine is one, whatever its name."""
    (tmp_path / "robots").write_text("")
    assert translate_ini(f"static-map = /robots={tmp_path}/robots")[0] == {}


@pytest.mark.parametrize(
    ("lines", "comment"),
    [
        (["static-map = /a=/b"], OWNED),
        (["check-static = /b"], "Below / the application is asked for what is no file."),
        (["check-static = /b"], "Names that begin with a dot are not served."),
        (
            ["check-static = /b", "check-static = /c"],
            "- check-static = /c: A prefix has one directory, and / has /b.",
        ),
        (["static-map = /a"], "- static-map = /a: That is no path and a directory."),
        (["static-map = /a.ico=/b.ico"], "let the application send a single file"),
        (["static-expires = x 300"], "A name with a hash in it may be kept for a year"),
        (["static-safe = /x"], "With static_symlinks, links may lead out"),
        (["check-static-docroot"], "a proxy does not choose it"),
    ],
)
def test_comments(translate_ini: Translate, lines: list[str], comment: str) -> None:
    """What is not quite the same is a comment."""
    assert comment in translate_ini(*lines)[1]


def test_root_alone_owns_nothing(translate_ini: Translate) -> None:
    """What is the same as with uWSGI needs no warning."""
    assert OWNED not in translate_ini("check-static = /b")[1]
