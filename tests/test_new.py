"""breezeway new: a project that runs, and whose own tests pass, made and run for real."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import breezeway
from breezeway import cli
from breezeway.project import creation

from .process.server import Server, eventually

pytestmark = pytest.mark.once

DEADLINE_SECONDS = 60.0

ENVIRON = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

KINDS = {"full": (), "minimal": ("--minimal",)}


def _is_installed() -> bool:
    try:
        importlib.metadata.distribution("breezeway")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


class Command:
    """The command line, in this process."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run `breezeway new`; return its exit status and what it prints."""
        with pytest.raises(SystemExit) as caught:
            cli.main(["new", *arguments])
        assert isinstance(caught.value.code, int)
        return caught.value.code, *self._capsys.readouterr()


@pytest.fixture
def new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Give the command, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path, capsys)


def run(directory: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a project with this Python, without a network."""
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **ENVIRON, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


@contextmanager
def serving(directory: Path, *arguments: str) -> Iterator[Server]:
    """Run a server for a project as its README says."""
    options = ("--bind", "127.0.0.1:0", "--control-socket", "off")
    command = [sys.executable, "-m", "breezeway", *arguments, *options]
    server = Server(directory, command, {})
    try:
        server.url = server.log.wait_for(r"Serving .*on (\S+)")[1]
        yield server
    finally:
        server.kill()


def ask(url: str, data: dict[str, str] | None = None, **fields: str) -> tuple[int, str, str]:
    """Ask as a browser does; return status, content and the URL in the end."""
    body = urllib.parse.urlencode(data).encode() if data is not None else None
    headers = {"Accept": "text/html", **{k.replace("_", "-"): v for k, v in fields.items()}}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
            return response.status, response.read().decode(), response.url
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.url


def test_runs(new: Command) -> None:
    """What is made serves at once: a page, its style, a form, JSON, an error page, for development."""
    assert new("shop")[0] == 0
    project = new.directory / "shop"
    with serving(project, "dev") as server:
        status, page, _ = ask(f"{server.url}/")
        assert status == 200
        (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
        assert ask(urllib.parse.urljoin(server.url, style))[0] == 200
        entry = {"name": "Ada", "text": "Hello <b>there</b>"}
        origin = {"Sec-Fetch-Site": "same-origin"}
        status, page, url = ask(f"{server.url}/", entry, **origin)
        assert (status, url) == (200, f"{server.url}/")
        assert "Hello &lt;b&gt;there" in page
        (stored,) = json.loads(ask(f"{server.url}/api/entries")[1])
        assert (stored["name"], stored["id"]) == ("Ada", 1)
        assert ask(f"{server.url}/", entry, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
        status, page, _ = ask(f"{server.url}/nowhere")
        assert status == 404
        assert "There is no such page" in page
        server.out.wait_for(r" POST   / 303 ")
        home = project / "shop" / "templates" / "home.html"
        home.write_text(home.read_text().replace("<h1>shop", "<h1>My shop"))
        eventually(lambda: "<h1>My shop" in ask(f"{server.url}/")[1], "the changed template")
        home.write_text("{{ 1 / 0 }}")
        eventually(
            lambda: "ZeroDivisionError" in ask(f"{server.url}/")[1], "the page of the debugger"
        )


def test_serves_in_production(new: Command) -> None:
    """With the command of its image, and the files that are in it, a failure is a page without a reason."""
    new("shop")
    project = new.directory / "shop"
    lines = (project / "Containerfile").read_text().splitlines()
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    for path in project.iterdir():
        if path.name not in copied:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert copied == {path.name for path in project.iterdir()}
    (command,) = (line.partition(" ")[2] for line in lines if line.startswith("CMD"))
    program, *arguments = json.loads(command)
    assert program == "breezeway"
    home = project / "shop" / "templates" / "home.html"
    home.write_text("{{ 1 / 0 }}")
    at = arguments.index("--bind")
    assert arguments[at + 1] == ":8000"
    del arguments[at : at + 2]
    with serving(project, *arguments) as server:
        status, page, _ = ask(f"{server.url}/")
        assert status == 500
        assert "Something went wrong" in page
        assert "ZeroDivision" not in page
        server.log.wait_for("ZeroDivisionError")


@pytest.mark.parametrize("kind", KINDS)
def test_passes_its_tests(new: Command, kind: str) -> None:
    """Its tests pass, warnings taken for errors; a failing application fails them."""
    status, told, _ = new("shop", *KINDS[kind])
    assert status == 0
    project = new.directory / "shop"
    (needed,) = re.findall(r"pip install -r (\S+) +installs what it needs", told)
    assert "pytest" in (project / needed).read_text()
    command = (sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = run(project, *command)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d passed", done.stdout)
    (file,) = [*project.rglob("shop.py"), *project.rglob("shop/app.py")]
    file.write_text(file.read_text().replace('@app.get("/")', '@app.get("/elsewhere")'))
    assert run(project, *command).returncode == 1


@pytest.mark.parametrize("kind", KINDS)
def test_other_commands(new: Command, kind: str) -> None:
    """`check --lint`, `routes` and `shell` work in it; check finds nothing to tell."""
    new("shop", *KINDS[kind])
    project = new.directory / "shop"
    command = (sys.executable, "-m", "breezeway")
    checked = run(project, *command, "check", "--lint")
    assert checked.returncode == 0, checked.stderr
    assert "home" in run(project, *command, "routes").stdout
    assert run(project, *command, "shell", "--help").returncode == 0


def test_minimal_runs(new: Command) -> None:
    """One page in one file."""
    assert new("hello", "--minimal")[0] == 0
    with serving(new.directory / "hello", "dev") as server:
        assert "Hello, world!" in ask(f"{server.url}/")[1]
        (new.directory / "hello" / "hello.py").write_text("import nothing_of_that_name\n")
        eventually(
            lambda: "nothing_of_that_name" in ask(f"{server.url}/")[1], "the page of the failure"
        )


@pytest.mark.skipif(not _is_installed(), reason="breezeway is not installed, only on the path")
def test_makefile(new: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test` makes a virtual environment, installs, and runs the tests.

    There is no network: what would be installed is there already, on the path.
    """
    monkeypatch.setattr(creation, "_origin", str)
    new("shop")
    installed = [sysconfig.get_path("purelib"), str(Path(breezeway.__file__).parent.parent)]
    offline = {"PIP_NO_INDEX": "1", "PYTHONPATH": os.pathsep.join(installed)}
    done = run(new.directory / "shop", "make", "test", f"PYTHON={sys.executable}", **offline)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d passed", done.stdout)
    # Below another make, such as that of this project's tests, it would name its directory.
    told = run(new.directory / "shop", "make", "--no-print-directory", "help").stdout
    assert [line.split()[0] for line in told.splitlines()] == ["help", "serve", "test", "clean"]
    assert run(new.directory / "shop", "make", "clean").returncode == 0
    assert not (new.directory / "shop" / ".venv").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("told", "origin"),
    [
        (None, ""),
        ({"url": "file:///a%20b/breezeway", "dir_info": {}}, " @ file:///a%20b/breezeway"),
        (
            {"url": "https://a.example/b.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            " @ git+https://a.example/b.git@c0ffee",
        ),
    ],
)
def test_requires_what_is_installed(
    new: Command,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    told: dict[str, object] | None,
    origin: str,
) -> None:
    """A Breezeway that is not from an index is required from where it came, not by its name alone."""
    text = None if told is None else json.dumps(told)
    installed = SimpleNamespace(read_text={"direct_url.json": text}.get)
    monkeypatch.setattr(importlib.metadata, "distribution", {"breezeway": installed}.get)
    assert new("shop", *KINDS[kind])[0] == 0
    for path in (new.directory / "shop").glob("requirements*.txt"):
        (required,) = re.findall(r"(?m)^breezeway(?:\[\w+\])?(.*)$", path.read_text())
        assert required == origin


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_to_fill_in(new: Command, kind: str) -> None:
    """Every placeholder is filled, every Python file is one, and hidden files are hidden."""
    new("my_shop", *KINDS[kind])
    files = [path for path in (new.directory / "my_shop").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert "@" not in path.name
        assert path.suffix != creation.SUFFIX
        text = path.read_text()
        assert "@name@" not in text.lower()
        assert text.endswith("\n")
        if path.suffix == ".py":
            compile(text, path.name, "exec")
    assert (new.directory / "my_shop" / ".gitignore") in files
    assert [*new.directory.iterdir()] == [new.directory / "my_shop"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("my-shop", "Try: breezeway new my_shop"),
        ("7shop", "Try: breezeway new site_7shop"),
        ("../shop", "Try: breezeway new shop"),
        ("Ünicode", "ASCII letters"),
        ("", "cannot be the name"),
        ("class", "is a word of the Python language"),
        ("match", "is a word of the Python language"),
        ("json", "the name of a module"),
        ("breezeway", "the name of a module"),
        ("tests", "the name of a module"),
        ("click", "the name of a module"),
        ("MarkupSafe", "the name of a module"),
        ("Makefile", "is the name of a file of the project"),
        ("_shop", "begins with an underscore"),
        ("sh op", "Try: breezeway new sh_op"),
    ],
)
def test_refuses_names(new: Command, name: str, told: str) -> None:
    """A name that Python, or the project, could not have is told, with one that is near."""
    status, out, error = new(name)
    assert (status, out) == (2, "")
    assert told in " ".join(error.split())
    assert not [*new.directory.iterdir()]


def test_names_of_what_is_installed() -> None:
    """All that a project installs is refused as a name, what is needed by what it needs included."""
    waiting, seen = ["breezeway", "jinja2", "pytest", "watchfiles"], set[str]()
    while waiting:
        name = re.split(r"[^\w-]", waiting.pop())[0]
        if name not in seen:
            seen.add(name)
            with suppress(importlib.metadata.PackageNotFoundError):
                needs = importlib.metadata.requires(name) or []
                waiting += [need for need in needs if "extra ==" not in need]
    assert {"click", "pluggy", "MarkupSafe"} <= seen
    modules = importlib.metadata.packages_distributions()
    for module, distributions in modules.items():
        if seen & {*distributions} and module.isidentifier() and not module.startswith("_"):
            assert module.lower() in creation.TAKEN


class TestWhatIsThere:
    def test_directory(self, new: Command) -> None:
        """What is in a directory stays as it is."""
        (new.directory / "shop").mkdir()
        (new.directory / "shop" / "mine").touch()
        status, _, error = new("shop")
        assert status == 1
        assert "the directory shop is there already, and is not empty" in error
        assert [*new.directory.rglob("*")] == [
            new.directory / "shop",
            new.directory / "shop" / "mine",
        ]

    def test_empty_directory(self, new: Command) -> None:
        """An empty one is filled."""
        (new.directory / "shop").mkdir()
        assert new("shop")[0] == 0
        assert (new.directory / "shop" / "breezeway.toml").exists()

    @pytest.mark.parametrize("link", [True, False])
    def test_file(self, new: Command, link: bool) -> None:
        """A file, or a link, is left alone."""
        path = new.directory / "shop"
        path.symlink_to(new.directory / "elsewhere") if link else path.touch()
        status, _, error = new("shop")
        assert status == 1
        assert "is no directory" in error

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_unwritable(self, new: Command) -> None:
        """A directory in which nothing can be made is told."""
        new.directory.chmod(0o500)
        status, _, error = new("shop")
        assert status == 1
        assert "cannot write shop: Permission denied" in error

    def test_full_disk(self, new: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        """What cannot be written whole is not there at all."""
        monkeypatch.setattr(Path, "rename", _no_space)
        status, _, error = new("shop")
        assert status == 1
        assert "cannot write shop: No space left on device" in error
        assert not [*new.directory.iterdir()]


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")
