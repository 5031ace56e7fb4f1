"""Directories that settings name and that are not there: told at start, by check, and at a reload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from breezeway.config.directories import check_directories
from breezeway.config.settings import Settings
from breezeway.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"static": ("/a={here}/none",)},
            "--static /a={here}/none: there is no such directory.",
        ),
        (
            {"static": ("/a={here}", "/b={here}/file")},
            "--static /b={here}/file: that is no directory.",
        ),
        (
            {"sendfile_root": "{here}/none"},
            "--sendfile-root {here}/none: there is no such directory.",
        ),
        ({"temp_dir": "{here}/none"}, "--temp-dir {here}/none: there is no such directory."),
        (
            {"reload": True, "reload_dirs": ("{here}", "{here}/none")},
            "--reload-dirs {here}/none: there is no such directory.",
        ),
        ({"temp_dir": "{here}/file"}, "--temp-dir {here}/file: that is no directory."),
    ],
)
def test_missing(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    """The sentence names the option as it was given."""
    (tmp_path / "file").write_bytes(b"")
    filled = {
        name: tuple(each.format(here=tmp_path) for each in value)
        if isinstance(value, tuple)
        else (value.format(here=tmp_path) if isinstance(value, str) else value)
        for name, value in settings.items()
    }
    with pytest.raises(UsageError) as caught:
        check_directories(Settings(**filled))
    assert caught.value.message == message.format(here=tmp_path)
    assert caught.value.hint


def test_there(tmp_path: Path) -> None:
    """Directories that are there, in full and relative to where relative paths start."""
    (tmp_path / "www").mkdir()
    static = (f"/={tmp_path}", "/www=www")
    check_directories(Settings(static=static, sendfile_root="www"), str(tmp_path))


def test_directory_for_bodies_is_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--temp-dir has to be one where files can be made, and no file is made to find out."""
    check_directories(Settings(temp_dir=str(tmp_path)))
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:  # may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(UsageError, match="this user cannot write to it"):
        check_directories(Settings(temp_dir=str(tmp_path)))
    tmp_path.chmod(0o700)
    assert not list(tmp_path.iterdir())


def test_relative_path_is_shown_in_full(tmp_path: Path) -> None:
    """Where a relative path leads is the first thing to know."""
    with pytest.raises(UsageError) as caught:
        check_directories(Settings(static=("/a=none",)), str(tmp_path))
    assert str(tmp_path / "none") in caught.value.hint


@pytest.mark.parametrize("command", [[], ["check"]])
def test_command_line(tmp_path: Path, command: list[str]) -> None:
    """Start and check end with status 2 and the sentence."""
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    arguments = [*command, "shop:app", "--static", "/a=none", "--bind", "127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "-m", "breezeway", *arguments],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "--static /a=none: there is no such directory." in done.stderr
    assert "Traceback" not in done.stderr
