"""Cache: what goes on around the rules, which tests/corpus/cache has."""

from __future__ import annotations

import gzip
import io
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from breezeway.middleware import Decompress
from breezeway.middleware.cache import Cache
from breezeway.middleware.cache.flights import MOST_INVALIDATED, Flights, Invalidations
from breezeway.testing import LiveServer

from ..live import eventually
from ..wire.client import Client
from .calling import Counted, call, make_environ, run

DEADLINE_SECONDS = 10.0
FRESH = ("Cache-Control", "max-age=60")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def counted(*fields, body=b"page", status="200 OK"):
    """Make an application whose response may be stored."""
    return Counted(body, status=status, fields=fields or (FRESH,))


def idle():
    """Wait until nothing is refreshed any longer."""
    eventually(
        lambda: not any(each.name == "breezeway-cache" for each in threading.enumerate()),
        "the refresh ends",
    )


# --- Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("redis", "http://here"),
        ("redis", 5),
        ("redis", b"redis://here"),
        ("prefix", ""),
        ("prefix", "a*"),
        ("size", 0),
        ("size", 1000),
        ("size", "1 GB"),
        ("largest", 0),
        ("largest", 1.5),
        ("largest", True),
        ("variants", 0),
        ("wait", -1),
        ("wait", float("nan")),
        ("wait", "5"),
        ("wait", 1e15),
        ("stale_while_revalidate", -1),
        ("stale_if_error", 1.5),
        ("heuristic", 1.1),
        ("heuristic", -0.1),
        ("heuristic", True),
        ("targeted", 5),
        ("targeted", [""]),
        ("targeted", [5]),
        ("request_directives", "yes"),
        ("purge_from", ["10.0.0.1/8"]),
        ("purge_from", [1]),
        ("purge_from", 1),
        ("cache_status", "two words"),
        ("cache_status", None),
        ("targeted", ["two words"]),
        ("clock", 5),
    ],
)
def test_wrong_options(option, value):
    """An option that is wrong is named."""
    with pytest.raises(ValueError, match=option if option != "redis" else "(?i)redis"):
        Cache(**{option: value})


def test_options_as_toml_has_them():
    """Texts and lists do."""
    Cache(
        size=10_000_000, largest=1000, wait=0, targeted="CDN-Cache-Control", purge_from="127.0.0.1"
    )
    Cache(redis="redis://127.0.0.1:1/0")
    Cache(heuristic=1, purge_from=["127.0.0.0/8", "unix"], cache_status="", targeted=[])


# --- What goes through -------------------------------------------------------------------------------


def test_blocks_go_out_as_they_come_and_are_stored_in_the_end():
    """A generator streams, and the second client gets the whole at once."""
    application = Counted(b"a", b"b", b"c", fields=[FRESH])
    cache = Cache(application)
    found = cache(make_environ(), lambda status, headers, exc_info=None: lambda data: None)
    blocks = iter(found)
    assert next(blocks) == b"a"
    assert application.yielded == 1
    assert [*blocks] == [b"b", b"c"]
    found.close()
    assert call(cache).blocks == [b"abc"]
    assert (application.calls, application.closed) == (1, 1)


def test_what_a_client_leaves_is_not_stored():
    """A response that was not asked for to its end is incomplete."""
    application = Counted(b"a", b"b", fields=[FRESH])
    cache = Cache(application)
    found = cache(make_environ(), lambda status, headers, exc_info=None: lambda data: None)
    next(iter(found))
    found.close()
    found.close()
    assert application.closed == 1
    assert call(cache).body == b"ab"
    assert application.calls == 2


def test_what_fails_midway_is_not_stored():
    """The failure goes through, and what came before it is dropped, even if one asks again."""
    closed = []

    class Failing:
        def __init__(self):
            self.blocks = iter([b"a"])

        def __iter__(self):
            return self

        def __next__(self):
            for block in self.blocks:
                return block
            if not closed:
                closed.append("failed")
                raise ConnectionError
            raise StopIteration

        def close(self):
            closed.append("closed")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        return Failing()

    cache = Cache(application)
    found = cache(make_environ(), lambda status, headers, exc_info=None: lambda data: None)
    blocks = iter(found)
    assert next(blocks) == b"a"
    with pytest.raises(ConnectionError):
        next(blocks)
    assert next(blocks, None) is None
    found.close()
    assert closed == ["failed", "closed"]
    assert "hit" not in call(cache)["Cache-Status"]


