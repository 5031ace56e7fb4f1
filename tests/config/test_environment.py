"""Settings in environment variables, and files of such variables."""

import subprocess
import sys

import pytest

from breezeway.config import environment, sources
from breezeway.errors import UsageError


def values(**environ):
    """Return what variables set, without where."""
    return {name: value for name, (value, _) in environment.values(environ, {}).items()}


class TestVariables:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("threads", "16", 16),
            ("limit_body", "10MiB", 10 * 1024**2),
            ("access_log", "yes", True),
            ("access_log", "0", False),
            ("unix_mode", "660", 0o660),
            ("bind", ":1,:2", (":1", ":2")),
            ("bind", "unix:/x , :2", ("unix:/x", ":2")),
            ("request_timeout", "30s,/export=5m", ("30s", "/export=5m")),
            ("request_timeout", "", ()),
            ("root_path", "", ""),
            ("pid_file", "", None),
            ("workers", "", None),
        ],
    )
    def test_values(self, name, text, value):
        """A variable has the text of its option; lists have commas; no text may be none."""
        assert values(**{f"BREEZEWAY_{name.upper()}": text}) == {name: value}

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("THREADS", "x", "BREEZEWAY_THREADS: 'x' is not a whole number."),
            ("THREADS", "", "BREEZEWAY_THREADS: '' is not a whole number."),
            ("THREADS", "0", "BREEZEWAY_THREADS: threads must be at least 1."),
            ("ACCESS_LOG", "maybe", "BREEZEWAY_ACCESS_LOG: 'maybe' is neither true nor false."),
            ("BIND", "", "BREEZEWAY_BIND: bind '' is not an address"),
            ("BIND", ":1,,:2", "BREEZEWAY_BIND: bind '' is not an address"),
            ("LOG_LEVEL", "loud", "BREEZEWAY_LOG_LEVEL: log_level must be one of"),
        ],
    )
    def test_mistakes(self, name, text, message):
        """A bad value names the variable."""
        with pytest.raises(UsageError) as caught:
            values(**{f"BREEZEWAY_{name}": text})
        assert caught.value.message.startswith(message)

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("BREEZEWAY_THREAD", "Did you mean 'BREEZEWAY_THREADS'?"),
            ("BREEZEWAY_PORT", "Did you mean 'BREEZEWAY_BIND'?"),
            ("BREEZEWAY_threads", "Did you mean 'BREEZEWAY_THREADS'?"),
            ("BREEZEWAY_APPLICATON", "Did you mean 'BREEZEWAY_APPLICATION'?"),
            ("BREEZEWAY_XYZZY", ""),
            ("BREEZEWAY_", ""),
        ],
    )
    def test_unknown_name(self, name, hint):
        """A name that is none is an error with the nearest one."""
        with pytest.raises(UsageError) as caught:
            values(**{name: "1"})
        assert caught.value.message == f"there is no setting {name}."
        assert caught.value.hint == hint

    @pytest.mark.parametrize(
        "environ",
        [
            {"BREEZEWAY_SERVICE_HOST": "10.0.0.1", "BREEZEWAY_SERVICE_PORT": "80"},
            {"BREEZEWAY_SERVICE_PORT_HTTP": "80", "BREEZEWAY_PORT": "tcp://10.0.0.1:80"},
            {"BREEZEWAY_PORT_80_TCP": "tcp://10.0.0.1:80", "BREEZEWAY_PORT_80_TCP_ADDR": "x"},
            {"PATH": "/bin", "BREEZE": "x", "_BREEZEWAY_X": "x", "breezeway_threads": "3"},
        ],
    )
    def test_names_of_others(self, environ):
        """What Kubernetes sets for a service of this name is not ours, nor is any other name."""
        assert values(**environ) == {}

    def test_application_and_file(self, tmp_path):
        """The application and the file of settings have variables, and may be empty."""
        (tmp_path / "x.toml").write_text("threads = 3\n")
        environ = {"BREEZEWAY_CONFIG": "x.toml", "BREEZEWAY_APPLICATION": ""}
        resolved = sources.resolve({}, environ, str(tmp_path))
        assert resolved.settings.threads == 3
        assert resolved.application is None
        assert sources.resolve({}, {"BREEZEWAY_CONFIG": ""}, str(tmp_path)).settings.threads == 8


