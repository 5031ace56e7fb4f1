"""X-Sendfile: what an application names is sent, and nothing else."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from breezeway.gateway.file_wrapper import FileWrapper
from breezeway.gateway.x_sendfile import XSendfile

CONTENT = os.urandom(50_000)
TYPE = ("Content-Type", "image/png")


class Sent:
    """What came of one request."""

    def __init__(self, application: Any, method: str = "GET", **fields: str) -> None:
        environ: dict[str, Any] = {"REQUEST_METHOD": method}
        setup_testing_defaults(environ)
        environ |= {f"HTTP_{name.upper()}": value for name, value in fields.items()}
        self.written: list[bytes] = []
        self.result = application(environ, self._start)
        self.body = b"".join(self.result)
        close = getattr(self.result, "close", None)
        if close is not None:
            close()

    def _start(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        self.status = int(status[:3])
        self.headers = [(name.lower(), value) for name, value in headers]
        self.fields = dict(self.headers)
        self.exc_info = exc_info
        assert len(self.fields) == len(headers)
        return self.written.append


class Body:
    """A result that notes what is done to it."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        """Note it."""
        self.closed += 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a directory with a file in it, and one beside."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a b.txt").write_bytes(CONTENT)
    (root / "ü").write_bytes(b"umlaut")
    (tmp_path / "secret").write_bytes(b"secret")
    return root


def names(
    value: str, *headers: tuple[str, str], status: str = "200 OK", body: Any = ()
) -> Callable[..., Iterable[bytes]]:
    """Return an application that names a file."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, [("X-Sendfile", value), *headers])
        return body  # type: ignore[no-any-return]

    return application


@pytest.mark.parametrize("value", ["{root}/sub/a b.txt", "sub/a b.txt", "./sub//a b.txt"])
def test_is_sent(root: Path, value: str) -> None:
    """A file named in full or relative to the root, with the application's fields and our own."""
    cookie = ("Set-Cookie", "a=b")
    app = XSendfile(names(value.format(root=root), TYPE, cookie), root=str(root))
    sent = Sent(app)
    assert (sent.status, sent.body) == (200, CONTENT)
    assert sent.fields["content-type"] == "image/png"
    assert sent.fields["set-cookie"] == "a=b"
    assert sent.fields["content-length"] == str(len(CONTENT))
    assert sent.fields["accept-ranges"] == "bytes"
    assert "x-sendfile" not in sent.fields
    assert "cache-control" not in sent.fields


def test_type_by_the_name(root: Path) -> None:
    """Without a type of the application's it is that of the name."""
    sent = Sent(XSendfile(names("sub/a b.txt"), root=str(root)))
    assert sent.fields["content-type"] == "text/plain; charset=utf-8"


def test_other_bytes_in_the_name(root: Path) -> None:
    """A name is bytes as latin-1, as everything in PEP 3333."""
    sent = Sent(XSendfile(names("ü".encode().decode("latin-1")), root=str(root)))
    assert sent.body == b"umlaut"


def test_root_by_two_names(root: Path, tmp_path: Path) -> None:
    """The root may be a link; the application may know where it leads."""
    (tmp_path / "named").symlink_to(root)
    for name in (tmp_path / "named", root):
        app = XSendfile(names(f"{name}/sub/a b.txt"), root=str(tmp_path / "named"))
        assert Sent(app).body == CONTENT


def test_condition_and_ranges(root: Path) -> None:
    """Ranges and conditions are the server's work."""
    app = XSendfile(names("sub/a b.txt", TYPE), root=str(root))
    etag = Sent(app).fields["etag"]
    assert Sent(app, if_none_match=etag).status == 304
    part = Sent(app, range="bytes=5-9")
    assert (part.status, part.body) == (206, CONTENT[5:10])
    several = Sent(app, range="bytes=0-0,1000-1999")
    assert several.fields["content-type"].startswith("multipart/byteranges")
    assert CONTENT[1000:2000] in several.body
    assert Sent(app, range="bytes=50000-").status == 416
    head = Sent(app, "HEAD")
    assert (head.body, head.fields["content-length"]) == (b"", "50000")


def test_validators_of_the_application(root: Path) -> None:
    """The application's own tag is the one that counts."""
    app = XSendfile(names("sub/a b.txt", ("ETag", '"v1"')), root=str(root))
    assert Sent(app, if_none_match='"v1"').status == 304


def test_partial_response_of_the_application(root: Path) -> None:
    """A framework that has planned a 206 itself gets it right: it is planned anew."""
    headers = (("Content-Range", "bytes 0-9/50000"), ("Content-Length", "10"))
    app = XSendfile(names("sub/a b.txt", *headers, status="206 Partial Content"), root=str(root))
    assert Sent(app, range="bytes=0-9").body == CONTENT[:10]
    assert Sent(app).status == 200


@pytest.mark.parametrize("status", ["404 Not Found", "201 Created"])
def test_other_status(root: Path, status: str) -> None:
    """With another status the file is sent whole: a page for an error may be one."""
    app = XSendfile(names("sub/a b.txt", status=status), root=str(root))
    sent = Sent(app, range="bytes=0-9", if_none_match="*")
    assert (sent.status, sent.body) == (int(status[:3]), CONTENT)


