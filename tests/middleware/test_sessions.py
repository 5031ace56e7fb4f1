"""Sessions: read when touched, saved when changed, ended for good; in each of the stores."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import Sessions, redis_link, stack
from breezeway.middleware.sessions.cookie import SignedCookies
from breezeway.middleware.sessions.memory import RECORD_BYTES, MemoryStore
from breezeway.middleware.sessions.store import OnServer

from ..redis_server import RedisServer
from .calling import Counted, Result, call, make_environ

SECRET = "a secret of the test, long enough"
STORES = ("cookie", "memory", "sqlite", "redis")
ON_SERVER = STORES[1:]
START = 1_800_000_000.0

Do = Callable[[Any], object]


class Site:
    """A site with sessions; what it does with one is said with each request."""

    def __init__(self, **options: Any) -> None:
        self.do: Do = lambda session: None
        self.now = START
        self.piece = Sessions(self._application, **options)
        self.piece._clock = lambda: self.now

    def _application(self, environ: Any, start_response: Any) -> Any:
        found = self.do(environ["breezeway.session"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(found).encode()]


class Visitor:
    """A browser that keeps its cookie."""

    def __init__(self, site: Site, cookie: str = "", scheme: str = "https") -> None:
        self.site = site
        self.cookie = cookie
        self.scheme = scheme
        self.last: Result

    def ask(self, do: Do) -> Any:
        """Send a request, and return what the application found."""
        self.site.do = do
        fields = {"Cookie": f"a=b; {self.cookie}"} if self.cookie else {}
        self.last = call(self.site.piece, fields=fields, **{"wsgi.url_scheme": self.scheme})
        self.take(self.last)
        return json.loads(self.last.body) if self.last.code == 200 else self.last.code

    def take(self, result: Result) -> None:
        """Do with the cookie of a response what a browser does."""
        set_cookie = result["set-cookie"]
        if set_cookie is not None:
            self.cookie = "" if "Max-Age=0" in set_cookie else set_cookie.partition(";")[0]

    def put(self, **values: Any) -> None:
        """Write into the session."""
        self.ask(lambda session: session.update(values))

    def all(self) -> dict[str, Any]:
        """Read the session."""
        found: dict[str, Any] = self.ask(dict)
        return found


@pytest.fixture(params=STORES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Give a test a site on each of the stores."""
    yield from sites(request, tmp_path)


@pytest.fixture(params=ON_SERVER)
def server_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Give a test a site on each of the stores of the server."""
    yield from sites(request, tmp_path)


def sites(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Make a site, and close it."""
    options: dict[str, Any] = {"store": request.param}
    if request.param == "cookie":
        options["secret"] = SECRET
    elif request.param == "sqlite":
        options["store"] = f"sqlite:{tmp_path}/sessions.db"
    elif request.param == "redis":
        options["store"] = request.getfixturevalue("redis").url
    made = Site(**options)
    yield made
    made.piece.close()


# --- reading and writing ----------------------------------------------------------------------------


def test_lasts(site: Site) -> None:
    """What was put in is there with the next request, and for nobody else."""
    visitor, other = Visitor(site), Visitor(site)
    visitor.put(user=5, cart=["a", {"b": [1.5, None, True]}], text='\u20ac;,"\\\n\x00\ud800')
    other.put(user=6)
    assert visitor.all() == {
        "user": 5,
        "cart": ["a", {"b": [1.5, None, True]}],
        "text": '\u20ac;,"\\\n\x00\ud800',
    }
    assert other.all() == {"user": 6}
    assert Visitor(site).all() == {}


def test_untouched_is_free(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not touch its session reads nothing, and its response says nothing."""
    visitor = Visitor(site)
    visitor.put(a=1)
    monkeypatch.setattr(site.piece, "load", None)
    visitor.ask(lambda session: None)
    assert visitor.last.headers == [("Content-Type", "application/json")]


def test_read_alone(site: Site) -> None:
    """A session that was read and not changed sets Vary, and no cookie."""
    visitor = Visitor(site)
    assert visitor.all() == {}
    assert (visitor.last["vary"], visitor.last["set-cookie"]) == ("Cookie", None)
    visitor.put(a=1)
    assert visitor.last["cache-control"] == "no-store"
    assert visitor.last["vary"] == "Cookie"
    assert visitor.ask(lambda session: session["a"]) == 1
    assert visitor.last["set-cookie"] is None
    assert visitor.last["cache-control"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session["list"].append(2),
        lambda session: session["table"]["deep"].update(x=1),
        lambda session: session.get("list").clear(),
        lambda session: next(iter(session.values())).append(5),
        lambda session: session.setdefault("new", []).append(1),
        lambda session: session.pop("list") and None,
        lambda session: session.__delitem__("table"),
        lambda session: session.popitem() and None,
    ],
)
def test_every_change_counts(site: Site, change: Do) -> None:
    """Changes within lists and dictionaries are saved like those of the session itself."""
    visitor = Visitor(site)
    visitor.put(list=[1], table={"deep": {}})
    seen: list[dict[str, Any]] = []
    visitor.ask(lambda session: [change(session), seen.append(dict(session))][:0])
    assert visitor.all() == seen[0] != {"list": [1], "table": {"deep": {}}}


def test_the_mapping() -> None:
    """It is a mapping like any other, from texts alone."""

    def do(session: Any) -> None:
        assert "not read" in repr(session)
        assert (len(session), bool(session), "a" in session) == (0, False, False)
        session["a"] = 1
        assert (dict(session), session == {"a": 1}, [*session]) == ({"a": 1}, True, ["a"])
        assert "'a': 1" in repr(session)
        with pytest.raises(KeyError):
            session["b"]
        with pytest.raises(KeyError):
            del session["b"]
        with pytest.raises(TypeError, match="is text"):
            session[1] = 2

    Visitor(Site(store="memory")).ask(do)


@pytest.mark.parametrize("value", [b"x", {1, 2}, object(), float("nan"), [lambda: 0]])
def test_json_alone(site: Site, value: Any) -> None:
    """What is not JSON is the application's fault, told when it is saved; an error page still works."""
    visitor = Visitor(site)
    visitor.put(a=1)
    with pytest.raises((TypeError, ValueError), match="takes what is in JSON"):
        visitor.put(b=value)
    assert visitor.all() == {"a": 1}

    def application(environ: Any, start_response: Any) -> Any:
        environ["breezeway.session"]["b"] = value
        try:
            start_response("200 OK", [("Content-Type", "text/plain")])
        except (TypeError, ValueError):
            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"oh"]

    site.piece.application = application
    assert call(site.piece).status == "500 Oh"


