"""The admin listener's paths: what they answer, and to whom."""

import gzip
import json
import threading

import pytest

from breezeway.admin.files import FILES
from breezeway.admin.streams import STREAMS
from breezeway.observe import prometheus
from breezeway.testing import Client

from ..observe.statuses import status
from .supervisor import TOKEN

BEARER = {"Authorization": f"Bearer {TOKEN}"}
READING = ("/metrics", "/api/status", "/api/running", "/api/settings", "/api/log", "/api/events")
ACTIONS = {"/api/reload": {}, "/api/scale": {"workers": 3}, "/api/recycle": {"pid": 4712}}


def status_of(application, path, **environ):
    """Return the status of a GET that has no fields but these."""
    found = []

    def start_response(status, _fields):
        found.append(int(status[:3]))

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **environ}
    application(environ, start_response)
    return found[0]


class TestReading:
    def test_metrics(self, client):
        """Prometheus gets its text format, and OpenMetrics if it asks for that."""
        plain = client.get("/metrics")
        assert plain.headers["Content-Type"] == prometheus.TEXT
        assert "# EOF" not in plain.text
        accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        found = client.get("/metrics", headers={"Accept": accept})
        assert found.headers["Content-Type"] == prometheus.OPENMETRICS
        assert found.text.endswith("# EOF\n")
        assert "Accept" in found.headers["Vary"]

    def test_metrics_for_prometheus_3(self, client):
        """It says how names are to be escaped, too; none of ours needs that."""
        accept = (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3"
        )
        found = client.get("/metrics", headers={"Accept": accept})
        assert found.headers["Content-Type"] == prometheus.OPENMETRICS

    def test_gzip(self, client):
        """Who takes gzip gets it."""
        plain = client.get("/metrics", headers={"Accept-Encoding": "identity"}).content
        found = client.get("/metrics", headers={"Accept-Encoding": "gzip"})
        assert found.headers["Content-Encoding"] == "gzip"
        content = found.content
        assert (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content) == plain

    @pytest.mark.parametrize(
        ("state", "expected"),
        [("serving", 200), ("reloading", 200), ("starting", 503), ("stopping", 503)],
    )
    def test_health(self, client, supervisor, state, expected):
        """Health follows the state of the server."""
        supervisor.answers["status"] = lambda _: status(state=state)
        found = client.get("/health")
        assert (found.status, found.text) == (expected, f"{state}\n")

    def test_many_readers_cost_little(self, client, supervisor):
        """The supervisor is asked once for those that come together."""
        for _ in range(20):
            client.get("/metrics")
        assert supervisor.count("status") <= 3

    def test_running(self, client, supervisor):
        """Requests that run are listed, the longest first; other users see no query."""
        threads = [
            {"name": "a", "request": None, "seconds": None, "stack": ["waiting for work"]},
            {"name": "b", "request": "GET /x?secret=1", "seconds": 1.5, "stack": ["f", "g"]},
            {"name": "c", "request": "GET /y", "seconds": 2.5, "stack": []},
        ]
        supervisor.answers["stacks"] = lambda _: {"workers": [{"pid": 1, "threads": threads}]}
        first, second = client.get("/api/running").json()["running"]
        assert (first["request"], first["seconds"], first["pid"]) == ("GET /y", 2.5, 1)
        assert (second["request"], second["stack"]) == ("GET /x?…", ["f", "g"])

    def test_who_has_the_token_sees_queries(self, operator, supervisor):
        """What clients have sent in a query is for operators."""
        thread = {"name": "b", "request": "GET /x?secret=1", "seconds": 1.5, "stack": []}
        supervisor.answers["stacks"] = lambda _: {"workers": [{"pid": 1, "threads": [thread]}]}
        (found,) = operator.get("/api/running", headers=BEARER).json()["running"]
        assert found["request"] == "GET /x?secret=1"

    def test_without_supervisor(self, client, supervisor):
        """When the supervisor has gone, the answer says so."""
        supervisor.hang_up()
        found = client.get("/metrics")
        assert found.status == 503
        assert "supervisor" in found.json()["error"]