def test_answer_to_a_post(root: Path) -> None:
    """Conditions and ranges are for GET and HEAD."""
    sent = Sent(XSendfile(names("sub/a b.txt"), root=str(root)), "POST", if_none_match="*")
    assert (sent.status, sent.body) == (200, CONTENT)


@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd",
        "../secret",
        "sub/../../secret",
        "{root}/../secret",
        "{root}x/secret",
        "{root}",
        "{root}/",
        "/",
        "",
        "a\0b",
        "out",
    ],
)
def test_outside(root: Path, value: str, caplog: pytest.LogCaptureFixture) -> None:
    """A name that is not below the root is the application's fault: 500 and a line in the log."""
    (root / "out").symlink_to("../secret")
    sent = Sent(XSendfile(names(value.format(root=root)), root=str(root)))
    assert sent.status == 500
    assert b"root" not in sent.body
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "not below --sendfile-root" in caplog.text


@pytest.mark.parametrize("value", ["nothing", "sub", "sub/a b.txt/x"])
def test_not_there(root: Path, value: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not there is 404, and the log says which."""
    assert Sent(XSendfile(names(value), root=str(root))).status == 404
    assert value in caplog.text


def test_environ_is_the_application_s(root: Path) -> None:
    """Whatever the application has made of the environ, the method is the client's."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ.clear()
        start_response("200 OK", [("X-Sendfile", "sub/a b.txt")])
        return []

    wrapped = XSendfile(application, root=str(root))
    assert Sent(wrapped).body == CONTENT
    assert Sent(wrapped, "HEAD").body == b""


def test_result_is_closed(root: Path) -> None:
    """What the application has returned is closed, and not sent."""
    body = Body(b"not sent")
    assert Sent(XSendfile(names("ü".encode().decode("latin-1"), body=body), root=str(root)))
    assert body.closed == 1


def test_close_that_raises(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error in `close()` of what is not sent is logged, and the file goes out."""

    class Raising(Body):
        def close(self) -> None:
            raise SystemExit

    assert Sent(XSendfile(names("sub/a b.txt", body=Raising()), root=str(root))).body == CONTENT
    assert "close() of the result raised" in caplog.text


def test_written_is_not_sent(root: Path) -> None:
    """What is written besides is thrown away."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X-Sendfile", "sub/a b.txt")])(b"x")
        return []

    sent = Sent(XSendfile(application, root=str(root)))
    assert (sent.body, sent.written) == (CONTENT, [])


def test_generator(root: Path) -> None:
    """An application that is a generator names its file with the first step."""
    closed = []

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", [("X-Sendfile", "sub/a b.txt")])
            yield b"not sent"
        finally:
            closed.append(True)

    assert Sent(XSendfile(application, root=str(root))).body == CONTENT
    assert closed == [True]


def test_second_thoughts(root: Path) -> None:
    """An error after the file was named replaces it (PEP 3333, exc_info)."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X-Sendfile", "sub/a b.txt")])
        start_response("500 Oh", [TYPE], (ValueError, ValueError(), None))
        return [b"sorry"]

    sent = Sent(XSendfile(application, root=str(root)))
    assert (sent.status, sent.body) == (500, b"sorry")


class TestPassedOn:
    """Responses that name no file."""

    def through(self, application: Any) -> Sent:
        """Send a request through."""
        return Sent(XSendfile(application, root="/nowhere"))

    def test_list(self) -> None:
        """A list is the same list."""
        body = [b"x"]
        sent = self.through(names_nothing(body))
        assert sent.result is body
        assert sent.headers == [("content-type", "image/png")]

    def test_file_wrapper(self, tmp_path: Path) -> None:
        """A file wrapper stays one, so that it goes by sendfile(2)."""
        (tmp_path / "x").write_bytes(b"x")
        body = FileWrapper((tmp_path / "x").open("rb"))
        assert self.through(names_nothing(body)).result is body

    def test_generator(self) -> None:
        """The blocks of a generator come one by one, and it is closed."""
        steps = []

        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            try:
                start_response("200 OK", [TYPE])
                for number in range(3):
                    steps.append(number)
                    yield b"%d" % number
            finally:
                steps.append("closed")

        assert self.through(application).body == b"012"
        assert steps == [0, 1, 2, "closed"]

    def test_empty_generator(self) -> None:
        """A generator without a block is none."""

        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [TYPE])
            yield from ()

        assert self.through(application).body == b""

    def test_generator_that_fails(self) -> None:
        """An error at the first step comes out, and the result was closed."""
        body = Failing()
        with pytest.raises(ZeroDivisionError):
            self.through(lambda environ, start_response: body)
        assert body.closed == 1

    def test_start_response_is_too_late(self) -> None:
        """A list without a response is the server's to judge."""
        body: list[bytes] = []
        assert self.through(lambda environ, start_response: body).result is body

    def test_accel_redirect(self) -> None:
        """X-Accel-Redirect is for nginx alone."""

        def application(environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [("X-Accel-Redirect", "/protected/x")])
            return [b""]

        assert self.through(application).fields == {"x-accel-redirect": "/protected/x"}


class Failing(Body):
    """A result whose first block is an error."""

    def __iter__(self) -> Iterator[bytes]:
        raise ZeroDivisionError


def names_nothing(body: Any) -> Callable[..., Any]:
    """Return an application that names no file."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE])
        return body

    return application