def test_what_is_too_large_streams_and_is_not_stored():
    """Past `largest` nothing is collected any longer, and the next one is not waited for."""
    application = Counted(b"a" * 6, b"", b"b" * 6, fields=[FRESH])
    cache = Cache(application, largest=10)
    assert call(cache).blocks == [b"a" * 6, b"", b"b" * 6]
    assert call(cache)["Cache-Status"] == "Breezeway; fwd=uri-miss"
    assert application.calls == 2


def test_objects_of_others_pass_untouched():
    """A list, and a file that is too large to be stored, reach the server as they are."""
    for length, fields in ((4, [FRESH]), (2_000_000, [FRESH]), (4, [])):
        found = [b"page"] if length == 4 else make_environ()["wsgi.file_wrapper"](io.BytesIO())

        def application(environ, start_response, found=found, length=length, fields=fields):
            start_response("200 OK", [("Content-Length", str(length)), *fields])
            return found

        cache = Cache(application)
        assert cache(make_environ(), lambda status, headers, exc_info=None: bool) is found


def test_what_is_written_is_stored_too():
    """Data of `write()` comes first."""

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        write(b"one ")
        return [b"two"]

    cache = Cache(application)
    assert call(cache).body == b"one two"
    assert call(cache).blocks == [b"one two"]