class TestPage:
    @pytest.mark.parametrize("path", FILES)
    def test_file(self, client, path):
        """Each file comes with a strict policy, and once only."""
        found = client.get(path)
        assert found.status == 200
        policy = found.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert client.get(path, headers={"If-None-Match": found.headers["ETag"]}).status == 304

    def test_names_no_other_host(self, client):
        """Nothing is fetched from elsewhere, and nothing is inline."""
        for path in FILES:
            text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
            assert "//" not in text.replace("// ", "").replace("://127", "") or "http" not in text
            assert "https:" not in text
        page = client.get("/").text
        assert "<style" not in page
        assert "onclick" not in page
        assert " style=" not in page


class TestRefusals:
    def test_unknown(self, client):
        """Other paths are not there, and other methods not allowed."""
        assert client.get("/nothing").status == 404
        found = client.delete("/metrics")
        assert (found.status, found.headers["Allow"]) == (405, "GET, HEAD")
        assert client.get("/api/reload").headers["Allow"] == "POST"

    @pytest.mark.parametrize("path", [*FILES, *READING, "/health"])
    def test_other_host(self, client, path):
        """A name that may have been made to lead here gets nothing."""
        assert client.get(path, headers={"Host": "attacker.example"}).status == 421

    @pytest.mark.parametrize("bind", ["127.0.0.1:9300", "10.1.2.3:9300", "unix:/run/x"])
    def test_probe_without_host(self, make_admin, bind):
        """Load balancers ask for health in HTTP/1.0 without a Host, which no browser leaves out."""
        application = make_admin(bind, TOKEN).application
        assert status_of(application, "/health") == 200
        assert status_of(application, "/health", HTTP_ORIGIN="https://attacker.example") == 403
        assert status_of(application, "/health", HTTP_HOST="") == 421
        for path in ("/", "/metrics", "/api/status"):
            assert status_of(application, path) == 421

    @pytest.mark.parametrize("path", READING)
    def test_other_site(self, client, path):
        """Another site's page in the operator's browser gets nothing."""
        assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status == 403
        assert client.get(path, headers={"Origin": "https://attacker.example"}).status == 403
        assert client.get(path, headers={"Origin": "null"}).status == 403

    @pytest.mark.parametrize("path", READING)
    def test_reading_beyond_this_machine(self, make_admin, path):
        """Where others reach it, reading takes the token."""
        with Client(make_admin("10.1.2.3:9300", TOKEN).application) as client:
            url = f"http://10.1.2.3:9300{path}"
            found = client.get(url)
            assert (found.status, found.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert client.get("http://10.1.2.3:9300/health").status == 200
            with client.get(url, headers=BEARER, stream=True) as allowed:
                assert allowed.status == 200


class TestActing:
    @pytest.mark.parametrize("path", ACTIONS)
    def test_without_a_token_set(self, client, supervisor, path):
        """Without the setting nobody acts, whatever he shows."""
        assert client.post(path, json=ACTIONS[path]).status == 403
        assert client.post(path, json=ACTIONS[path], headers=BEARER).status == 403
        assert not supervisor.asked

    @pytest.mark.parametrize("path", ACTIONS)
    def test_bearer(self, operator, supervisor, path):
        """With the token in Authorization it is done; with another one, or none, it is not."""
        assert operator.post(path, json=ACTIONS[path]).status == 401
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        assert operator.post(path, json=ACTIONS[path], headers=wrong).status == 401
        assert not supervisor.asked
        assert operator.post(path, json=ACTIONS[path], headers=BEARER).status == 200
        (asked,) = supervisor.asked
        assert asked["command"] == path.removeprefix("/api/")
        assert ACTIONS[path].items() <= asked.items()

    def test_session(self, operator):
        """A session begins with the token, and acts with our own Origin alone."""
        assert operator.post("/api/login", json={"token": "wrong"}).status == 403
        found = operator.post("/api/login", json={"token": TOKEN})
        assert found.status == 200
        cookie = found.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert operator.get("/api/session").json() == {"read": True, "act": True, "token": True}
        assert operator.post("/api/reload", json={}).status == 401
        own = {"Origin": "http://localhost"}
        assert operator.post("/api/reload", json={}, headers=own).status == 200
        other = {"Origin": "http://localhost.attacker.example"}
        assert operator.post("/api/reload", json={}, headers=other).status == 403
        operator.post("/api/logout", json={})
        assert operator.get("/api/session").json()["act"] is False

    def test_a_form_cannot(self, operator, supervisor):
        """What a form can send is no action."""
        found = operator.post("/api/reload", data={"a": "b"}, headers=BEARER)
        assert found.status == 415
        assert not supervisor.asked

    @pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 3000, b'"' + b"x" * 5000 + b'"'])
    def test_bad_body(self, operator, body):
        """What is no small object is refused."""
        headers = {**BEARER, "Content-Type": "application/json"}
        assert operator.post("/api/scale", content=body, headers=headers).status in (400, 413)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"pid": None},
            {"pid": "4712"},
            {"pid": True},
            {"pids": [4712]},
            {"all": False},
            {"all": 1},
            {"pid": 4712, "all": True},
        ],
    )
    def test_recycle_that_names_no_worker(self, operator, supervisor, body):
        """All workers are recycled only when that is said, so that nobody does it by mistake."""
        found = operator.post("/api/recycle", json=body, headers=BEARER)
        assert found.status == 400
        assert '{"all": true}' in found.json()["error"]
        assert not supervisor.asked

    def test_recycle_of_all(self, operator, supervisor):
        """Who says that all are meant gets that."""
        found = operator.post("/api/recycle", json={"all": True}, headers=BEARER)
        assert found.status == 200
        assert supervisor.asked == [{"command": "recycle"}]

    def test_refused(self, operator, supervisor):
        """What the supervisor says against it is told."""
        del supervisor.answers["reload"]
        found = operator.post("/api/reload", json={}, headers=BEARER)
        assert (found.status, found.json()) == (409, {"error": "no"})

    def test_one_at_a_time(self, operator, supervisor):
        """While one action is under way, another one is refused, and numbers still come."""
        begun, finish = threading.Event(), threading.Event()

        def answer(_):
            begun.set()
            finish.wait(20)
            return {}

        supervisor.answers["reload"] = answer
        found = []
        thread = threading.Thread(
            target=lambda: found.append(operator.post("/api/reload", json={}, headers=BEARER))
        )
        thread.start()
        assert begun.wait(20)
        assert operator.post("/api/recycle", json={"all": True}, headers=BEARER).status == 409
        assert operator.get("/metrics").status == 200
        finish.set()
        thread.join()
        assert found[0].status == 200