@pytest.mark.parametrize("name", ["user", "items"])
def test_attribute_is_refused(name: str) -> None:
    """What would be lost without a word, an attribute, is an error that says what is meant."""
    with pytest.raises(AttributeError, match=rf'write session\["{name}"\]'):
        Visitor(Site(store="memory")).ask(lambda session: setattr(session, name, 1))


def test_circle(site: Site) -> None:
    """A list that has itself in it is told, too."""
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="JSON"):
        Visitor(site).put(a=circle)


# --- the end of a session ---------------------------------------------------------------------------


def test_clear(site: Site) -> None:
    """A logout empties the session and takes the cookie away."""
    visitor = Visitor(site)
    visitor.put(user=5)
    before = visitor.cookie
    visitor.ask(lambda session: session.clear())
    assert (visitor.cookie, visitor.all()) == ("", {})
    if site.piece._in_cookie:
        return
    assert Visitor(site, before).all() == {}


def test_clear_and_begin_again(site: Site) -> None:
    """What is set after `clear` is in another session."""
    visitor = Visitor(site)
    visitor.put(user=5)
    before = visitor.cookie
    visitor.ask(lambda session: [session.clear(), session.update(note="bye")][:0])
    assert visitor.cookie not in ("", before)
    assert visitor.all() == {"note": "bye"}
    assert site.piece._in_cookie or Visitor(site, before).all() == {}


def test_emptied(site: Site) -> None:
    """A session that has nothing in it any more is not kept."""
    visitor = Visitor(site)
    visitor.put(user=5)
    visitor.ask(lambda session: session.pop("user"))
    assert visitor.cookie == ""


def test_clear_without_a_session(site: Site) -> None:
    """A logout of nobody is no error; a cookie that opens nothing is taken away."""
    visitor = Visitor(site)
    visitor.ask(lambda session: session.clear())
    assert visitor.last["set-cookie"] is None
    visitor = Visitor(site, f"__Host-sid={'x' * 43}")
    visitor.ask(lambda session: session.clear())
    assert visitor.cookie == ""


def test_rotate(site: Site) -> None:
    """A login gets a new id; the old one opens nothing, and the content stays."""
    visitor = Visitor(site)
    visitor.put(cart=[1])
    before = visitor.cookie
    site.now += 1
    visitor.ask(lambda session: [session.rotate(), session.update(user=5)][:0])
    assert visitor.cookie not in ("", before)
    assert visitor.all() == {"cart": [1], "user": 5}
    assert site.piece._in_cookie or Visitor(site, before).all() == {}


def test_fixation(server_site: Site) -> None:
    """An id that a client brings is never adopted."""
    for brought in ("x" * 43, "x", "", "\xe4" * 43, "x" * 5000, "../etc", "x" * 42 + "\x80"):
        visitor = Visitor(server_site, f"__Host-sid={brought}")
        assert visitor.all() == {}
        visitor.put(user=5)
        assert visitor.cookie != f"__Host-sid={brought}"
        assert visitor.all() == {"user": 5}
    assert Visitor(server_site, f"__Host-sid={'x' * 43}").all() == {}


def test_idle(site: Site) -> None:
    """A session that is used goes on; one that is not ends."""
    visitor = Visitor(site)
    visitor.put(a=1)
    idle = site.piece._idle
    for _ in range(2):
        site.now += idle * 0.9
        if is_redis(site):
            age_redis(site, idle * 0.9)
        assert visitor.all() == {"a": 1}
    site.now += idle + 1
    if is_redis(site):
        age_redis(site, idle + 1)
    assert visitor.all() == {}


def is_redis(site: Site) -> bool:
    """Whether the time of its sessions is that of Redis."""
    return "Redis" in type(getattr(site.piece._backing, "store", None)).__name__


