"""Whatever a source says, the answer is settings or a `UserError`."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.config import environment, settings_file, sources
from breezeway.config.settings import TABLE
from breezeway.errors import UserError

NAMES = [row.name for row in TABLE]

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "0", "-1", "1e9", "30s", "10MiB", ":80", "unix:x", "/a=1", "a:b", "true"]),
)
VALUES = st.recursive(
    st.one_of(
        st.integers(),
        st.floats(),
        st.booleans(),
        TEXTS,
        st.datetimes(),
        st.just(datetime.time(1)),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def mistake(read):
    """Return the message of the mistake that `read` finds, if any."""
    try:
        read()
    except UserError as error:
        return error.message
    return None


def resolve(flags=None, environ=None):
    """Resolve without a file; return the message of the mistake, if any."""
    return mistake(lambda: sources.resolve(flags or {}, environ or {}, "/proc/self/task"))


@given(name=st.one_of(st.sampled_from([*NAMES, "application"]), st.text(max_size=12)), value=VALUES)
def test_values_of_a_file(name, value):
    """Any value of TOML under any key."""
    text = "x = 0o7\n" * 3
    message = mistake(settings_file.SettingsFile("f", text, (), {name: value}).values)
    assert message is None or message.startswith("f, line ")


@given(text=st.text(alphabet="ab=\"'[]{}.,\n #1-_tru:e", max_size=60))
def test_text_of_a_file(text):
    """Any text as a file."""
    message = mistake(lambda: settings_file._load("f", text, ()).values())
    assert message is None or message.startswith("f, line ")


@pytest.mark.parametrize("text", ["threads = " + "9" * 5000, "bind = " + "[" * 100_000, "a = 1\r"])
def test_beyond_python(text):
    """What Python cannot read is a sentence, too."""
    with pytest.raises(UserError):
        settings_file._load("f", text, ()).values()


@given(name=st.one_of(st.sampled_from(NAMES), st.text(max_size=12)), text=TEXTS)
def test_variables(name, text):
    """Any text in any variable."""
    assert resolve(environ={f"BREEZEWAY_{name.upper()}": text.replace("\0", "")}) != ""


@given(name=st.sampled_from([name for name in NAMES if name != "env_file"]), value=VALUES)
def test_flags(name, value):
    """Any value for any flag."""
    assert resolve(flags={name: value}) != ""


@given(environ=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_names_of_others(environ):
    """Other variables are of no account."""
    assert environment.values(environ, {}) == {}
    assert json.dumps(sorted(environment.without_file(environ)))