def test_a_response_that_is_replaced_is_not_stored():
    """The head that counts is the last one."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        try:
            raise ConnectionError
        except ConnectionError as error:
            info = (ConnectionError, error, error.__traceback__)
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")], info)
        return [b"sorry"]

    cache = Cache(application)
    assert call(cache).code == 500
    assert call(cache)["Cache-Status"] == "Breezeway; fwd=uri-miss"


def test_variants_are_of_the_request_as_it_came():
    """An application that changes its environ does not mix up who gets what."""

    def application(environ, start_response):
        language = environ.pop("HTTP_ACCEPT_LANGUAGE", "none")
        environ["HTTP_ACCEPT_LANGUAGE"] = "changed"
        start_response(
            "200 OK", [("Content-Type", "text/plain"), FRESH, ("Vary", "Accept-Language")]
        )
        return [language.encode()]

    cache = Cache(application)
    for _ in range(2):
        for language in ("de", "en"):
            assert call(cache, fields={"Accept-Language": language}).body == language.encode()
    assert "hit" in call(cache, fields={"Accept-Language": "de"})["Cache-Status"]


def test_a_request_with_content_goes_past_the_store():
    """Nobody else gets an answer to content that GET had."""
    application = counted()
    cache = Cache(application)
    call(cache)
    call(cache, body=b"poison")
    call(cache, fields={"Transfer-Encoding": "chunked"})
    assert application.calls == 3
    call(cache, fields={"Content-Length": "0"})
    assert application.calls == 3


def test_a_url_that_is_too_long_goes_past_the_store():
    """A key has an end."""
    application = counted()
    cache = Cache(application)
    for _ in range(2):
        call(cache, "/" + "a" * 5000)
    assert application.calls == 2


def test_what_becomes_storable_is_stored_the_time_after():
    """That a URL was not for the store is not held against it for ever."""
    application = counted(("X", "y"))
    cache = Cache(application)
    call(cache)
    application.fields.append(FRESH)
    for _ in range(2):
        assert "fwd=uri-miss" in call(cache)["Cache-Status"]
    assert "hit" in call(cache)["Cache-Status"]


def test_cache_status():
    """The field says what was done (RFC 9211), after that of a cache behind this one."""
    clock = Clock()
    fields = [
        ("Cache-Control", "max-age=9"),
        ("Vary", "A"),
        ("ETag", '"x"'),
        ("Cache-Status", "B; hit"),
    ]
    cache = Cache(counted(*fields), clock=clock, cache_status="Shop")

    def said(**fields):
        return call(cache, fields=fields).all("Cache-Status")

    assert said() == ["B; hit", "Shop; fwd=uri-miss"]
    assert said(A="1") == ["B; hit", "Shop; fwd=vary-miss"]
    clock.now += 2
    assert said() == ["B; hit", "Shop; hit; ttl=7"]
    assert said(**{"Cache-Control": "no-cache"}) == ["B; hit", "Shop; fwd=request"]
    clock.now += 10
    assert said() == ["B; hit", "Shop; fwd=stale"]
    assert Cache(counted(), cache_status="")._engine.said("hit") == []


# --- Bounds ------------------------------------------------------------------------------------------


def test_the_least_recently_used_goes_first():
    """Memory has an end, and what is asked for stays."""
    application = counted(body=b"x" * 3000)
    cache = Cache(application, size=16_000, largest=4000)
    store = cache._shelf.store
    for path in ("/a", "/b", "/c"):
        call(cache, path)
    call(cache, "/a")
    call(cache, "/d")
    assert application.calls == 4
    assert store.used <= 16_000
    call(cache, "/a")
    assert application.calls == 4
    call(cache, "/b")
    assert application.calls == 5
    cache.clear()
    assert store.used == 0


def test_a_url_has_a_bounded_number_of_variants():
    """A client that makes up values pushes out those of its URL."""
    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application, variants=3)
    for number in range(10):
        call(cache, fields={"A": str(number)})
    (url,) = cache._shelf.store._urls.values()
    assert [*url.entries] == ["+7", "+8", "+9"]
    assert cache._shelf.store.used == url.size


def test_the_variant_that_is_asked_for_stays():
    """Whoever makes variants up drives out his own, and not those that others ask for."""
    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application, variants=3)
    call(cache, fields={"A": "page"})
    for number in range(10):
        call(cache, fields={"A": str(number)})
        assert "hit" in call(cache, fields={"A": "page"})["Cache-Status"]
    store = cache._shelf.store
    assert store.used == sum(url.size for url in store._urls.values())


def test_a_new_vary_replaces_the_variants():
    """What was selected by other fields is not served any longer."""
    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application)
    call(cache, fields={"A": "1"})
    application.fields[-1] = ("Vary", "B")
    call(cache, fields={"A": "2", "B": "1"})
    call(cache, fields={"A": "1", "B": "1"})
    assert application.calls == 2


def test_the_bookkeeping_of_requests_under_way_is_bounded():
    """Flights that nobody ends, and invalidations, do not pile up."""
    flights = Flights(0.0)
    for number in range(3000):
        flights.enter(str(number))
    assert len(flights._flights) <= 1025
    invalidations = Invalidations()
    for number in range(5000):
        invalidations.add(str(number))
    assert len(invalidations._times) <= MOST_INVALIDATED + 1
    assert invalidations.since("0", 0.0), "what was forgotten counts as invalidated"


# --- Many at once ------------------------------------------------------------------------------------


def ask_at_once(cache, count, **options):
    """Send so many requests at the same time; return the results."""
    barrier = threading.Barrier(count)

    def ask(number):
        barrier.wait(DEADLINE_SECONDS)
        return call(cache, **options)

    with ThreadPoolExecutor(count) as pool:
        return [*pool.map(ask, range(count))]


def test_one_asks_and_the_others_wait():
    """Fifty clients and a cold key are one request to the application."""
    waiting = threading.Event()
    calls = []

    def application(environ, start_response):
        calls.append(environ["PATH_INFO"])
        waiting.wait(0.05)  # long enough for all to come
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        yield b"page"

    cache = Cache(application)
    results = ask_at_once(cache, 50)
    assert len(calls) == 1
    assert {result.body for result in results} == {b"page"}


def test_what_is_stale_is_asked_about_once():
    """The same holds for a revalidation."""
    clock = Clock()
    calls = []

    def application(environ, start_response):
        calls.append(environ.get("HTTP_IF_NONE_MATCH"))
        threading.Event().wait(0.02)
        status = "304 Not Modified" if calls[-1] else "200 OK"
        fields = [FRESH, ("ETag", '"a"')]
        start_response(status, fields if calls[-1] else [("Content-Type", "text/plain"), *fields])
        return [] if calls[-1] else [b"page"]

    cache = Cache(application, clock=clock)
    call(cache)
    clock.now += 61
    results = ask_at_once(cache, 20)
    assert calls == [None, '"a"']
    assert {result.body for result in results} == {b"page"}


@pytest.mark.parametrize("fields", [{}, {"Cache-Control": "no-cache"}])
def test_who_needs_an_answer_of_its_own_does_not_wait(fields):
    """What must be revalidated for each request is asked for side by side."""
    together = threading.Barrier(3)

    def application(environ, start_response):
        is_known = "HTTP_IF_NONE_MATCH" in environ
        if is_known:
            together.wait(DEADLINE_SECONDS)
        control = "max-age=60" if fields else "no-cache"
        head = [("Cache-Control", control), ("ETag", '"a"')]
        status = "304 Not Modified" if is_known else "200 OK"
        start_response(status, head if is_known else [("Content-Type", "text/plain"), *head])
        return [] if is_known else [b"page"]

    cache = Cache(application)
    call(cache, fields=fields)
    assert {result.body for result in ask_at_once(cache, 3, fields=fields)} == {b"page"}


def test_variants_are_asked_for_side_by_side():
    """Of each variant one request comes, even when nothing is known of the URL."""
    calls = []

    def application(environ, start_response):
        calls.append(environ["HTTP_A"])
        threading.Event().wait(0.02)
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH, ("Vary", "A")])
        return [environ["HTTP_A"].encode()]

    cache = Cache(application)
    barrier = threading.Barrier(20)

    def ask(number):
        barrier.wait(DEADLINE_SECONDS)
        return call(cache, fields={"A": str(number % 2)}).body == str(number % 2).encode()

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(20)))
    assert sorted(calls) == ["0", "1"]


def test_what_cannot_be_stored_goes_on_side_by_side():
    """Nobody waits for a response that is not for them: all are in the application at once."""
    together = threading.Barrier(9)
    first = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "private")])
        first.set()
        together.wait(DEADLINE_SECONDS)
        return [b"mine"]

    cache = Cache(application, wait=DEADLINE_SECONDS)
    with ThreadPoolExecutor(9) as pool:
        results = [pool.submit(call, cache) for _ in range(9)]
        assert {result.result(DEADLINE_SECONDS).body for result in results} == {b"mine"}
    assert first.is_set()


def test_one_that_fails_lets_the_others_ask():
    """Who has waited for nothing asks for itself."""
    calls = []
    lock = threading.Lock()

    def application(environ, start_response):
        with lock:
            calls.append(1)
            number = len(calls)
        threading.Event().wait(0.02)
        if number == 1:
            raise ConnectionError
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        return [b"page"]

    cache = Cache(application)
    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(call, cache) for _ in range(5)]
        failed = [future for future in futures if future.exception(DEADLINE_SECONDS)]
    assert len(failed) == 1
    assert len(calls) == 2


def test_an_error_of_one_lets_another_one_ask():
    """An error says nothing of what is stored otherwise: still one asks, and the others wait."""
    calls = []

    def application(environ, start_response):
        calls.append(1)
        if len(calls) == 1:
            asked.set()
            waiting.wait(DEADLINE_SECONDS)
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"busy"]
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        return [b"page"]

    cache = Cache(application, wait=DEADLINE_SECONDS)
    asked = threading.Event()
    waiting = threading.Barrier(5)

    def ask_as_well():
        waiting.wait(DEADLINE_SECONDS)
        return call(cache)

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(call, cache)
        assert asked.wait(DEADLINE_SECONDS)
        others = [pool.submit(ask_as_well) for _ in range(4)]
        assert first.result(DEADLINE_SECONDS).code == 503
        assert {other.result(DEADLINE_SECONDS).body for other in others} == {b"page"}
    assert len(calls) == 2


def test_a_wait_has_an_end():
    """A request that hangs holds up another one for `wait` seconds, and no longer."""
    release = threading.Event()
    calls = []

    def application(environ, start_response):
        calls.append(1)
        if len(calls) == 1:
            release.wait(DEADLINE_SECONDS)
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        return [b"page"]

    cache = Cache(application, wait=0.05)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(call, cache)
        eventually(lambda: bool(calls), "the first is in the application")
        assert call(cache).body == b"page"
        assert len(calls) == 2
        release.set()
        assert hanging.result(DEADLINE_SECONDS).code == 200


def test_what_was_asked_for_before_an_invalidation_is_not_stored():
    """A page that was made while POST changed it could be the old one."""
    asked, changed = threading.Event(), threading.Event()

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "GET":
            asked.set()
            changed.wait(DEADLINE_SECONDS)
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        return [b"page"]

    cache = Cache(application)
    with ThreadPoolExecutor(1) as pool:
        getting = pool.submit(call, cache)
        assert asked.wait(DEADLINE_SECONDS)
        call(cache, method="POST")
        changed.set()
        getting.result(DEADLINE_SECONDS)
    assert "fwd=uri-miss" in call(cache)["Cache-Status"]
    assert "hit" in call(cache)["Cache-Status"]


def test_an_invalidation_while_an_answer_is_being_stored(monkeypatch):
    """What is put into the store just after the deletion goes again."""
    cache = Cache(counted())
    store = cache._shelf.store
    put = store.put

    def late(*args):
        cache.purge("http://test/")
        put(*args)

    monkeypatch.setattr(store, "put", late)
    call(cache)
    assert store.get("http\ntest\n\n/", make_environ()) == (None, None)


def test_what_is_a_users_by_the_server_is_not_for_all():
    """A server that checks passwords itself tells the user, and may keep Authorization to itself."""
    application = counted()
    cache = Cache(application)
    for _ in range(2):
        call(cache, REMOTE_USER="ann")
    for _ in range(2):  # the first one shows that there is something to store
        call(cache)
    assert application.calls == 4
    assert "hit" in call(cache, REMOTE_USER="")["Cache-Status"]
    public = counted(("Cache-Control", "public, max-age=60"))
    cache = Cache(public)
    for _ in range(2):
        call(cache, REMOTE_USER="ann")
    assert public.calls == 1


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_is_set(jump):
    """What was stored before is asked for again, and does not stay for as long as the clock jumped."""
    clock = Clock()
    application = counted()
    cache = Cache(application, clock=clock)
    call(cache)
    clock.now += jump
    call(cache)
    assert application.calls == 2
    assert "hit" in call(cache)["Cache-Status"]


@pytest.mark.parametrize("fields", [(FRESH,), (FRESH, ("ETag", '"1"'))])
def test_a_stranger_empties_nothing(fields):
    """A request with a user's name goes on alone; what is stored for all stays."""
    application = counted(*fields)
    cache = Cache(application)
    call(cache)
    call(cache, fields={"Authorization": "Basic eA==", "Cache-Control": "no-cache"})
    application.status = "304 Not Modified"
    application.blocks = ()
    application.fields = list(fields)
    if len(fields) > 1:
        call(cache, fields={"Authorization": "Basic eA==", "Cache-Control": "no-cache"})
    assert "hit" in call(cache)["Cache-Status"]


