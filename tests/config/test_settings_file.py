"""breezeway.toml and pyproject.toml: what is found, what is read, how mistakes are told."""

import pytest

from breezeway.config import settings_file
from breezeway.config.settings_file import line_of
from breezeway.errors import UsageError


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the text of a breezeway.toml."""

    def function(text, name="breezeway.toml"):
        (tmp_path / name).write_text(text)
        return settings_file.find(None, str(tmp_path)).values()

    return function


@pytest.fixture
def mistake(read):
    """Return a function that reads text in vain: what is wrong, and the hint."""

    def function(text, name="breezeway.toml"):
        with pytest.raises(UsageError) as caught:
            read(text, name)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return caught.value.message, caught.value.hint

    return function


class TestFind:
    def test_none(self, tmp_path):
        """Without a file there is none."""
        assert settings_file.find(None, str(tmp_path)) is None

    @pytest.mark.parametrize("text", ["[project]\n", "[tool.black]\n", "syntax error"])
    def test_project_without_us(self, tmp_path, text):
        """A pyproject.toml that does not mention us is not read."""
        (tmp_path / "pyproject.toml").write_text(text)
        assert settings_file.find(None, str(tmp_path)) is None

    def test_project_that_mentions_us(self, read):
        """A pyproject.toml without the table has no settings."""
        assert read('[project]\ndependencies = ["breezeway"]\n', "pyproject.toml") == {}

    def test_project(self, read):
        """In pyproject.toml the table [tool.breezeway] counts."""
        text = '[project]\nname = "x"\n[tool.breezeway]\nthreads = 3\n[tool.x]\nthreads = 4\n'
        assert read(text, "pyproject.toml") == {"threads": 3}

    def test_own_file_comes_first(self, tmp_path):
        """breezeway.toml makes pyproject.toml of no account."""
        (tmp_path / "pyproject.toml").write_text("[tool.breezeway]\nthreads = 3\n")
        (tmp_path / "breezeway.toml").write_text("backlog = 4\n")
        assert settings_file.find(None, str(tmp_path)).values() == {"backlog": 4}

    @pytest.mark.parametrize(
        ("name", "text"), [("x", "threads = 3"), ("a/pyproject.toml", "tool.breezeway.threads = 3")]
    )
    def test_path(self, tmp_path, name, text):
        """A file can be named, and is what its name says."""
        (tmp_path / "a").mkdir()
        (tmp_path / name).write_text(text)
        assert settings_file.find(name, str(tmp_path)).values() == {"threads": 3}
        assert settings_file.find(str(tmp_path / name), "/").values() == {"threads": 3}

    def test_no_file_at_all(self):
        """/dev/null is a file without settings, which hides the one in the directory."""
        assert settings_file.find("/dev/null", ".").values() == {}

    def test_not_there(self, tmp_path):
        """A file that is named has to be there."""
        with pytest.raises(UsageError, match=r"cannot read x\.toml: No such file or directory"):
            settings_file.find("x.toml", str(tmp_path))

    def test_directory(self, tmp_path):
        """A directory is not read."""
        (tmp_path / "breezeway.toml").mkdir()
        with pytest.raises(UsageError, match=r"cannot read breezeway\.toml: Is a directory"):
            settings_file.find(None, str(tmp_path))

    def test_byte_order_mark(self, tmp_path):
        """Nor is the mark a mistake with which some editors begin a file."""
        (tmp_path / "breezeway.toml").write_bytes(b"\xef\xbb\xbfthreads = 3\n")
        assert settings_file.find(None, str(tmp_path)).values() == {"threads": 3}

    def test_not_text(self, tmp_path):
        """Neither is what is no text."""
        (tmp_path / "breezeway.toml").write_bytes(b"# \xff")
        with pytest.raises(UsageError, match=r"breezeway\.toml is not UTF-8 text"):
            settings_file.find(None, str(tmp_path))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("threads = 16", "threads", 16),
        ('threads = "16"', "threads", 16),
        ('limit_body = "10MiB"', "limit_body", 10 * 1024**2),
        ("limit_body = 1024", "limit_body", 1024),
        ('head_timeout = "500ms"', "head_timeout", 0.5),
        ("head_timeout = 2.5", "head_timeout", 2.5),
        ("access_log = true", "access_log", True),
        ('bind = [":1", ":2"]', "bind", (":1", ":2")),
        ('bind = ":1"', "bind", (":1",)),
        ("unix_mode = 0o660", "unix_mode", 0o660),
        ('unix_mode = "660"', "unix_mode", 0o660),
        ("umask = 0", "umask", 0),
        ('log_level = "INFO"', "log_level", "info"),
        ("user = 1000", "user", "1000"),
        ('request_timeout = [30, "/x=1m"]', "request_timeout", ("30", "/x=1m")),
        ("request_timeout = 30", "request_timeout", ("30",)),
        ("request_timeout = []", "request_timeout", ()),
        ('application = "shop.wsgi"', "application", "shop.wsgi"),
    ],
)
def test_values(read, text, name, value):
    """A value is what TOML has for it, or the text of its option."""
    found = read(text)[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("thread = 1", "there is no setting 'thread'", "Did you mean 'threads'?"),
        ("log-level = 1", "there is no setting 'log-level'", "Did you mean 'log_level'?"),
        ("Threads = 1", "there is no setting 'Threads'", "Did you mean 'threads'?"),
        ("host = 'x'", "there is no setting 'host'", "Did you mean 'bind'?"),
        ("processes = 3", "there is no setting 'processes'", "Did you mean 'workers'?"),
        ("aplication = 'x'", "there is no setting 'aplication'", "Did you mean 'application'?"),
        ("xyzzy = 1", "there is no setting 'xyzzy'", ""),
        ("threads = 0", "threads must be at least 1", ""),
        ("threads = 1.5", "threads must be a whole number, not 1.5", ""),
        ("threads = true", "threads must be a whole number, not True", ""),
        ("threads = []", "threads must be a whole number, not []", ""),
        ("threads = 1979-05-27", "threads must be a whole number, not datetime.date(", ""),
        ("threads = 'many'", "threads: 'many' is not a whole number", ""),
        ("limit_body = '1MB'", "limit_body: '1MB' is not a size, such as 512, 256k or 10MiB", ""),
        ("access_log = 'true'", "access_log: write true or false, without quotes", ""),
        ("access_log = 1", "access_log: write true or false, without quotes", ""),
        ("log_level = 1", "log_level must be a string, not 1", ""),
        ("log_level = 'loud'", "log_level must be one of debug, ", ""),
        ("unix_mode = 440", 'unix_mode: write "440" or 0o440, since a mode is octal', ""),
        ("bind = []", "bind must be a tuple of at least one", ""),
        ("bind = [80]", "bind must be a string, not 80", ""),
        ("bind = 'x'", "bind 'x' is not an address", ""),
        ("application = 1", "application must be MODULE:NAME as a string, not 1", ""),
        ("application = ''", "application must be MODULE:NAME as a string, not ''", ""),
    ],
)
def test_mistakes(mistake, text, message, hint):
    """What is wrong is told with its line and, for a name, the nearest one."""
    said, hinted = mistake(f"# one\nbacklog = 5\n{text}\n")
    assert said.startswith(f"breezeway.toml, line 3: {message}")
    assert hinted == hint


@pytest.mark.parametrize("header", ["[breezeway]", "[tool.breezeway]", "[server]"])
def test_tables(mistake, header):
    """Settings do not stand in tables."""
    said, hint = mistake(f"{header}\nthreads = 3\n")
    assert said.startswith("breezeway.toml, line 1: there is no setting")
    assert hint == "The settings stand at the top of the file, without tables of their own."


def test_mistake_in_the_project(mistake):
    """In pyproject.toml a mistake is told with its line, too."""
    said, _ = mistake("[x]\nthread = 1\n\n[tool.breezeway]\nthread = 1\n", "pyproject.toml")
    assert said == "pyproject.toml, line 5: there is no setting 'thread'."
    said, hint = mistake("[tool.breezeway.log]\nlevel = 1\n", "pyproject.toml")
    assert said == "pyproject.toml, line 1: there is no setting 'log'."
    assert hint.startswith("The settings stand in the table [tool.breezeway] itself")
    said, _ = mistake("tool.breezeway = 1\n", "pyproject.toml")
    assert said == "pyproject.toml: tool.breezeway is not a table."


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("head_timeout = 30s", "Text needs quotes"),
        ("bind = :8000", "Text needs quotes"),
        ("log_level = info", "Text needs quotes"),
        ("access_log = True", "TOML writes true and false in small letters"),
        ("user = None", "TOML writes true and false in small letters"),
        ("threads 3", ""),
        ("threads =", ""),
    ],
)
def test_syntax(mistake, line, hint):
    """What is not TOML is told with its line, and the usual slips with what to do."""
    said, hinted = mistake(f"threads = 3\n\n{line}\nbacklog = 1\n")
    assert said.startswith("breezeway.toml, line 3, column ")
    assert ": this is not TOML: " in said
    assert "(at " not in said
    assert hinted.startswith(hint)
    assert bool(hinted) == bool(hint)


def test_syntax_at_the_end(mistake):
    """A value without its end is told, too."""
    said, _ = mistake("threads = 3\nbind = [':1'\n")
    assert said.startswith("breezeway.toml, line 2")


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2\n", "b", 2),
        ('a = 1\n"b" = 2\n', "b", 2),
        ("a = 1\n  'b'=2\n", "b", 2),
        ("a = [\n1,\n2]\nb = [\n1]\n", "b", 4),
        ('a = """\nb = 1\n"""\nb = 2\n', "b", 4),
        ("a = '''\nb = 1\n'''\nb = '''\n'''\n# b = 3\n", "b", 4),
        ("b.c = 1\nb.d = 2\n", "b", 1),
        ("[a]\nb = 1\n[b]\n", "b", 3),
        ("[x]\nb = 1\n[t.s]\nb = 2\n[y]\nb = 3\n", "t.s.b", 4),
        ("[x]\nb = 1\n [ t . s ] # here\na = 1\nb = 2\n", "t.s.b", 5),
        ("[x]\nb = 1\n[t]\ns.a = 2\ns.b = 3\n", "t.s.b", 5),
        ("a = [\n  [1],\n]\nb = 1\n", "b", 4),
        ("b = 0\nt = {s = {b = 1}}\n", "t.s.b", 2),
        ("[t.s]\n[t.s.b]\n", "t.s.b", 2),
        ("t.s.b = 1\n", "t.s.b", 1),
        ("[t.'s']\na = 1\nb = 1\n", "t.s.b", 3),
    ],
)
def test_line_of_a_key(text, path, line):
    """The line of a key is found, however it is written."""
    assert line_of(text, tuple(path.split("."))) == line
