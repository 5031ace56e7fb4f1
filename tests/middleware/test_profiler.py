"""The profiler: who may ask, that it changes nothing else, and what it writes."""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest

from breezeway.middleware import profiler
from breezeway.middleware.profiler import Profiler
from breezeway.middleware.profiler.engine import CProfile, Node
from breezeway.middleware.profiler.flame_graph import page
from breezeway.middleware.profiler.recording import Recording, gate

from .calling import Counted, Result, call, make_environ

TOKEN = "0123456789abcdef"
NEAR = {"REMOTE_ADDR": "127.0.0.1"}
ENGINES = ["cprofile", "pyinstrument"]


def burn(seconds: float = 0.01) -> None:
    """Use time, in a function that can be found again."""
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        pass


def working(environ: Any, start_response: Any) -> list[bytes]:
    """Do some work, and answer with the query."""
    burn()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["QUERY_STRING"].encode() + environ.get("HTTP_X_PROFILE", "").encode()]


def ask(application: WSGIApplication, path: str = f"/?__profile__={TOKEN}", **more: Any) -> Result:
    """Ask for a profile."""
    return call(application, path, **{**NEAR, **more})


def tree_of(content: bytes) -> Any:
    """Return the tree that a page has."""
    match = re.search(rb'<script id="tree"[^>]*>(.*?)</script>', content, re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def names_in(tree: Any) -> Iterator[str]:
    """Return the names of all functions in a tree."""
    yield tree[0]
    for child in tree[3]:
        yield from names_in(child)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("generated", [False, True])
def test_asked_for(engine: str, generated: bool) -> None:
    """The flame graph comes in place of the response, of a stream, too."""

    def generate(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield from working(environ, start_response)

    result = ask(Profiler(generate if generated else working, token=TOKEN, engine=engine))
    assert result.code == 200
    assert result["Content-Type"] == "text/html; charset=utf-8"
    assert result["Cache-Control"] == "no-store"
    tree = tree_of(result.body)
    assert tree[2] >= 0.009
    assert "burn" in names_in(tree)
    assert "[self]" not in names_in(tree)
    assert "breezeway/middleware/" not in json.dumps(tree)  # nothing of the profiler itself
    assert re.search(rb"<td>\d+\.\d\d ms</td><td>(burn|.*perf_counter.*)</td>", result.body)
    assert b"200 OK" in result.body


def test_by_field() -> None:
    """The token may come in a field, which no log has."""
    result = ask(Profiler(working, token=TOKEN), "/", fields={"X-Profile": TOKEN})
    assert b"burn" in result.body
    assert ask(Profiler(working, token=TOKEN), "/", method="HEAD", HTTP_X_PROFILE=TOKEN).body == b""


def test_application_does_not_see_the_token() -> None:
    """The profile is that of the request as it is without."""
    seen: list[Any] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.extend(value for value in environ.values() if TOKEN in str(value))
        seen.append(environ["QUERY_STRING"])
        return working(environ, start_response)

    path = f"/?a=1&__profile__={TOKEN}&b"
    result = ask(Profiler(application, token=TOKEN), path, RAW_URI=path, HTTP_X_PROFILE=TOKEN)
    assert seen == ["a=1&b"]
    assert TOKEN.encode() not in result.body


@pytest.mark.parametrize(
    ("query", "environ"),
    [
        ("__profile__", {}),
        ("__profile__=", {}),
        (f"__profile__={TOKEN}x", {}),
        (f"__profile__={TOKEN[:-1]}", {}),
        ("__profile__=é", {}),
        ("a=1", {"HTTP_X_PROFILE": "x"}),
        (f"__profile__={TOKEN}", {"REMOTE_ADDR": "192.0.2.1"}),
        (f"__profile__={TOKEN}", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}),
    ],
)
def test_strangers_get_the_response(query: str, environ: dict[str, str]) -> None:
    """Who has no right gets what there is without a profiler, and learns nothing."""
    result = ask(Profiler(working, token=TOKEN), f"/?{query}", **environ)
    assert result.body == query.encode() + environ.get("HTTP_X_PROFILE", "").encode()
    assert result["Content-Type"] == "text/plain"


def test_without_the_gil(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is said at the start that CPython's profilers are not made for that yet."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    Profiler(token=TOKEN)
    assert not caplog.records
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False)
    Profiler(token=TOKEN)
    assert "without the GIL" in caplog.text


def test_never_open(tmp_path: Path) -> None:
    """Without a token nobody can ask, whatever they send."""
    application = Profiler(working, every=1000, directory=tmp_path, networks=["*"])
    for query in ("__profile__", "__profile__="):
        assert ask(application, f"/?{query}")["Content-Type"] == "text/plain"


def test_application_that_raises() -> None:
    """The page says what was raised; the log has it whole."""

    def application(environ: Any, start_response: Any) -> Any:
        burn()
        raise LookupError("<b>")

    result = ask(Profiler(application, token=TOKEN))
    assert b"LookupError: &lt;b&gt;" in result.body
    assert "burn" in names_in(tree_of(result.body))


@pytest.mark.parametrize("engine", ENGINES)
def test_other_threads(engine: str) -> None:
    """Where what other threads do gets into a profile, the page says so; else it is not in it."""
    over = threading.Event()

    def elsewhere() -> None:
        while not over.is_set():
            burn(0.0001)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    result = ask(Profiler(working, token=TOKEN, engine=engine))
    over.set()
    thread.join()
    if engine == "cprofile" and sys.version_info >= (3, 12):
        assert b"what other threads called" in result.body
    else:
        assert not [name for name in names_in(tree_of(result.body)) if "elsewhere" in name]


def test_response_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that does not end is closed after a while."""
    monkeypatch.setattr(profiler, "MOST_SECONDS", 0.02)
    closed = []

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    assert ask(Profiler(application, token=TOKEN)).code == 200
    assert closed == [True]


class TestOneAtATime:
    def test_second_one_is_told(self) -> None:
        """While a profile is taken, another one that is asked for gets a 503."""
        assert gate.lock.acquire(blocking=False)
        try:
            result = ask(Profiler(working, token=TOKEN))
            assert (result.code, result["Retry-After"]) == (503, "1")
        finally:
            gate.lock.release()

    def test_every_one_goes_on_without(self, tmp_path: Path) -> None:
        """A request that would be written is answered without a profile."""
        application = Profiler(working, every=1, directory=tmp_path)
        with gate.lock:
            assert call(application).code == 200
        assert not list(tmp_path.iterdir())

    def test_profiler_of_somebody_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where cProfile refuses, because there is another, nothing breaks and the gate is open again."""

        def refuse(self: CProfile) -> None:
            raise ValueError("Another profiling tool is already active")

        monkeypatch.setattr(CProfile, "start", refuse)
        assert ask(Profiler(working, token=TOKEN)).code == 503
        assert not gate.lock.locked()

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="cProfile takes another's place")
    def test_real_profiler_of_somebody_else(self) -> None:
        """The same with a real one."""
        with cProfile.Profile():
            assert ask(Profiler(working, token=TOKEN)).code == 503

    @pytest.mark.parametrize("engine", ENGINES)
    def test_threads(self, engine: str, tmp_path: Path) -> None:
        """Sixteen threads get their responses, whole; the profiles that were taken are there."""
        application = Profiler(working, every=1, directory=tmp_path, engine=engine, files=1000)
        codes = []
        threads = [
            threading.Thread(target=lambda: codes.append(call(application).code)) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [200] * 16
        assert 1 <= len(list(tmp_path.glob("*.html"))) <= 16
        assert not gate.lock.locked()


class TestWritten:
    @pytest.mark.parametrize("engine", ENGINES)
    def test_every_so_many(self, engine: str, tmp_path: Path) -> None:
        """Each third request is written, and its response is as ever."""
        directory = tmp_path / "a" / "b"
        application = Profiler(working, every=3, directory=str(directory), engine=engine)
        for _ in range(4):
            assert call(application, "/../etc/x y?q").body == b"q"
        pages = sorted(directory.glob("*.html"))
        assert len(pages) == 2
        assert re.fullmatch(
            r"profile-\d{8}T\d{12}-GET-etc-x-y-\d+ms-[0-9a-f]{8}\.html", pages[0].name
        )
        assert "burn" in names_in(tree_of(pages[0].read_bytes()))
        assert pages[0].stat().st_mode & 0o077 == 0
        others = [path for path in directory.iterdir() if path.suffix != ".html"]
        assert len(others) == 2
        if engine == "cprofile":
            assert pstats.Stats(str(others[0])).total_calls > 0  # type: ignore[attr-defined]

    def test_stream(self, tmp_path: Path) -> None:
        """A stream stays one; its work is profiled, and written when it is closed."""

        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            for _ in range(3):
                burn(0.005)
                yield b"x"

        found = Profiler(application, every=1, directory=tmp_path)(
            make_environ(), lambda status, headers, exc_info=None: None
        )
        iterator = iter(found)
        next(iterator)
        assert not gate.lock.locked()
        assert not list(tmp_path.iterdir())
        assert list(iterator) == [b"x", b"x"]
        found.close()  # type: ignore[attr-defined]
        (written,) = tmp_path.glob("*.html")
        assert tree_of(written.read_bytes())[2] >= 0.014

    def test_slow_ones(self, tmp_path: Path) -> None:
        """With a threshold, only slow ones are kept."""
        application = Profiler(working, every=1, slow=0.2, directory=tmp_path)
        call(application)
        assert not list(tmp_path.iterdir())
        application.application = lambda environ, start: (burn(0.2), working(environ, start))[1]
        call(application)
        assert len(list(tmp_path.glob("*.html"))) == 1

    def test_number_has_a_bound(self, tmp_path: Path) -> None:
        """The latest are kept, and what is not ours."""
        (tmp_path / "mine.html").write_text("")
        application = Profiler(Counted(b"x"), every=1, files=2, directory=tmp_path)
        for number in range(5):
            call(application, f"/{number}")
        names = sorted(path.name for path in tmp_path.iterdir())
        assert len(names) == 5
        assert "mine.html" in names
        assert {name.split("-")[3] for name in names if name != "mine.html"} == {"3", "4"}

    def test_directory_that_has_gone(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The response goes on, and the log says so."""
        application = Profiler(working, every=1, directory=tmp_path / "d")
        (tmp_path / "d").rmdir()
        assert call(application).code == 200
        assert caplog.records

    def test_failure(self, tmp_path: Path) -> None:
        """What fails is raised on, and written."""

        def application(environ: Any, start_response: Any) -> Any:
            raise LookupError

        with pytest.raises(LookupError):
            call(Profiler(application, every=1, directory=tmp_path))
        assert b"LookupError" in next(tmp_path.glob("*.html")).read_bytes()


def test_list_passes_untouched(tmp_path: Path) -> None:
    """Whether a request is profiled or not, a list is the application's own."""
    body = [b"x"]

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    profiled = Profiler(application, every=2, directory=tmp_path)
    for _ in range(2):
        assert profiled(make_environ(), lambda status, headers, exc_info=None: None) is body


class TestTree:
    def recorded(self, work: Callable[[], object]) -> Node:
        """Profile something."""
        recording = Recording(CProfile())
        assert recording.start()
        work()
        recording.rest()
        recording.rest()
        return recording.engine.tree()

    def test_recursion(self) -> None:
        """A function that calls itself, or two that call each other, make no endless tree."""

        def odd(number: int) -> None:
            burn(0.0001)
            if number:
                even(number - 1)

        def even(number: int) -> None:
            if number:
                odd(number - 1)

        tree = self.recorded(lambda: odd(50))
        found = list(names_in(json.loads(json.dumps([tree.name, "", 0, []]))))
        assert found == ["request"]
        assert any(name.endswith("odd") for name in self.names(tree))

    def names(self, node: Node) -> Iterator[str]:
        """Return the names of all functions."""
        yield node.name
        for child in node.children:
            yield from self.names(child)

    def test_children_are_within_their_parents(self) -> None:
        """No bar is wider than the one above it, however often its function was called."""

        def one() -> None:
            burn(0.002)

        def two() -> None:
            burn(0.004)
            one()

        def check(node: Node) -> None:
            assert sum(child.seconds for child in node.children) <= node.seconds * 1.01
            for child in node.children:
                check(child)

        check(self.recorded(lambda: (one(), two(), one())))


class Parsed(HTMLParser):
    """All tags of a page with their attributes."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_page_is_safe_and_asks_nobody() -> None:
    """No name can end a script or add a tag; nothing is loaded from anywhere."""
    evil = '</script><script>alert(1)</script><img src=x onerror="x"><!--'
    tree = Node(evil, evil, 1.0, [Node(evil, evil, 0.5), Node("é\ud800", "", 0.1)])
    content = page(evil, {evil: evil}, tree)
    found = Parsed(content)
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in found.tags]
    assert not [
        a for _, attributes in found.tags for a in ("src", "href", "onerror") if a in attributes
    ]
    assert not re.search(rb"https?://", content)
    assert tree_of(content)[0] == evil
    policy = next(a["content"] for t, a in found.tags if t == "meta" and "http-equiv" in a)
    nonces = {a["nonce"] for tag, a in found.tags if tag == "script"}
    assert (
        policy
        == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonces.pop()}'"
    )
    assert not nonces


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "token"),
        ({"token": "short"}, "token"),
        ({"token": 5}, "token"),
        ({"token": TOKEN, "networks": "x"}, "networks"),
        ({"token": TOKEN, "networks": ["x"]}, "network"),
        ({"every": -1}, "every"),
        ({"every": True}, "every"),
        ({"every": 1}, "directory"),
        ({"token": TOKEN, "directory": "x"}, "directory"),
        ({"every": 1, "directory": "/proc/x"}, "directory"),
        ({"token": TOKEN, "slow": 1}, "slow"),
        ({"token": TOKEN, "slow": "1"}, "slow"),
        ({"token": TOKEN, "files": 0}, "files"),
        ({"token": TOKEN, "engine": "perf"}, "engine"),
    ],
)
def test_wrong_options(options: Any, text: str) -> None:
    """Each option is checked at construction; none of it opens the profiler to all."""
    with pytest.raises(ValueError, match=text):
        Profiler(**options)


def test_without_pyinstrument(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, construction says what to install."""
    monkeypatch.setitem(sys.modules, "pyinstrument", None)
    with pytest.raises(ValueError, match=r"breezeway\[profiler\]"):
        Profiler(token=TOKEN, engine="pyinstrument")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork() -> None:
    """A process that is forked while a profile is taken can take its own."""
    with gate.lock:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if ask(Profiler(working, token=TOKEN)).code == 200 else 1)
        assert os.waitpid(pid, 0)[1] == 0