def test_a_body_of_unknown_length_goes_past_the_store():
    """One that comes in chunks, or is decoded as it is read, could make the page another one."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
        return [environ["wsgi.input"].read(9) or b"page"]

    poison = gzip.compress(b"poison")
    cache = Decompress(Cache(application), stream=True)
    given = {"wsgi.input": io.BytesIO(b"poison"), "wsgi.input_terminated": True}
    assert call(cache, **given, **{"breezeway.trailers": {}}).body == b"poison"
    assert call(cache, fields={"Content-Encoding": "gzip"}, body=poison).body == b"poison"
    assert call(cache).body == b"page"


def test_threads_race():
    """Sixteen threads store, purge and vary on one small cache; the sums are right in the end."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), FRESH, ("Vary", "A")])
        return [environ["PATH_INFO"].encode() + environ["HTTP_A"].encode()]

    cache = Cache(application, size=20_000, largest=5000, variants=2)

    def ask(thread):
        for number in range(120):
            path, value = f"/{(thread * 7 + number) % 9}", str(number % 4)
            environ = make_environ(path, fields={"A": value})
            found = cache(environ, lambda status, headers, exc_info=None: bool)
            assert b"".join(found) == f"{path}{value}".encode()
            if number % 10 == 0:
                cache.purge(f"http://test{path}")

    with ThreadPoolExecutor(16) as pool:
        [*pool.map(ask, range(16))]
    store = cache._shelf.store
    sizes = [size for url in store._urls.values() for _, size in url.entries.values()]
    assert store.used == sum(sizes) <= 20_000


