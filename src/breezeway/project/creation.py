"""`breezeway new`: a small project that runs, and whose tests pass."""

from __future__ import annotations

import importlib.metadata
import json
import keyword
import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

from breezeway.errors import UsageError, UserError

SUFFIX: Final = ".in"
"""Of files of a template, so that no tool takes them for files of ours."""

DOT: Final = "dot-"
"""Stands before the name of a file that is hidden in the project."""

PLACEHOLDER: Final = "@name@"
PLACEHOLDER_IN_CAPITALS: Final = "@NAME@"
PLACEHOLDER_OF_ORIGIN: Final = "@origin@"

NEEDED: Final = (
    *(
        "anyio",
        "breezeway",
        "click",
        "idna",
        "iniconfig",
        "jinja2",
        "markupsafe",
        "packaging",
        "pip",
    ),
    *("pluggy", "py", "pygments", "pytest", "sniffio", "test", "tests", "typing_extensions"),
    *("watchfiles",),
)
"""Modules of what the project installs: one of the same name in its directory would be found first."""

TAKEN: Final = frozenset({*sys.stdlib_module_names, *NEEDED})

FILES: Final = frozenset({"containerfile", "makefile"})
"""Of the project, beside the package."""


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option("--minimal", is_flag=True, help="One page in one file, and its test.")
def new(name: str, minimal: bool) -> int:
    """Make a small project in a directory of its own.

    It is in the directory NAME, which is the name of its Python package, too, and has pages from
    templates, a form, JSON, tests, and settings. Nothing that is there is changed.
    """
    _check(name)
    _write(name, "minimal" if minimal else "full")
    needed = "requirements.txt" if minimal else "requirements-dev.txt"
    click.echo(
        f"Made the directory {name}. In there,\n"
        f"  pip install -r {needed:<21} installs what it needs\n"
        f"  breezeway dev {'':<22} serves it on http://127.0.0.1:8000\n"
        f"  python -m pytest {'':<19} runs its tests"
    )
    return 0


def _check(name: str) -> None:
    """See whether a project can have this name.

    Raises:
        UsageError: it cannot.
    """
    if not (name.isascii() and name.isidentifier()):
        plain = re.sub(r"\W+", "_", os.path.basename(name.rstrip(os.sep)), flags=re.ASCII).strip(
            "_"
        )
        if plain[:1].isdigit():
            plain = f"site_{plain}"
        usable = plain.isidentifier() and _reason(plain) is None
        raise UsageError(
            f"{name!r} cannot be the name of a Python package: that has ASCII letters, digits and"
            " underscores, and begins with no digit.",
            f"Try: breezeway new {plain.lower()}" if usable else "",
        )
    reason = _reason(name)
    if reason is not None:
        raise UsageError(f"{name!r} {reason}.", "Choose another name.")


def _reason(name: str) -> str | None:
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a word of the Python language"
    if name.lower() in TAKEN:
        return "is the name of a module that the project needs itself, or Python does"
    if name.lower() in FILES:
        return "is the name of a file of the project"
    if name.startswith("_"):
        return "begins with an underscore, which names what is internal"
    return None


def _write(name: str, kind: str) -> None:
    """Write the files of a project, all or none.

    Raises:
        UserError: there is something already, or it cannot be written.
    """
    target = Path(name)
    made = Path(f".{name}.{os.getpid()}.new")
    try:
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise UserError(
                f"{name} is there already, and is no directory.", "Choose another name."
            )
        if target.is_dir() and any(target.iterdir()):
            raise UserError(
                f"the directory {name} is there already, and is not empty.",
                "Choose another name, or empty it.",
            )
        try:
            for path, text in _files(kind, name):
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write {name}: {error.strerror}.") from None


def _files(kind: str, name: str) -> Iterator[tuple[Path, str]]:
    """Return path and text of each file of a project."""
    for path, source in _templates(files(__package__).joinpath("template", kind), Path()):
        parts = (_filled(part.replace(DOT, ".", 1), name) for part in path.parts)
        yield Path(*parts), _filled(source.read_text("utf-8"), name)


def _templates(directory: Traversable, path: Path) -> Iterator[tuple[Path, Traversable]]:
    """Return each template below a directory, with its path in the project."""
    for each in sorted(directory.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _templates(each, path / each.name)
        elif each.name.endswith(SUFFIX):
            yield path / each.name.removesuffix(SUFFIX), each


def _filled(text: str, name: str) -> str:
    filled = text.replace(PLACEHOLDER, name).replace(PLACEHOLDER_IN_CAPITALS, name.upper())
    return filled.replace(PLACEHOLDER_OF_ORIGIN, _origin())


def _origin() -> str:
    """Return what a requirement says of where this Breezeway was installed from: nothing, of an index.

    Else the project would install what an index has by this name (PEP 610; PEP 440, direct references).
    """
    try:
        text = importlib.metadata.distribution("breezeway").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return ""
    if not text:
        return ""
    told = json.loads(text)
    vcs = told.get("vcs_info")
    url = f"{vcs['vcs']}+{told['url']}@{vcs['commit_id']}" if vcs else told["url"]
    return f" @ {url}"
