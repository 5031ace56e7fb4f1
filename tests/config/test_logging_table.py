"""The table [logging]: what is taken, and how mistakes are told, with their line."""

import json

import pytest

from breezeway.config import settings_file, sources, view
from breezeway.errors import UsageError

WHOLE = """\
threads = 3

[logging]
disable_existing_loggers = true

[logging.formatters.plain]
format = "%(message)s"

[logging.filters.request]
"()" = "breezeway.logs.RequestFilter"

[logging.handlers.mail]
class = "logging.handlers.SMTPHandler"
mailhost = "localhost"
credentials = ["me", "hidden"]
formatter = "plain"
filters = ["request"]
level = "ERROR"

[logging.loggers."shop.cart"]
level = 10
propagate = false
handlers = ["mail"]

[logging.root]
level = "INFO"
handlers = ["mail"]
"""


def read(tmp_path, text, name="breezeway.toml"):
    """Read a file."""
    (tmp_path / name).write_text(text)
    return sources.resolve({}, {}, str(tmp_path)).logging


def test_whole(tmp_path):
    """What PEP 391 has is taken as it stands."""
    table = read(tmp_path, WHOLE)
    assert table.config["version"] == 1
    assert table.config["disable_existing_loggers"] is True
    assert table.config["handlers"]["mail"]["credentials"] == ["me", "hidden"]
    assert table.logger("shop.cart")["level"] == 10
    assert table.logger("breezeway") is None
    assert table.place(("handlers", "mail")) == "breezeway.toml, line 12"


def test_none(tmp_path):
    """Without the table there is nothing."""
    assert read(tmp_path, "threads = 3") is None


def test_loggers_stay(tmp_path):
    """Unless it says otherwise, loggers that are there already are not disabled."""
    assert read(tmp_path, "[logging]").config["disable_existing_loggers"] is False


def test_in_the_project(tmp_path):
    """In pyproject.toml it stands below the table of the settings."""
    text = '[tool.breezeway.logging.root]\nlevel = "INFO"\n'
    assert read(tmp_path, text, "pyproject.toml").config["root"] == {"level": "INFO"}


MISTAKES = {
    "logging = 1": "1: logging must be a table.",
    "[logging]\nx = 1": "2: [logging] has no 'x'.",
    "[logging]\nversion = 2": "2: version is 1 or left out: there is no other.",
    "[logging]\nincremental = 1": "2: incremental must be true or false.",
    "[logging]\nhandlers = 1": "2: handlers must be tables, each with a name.",
    "[logging.handlers]\na = 1": "2: handlers.a must be a table.",
    "[logging.handlers.a]\nlevel = 1": "1: the handler 'a' has no class.",
    "[logging.handlers.a]\nclass = 1": "2: class must be the name of a class as a string.",
    '[logging.handlers.a]\nclass = "x"\nformatter = "f"': "3: there is no formatter 'f'.",
    '[logging.handlers.a]\nclass = "x"\nfilters = ["f"]': "3: there is no filter 'f'.",
    '[logging.handlers.a]\nclass = "x"\nlevel = "warn"': "3: there is no level 'warn'.",
    '[logging.loggers.a]\nhandlers = ["x"]': "2: there is no handler 'x'.",
    '[logging.loggers.a]\nhandlers = "x"': "2: handlers must be a list of names.",
    '[logging.loggers.a]\npropagate = "no"': "2: propagate must be true or false.",
    "[logging]\nroot = 1": "2: root must be a table.",
    "\n[logging.root]\n\nlevel = true": "4: there is no level True.",
    '[logging.loggers."a.b"]\nlevel = []': "2: there is no level [].",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes(tmp_path, text, message):
    """What is wrong is told with its line."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert caught.value.message == f"breezeway.toml, line {message}"


def test_hint(tmp_path):
    """A name that is misspelt is met with the right one."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, '[logging.root]\nlevel = "warning"')
    assert caught.value.hint == "Did you mean 'WARNING'?"


def test_incremental(tmp_path):
    """A table that changes what is there may name what it does not have."""
    text = '[logging]\nincremental = true\n[logging.handlers.a]\nlevel = "INFO"\n'
    assert read(tmp_path, text).config["incremental"]


def test_view_reads_back(tmp_path):
    """`breezeway config` prints it so that it can be saved, but for what may be secret."""
    (tmp_path / "breezeway.toml").write_text(WHOLE)
    resolved = sources.resolve({}, {}, str(tmp_path))
    printed = "\n".join(line for line, _ in view.as_toml(resolved))
    assert "hidden" not in printed + view.as_json(resolved)
    (tmp_path / "breezeway.toml").write_text(printed)
    again = settings_file.find(None, str(tmp_path)).logging()
    assert again.config["root"] == resolved.logging.config["root"]
    assert again.config["loggers"] == resolved.logging.config["loggers"]
    assert json.loads(view.as_json(resolved))["logging"]["handlers"]["mail"]["level"] == "ERROR"