# --- Stale -------------------------------------------------------------------------------------------


def test_refreshing_in_the_background():
    """The stale one is served at once; the next client gets what was made meanwhile."""
    clock = Clock()
    seen = []

    def application(environ, start_response):
        seen.append((threading.current_thread().name, environ))
        start_response(
            "200 OK",
            [
                ("Content-Type", "text/plain"),
                ("Cache-Control", "max-age=5, stale-while-revalidate=9"),
            ],
        )
        return [str(len(seen)).encode()]

    cache = Cache(application, clock=clock)

    def ask():
        connection = object()
        return call(
            cache,
            fields={"Cookie": "a=b"},
            **{"wsgi.multithread": True, "server.connection": connection, "piece.nonce": "secret"},
        )

    assert ask().body == b"1"
    clock.now += 8
    result = ask()
    assert result.body == b"1"
    assert result["Cache-Status"] == "Breezeway; hit; ttl=-3"
    assert result["Age"] == "8"
    idle()
    assert ask().body == b"2"
    assert len(seen) == 2
    name, environ = seen[1]
    assert name == "breezeway-cache"
    assert environ["HTTP_COOKIE"] == "a=b"
    assert environ["wsgi.input"].read() == b""
    assert not {"server.connection", "piece.nonce", "wsgi.file_wrapper"} & environ.keys()


