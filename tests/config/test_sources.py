"""Where settings come from, which source wins, and what happens when one is wrong."""

import os

import pytest

from breezeway.config import sources
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import UsageError


@pytest.fixture
def resolve(tmp_path):
    """Return a function that resolves in a directory of its own; flags are keywords."""

    def function(environ=None, **flags):
        return sources.resolve(flags, {} if environ is None else environ, str(tmp_path))

    return function


class TestOrder:
    def test_nothing_given(self, resolve):
        """Without any source there are the defaults, and they say so."""
        resolved = resolve()
        assert resolved.settings == Settings()
        assert resolved.origins == {row.name: "default" for row in TABLE}
        assert (resolved.application, resolved.application_origin) == (None, "")

    def test_the_later_wins(self, resolve, tmp_path):
        """File, then environment, then flag; each origin is told."""
        (tmp_path / "breezeway.toml").write_text(
            "\n# how much\nthreads = 1\nbacklog = 1\nqueue_limit = 1\n"
        )
        environ = {"BREEZEWAY_THREADS": "2", "BREEZEWAY_BACKLOG": "2"}
        resolved = resolve(environ, threads=3)
        settings = resolved.settings
        assert (settings.threads, settings.backlog, settings.queue_limit) == (3, 2, 1)
        assert resolved.origins["threads"] == "--threads"
        assert resolved.origins["backlog"] == "BREEZEWAY_BACKLOG"
        assert resolved.origins["queue_limit"] == "breezeway.toml, line 5"
        assert resolved.origins["bind"] == "default"

    def test_repeatable_is_replaced(self, resolve, tmp_path):
        """A list of one source takes the place of another's."""
        (tmp_path / "breezeway.toml").write_text('bind = [":1", ":2"]\n')
        assert resolve().settings.bind == (":1", ":2")
        assert resolve({"BREEZEWAY_BIND": ":3, unix:x"}).settings.bind == (":3", "unix:x")
        assert resolve({"BREEZEWAY_BIND": ":3"}, bind=(":4",)).settings.bind == (":4",)

    def test_what_was_not_given_does_not_win(self, resolve):
        """None and () are options that were not given; 0 and False are values."""
        environ = {"BREEZEWAY_ACCESS_LOG": "yes", "BREEZEWAY_QUEUE_LIMIT": "5"}
        settings = resolve(environ, access_log=None, bind=(), queue_limit=0).settings
        assert settings.access_log is True
        assert settings.queue_limit == 0
        assert resolve(environ, access_log=False).settings.access_log is False

    def test_defaults_of_the_command(self, tmp_path):
        """Defaults in place of the table's are below every source, and are defaults."""
        defaults = {"access_log": True}
        resolved = sources.resolve({}, {}, str(tmp_path), defaults=defaults)
        assert resolved.settings.access_log is True
        assert resolved.origins["access_log"] == "default"
        environ = {"BREEZEWAY_ACCESS_LOG": "off"}
        resolved = sources.resolve({}, environ, str(tmp_path), defaults=defaults)
        assert resolved.settings.access_log is False

    def test_application(self, resolve, tmp_path):
        """The application has the same sources."""
        (tmp_path / "breezeway.toml").write_text('application = "a"\n')
        resolved = resolve()
        assert (resolved.application, resolved.application_origin) == (
            "a",
            "breezeway.toml, line 1",
        )
        environ = {"BREEZEWAY_APPLICATION": "b"}
        resolved = resolve(environ)
        assert (resolved.application, resolved.application_origin) == ("b", "BREEZEWAY_APPLICATION")
        resolved = resolve(environ, application="c")
        assert (resolved.application, resolved.application_origin) == ("c", "command line")

    def test_read_again(self, resolve, tmp_path):
        """Each call reads anew."""
        file = tmp_path / "breezeway.toml"
        file.write_text("threads = 1\n")
        assert resolve().settings.threads == 1
        file.write_text("threads = 2\n")
        assert resolve().settings.threads == 2


class TestFlags:
    def test_bad_value(self, resolve):
        """A value that a setting cannot have names the flag."""
        with pytest.raises(UsageError, match="Invalid value for '--threads': must be at least 1"):
            resolve(threads=0)


class TestWorkingDirectory:
    def test_symbolic_link_is_kept(self, tmp_path, monkeypatch):
        """A directory that was entered through a link keeps the link's name."""
        (tmp_path / "release").mkdir()
        (tmp_path / "current").symlink_to("release")
        monkeypatch.chdir(tmp_path / "current")
        monkeypatch.setenv("PWD", str(tmp_path / "current"))
        assert sources.working_directory() == str(tmp_path / "current")

    @pytest.mark.parametrize("pwd", ["", "/", "/nowhere", "."])
    def test_wrong_pwd_is_ignored(self, tmp_path, monkeypatch, pwd):
        """PWD counts only if it is this directory."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PWD", pwd)
        assert sources.working_directory() == os.path.realpath(tmp_path)

    def test_it_is_told(self, resolve, tmp_path):
        """The result says where relative paths start."""
        assert resolve().directory == str(tmp_path)