def age_redis(site: Site, seconds: float) -> None:
    """Take time from the keys, as if it had gone by."""
    client = site.piece._backing.store._client  # type: ignore[attr-defined]
    for key in client.scan_iter():
        left = client.ttl(key) - int(seconds)
        client.expire(key, left) if left > 0 else client.delete(key)


def test_lifetime(site: Site) -> None:
    """A session ends after its lifetime in any case; a rotated one is a new one."""
    visitor = Visitor(site)
    visitor.put(a=1)
    step = site.piece._lifetime // 3
    for _ in range(2):
        site.now += step
        assert visitor.all() == {"a": 1}
    visitor.ask(lambda session: session.rotate())
    for _ in range(2):
        site.now += step
        assert visitor.all() == {"a": 1}
    site.now += step + 1
    assert visitor.all() == {}


def test_sliding_writes_seldom(server_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is moved when a tenth of the idle time has gone by; no cookie is set for that."""
    visitor = Visitor(server_site)
    visitor.put(a=1)
    touched: list[str] = []
    store = server_site.piece._backing.store  # type: ignore[attr-defined]
    real = store.touch
    monkeypatch.setattr(
        store, "touch", lambda key, *rest: [touched.append(key), real(key, *rest)][1]
    )
    idle = server_site.piece._idle
    for _ in range(9):
        server_site.now += idle / 100
        if is_redis(server_site):
            age_redis(server_site, idle / 100)
        visitor.all()
        assert visitor.last["set-cookie"] is None
    assert not touched
    server_site.now += idle / 50
    if is_redis(server_site):
        age_redis(server_site, idle / 50)
    visitor.all()
    visitor.all()
    assert (len(touched), visitor.last["set-cookie"]) == (1, None)


def test_sliding_cookie_is_set_seldom() -> None:
    """A signed cookie has its end in it: it is set anew after a tenth of the idle time."""
    site = Site(secret=SECRET, idle=1000)
    visitor = Visitor(site)
    visitor.put(a=1)
    site.now += 90
    visitor.all()
    assert visitor.last["set-cookie"] is None
    site.now += 20
    visitor.all()
    assert visitor.last["set-cookie"]


# --- two requests at once ---------------------------------------------------------------------------


def interleaved(site: Site, visitor: Visitor, outer: Do, between: Callable[[], object]) -> Result:
    """Have a request read its session, let others finish meanwhile, and let it change and save its own."""

    def do(session: Any) -> None:
        len(session)
        between()
        outer(session)

    site.do = do
    fields = {"Cookie": visitor.cookie}
    return call(site.piece, fields=fields, **{"wsgi.url_scheme": "https"})


@pytest.mark.parametrize("change", [lambda s: s.update(b=2), lambda s: s.rotate()])
@pytest.mark.parametrize("end", [lambda s: s.clear(), lambda s: s.pop("a"), lambda s: s.rotate()])
def test_no_resurrection(server_site: Site, change: Do, end: Do) -> None:
    """A session that was ended is not brought back by a request that has read it before."""
    visitor = Visitor(server_site)
    visitor.put(a=1)
    before = visitor.cookie
    slow = interleaved(server_site, Visitor(server_site, before), change, lambda: visitor.ask(end))
    assert slow["set-cookie"] is None
    assert Visitor(server_site, before).all() == {}
    assert visitor.all() in ({}, {"a": 1})


def test_a_slow_reader_does_no_harm(server_site: Site) -> None:
    """A request that only reads, late enough to move the end, brings back nothing and undoes nothing."""
    visitor = Visitor(server_site)
    visitor.put(a=1)
    before = visitor.cookie
    server_site.now += server_site.piece._idle / 2
    if is_redis(server_site):
        age_redis(server_site, server_site.piece._idle / 2)
    copy = Visitor(server_site, before)
    interleaved(server_site, copy, lambda session: None, lambda: visitor.put(a=2))
    assert visitor.all() == {"a": 2}
    server_site.now += server_site.piece._idle / 2
    if is_redis(server_site):
        age_redis(server_site, server_site.piece._idle / 2)
    interleaved(server_site, copy, lambda session: None, lambda: visitor.ask(lambda s: s.clear()))
    assert Visitor(server_site, before).all() == {}


def test_no_resurrection_in_a_race(server_site: Site) -> None:
    """However many write into a session while it is ended, it stays ended."""
    visitor = Visitor(server_site)
    visitor.put(count=0)
    begun, ended = threading.Semaphore(0), threading.Event()

    def application(environ: Any, start_response: Any) -> Any:
        session = environ["breezeway.session"]
        if environ["PATH_INFO"] == "/end":
            session.clear()
        elif "count" in session:
            session["count"] += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    def ask(path: str) -> Result:
        fields = {"Cookie": visitor.cookie}
        return call(server_site.piece, path, fields=fields, **{"wsgi.url_scheme": "https"})

    def write(_: int) -> list[str | None]:
        cookies = []
        for number in range(1000):
            cookies.append(ask("/")["set-cookie"])
            if number == 3:
                begun.release()
            if ended.is_set():
                break
        return [cookie for cookie in cookies if cookie]

    server_site.piece.application, own = application, server_site.piece.application
    with ThreadPoolExecutor(8) as pool:
        writers = pool.map(write, range(8))
        for _ in range(8):
            begun.acquire(timeout=10)
        assert ask("/end")["set-cookie"]
        ended.set()
        assert list(writers) == [[]] * 8
    server_site.piece.application = own
    assert visitor.all() == {}


def test_last_writer_wins(server_site: Site) -> None:
    """Of two changes at once the later one stays, whole."""
    visitor = Visitor(server_site)
    visitor.put(a=1)
    interleaved(server_site, visitor, lambda s: s.update(b=2), lambda: visitor.put(c=3))
    assert visitor.all() == {"a": 1, "b": 2}


def test_threads(site: Site) -> None:
    """Many threads with a session each, and one together, do not disturb each other."""

    def application(environ: Any, start_response: Any) -> Any:
        session = environ["breezeway.session"]
        session["count"] = session.get("count", 0) + 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(session["count"]).encode()]

    site.piece.application = application

    def one(_: int) -> bool:
        visitor = Visitor(site)
        for number in range(5):
            fields = {"Cookie": visitor.cookie}
            result = call(site.piece, fields=fields, **{"wsgi.url_scheme": "https"})
            visitor.take(result)
            if result.body != str(number + 1).encode():
                return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(40)))


# --- the cookie -------------------------------------------------------------------------------------


def test_attributes() -> None:
    """Over https the cookie is `__Host-`; over http it is plain; and neither is taken for the other."""
    site = Site(secret=SECRET)
    over_https, over_http = Visitor(site), Visitor(site, scheme="http")
    over_https.put(a=1)
    assert over_https.last["set-cookie"].endswith(  # type: ignore[union-attr]
        "; Max-Age=2592000; Path=/; SameSite=Lax; Secure; HttpOnly"
    )
    assert over_https.cookie.startswith("__Host-sid=")
    over_http.put(a=2)
    assert over_http.last["set-cookie"].endswith(  # type: ignore[union-attr]
        "; Max-Age=2592000; Path=/; SameSite=Lax; HttpOnly"
    )
    assert over_http.cookie.startswith("sid=")
    assert Visitor(site, over_http.cookie).all() == {}


@pytest.mark.parametrize(
    ("options", "name", "attributes"),
    [
        ({"path": "/x"}, "__Secure-sid", "Path=/x; SameSite=Lax; Secure; HttpOnly"),
        (
            {"domain": "example.org"},
            "__Secure-sid",
            "Domain=example.org; Path=/; SameSite=Lax; Secure; HttpOnly",
        ),
        ({"secure": False}, "sid", "Path=/; SameSite=Lax; HttpOnly"),
        ({"name": "sid"}, "__Host-sid", "Path=/; SameSite=Lax; Secure; HttpOnly"),
        (
            {"same_site": "None", "secure": True},
            "__Host-sid",
            "Path=/; SameSite=None; Secure; HttpOnly",
        ),
    ],
)
def test_options_of_the_cookie(options: Any, name: str, attributes: str) -> None:
    """Each option is in the cookie, and the prefix is the strictest that it allows."""
    site = Site(store="memory", persistent=False, **options)
    visitor = Visitor(site)
    visitor.put(a=1)
    pair, _, rest = (visitor.last["set-cookie"] or "").partition("; ")
    assert (pair.partition("=")[0], rest) == (name, attributes)
    assert visitor.all() == {"a": 1}
    visitor.ask(lambda session: session.clear())
    assert visitor.cookie == ""


def test_secure_behind_a_proxy() -> None:
    """With `secure` said, also a request that looks like http gets the cookie of https."""
    visitor = Visitor(Site(store="memory", secure=True), scheme="http")
    visitor.put(a=1)
    assert visitor.cookie.startswith("__Host-sid=")
    assert visitor.all() == {"a": 1}


def test_cache_control() -> None:
    """What the application says of caches is kept as far as it goes with a cookie."""
    application = Counted(b"", fields=[("Cache-Control", "public, max-age=5"), ("Vary", "Accept")])
    piece = Sessions(secret=SECRET)

    def inner(environ: Any, start_response: Any) -> Any:
        environ["breezeway.session"]["a"] = 1
        return application(environ, start_response)

    result = call(stack(inner, piece))
    assert result["cache-control"] == "private, max-age=5"
    assert result["vary"] == "Accept, Cookie"


def test_forged_cookies() -> None:
    """A signed cookie that was changed anywhere, or signed by others, is none."""
    site = Site(secret=SECRET)
    visitor = Visitor(site)
    visitor.put(user=5)
    name, _, value = visitor.cookie.partition("=")
    for index in range(len(value)):
        changed = value[:index] + ("A" if value[index] != "A" else "B") + value[index + 1 :]
        # The last characters of base64 may have bits that stand for nothing.
        if index not in (value.rindex(".") - 1, len(value) - 1):
            assert Visitor(site, f"{name}={changed}").all() == {}, index
    for forged in ("", ".", "x", value[:-1], f"{value}.", value.partition(".")[0], "x" * 9000):
        assert Visitor(site, f"{name}={forged}").all() == {}
    assert Visitor(Site(secret=SECRET[::-1]), visitor.cookie).all() == {}
    assert Visitor(Site(secret=SECRET, name="other"), f"__Host-other={value}").all() == {}


@given(st.text(st.characters(max_codepoint=255)))
def test_any_cookie(value: str) -> None:
    """Whatever a client says, it is no session and no error."""
    cookies = SignedCookies([SECRET], "session")
    assert cookies.load(value, START) is None
    assert OnServer(MemoryStore(1000), lambda: START).load(value, START) is None


def test_rotation_of_secrets() -> None:
    """With a new secret in front the old cookies are read, and new ones are signed with the new one."""
    new = "another secret, which is the newest"
    old_site, both, new_site = Site(secret=SECRET), Site(secret=[new, SECRET]), Site(secret=[new])
    visitor = Visitor(old_site)
    visitor.put(a=1)
    visitor.site = both
    assert visitor.all() == {"a": 1}
    visitor.put(a=2)
    visitor.site = new_site
    assert visitor.all() == {"a": 2}
    visitor.site = old_site
    assert visitor.all() == {}


def test_too_large() -> None:
    """More than browsers keep is an error that says so; what is there stays."""
    visitor = Visitor(Site(secret=SECRET))
    visitor.put(a="x" * 2000)
    with pytest.raises(
        ValueError, match=r"takes \d,\d{3} bytes as a cookie, .* store on the server"
    ):
        visitor.put(a="x" * 4000)
    assert visitor.all() == {"a": "x" * 2000}
    visitor = Visitor(Site(store="memory", session_bytes=100))
    visitor.put(a="x" * 80)
    with pytest.raises(ValueError, match="session_bytes is 100"):
        visitor.put(a="x" * 100)


# --- when it is saved -------------------------------------------------------------------------------


def test_change_after_the_head_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A change that comes after start_response is not saved, and the log says so, once."""
    piece = Sessions(store="memory")

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        environ["breezeway.session"]["late"] = 1
        environ["breezeway.session"]["later"] = 1
        yield b"x"

    piece.application = application
    result = call(piece, "/live")
    assert result["set-cookie"] is None
    (record,) = caplog.records
    assert "after start_response was called, for '/live': that is not saved" in record.getMessage()


def test_replaced_response_has_the_cookie(site: Site) -> None:
    """A response that takes the place of another has the session of both."""

    def application(environ: Any, start_response: Any) -> Any:
        session = environ["breezeway.session"]
        session["a"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        session["b"] = 2
        try:
            raise LookupError
        except LookupError:
            start_response("404 No", [("Content-Type", "text/plain")], sys.exc_info())
        return [b""]

    own = site.piece.application
    site.piece.application = application
    result = call(site.piece, **{"wsgi.url_scheme": "https"})
    visitor = Visitor(site)
    visitor.take(result)
    site.piece.application = own
    assert (result.code, visitor.all()) == (404, {"a": 1, "b": 2})


def test_generator_that_starts_late(site: Site) -> None:
    """A generator that touches its session before its head is saved like any other."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        environ["breezeway.session"]["a"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"x"

    own = site.piece.application
    site.piece.application = application
    visitor = Visitor(site)
    visitor.take(call(site.piece, **{"wsgi.url_scheme": "https"}))
    site.piece.application = own
    assert visitor.all() == {"a": 1}


# --- the stores -------------------------------------------------------------------------------------


def test_memory_is_bounded() -> None:
    """When there is no room, the session that was used longest ago goes."""
    site = Site(store="memory", memory_bytes=3 * (RECORD_BYTES + 100))
    visitors = [Visitor(site) for _ in range(3)]
    for visitor in visitors:
        visitor.put(a="x" * 80)
    assert visitors[0].all()
    visitors.append(Visitor(site))
    visitors[3].put(a="x" * 80)
    assert [bool(visitor.all()) for visitor in visitors] == [True, False, True, True]
    store: Any = site.piece._backing.store  # type: ignore[attr-defined]
    assert store._bytes == sum(len(r.text) + RECORD_BYTES for r in store._records.values())
    for visitor in visitors:
        visitor.ask(lambda session: session.clear())
    assert (store._bytes, len(store._records)) == (0, 0)


def test_memory_of_several_processes(caplog: pytest.LogCaptureFixture) -> None:
    """Sessions in the memory of one of several processes are told in the log, once."""
    site = Site(store="memory")
    site.do = dict
    for _ in range(2):
        call(site.piece, **{"wsgi.multiprocess": True})
    assert [record.getMessage() for record in caplog.records] == [
        "sessions in memory are those of one process: another worker, or the next one, has its own"
    ]


def test_no_id_in_the_store(tmp_path: Path) -> None:
    """Who reads the store has no id to come with."""
    site = Site(store=f"sqlite:{tmp_path}/a.db")
    visitor = Visitor(site)
    visitor.put(user=5)
    identifier = visitor.cookie.partition("=")[2].encode()
    site.piece.close()
    assert len(identifier) == 43
    found = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b'{"user":5}' in found
    assert identifier not in found


def test_damaged_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A record that is no JSON is no session, and the log says so."""
    site = Site(store=f"sqlite:{tmp_path}/a.db")
    visitor = Visitor(site)
    visitor.put(user=5)
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    for text in ("{", "", "[1]", "null", '"a"', '{"a":' + "[" * 100_000):
        connection.execute("UPDATE breezeway_sessions SET text = ?", (text,))
        assert visitor.all() == {}
    connection.close()
    visitor.put(user=6)
    assert visitor.all() == {"user": 6}
    assert "cannot be read" in caplog.text
    site.piece.close()


def test_damaged_record_in_redis(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody else has put under the key is no session; what Redis refuses is 503."""
    site = Site(store=redis.url)
    visitor = Visitor(site)
    visitor.put(user=5)
    client = site.piece._backing.store._client  # type: ignore[attr-defined]
    (name,) = client.keys()
    for value in (b"", b"garbage", b"x {}", b"%d", b"%d {", b"%d [1]", b"5 \xff"):
        client.set(name, value.replace(b"%d", b"%d" % START), ex=100)
        assert visitor.all() == {}
    assert caplog.text.count("cannot be read") == 7
    client.delete(name)
    client.lpush(name, "of another kind")
    client.expire(name, 100)
    assert [visitor.ask(dict), visitor.ask(dict)] == [503, 503]
    assert caplog.text.count("Redis refuses") == 1
    client.delete(name)
    visitor.put(user=6)
    assert visitor.all() == {"user": 6}
    client.execute_command("ACL", "SETUSER", "default", "-set")
    assert visitor.ask(lambda session: session.update(user=7)) == 503
    assert visitor.all() == {"user": 6}
    site.piece.close()


FORKS = """
import os, sys
sys.path.insert(0, {root!r})
from tests.middleware.test_sessions import Site, Visitor
site = Site(store={store!r})
before = Visitor(site)
before.put(a=1)
child = os.fork()
for number in range(20):
    assert before.all() == {{"a": 1}}
    own = Visitor(site)
    own.put(number=number, child=child)
    assert own.all() == {{"number": number, "child": child}}
site.piece.close()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("store", ON_SERVER)
def test_fork(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A piece that was used before a fork serves parent and child, each over connections of its own."""
    url = {"memory": "memory", "sqlite": f"sqlite:{tmp_path}/a.db"}.get(store)
    url = url or request.getfixturevalue("redis").url
    source = FORKS.format(root=str(Path(__file__).parents[2]), store=url)
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_sqlite_is_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that have ended are taken out of the file."""
    from breezeway.middleware.sessions import sqlite as sessions_sqlite

    monkeypatch.setattr(sessions_sqlite, "PURGE_ROWS", 3)
    site = Site(store=f"sqlite:{tmp_path}/a.db")
    for _ in range(7):
        Visitor(site).put(a=1)
    site.now += site.piece._lifetime + 1
    monkeypatch.setattr(sessions_sqlite, "PURGE_SECONDS", -1.0)
    site.piece._backing.store._purge_at = 0.0  # type: ignore[attr-defined]
    left = []
    for _ in range(4):
        Visitor(site).put(a=1)
        connection = sqlite3.connect(tmp_path / "a.db")
        left.append(connection.execute("SELECT count(*) FROM breezeway_sessions").fetchone()[0])
        connection.close()
    assert left == [5, 3, 3, 4]
    site.piece.close()


def test_sqlite_survives(tmp_path: Path) -> None:
    """Another start finds what was there."""
    site = Site(store=f"sqlite:{tmp_path}/a.db")
    visitor = Visitor(site)
    visitor.put(a=1)
    site.piece.close()
    visitor.site = Site(store=f"sqlite:{tmp_path}/a.db")
    assert visitor.all() == {"a": 1}
    visitor.site.piece.close()


def count_up(store: str, cookie: str, times: int, ready: Any, out: Any) -> None:
    """Use a store from another process: read the shared session, and make ones of its own."""
    ready.wait()
    site = Site(store=store)
    site.now = START
    wrong = 0
    for number in range(times):
        wrong += Visitor(site, cookie).all() != {"shared": True}
        own = Visitor(site)
        own.put(number=number)
        wrong += own.all() != {"number": number}
    site.piece.close()
    out.put(wrong)


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_processes_share(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Several processes that start at once and write at once see the same sessions, and none fails."""
    url = f"sqlite:{tmp_path}/a.db"
    if store == "redis":
        url = request.getfixturevalue("redis").url
    context = multiprocessing.get_context("spawn")
    ready, out = context.Event(), context.Queue()
    site = Site(store=url)
    visitor = Visitor(site)
    visitor.put(shared=True)
    processes = [
        context.Process(target=count_up, args=(url, visitor.cookie, 30, ready, out))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    ready.set()
    assert [out.get(timeout=20) for _ in processes] == [0, 0]
    for process in processes:
        process.join(20)
    visitor.ask(lambda session: session.clear())
    site.piece.close()


def test_sqlite_opened_by_many_at_once(tmp_path: Path) -> None:
    """Of many that open a new file together none fails."""
    for number in range(5):
        start = threading.Barrier(8)

        def make(_: int, number: int = number, start: threading.Barrier = start) -> None:
            start.wait()
            Sessions(store=f"sqlite:{tmp_path}/{number}.db").close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(8)))


def test_sqlite_file_is_for_its_owner(tmp_path: Path) -> None:
    """A file that is made has mode 600, so has what is beside it; one that is there keeps its own."""
    (tmp_path / "b.db").touch(0o640)
    (tmp_path / "b.db").chmod(0o640)
    for name, mode in (("a.db", 0o600), ("b.db", 0o640)):
        site = Site(store=f"sqlite:{tmp_path}/{name}")
        Visitor(site).put(a=1)
        found = {path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{name}*")}
        assert found == {mode}
        site.piece.close()


def test_sqlite_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that cannot be written is 503, and works again when it can."""
    from breezeway.middleware.sessions import sqlite as sessions_sqlite

    monkeypatch.setattr(sessions_sqlite, "BUSY_SECONDS", 0.01)
    site = Site(store=f"sqlite:{tmp_path}/a.db")
    visitor = Visitor(site)
    visitor.put(a=1)
    site.piece.close()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert visitor.all() == {"a": 1}
    assert visitor.ask(lambda session: session.update(a=2)) == 503
    assert "a.db: database is locked" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    assert visitor.all() == {"a": 1}
    visitor.put(a=2)
    assert visitor.all() == {"a": 2}
    site.piece.close()


def test_redis_goes_and_comes_back(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """While Redis is away a request that touches its session is 503, any other is answered."""
    site = Site(store=redis.url)
    visitor = Visitor(site)
    visitor.put(a=1)
    redis.stop()
    assert visitor.ask(dict) == 503
    assert visitor.last["retry-after"] == "1"
    assert visitor.ask(lambda session: session.update(b=1)) == 503
    assert visitor.ask(lambda session: "untouched") == "untouched"
    redis.start()
    site.piece._backing.store._link._away_until = 0.0  # type: ignore[attr-defined]
    assert visitor.all() == {}
    visitor.put(a=2)
    assert visitor.all() == {"a": 2}
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.ERROR, logging.WARNING]
    site.piece.close()


def test_redis_restarted_under_load(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Redis goes and comes, every request is answered, 200 or 503; then all is well again."""
    monkeypatch.setattr(redis_link, "RETRY_SECONDS", 0.02)
    piece = Sessions(store=redis.url)

    def application(environ: Any, start_response: Any) -> Any:
        session = environ["breezeway.session"]
        session["count"] = session.get("count", 0) + 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    piece.application = application
    seen: dict[int, threading.Event] = {200: threading.Event(), 503: threading.Event()}
    done = threading.Event()

    def visit(_: int) -> set[int]:
        visitor, codes = Visitor(Site(store="memory")), set()
        while not done.is_set():
            fields = {"Cookie": visitor.cookie}
            result = call(piece, fields=fields, **{"wsgi.url_scheme": "https"})
            visitor.take(result)
            codes.add(result.code)
            seen[result.code].set()
        return codes

    with ThreadPoolExecutor(4) as pool:
        visitors = [pool.submit(visit, number) for number in range(4)]
        try:
            for stops, code in ((None, 200), (True, 503), (False, 200), (True, 503), (False, 200)):
                if stops is not None:
                    (redis.stop if stops else redis.start)()
                seen[code].clear()
                assert seen[code].wait(10), code
        finally:
            done.set()
        assert set().union(*(each.result() for each in visitors)) == {200, 503}
    piece.close()


def test_redis_away_and_empty_sessions(redis: RedisServer) -> None:
    """With `when_away` empty, pages that only read are answered; a change is refused."""
    site = Site(store=redis.url, when_away="empty")
    visitor = Visitor(site)
    visitor.put(a=1)
    cookie = visitor.cookie
    redis.stop()
    assert visitor.ask(lambda session: [session.get("a"), session.read_only]) == [None, True]
    assert (visitor.last["vary"], visitor.last["set-cookie"]) == ("Cookie", None)
    for change in (lambda s: s.update(a=2), lambda s: s.rotate(), lambda s: s.clear()):
        assert visitor.ask(change) == 503
    assert Visitor(site).ask(lambda session: session.update(a=1)) == 503
    assert visitor.cookie == cookie
    site.piece.close()


def test_away_and_a_framework_that_answers_errors(redis: RedisServer) -> None:
    """A page for an error that a framework makes of it is 503, not 500."""
    piece = Sessions(store=redis.url)

    def application(environ: Any, start_response: Any) -> Any:
        try:
            environ["breezeway.session"].get("a")
            start_response("200 OK", [("Content-Type", "text/plain")])
        except Exception:
            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"oh"]

    piece.application = application
    redis.stop()
    result = call(piece, fields={"Cookie": f"sid={'x' * 43}"})
    assert (result.status, result["retry-after"]) == ("503 Service Unavailable", "1")
    piece.close()


@pytest.mark.parametrize("change", [False, True])
def test_away_and_a_generator(redis: RedisServer, change: bool) -> None:
    """A generator that touches its session when it is iterated over is 503, too, and is closed once."""
    application = Counted(b"x", b"y")
    piece = Sessions(store=redis.url)

    def late(environ: Any, start_response: Any) -> Any:
        found = application(environ, start_response)

        class Blocks:
            def __iter__(self) -> Iterator[bytes]:
                environ["breezeway.session"].get("a")
                if change:
                    environ["breezeway.session"]["a"] = 1
                yield from found

            def close(self) -> None:
                found.close()  # type: ignore[attr-defined]

        return Blocks()

    piece.application = late
    assert call(piece).blocks == [b"x", b"y"]
    redis.stop()
    cookie = {} if change else {"Cookie": f"sid={'x' * 43}"}
    result = call(piece, fields=cookie)
    assert (result.status, result["retry-after"]) == ("503 Service Unavailable", "1")
    assert application.closed == 2
    piece.close()


def test_redis_has_an_end_of_its_own(redis: RedisServer) -> None:
    """Each key in Redis has a time to live, under the prefix."""
    site = Site(store=redis.url, key_prefix="shop:", idle=100)
    visitor = Visitor(site)
    visitor.put(a=1)
    client = site.piece._backing.store._client  # type: ignore[attr-defined]
    (key,) = client.keys("*")
    assert key.startswith(b"shop:")
    assert 90 <= client.ttl(key) <= 100
    visitor.ask(lambda session: session.clear())
    assert client.keys("*") == []
    site.piece.close()


# --- options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        *({"secret": secret} for secret in ("short", 5, [SECRET, "short"], [5], [])),
        *(
            {"store": store}
            for store in ("", "disk", "sqlite:", "sqlite::memory:", "sqlite://h/x", 5, None)
        ),
        {"store": "sqlite:/no/such/directory/a.db"},
        {"store": "redis://[/"},
        {"store": "memory", "secret": SECRET},
        *(
            {"store": "memory", option: value}
            for option, value in [
                *(("idle", value) for value in (0, -1, "x", True, 1e12, float("nan"))),
                *(("lifetime", value) for value in (0, None)),
                *(("name", value) for value in ("", "a b", "\xe4", 5)),
                *(("path", value) for value in ("", "x", "/;", 5)),
                *(("domain", value) for value in ("", "a b", "192.0.2.1", 5, False)),
                *(("same_site", value) for value in ("lax", "None", 5)),
                *(("secure", value) for value in ("yes", 1, None)),
                *(("persistent", value) for value in ("yes", 1)),
                *(("session_bytes", value) for value in (0, "1", True, 1.5)),
                *(("memory_bytes", value) for value in (0, None)),
                ("key_prefix", 5),
                ("when_away", "503"),
            ]
        ),
    ],
)
def test_options(options: Any) -> None:
    """What is wrong is told at construction, and no secret is shown."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # its words are looked at below
        Sessions(**options)
    assert SECRET not in str(raised.value)
    for option in options:
        shown = {"same_site": "SameSite", "store": "store", "name": "cookie"}.get(option, option)
        assert shown in str(raised.value) or option in ("store", "path", "domain", "name")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without itsdangerous it says what to install."""
    monkeypatch.setitem(sys.modules, "itsdangerous", None)
    with pytest.raises(ValueError, match=r"pip install 'breezeway\[sessions\]'"):
        Sessions(secret=SECRET)
    assert call(Sessions(Counted(b"x"), store="memory"), **make_environ()).body == b"x"


def test_beside_flask() -> None:
    """The sessions of Flask, which has a cookie called session, and ours are both kept over http."""
    flask = pytest.importorskip("flask")
    application = flask.Flask("beside")
    application.secret_key = SECRET

    @application.route("/")
    def visit() -> str:
        sessions = (flask.request.environ["breezeway.session"], flask.session)
        for session in sessions:
            session["visits"] = session.get("visits", 0) + 1
        return " ".join(str(session["visits"]) for session in sessions)

    piece = Sessions(application, store="memory")
    cookies: dict[str, str] = {}
    for visits in range(1, 4):
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        result = call(piece, fields={"Cookie": sent} if sent else {})
        assert result.body == f"{visits} {visits}".encode()
        for cookie in result.all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            cookies[name] = value


def test_file_is_taken_away(tmp_path: Path) -> None:
    """A file that an operator has removed is made anew, for its owner alone; the directory, too late."""

    def application(environ: Any, start_response: Any) -> Any:
        environ["breezeway.session"]["a"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"kept"]

    directory = tmp_path / "with ?#% and space"
    directory.mkdir()
    path = directory / "sessions.db"
    piece = Sessions(application, store=f"sqlite:{path}")
    assert call(piece).body == b"kept"
    piece.close()
    for file in directory.iterdir():
        file.unlink()
    assert call(piece).body == b"kept"
    assert path.stat().st_mode & 0o777 == 0o600
    piece.close()
    shutil.rmtree(directory)
    assert call(piece).code == 503


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_late_start_is_closed_once(tmp_path: Path, blocks: int) -> None:
    """An iterable that begins late, and whose client leaves, is closed once."""

    class Late:
        closed = 0

        def __init__(self, start_response: Any) -> None:
            self.start_response = start_response
            self.left = [b"first", b"second"]

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            if len(self.left) == 2:
                self.start_response("200 OK", [("Content-Type", "text/plain")])
            if not self.left:
                raise StopIteration
            return self.left.pop(0)

        def close(self) -> None:
            Late.closed += 1

    piece = Sessions(lambda environ, start: Late(start), store=f"sqlite:{tmp_path}/sessions")
    found: Any = piece(make_environ(), lambda *given: print)
    taken = iter(found)
    for _ in range(blocks):
        next(taken)
    del taken
    gc.collect()
    found.close()
    assert Late.closed == 1