def test_a_refresh_goes_on_once():
    """While one is under way no other one begins, also if nobody waits for others."""
    clock = Clock()
    release = threading.Event()
    calls = []

    def application(environ, start_response):
        calls.append(1)
        if len(calls) > 1:
            release.wait(DEADLINE_SECONDS)
        fields = [("Cache-Control", "max-age=5, stale-while-revalidate=9")]
        start_response("200 OK", [("Content-Type", "text/plain"), *fields])
        return [b"page"]

    cache = Cache(application, clock=clock, wait=0)
    call(cache)
    clock.now += 8
    for _ in range(5):
        assert call(cache, **{"wsgi.multithread": True})["Age"] == "8"
    eventually(lambda: len(calls) == 2, "the refresh begins")
    release.set()
    idle()
    assert len(calls) == 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_there_is_work():
    """A child has places for refreshing, and waits for no thread and no lock of its parent's."""
    import multiprocessing

    release = threading.Event()

    def application(environ, start_response):
        if threading.current_thread().name == "breezeway-cache":
            release.wait(DEADLINE_SECONDS)
        fields = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=1")]
        start_response("200 OK", fields)
        return [b"page"]

    clock = Clock()
    cache = Cache(application, stale_while_revalidate=60, clock=clock)
    paths = [f"/{number}" for number in range(4)]
    for path in paths:
        call(cache, path)
    clock.now += 2
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def child():
        release.set()
        for path in paths:
            call(cache, path)
        idle()
        results.put([call(cache, path)["Age"] for path in paths])

    try:
        for path in paths:
            call(cache, path)
        with cache._shelf.store._lock:
            process = context.Process(target=child)
            process.start()
        process.join(DEADLINE_SECONDS)
        assert process.exitcode == 0
        assert results.get() == ["0"] * len(paths)
    finally:
        release.set()
        process.kill()
    idle()


def test_a_server_with_one_thread_refreshes_in_the_foreground():
    """An application that is not made for threads gets none."""
    clock = Clock()
    application = counted(("Cache-Control", "max-age=5, stale-while-revalidate=9"))
    cache = Cache(application, clock=clock)
    call(cache)
    clock.now += 8
    assert call(cache)["Cache-Status"] == "Breezeway; fwd=stale"
    assert application.calls == 2


def test_a_failing_refresh_keeps_what_is_there(caplog):
    """It is logged, and the stale one is served on."""
    clock = Clock()
    application = counted(("Cache-Control", "max-age=5, stale-while-revalidate=90"))

    def failing(environ, start_response):
        if application.calls:
            raise ConnectionError("gone")
        return application(environ, start_response)

    cache = Cache(failing, clock=clock)
    call(cache)
    clock.now += 8
    for _ in range(2):
        assert call(cache, **{"wsgi.multithread": True}).body == b"page"
        idle()
    assert "gone" in caplog.text
    assert application.closed == 1


def test_errors_that_nobody_sees_are_logged(caplog):
    """A 503 for which a stored response stands in, or in the background, is in the log."""
    clock = Clock()
    application = counted(
        ("Cache-Control", "max-age=5, stale-while-revalidate=9, stale-if-error=90")
    )
    cache = Cache(application, clock=clock)
    call(cache)
    application.status = "503 Service Unavailable"
    application.fields.pop()
    clock.now += 8
    assert call(cache, **{"wsgi.multithread": True}).code == 200
    idle()
    clock.now += 20
    assert call(cache).code == 200
    assert [record.args for record in caplog.records] == [("503 Service Unavailable",)] * 2
    assert (application.calls, application.closed) == (3, 3)


def test_a_stored_response_stands_in_for_a_generator_that_fails(caplog):
    """Even when it fails with its first block; the failure is in the log, and all is closed."""
    clock = Clock()
    fails = []
    closed = []

    class Blocks:
        def __init__(self, start_response):
            self.start_response = start_response
            self.blocks = [b"page"]

        def __iter__(self):
            return self

        def __next__(self):
            if fails:
                raise ConnectionError("gone")
            if not self.blocks:
                raise StopIteration
            self.start_response("200 OK", [("Content-Type", "text/plain"), FRESH])
            return self.blocks.pop()

        def close(self):
            closed.append(1)

    cache = Cache(lambda environ, start: Blocks(start), clock=clock, stale_if_error=10)
    call(cache)
    clock.now += 65
    fails.append(1)
    result = call(cache)
    assert (result.body, result["Cache-Status"]) == (b"page", "Breezeway; fwd=stale")
    assert "gone" in caplog.text
    assert len(closed) == 2
    clock.now += 10
    with pytest.raises(ConnectionError):
        call(cache)
    assert len(closed) == 3


