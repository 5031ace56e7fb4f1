"""Server-sent events: as a browser reads them, beat by beat, and closed when nobody listens."""

from __future__ import annotations

import queue
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import Compress
from breezeway.testing import LiveServer
from breezeway.web import Event, EventStream, Request, last_event_id
from breezeway.web.events import END, queued

from ..middleware.calling import call, make_environ


def read(text: str) -> list[dict[str, str]]:
    """Read a stream as the HTML Standard says (section 9.2.6)."""
    found, data, kind, identifier = [], [], "", ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                found.append({"data": "\n".join(data), "event": kind, "id": identifier})
            data, kind = [], ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id":
            identifier = value
    return found


class TestEvent:
    @pytest.mark.parametrize(
        ("event", "text"),
        [
            (Event("a"), "data: a\n\n"),
            (Event(""), "data: \n\n"),
            (Event("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
            (Event({"a": [1, "ü"]}), 'data: {"a":[1,"ü"]}\n\n'),
            (Event("a", "note", "7", 1.5), "event: note\nid: 7\nretry: 1500\ndata: a\n\n"),
            (Event("a", id=""), "id: \ndata: a\n\n"),
            (Event("a", id=7), "id: 7\ndata: a\n\n"),
            (Event("event: x"), "data: event: x\n\n"),
        ],
    )
    def test_written(self, event, text):
        """Each line of the data has its field."""
        assert event.encoded().decode() == text

    @pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0", "\n", "a\r\ndata: x"])
    def test_one_line(self, value):
        """Type and id begin no other field."""
        with pytest.raises(ValueError, match="one line"):
            Event("a", event=value).encoded()
        with pytest.raises(ValueError, match="one line"):
            Event("a", id=value).encoded()

    @pytest.mark.parametrize("retry", [-1, float("nan"), float("inf")])
    def test_retry(self, retry):
        """A time to wait is one."""
        with pytest.raises(ValueError, match="retry"):
            Event("a", retry=retry).encoded()
        with pytest.raises(ValueError, match="retry"):
            EventStream([], retry=retry)

    @given(st.text(), st.text(st.characters(exclude_characters="\r\n\0")))
    def test_any_data(self, data, kind):
        """Whatever the data is, it is one event, and comes out as it was, line for line."""
        (found,) = read(Event(data, event=kind).encoded().decode() + "data: next")
        lines = data.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
        assert found["data"] == lines


class TestStream:
    @pytest.mark.parametrize("events", ["a text", b"bytes", {"a": 1}, Event("a"), queue.Queue()])
    def test_one_thing(self, events):
        """What would be sent letter by letter, or key by key, or cannot be gone through, is told."""
        with pytest.raises(TypeError, match="events are a list or a generator"):
            EventStream(events)

    def test_fields(self):
        """It is of its own type, kept by nobody, and collected by nobody."""
        result = call(EventStream([]))
        assert result["content-type"] == "text/event-stream; charset=utf-8"
        assert result["cache-control"] == "no-store, no-transform"
        assert result["x-accel-buffering"] == "no"
        assert result["content-length"] is None

    def test_blocks(self):
        """Each event is a block; something goes out before the first."""
        result = call(EventStream([Event("a", "n"), "b", {"c": 1}, None]))
        assert result.blocks == [
            b":\n\n",
            b"event: n\ndata: a\n\n",
            b"data: b\n\n",
            b'data: {"c":1}\n\n',
            b":\n\n",
        ]
        assert call(EventStream([], retry=3)).body == b"retry: 3000\n\n"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_closed(self, method):
        """A generator ends when the page has gone."""
        ended = []

        def events():
            try:
                while True:
                    yield "tick"
            finally:
                ended.append(True)

        found = EventStream(events())(make_environ(method=method), lambda *_: None)
        for _ in zip(found, range(3), strict=False):
            pass
        if hasattr(found, "close"):
            found.close()
        assert ended == ([True] if method == "GET" else [])

    def test_compression_waits_for_nothing(self):
        """Compress leaves it as it is."""
        fields = {"Accept-Encoding": "gzip"}
        result = call(Compress(EventStream(["a"] * 3), minimum=0), fields=fields)
        assert result["content-encoding"] is None
        assert len(result.blocks) >= 4

    def test_last_event_id(self):
        """A page that comes again says what it had."""
        environ = make_environ(fields={"Last-Event-ID": "ü".encode().decode("latin-1")})
        assert last_event_id(Request(environ)) == "ü"
        assert last_event_id(Request(make_environ())) == ""


class TestQueue:
    def test_heartbeat(self):
        """Silence is told, and the end ends it."""
        events: queue.Queue[object] = queue.Queue()
        found = queued(Request(make_environ()), events, heartbeat=0.001)
        assert next(found) is None
        events.put("a")
        events.put(END)
        assert [each for each in found if each is not None] == ["a"]

    def test_page_has_gone(self, monkeypatch):
        """It ends before the next heartbeat where the server says that nobody listens any more."""
        monkeypatch.setattr("breezeway.web.events.LOOK_SECONDS", 0.001)
        looks = iter([False, False, True])
        environ = make_environ() | {"breezeway.client_disconnected": lambda: next(looks)}
        assert [*queued(Request(environ), queue.Queue())] == []

    def test_server_stops(self):
        """It ends as soon as nothing is left in the queue, so that the server need not wait for its end."""
        events: queue.Queue[object] = queue.Queue()
        events.put("last")
        environ = make_environ() | {"breezeway.stopping": lambda: True}
        assert [*queued(Request(environ), events, heartbeat=0.001)] == ["last"]

    def test_live(self, monkeypatch):
        """An event arrives while the stream goes on; when the page goes, the generator is closed."""
        monkeypatch.setattr("breezeway.web.events.LOOK_SECONDS", 0.02)
        events: queue.Queue[object] = queue.Queue()
        ended = threading.Event()

        def listen(request):
            try:
                yield from queued(request, events)
            finally:
                ended.set()

        def app(environ, start_response):
            return EventStream(listen(Request(environ)))(environ, start_response)

        with LiveServer(app) as server:
            host, port = server.url.removeprefix("http://").rstrip("/").split(":")
            with socket.create_connection((host, int(port)), timeout=5) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                got = b""
                while b":\n\n" not in got:
                    got += client.recv(4096)
                events.put(Event("news"))
                while b"data: news\n\n" not in got:
                    got += client.recv(4096)
            assert ended.wait(5)