class TestEnvFile:
    @pytest.fixture
    def resolve(self, tmp_path):
        """Return a function that writes .env and resolves with it."""

        def function(text, environ):
            (tmp_path / ".env").write_text(text)
            return sources.resolve({"env_file": ".env"}, environ, str(tmp_path))

        return function

    def test_sets_variables_and_settings(self, resolve):
        """The application gets the variables; ours are settings, too, with their origin."""
        environ = {"HOME": "/root"}
        text = "# comment\nexport A='x y'\nBREEZEWAY_THREADS=3\nB=\"${A} ${HOME} ${NO:-no}\"\nC\n"
        resolved = resolve(text, environ)
        assert environ["A"] == "x y"
        assert environ["B"] == "x y /root no"
        assert "C" not in environ
        assert resolved.settings.threads == 3
        assert resolved.origins["threads"] == "BREEZEWAY_THREADS in .env"
        assert resolved.origins["env_file"] == "--env-file"

    def test_existing_variables_win(self, resolve):
        """What the process was started with stays."""
        environ = {"A": "mine", "BREEZEWAY_THREADS": "4"}
        resolved = resolve("A=1\nA=2\nB=1\nB=2\nBREEZEWAY_THREADS=3\n", environ)
        assert environ["A"] == "mine"
        assert environ["B"] == "2"
        assert resolved.settings.threads == 4
        assert resolved.origins["threads"] == "BREEZEWAY_THREADS"

    def test_read_again(self, resolve):
        """What an earlier reading has set is replaced, also in a process that inherited it."""
        environ = {"D": "mine"}
        resolve("A=1\nB=1\nD=1\nBREEZEWAY_THREADS=3\n", environ)
        inherited = dict(environ)
        resolved = resolve("A=2\nC=${A}\nD=2\n", inherited)
        assert (inherited["A"], inherited["C"], inherited["D"]) == ("2", "2", "mine")
        assert "B" not in inherited
        assert resolved.settings.threads == 8

    @pytest.mark.parametrize(
        "text", ["BREEZEWAY_THREADS=x\n", "A=2\n1 2 3\n", "BREEZEWAY_THREAD=3\n"]
    )
    def test_nothing_changes_when_something_is_wrong(self, resolve, text):
        """After a mistake the variables are those of before."""
        environ = {}
        resolve("A=1\nB=1\n", environ)
        before = dict(environ)
        with pytest.raises(UsageError):
            resolve(text, environ)
        assert environ == before

    def test_named_by_another_source(self, tmp_path):
        """The file may be named in the environment or in breezeway.toml."""
        (tmp_path / "a").write_text("BREEZEWAY_THREADS=3\n")
        (tmp_path / "b").write_text("BREEZEWAY_THREADS=4\n")
        (tmp_path / "breezeway.toml").write_text('env_file = "a"\n')
        assert sources.resolve({}, {}, str(tmp_path)).settings.threads == 3
        environ = {"BREEZEWAY_ENV_FILE": "b"}
        assert sources.resolve({}, environ, str(tmp_path)).settings.threads == 4

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("A=1\n1 2 3\n", ".env, line 2: cannot be read."),
            ("A=1\nB=\0\n", ".env, line 2: cannot be read."),
            ("'A=B'=1\n", ".env, line 1: cannot be read."),
            ("BREEZEWAY_CONFIG=x\n", ".env: BREEZEWAY_CONFIG cannot be set there"),
            ("BREEZEWAY_ENV_FILE=x\n", ".env: BREEZEWAY_ENV_FILE cannot be set there"),
            ("BREEZEWAY_THREAD=x\n", "there is no setting BREEZEWAY_THREAD in .env."),
            ("BREEZEWAY_THREADS=x\n", "BREEZEWAY_THREADS in .env: 'x' is not a whole number."),
        ],
    )
    def test_mistakes(self, resolve, text, message):
        """A mistake is told with its place."""
        with pytest.raises(UsageError) as caught:
            resolve(text, {})
        assert caught.value.message.startswith(message)

    def test_not_there(self, tmp_path):
        """A file that is named has to be there."""
        with pytest.raises(UsageError, match=r"cannot read x \(--env-file\): No such file"):
            sources.resolve({"env_file": "x"}, {}, str(tmp_path))

    def test_not_text(self, tmp_path):
        """Bytes that are no text are a sentence."""
        (tmp_path / "x").write_bytes(b"A=\xff")
        with pytest.raises(UsageError, match=r"x \(--env-file\) is not UTF-8 text"):
            sources.resolve({"env_file": "x"}, {}, str(tmp_path))

    def test_needs_the_extra(self, tmp_path):
        """Without python-dotenv the error says what to install."""
        program = (
            "import sys; sys.modules['dotenv'] = None\n"
            "from breezeway.cli import main\nmain(['demo', '--env-file', '.env'])"
        )
        (tmp_path / ".env").write_text("A=1\n")
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 2
        assert "needs python-dotenv, which is not installed" in done.stderr
        assert "pip install 'breezeway[dotenv]'" in done.stderr