def test_a_304_of_a_generator():
    """An application that says 304 when its first block is asked for is closed, and not sent."""
    clock = Clock()
    application = counted(FRESH, ("ETag", '"a"'))
    cache = Cache(application, clock=clock)
    call(cache)
    clock.now += 61
    application.status, application.fields, application.blocks = "304 Not Modified", [], ()
    for _ in range(2):
        assert call(cache).body == b"page"
    assert (application.calls, application.closed) == (2, 2)


def test_a_validation_that_finds_something_else_streams():
    """A new version goes out block by block, and is stored in place of the old one."""
    clock = Clock()
    application = counted(FRESH, ("ETag", '"a"'))
    cache = Cache(application, clock=clock)
    call(cache)
    clock.now += 61
    application.blocks = (b"new ", b"page")
    assert call(cache).blocks == [b"new ", b"page"]
    assert call(cache).blocks == [b"new page"]


# --- Purging -----------------------------------------------------------------------------------------


def ask(cache, method, **more):
    """Ask with a method that `wsgiref.validate` does not know; return the status."""
    started = []
    cache(make_environ(method=method, **more), lambda *args: started.append(args) or bool)
    return started[0][0]


def test_purge():
    """A URL is forgotten with all its variants, and no other."""
    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application)
    for fields in ({"A": "1"}, {"A": "2"}):
        call(cache, fields=fields)
    call(cache, "/other")
    assert cache.purge("http://TEST:80/")
    assert not cache.purge("http://test/")
    assert "fwd=uri-miss" in call(cache, fields={"A": "1"})["Cache-Status"]
    assert "hit" in call(cache, "/other")["Cache-Status"]
    with pytest.raises(ValueError, match="is not a URL"):
        cache.purge("/")


def test_purging_by_request():
    """From a listed network PURGE forgets; from elsewhere it is refused; without a list it passes."""
    application = counted()
    cache = Cache(application, purge_from=["10.0.0.0/8"])
    call(cache)
    assert ask(cache, "PURGE") == "403 Forbidden"
    assert "hit" in call(cache)["Cache-Status"]
    assert ask(cache, "PURGE", REMOTE_ADDR="10.1.2.3") == "200 OK"
    assert ask(cache, "PURGE", REMOTE_ADDR="10.1.2.3") == "404 Not Found"
    assert application.calls == 1
    passing = []
    Cache(lambda environ, start: passing.append(1) or [])(make_environ(method="PURGE"), None)
    assert passing


# --- On the wire -------------------------------------------------------------------------------------


def test_on_the_wire():
    """A server sends what is stored with one Date, and 304 without content."""
    application = counted(FRESH, ("ETag", '"a"'))
    with LiveServer(Cache(application)) as server, Client(server.address) as client:
        first = client.get("/")
        second = client.get("/")
        third = client.get("/", ("If-None-Match", '"a"'))
    assert first.body == second.body == b"page"
    assert third.status == 304
    assert application.calls == 1
    for response in (second, third):
        names = [name.lower() for name, _ in response.fields]
        assert names.count("date") == 1


# --- Redis -------------------------------------------------------------------------------------------


