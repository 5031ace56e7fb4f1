"""Forms and bodies under four servers, as the wire brings them; and as several clients write them."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import urllib3
import werkzeug.test

from ..servers import DEADLINE_SECONDS, running
from .forms import BOUNDARY, body_of, part, request_of
from .forms_app import application
from .servers import (
    Address,
    breezeway,
    waitress_server,
    wsgiref_server,
)

pytestmark = pytest.mark.once

FILE = bytes(range(256)) * 4000
FORM = body_of(part("title", "Größe"), part("film", FILE, "film.mp4", "Content-Type: video/mp4"))
FIELDS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
SEEN = {
    "fields": [["title", "Größe"]],
    "files": [["film", "film.mp4", "video/mp4", hashlib.sha256(FILE).hexdigest()]],
}


SERVERS = {
    "breezeway": lambda: breezeway(application),
    "breezeway streamed": lambda: breezeway(application, stream_body=("/",)),
    "wsgiref": lambda: wsgiref_server(application),
    "waitress": lambda: waitress_server(application),
    "gunicorn": lambda: running("gunicorn", "tests.web.forms_app:application", "--threads=2"),
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Address]]:
    """Run each server in turn; give its name and address."""
    with SERVERS[request.param]() as address:
        yield request.param, address


def ask(address: Address, path: str, body: object, **fields: str) -> tuple[int, bytes]:
    """Send a request; return status and content."""
    connection = http.client.HTTPConnection(*address, timeout=DEADLINE_SECONDS)
    try:
        connection.request("POST", path, body, {**FIELDS, **fields})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def chunks(body: bytes) -> Iterator[bytes]:
    """Cut a body into chunks."""
    return (body[at : at + 70_000] for at in range(0, len(body), 70_000))


def test_form(server: tuple[str, Address]) -> None:
    """A form with a file arrives."""
    code, content = ask(server[1], "/form", FORM)
    assert (code, json.loads(content)) == (200, SEEN)


def test_chunks(server: tuple[str, Address]) -> None:
    """So it does in chunks, where the server can read them."""
    name, address = server
    if name == "wsgiref":  # it reads HTTP/1.0; it leaves the field to the application
        head = b"POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(address, DEADLINE_SECONDS) as connection:
            connection.sendall(head)
            assert connection.makefile("rb").readline().startswith(b"HTTP/1.0 4")
        return
    code, content = ask(address, "/form", chunks(FORM))
    assert (code, json.loads(content)) == (200, SEEN)
    for path in ("/body", "/stream"):
        assert ask(address, path, chunks(b"x" * 300_000)) == (200, b"300000")


def test_too_large(server: tuple[str, Address]) -> None:
    """A file over the bound is 413, with a length and in chunks."""
    name, address = server
    body = body_of(part("film", b"x" * 4_000_001, "film.mp4"))
    assert ask(address, "/form", body)[0] == 413
    if name != "wsgiref":
        assert ask(address, "/form", chunks(body))[0] == 413


def test_truncated(server: tuple[str, Address]) -> None:
    """A client that leaves in the middle is no form; what the server says of it is 400, if anything."""
    lines = [f"Content-Type: {FIELDS['Content-Type']}", f"Content-Length: {len(FORM)}", "Host: x"]
    for path in ("/form", "/body", "/stream"):
        text = "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""])
        with socket.create_connection(server[1], DEADLINE_SECONDS) as connection:
            connection.sendall(text.encode() + FORM[:-100_000])
            connection.shutdown(socket.SHUT_WR)
            line = connection.makefile("rb").readline()
        assert not line or line.split()[1] in (b"400", b"413"), line


NAMES = {
    "plain.txt": "plain.txt",
    "Größe €.txt": "Größe €.txt",
    'quo"te.txt': "quo_te.txt",
    "a;b=c.txt": "a;b=c.txt",
    "back\\slash.txt": "slash.txt",
    "\U0001f600.txt": "\U0001f600.txt",
    "a'b%41.txt": "a'b%41.txt",
}


@pytest.mark.parametrize(("name", "safe"), NAMES.items())
class TestClients:
    def test_urllib3(self, name: str, safe: str) -> None:
        """As urllib3 2 writes it."""
        fields = {"a": "é", "f": (name, b"1", "text/plain")}
        body, content_type = urllib3.encode_multipart_formdata(fields)
        form = request_of(body, content_type).form()
        assert (form["a"], form.files["f"].filename) == ("é", safe)

    def test_requests(self, name: str, safe: str) -> None:
        """As requests writes it."""
        made = requests.Request(
            "POST", "http://x/", data={"a": "é"}, files={"f": (name, b"1")}
        ).prepare()
        form = request_of(made.body, made.headers["Content-Type"]).form()
        assert (form["a"], form.files["f"].filename) == ("é", safe)

    def test_werkzeug(self, name: str, safe: str) -> None:
        """As Werkzeug's test client writes it."""
        if '"' in name:
            pytest.skip("it does not quote a quote")
        builder = werkzeug.test.EnvironBuilder(method="POST", data={"a": "é"})
        builder.files.add_file("f", io.BytesIO(b"1"), name)
        environ = builder.get_environ()
        form = request_of(environ["wsgi.input"].read(), environ["CONTENT_TYPE"]).form()
        assert (form["a"], form.files["f"].filename) == ("é", safe)

    @pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
    def test_curl(self, name: str, safe: str, tmp_path: Path) -> None:
        """As curl writes it."""
        file = tmp_path / "file"
        file.write_bytes(b"1")
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            command = ["curl", "-s", "-F", "a=é", "-F", f'f=@"{file}";filename="{quoted}"', url]
            with subprocess.Popen(command) as process:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as input_:
                    fields = http.client.parse_headers(input_) if input_.readline() else None
                    assert fields
                    body = input_.read(int(fields["Content-Length"]))
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                process.wait(DEADLINE_SECONDS)
        form = request_of(body, fields["Content-Type"]).form()
        assert (form["a"], form.files["f"].filename) == ("é", safe)
