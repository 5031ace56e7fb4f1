"""The settings in force, written as TOML and as JSON."""

import json
import tomllib

import pytest

from breezeway.config import sources, toml_text, view
from breezeway.config.settings import TABLE, Settings

ROWS = {row.name: row for row in TABLE}

EVERYTHING = {
    "bind": (":1", "unix:/a b"),
    "unix_mode": 0o660,
    "backlog": 5,
    "root_path": "/ü",
    "body_memory": 1000,
    "head_timeout": 0.0015,
    "keep_alive_timeout": 1234567.25,
    "queue_timeout": 90.0,
    "workers": 3,
    "max_worker_memory": 3 * 1024**3,
    "access_log": True,
    "request_timeout": ("30s", "/x=1m"),
    "pid_file": 'a"b\\c\td\x7f',
    "user": "1000",
    "umask": 0o27,
}


def toml(resolved):
    """Return the TOML as one text."""
    return "\n".join(line for line, _ in view.as_toml(resolved))


@pytest.fixture
def resolved(tmp_path):
    """Resolve with a value of every kind from the flags, and one from a file."""
    (tmp_path / "breezeway.toml").write_text("\nthreads = 3\n")
    flags = {**EVERYTHING, "application": "shop:make_app('x')"}
    return sources.resolve(flags, {}, str(tmp_path))


class TestToml:
    def test_reads_back(self, resolved, tmp_path):
        """What is printed is a file of settings that says the same."""
        (tmp_path / "breezeway.toml").write_text(toml(resolved))
        again = sources.resolve({}, {}, str(tmp_path))
        assert again.settings == resolved.settings
        assert again.application == resolved.application

    def test_defaults_read_back(self, tmp_path):
        """So are the defaults."""
        (tmp_path / "x").write_text(toml(sources.resolve({}, {}, str(tmp_path))))
        assert sources.resolve({"config": "x"}, {}, str(tmp_path)).settings == Settings()

    def test_every_setting_has_a_line(self, resolved):
        """All settings are there, those without a value in a comment, each with its origin."""
        text = toml(resolved)
        assert all(f"\n{row.name} = " in text or f"\n# {row.name} = " in text for row in TABLE)
        assert "application = \"shop:make_app('x')\"        # command line" in text
        assert (
            "threads = 3                               # breezeway.toml, line 2; default: 8" in text
        )
        assert "backlog = 5                               # --backlog; default: 2048" in text
        assert "queue_limit = 1024                        # default" in text
        assert "# server_name =                           # default" in text

    def test_what_was_given_is_marked(self, resolved):
        """Lines that a source gave are told from the others."""
        marked = [line.split(" ")[0] for line, is_given in view.as_toml(resolved) if is_given]
        assert sorted(marked) == sorted([*EVERYTHING, "application", "threads"])


def test_json(resolved):
    """JSON has the values in plain units, with default and origin."""
    found = json.loads(view.as_json(resolved))
    assert found["application"] == {"value": "shop:make_app('x')", "origin": "command line"}
    assert list(found["settings"]) == [row.name for row in TABLE]
    assert found["settings"]["threads"] == {
        "value": 3,
        "default": 8,
        "origin": "breezeway.toml, line 2",
    }
    assert found["settings"]["bind"]["value"] == [":1", "unix:/a b"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("threads", 16, "16"),
        ("limit_body", 10 * 1024**2, '"10MiB"'),
        ("limit_body", 1000, "1000"),
        ("limit_body", 0, "0"),
        ("head_timeout", 0.5, '"500ms"'),
        ("head_timeout", 5, '"5s"'),
        ("access_log", False, "false"),
        ("unix_mode", 0o660, "0o660"),
        ("bind", (":1", ":2"), '[":1", ":2"]'),
        ("request_timeout", (), "[]"),
        ("pid_file", "\n", '"\\n"'),
    ],
)
def test_values(name, value, text):
    """A value is written as one would type it."""
    assert toml_text.value(ROWS[name], value) == text
    assert "x" in tomllib.loads(f"x = {text}")


def test_rows(resolved):
    """A page gets every setting in its group, values as text, and no secret."""
    found = view.as_rows(resolved)
    rows = {row["name"]: row for group in found["groups"] for row in group["settings"]}
    assert set(rows) == set(ROWS)
    assert (rows["umask"]["value"], rows["umask"]["given"]) == ("0o27", True)
    assert (rows["threads"]["value"], rows["threads"]["default"]) == ("3", "8")
    assert rows["threads"]["origin"] == "breezeway.toml, line 2"
    assert not rows["queue_limit"]["given"]
    assert rows["admin_bind"]["value"] is None
    assert json.loads(json.dumps(found)) == found