def patient(redis):
    """Make a client that waits for a busy machine, and not for a server that is away."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(redis.url, retry=Retry(NoBackoff(), 1))


def test_two_processes_share_one_redis(redis):
    """What a process has stored another one serves, and purges; a fork opens its own connection."""
    import multiprocessing

    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application, redis=patient(redis))
    assert call(cache, fields={"A": "1"}).body == b"page"
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def other():
        result = call(cache, fields={"A": "1"})
        results.put((result["Cache-Status"], application.calls, cache.purge("http://test/")))

    process = context.Process(target=other)
    process.start()
    process.join(DEADLINE_SECONDS)
    status, calls, purged = results.get()
    assert "hit" in status
    assert calls == 1
    assert purged
    assert "fwd=uri-miss" in call(cache, fields={"A": "1"})["Cache-Status"]


def test_redis_goes_and_comes_back(redis, monkeypatch, caplog):
    """While it is away the application answers, and nobody waits; it is used again by itself."""
    monkeypatch.setattr("breezeway.middleware.redis_link.RETRY_SECONDS", 0.01)
    application = counted()
    cache = Cache(application, redis=patient(redis), purge_from="192.0.2.1")
    call(cache)
    assert "hit" in call(cache)["Cache-Status"]
    assert ask(cache, "PURGE", REMOTE_ADDR="192.0.2.1") == "200 OK"
    assert ask(cache, "PURGE", REMOTE_ADDR="192.0.2.1") == "404 Not Found"
    redis.stop()
    for _ in range(3):
        assert call(cache).body == b"page"
    assert application.calls == 4
    assert cache.purge("http://test/") is None
    assert ask(cache, "PURGE", REMOTE_ADDR="192.0.2.1") == "503 Service Unavailable"
    assert call(cache, method="POST").code == 200
    cache.clear()
    redis.start()
    eventually(lambda: "hit" in call(cache)["Cache-Status"], "Redis is used again")
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_bounds_in_redis(redis):
    """Keys expire, variants have a bound, and a new Vary replaces them."""
    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application, redis=patient(redis), variants=3, prefix="shop:")
    client = cache._shelf.store._link.client
    for number in range(10):
        call(cache, fields={"A": str(number)})
    (name,) = client.keys("*")
    assert name.startswith(b"shop:")
    assert client.hlen(name) <= 4
    assert 0 < client.pttl(name) <= 60_000
    application.fields[-1] = ("Vary", "B")
    call(cache, fields={"A": "11"})
    assert sorted(client.hkeys(name)) == [b"v:-", b"vary"]
    client.hset(name, "v:-", b"something else")
    assert call(cache, fields={"A": "11"}).body == b"page"
    client.set("other", "stays")
    cache.clear()
    assert client.keys("*") == [b"other"]


def test_a_redis_that_refuses(redis, caplog):
    """A key of another kind costs a line of the log, and no response."""
    application = counted()
    cache = Cache(application, redis=patient(redis))
    client = cache._shelf.store._link.client
    call(cache)
    (name,) = client.keys("*")
    client.delete(name)
    client.set(name, "text")
    for _ in range(3):
        assert call(cache).body == b"page"
    assert application.calls == 4
    assert len(caplog.records) == 1
    assert "refuses" in caplog.text


def test_a_redis_that_is_full(redis):
    """What does not fit into Redis goes out all the same."""
    application = counted()
    cache = Cache(application, redis=patient(redis))
    client = cache._shelf.store._link.client
    client.config_set("maxmemory", "1")
    for _ in range(3):
        assert call(cache).body == b"page"
    assert application.calls == 3


def test_a_client_that_returns_text(redis):
    """What is stored is bytes, and a client that makes text of them is refused."""
    from redis import Redis

    with pytest.raises(ValueError, match="decode_responses"):
        Cache(counted(), redis=Redis.from_url(redis.url, decode_responses=True))


def test_content_of_any_bytes_in_redis(redis):
    """Line breaks and zeros in content, and letters beyond ASCII in fields, come back as they were."""
    body = bytes(range(256)) * 3
    application = counted(FRESH, ("X", "caf\u00e9"), body=body)
    cache = Cache(application, redis=patient(redis))
    call(cache)
    result = run(cache, make_environ())
    assert result.body == body
    assert result["X"] == "caf\u00e9"
    assert application.calls == 1


def test_damaged_entries_in_redis(redis):
    """Whatever stands there, it is a page that is not there, and never a wrong one or an error."""
    application = counted(FRESH, ("Vary", "A"))
    cache = Cache(application, redis=patient(redis))
    client = cache._shelf.store._link.client
    call(cache)
    (name,) = client.keys("*")
    sound = client.hget(name, "v:-")
    head, _, body = sound.partition(b"\n")
    status, headers, received, age, rules = json.loads(head)
    heads = [
        [200, headers, received, age, rules],
        ["", headers, received, age, rules],
        [status, [["X", 1]], received, age, rules],
        [status, [["X"]], received, age, rules],
        [status, headers, None, age, rules],
        [status, headers, float("nan"), age, rules],
        [status, headers, received, "0", rules],
        [status, headers, received, age, ["60", *rules[1:]]],
        [status, headers, received, age, [*rules[:5], [1], []]],
        [status, headers, received, age, rules[:-1]],
        {"status": status},
    ]
    damaged = [json.dumps(each).encode() + b"\n" + body for each in heads]
    damaged += [sound[:length] for length in range(len(sound))]
    damaged += [sound + b"more", b"[" * 100_000, b"\xff" + sound]
    for number, blob in enumerate(damaged, 1):
        client.hset(name, "v:-", blob)
        assert call(cache).body == b"page"
        assert application.calls == number + 1, blob
    client.hset(name, "vary", b"\xff\xfe a")
    assert call(cache).body == b"page"
