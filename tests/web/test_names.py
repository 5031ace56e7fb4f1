"""The names of `breezeway.web`: each is what it says, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import breezeway.web
from breezeway.web import LATER

FUNCTIONS = ["flash", "flashes", "redirect", "csrf_token", "json_response", "static_url"]


@pytest.mark.parametrize("name", sorted(LATER))
def test_later(name):
    """What is imported when it is asked for is there, listed, and no module."""
    assert name in dir(breezeway.web)
    assert not isinstance(getattr(breezeway.web, name), ModuleType)
    assert LATER[name] != name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_module_in_its_place(name):
    """A module that is called like a function does not take its place when it is imported later."""
    for module in sorted({*LATER.values()}):
        __import__(f"breezeway.web.{module}")
    assert callable(getattr(breezeway.web, name))


def test_star():
    """An import of all names gives all that are public, and no module beside them."""
    given: dict[str, object] = {}
    exec("from breezeway.web import *", given)
    own = {
        name
        for name, value in vars(breezeway.web).items()
        if getattr(value, "__module__", "").startswith("breezeway.web.")
    }
    assert given.keys() - {"__builtins__"} == own | LATER.keys()


def test_unknown():
    """Another name is none."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        breezeway.web.Nothing


def test_little_is_imported():
    """Who serves no files, and has no templates, loads nothing of it."""
    code = (
        "import sys, breezeway.web\n"
        "names = ('files', 'templates', 'events', 'config')\n"
        "print([name for name in names if f'breezeway.web.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