class TestEvents:
    def test_stream(self, make_admin, supervisor):
        """A stream begins with what was before, and goes on with each second."""
        supervisor.events = [{"number": 1, "time": 1.0, "level": "info", "text": "x"}]
        admin = make_admin()
        admin.streams.start()
        with (
            Client(admin.application) as client,
            client.get("/api/events", stream=True) as response,
        ):
            events = response.events()
            hello = json.loads(next(events).data)
            assert hello["session"] == {"read": True, "act": False, "token": False}
            assert hello["shape"]["rows"] == 4
            tick = json.loads(next(events).data)
            assert tick["status"]["workers"][0]["pid"] == 4712
            assert "metrics" not in tick["status"]

    def test_at_most_so_many(self, make_admin):
        """Who comes after the last that there is room for is told to wait; who goes makes room."""
        admin = make_admin()
        clients = [Client(admin.application) for _ in range(STREAMS)]
        streams = [each.get("/api/events", stream=True) for each in clients]
        try:
            with Client(admin.application) as client:
                found = client.get("/api/events")
                assert (found.status, found.headers["Retry-After"]) == (503, "10")
                streams[0].close()
                with client.get("/api/events", stream=True) as again:
                    assert again.status == 200
        finally:
            for each in clients:
                each.close()


def test_token_that_is_no_text(operator):
    """A lone surrogate, which JSON may have, is a wrong token like any other."""
    headers = {"Content-Type": "application/json", "Origin": "http://localhost"}
    found = operator.post("/api/login", content=b'{"token":"\\ud800"}', headers=headers)
    assert found.status == 403
