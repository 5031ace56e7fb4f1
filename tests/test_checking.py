"""`breezeway config` and `breezeway check`, in processes of their own."""

import json
import os
import socket
import subprocess
import sys
import tomllib

import pytest

DEADLINE = 30  # seconds

SHOP = """
def application(environ, start_response):
    return []

def make_app(name):
    return application
"""


@pytest.fixture
def directory(tmp_path):
    """Give a directory with an application in it."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def run(*args, cwd, **environ):
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "breezeway", *args],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


class TestConfig:
    def test_toml(self, directory):
        """`breezeway config` prints TOML with origins, and needs no application."""
        (directory / "breezeway.toml").write_text("threads = 3\n")
        done = run("config", "--backlog", "5", cwd=directory, BREEZEWAY_QUEUE_LIMIT="7")
        assert done.returncode == 0
        assert not done.stderr
        found = tomllib.loads(done.stdout)
        assert (found["threads"], found["backlog"], found["queue_limit"]) == (3, 5, 7)
        assert "# breezeway.toml, line 1; default: 8" in done.stdout
        assert "# BREEZEWAY_QUEUE_LIMIT; default: 1024" in done.stdout
        assert "\x1b" not in done.stdout

    def test_json(self, directory):
        """With --json it prints JSON."""
        done = run("config", "--json", "shop", cwd=directory)
        found = json.loads(done.stdout)
        assert found["application"] == {"value": "shop", "origin": "command line"}
        assert found["settings"]["threads"]["value"] == 8

    def test_mistake(self, directory):
        """A mistake is told as it would be by a start."""
        done = run("config", "--threads", "0", cwd=directory)
        assert done.returncode == 2
        assert done.stderr.startswith("breezeway: error: Invalid value for '--threads'")


class TestCheck:
    def test_good(self, directory):
        """What is right is said in a line, with what was checked; nothing is bound."""
        (directory / "breezeway.toml").write_text('application = "shop"\nthreads = 3\n')
        with socket.create_server(("127.0.0.1", 0)) as other:
            bind = f"127.0.0.1:{other.getsockname()[1]}"
            done = run("check", "--bind", bind, cwd=directory)
        assert done.returncode == 0
        assert not done.stderr
        assert done.stdout == (
            "shop can be served; 2 settings are set: --bind, breezeway.toml. Nothing was bound.\n"
        )

    def test_defaults(self, directory):
        """Without settings it says so."""
        done = run("check", "shop:make_app('toys')", cwd=directory)
        assert done.stdout == (
            "shop:make_app('toys') can be served; all settings are at their defaults."
            " Nothing was bound.\n"
        )

    @pytest.mark.parametrize(
        ("args", "code", "message"),
        [
            ([], 2, "which application shall be served?"),
            (["shop", "--threads", "0"], 2, "Invalid value for '--threads'"),
            (["shop.py"], 2, "'shop.py' is a path"),
            (["shpo"], 3, "there is no module 'shpo'"),
            (["shop:nothing"], 3, "'shop' has no attribute 'nothing'"),
            (["shop", "--after-fork", "shop:nothing"], 3, "'shop' has no attribute 'nothing'"),
            (["shop", "--before-fork", "hooks:f"], 3, "there is no module 'hooks'"),
            (["shop", "--app-dir", "nowhere"], 3, "there is no directory"),
            (["shop", "--access-log-file", "no/log", "--log-file", "log"], 2, "cannot write to "),
        ],
    )
    def test_bad(self, directory, args, code, message):
        """Mistakes have the exit codes of a start."""
        done = run("check", *args, cwd=directory)
        assert done.returncode == code
        assert not done.stdout
        assert done.stderr.startswith(f"breezeway: error: {message}")

    def test_hooks_are_not_called(self, directory):
        """A hook is found, and not called."""
        (directory / "hooks.py").write_text("def f():\n    1 / 0\n")
        done = run("check", "shop", "--after-fork", "hooks:f", cwd=directory)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
    def test_user(self, directory):
        """As root, a user that does not exist is found."""
        done = run("check", "shop", "--user", "nobody-at-all", cwd=directory)
        assert done.returncode != 0
        assert "there is no user 'nobody-at-all' (--user)" in done.stderr
