"""The formats of the access log: what a line says, the same as gunicorn's, and nobody forges one."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.observe import (
    access_atoms,
    access_json,
    access_lines,
    access_options,
    access_terminal,
)
from breezeway.observe.access_json import MEMBERS
from breezeway.observe.access_lines import Lines
from breezeway.observe.access_options import ATOMS, FORMATS
from breezeway.observe.entry import LEFT, Entry

from .entries import Response, entry

ENVIRON: dict[str, Any] = {
    "REMOTE_ADDR": "192.0.2.1",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a%20b?c=d",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "c=d",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_REFERER": "http://here/",
    "HTTP_USER_AGENT": 'test "1"',
    "HTTP_AUTHORIZATION": "Basic YW5uOnNlY3JldA==",
    "CONTENT_TYPE": "text/plain",
    "wsgi.url_scheme": "http",
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-One: 1\r\n"


def one(make: Lines, /, *, environ: dict[str, Any] = ENVIRON, **more: Any) -> str:
    """Return the line of one request."""
    (line,) = make([entry(environ, **more)], "breezeway-1")
    assert line.endswith("\n")
    return line[:-1]


class TestAtoms:
    def test_each(self) -> None:
        """Each atom says what its description does."""
        form = "|".join(f"%({name})s" for name in ATOMS)
        line = one(access_atoms.lines_of(form), lines=HEAD, size=5, seconds=1.2345678)
        values = dict(zip(ATOMS, line.split("|"), strict=True))
        assert re.fullmatch(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\]", values.pop("t"))
        assert values == {
            "h": "192.0.2.1",
            "l": "-",
            "u": "ann",
            "r": "GET /a%20b?c=d HTTP/1.1",
            "m": "GET",
            "U": "/a b",
            "q": "c=d",
            "H": "HTTP/1.1",
            "s": "200",
            "B": "5",
            "b": "5",
            "f": "http://here/",
            "a": r"test \"1\"",
            "T": "1",
            "M": "1234",
            "D": "1234567",
            "L": "1.234567",
            "p": f"<{os.getpid()}>",
        }

    @pytest.mark.parametrize(
        ("atom", "value"),
        [
            ("%({User-Agent}i)s", r"test \"1\""),
            ("%({content-type}i)s", "text/plain"),
            ("%({x-none}i)s", "-"),
            ("%({Content-Type}o)s", "text/html"),
            ("%({x-one}o)s", "1"),
            ("%({x-none}o)s", "-"),
            ("%({raw_uri}e)s", "/a%20b?c=d"),
            ("%({wsgi.url_scheme}e)s", "http"),
            ("%({none}e)s", "-"),
            ("%(D)d us %%", "1000 us %"),
            ("%(M)05d", "00001"),
            ("%(m)6s|", "   GET|"),
        ],
    )
    def test_lookups_and_widths(self, atom: str, value: str) -> None:
        """Fields and keys have no case; what is not there is `-`; widths are those of Python's %."""
        assert (
            one(access_atoms.lines_of(f"%(l)s {atom}"), lines=HEAD, seconds=0.0010005)
            == f"- {value}"
        )

    def test_same_head_again(self) -> None:
        """What changes from request to request with the same head is told anew."""
        lines = access_atoms.lines_of("%(m)s %(s)s %(a)s %(B)d %({x}e)s %({user-agent}i)s %%")
        first = entry({**ENVIRON, "HTTP_USER_AGENT": "100%s"})
        second = (first[0], {"x": "y"}, Response(404), 7, *first[4:])
        assert lines([first, second], "") == [
            "GET 200 100%s 5 - 100%s %\n",
            "GET 404 100%s 7 y 100%s %\n",
        ]

    def test_no_response(self) -> None:
        """Without a response status and size are `-`."""
        lines = access_atoms.lines_of("%(s)s %(b)s %(B)s %({x}o)s")
        assert one(lines, status=None, size=0, outcome=LEFT) == "- - 0 -"

    @pytest.mark.parametrize(
        ("form", "why"),
        [
            ("%(z)s", "has no atom 'z'; there are h, l, u"),
            ("%(h)d", "has '%(h)d'; write %(h)s"),
            ("%h", "has a % that is neither"),
            ("%(h)s %", "has a % that is neither"),
            ("json!", "must be auto, line, combined, json, or have atoms"),
            ("JSON", "must be auto, line, combined, json, or have atoms"),
            ("%(h)s\n", "has a control character"),
            ("%({}i)s", "has no atom '{}i'"),
        ],
    )
    def test_wrong(self, form: str, why: str) -> None:
        """What is no format is refused, with what there is."""
        with pytest.raises(ValueError, match=re.escape(why)):
            access_options.line_format(form)

    TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"))

    @given(
        method=st.sampled_from(["GET", "POST"]),
        uri=TEXTS,
        agent=TEXTS,
        header=TEXTS,
        size=st.integers(0, 1 << 40),
        microseconds=st.integers(0, 86_400 * 10**6 - 1),
        name=st.none() | TEXTS,
    )
    def test_as_gunicorn(
        self,
        method: str,
        uri: str,
        agent: str,
        header: str,
        size: int,
        microseconds: int,
        name: str | None,
    ) -> None:
        """Lines are those that gunicorn's own logger writes, but for its local time."""
        glogging = pytest.importorskip("gunicorn.glogging")
        import base64

        environ = {**ENVIRON, "REQUEST_METHOD": method, "RAW_URI": uri, "HTTP_USER_AGENT": agent}
        environ["HTTP_X_HEADER"] = header
        environ.pop("HTTP_AUTHORIZATION")
        if name is not None:
            token = base64.b64encode(f"{name}:secret".encode()).decode()
            environ["HTTP_AUTHORIZATION"] = f"Basic {token}"
        response = SimpleNamespace(
            status="200 OK", sent=size, headers=[("Content-Type", "text/html"), ("X-One", "1")]
        )
        request = SimpleNamespace(headers=[("X-HEADER", header), ("USER-AGENT", agent)])
        theirs = SimpleNamespace(now=lambda: "-", debug=lambda *_: None)
        theirs._get_user = glogging.Logger._get_user.__get__(theirs)
        atoms = glogging.Logger.atoms(
            theirs, response, request, environ, timedelta(microseconds=microseconds)
        )
        lookups = ["{x-header}i", "{X-One}o", "{content-type}o", "{wsgi.url_scheme}e", "{None}i"]
        names = [*(each for each in ATOMS if each != "t"), *lookups]
        form = " ".join(f'"%({each})s"' for each in names)
        expected = form % glogging.SafeAtoms(atoms)
        request_entry = entry(environ, lines=HEAD, size=size, began=0.0)
        ours = (*request_entry[:7], (microseconds + 0.5) / 1e6, *request_entry[8:])
        assert access_atoms.lines_of(form)([ours], "")[0] == f"{expected}\n"


class TestTerminal:
    def test_line(self) -> None:
        """Time, method, target, status, size, duration."""
        line = one(access_terminal.lines_of(False), size=2048, seconds=0.0015)
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} GET    /a%20b\?c=d 200 2 KiB 1\.5 ms", line)

    @pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND"])
    def test_long_method(self, method: str) -> None:
        """The target is a word of its own."""
        line = one(access_terminal.lines_of(False), environ={**ENVIRON, "REQUEST_METHOD": method})
        assert f" {method} /a%20b?c=d " in line

    @pytest.mark.parametrize(
        ("status", "colour"), [(200, 32), (304, 36), (404, 33), (503, 31), (None, 35)]
    )
    def test_colours(
        self, status: int | None, colour: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The status has its colour, on a terminal, unless NO_COLOR is set."""
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert f"\x1b[{colour}m{status or '-'}\x1b[0m" in one(
            access_terminal.lines_of(True), status=status
        )
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b" not in one(access_terminal.lines_of(True), status=status)

    def test_outcome(self) -> None:
        """A request that has not ended well says so."""
        assert one(access_terminal.lines_of(False), outcome=LEFT).endswith("  left")

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1500, "1.46 KiB"),
            (1_023_487, "999 KiB"),
            (1_023_488, "0.976 MiB"),
            (5 << 20, "5 MiB"),
            (1_048_051_712, "1.0 GiB"),
            (3 << 30, "3.0 GiB"),
        ],
    )
    def test_sizes(self, size: int, text: str) -> None:
        """Sizes are as people write them."""
        assert f" {text} " in one(access_terminal.lines_of(False), size=size)


class Terminal:
    """A standard output that is one."""

    def isatty(self) -> bool:
        return True


def test_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default people get lines for people, and programs the combined format."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert '"' not in one(access_lines.lines_of("auto", {}, standard_output=True))
    assert '"GET ' in one(access_lines.lines_of("auto", {}, standard_output=False))


def test_json_members_are_documented() -> None:
    """The reference lists the members of an object, in their order."""
    environ = {
        **ENVIRON,
        "HTTP_HOST": "here",
        "HTTP_TRACEPARENT": "00-1-2-01",
        "SSL_PROTOCOL": "TLSv1.3",
        "SSL_CIPHER": "TLS_AES_256_GCM_SHA384",
        "REMOTE_USER": "ann",
        "breezeway.request_id": "id",
    }
    lines = access_json.lines_of({"worker": 1, "pid": 2})
    assert list(json.loads(one(lines, environ=environ))) == list(MEMBERS)


def test_json_times() -> None:
    """The parts of a duration add up, and the time has microseconds."""
    found = json.loads(
        one(
            access_json.lines_of({}),
            queued=0.001,
            seconds=0.5,
            first=1000.002,
            finished=1000.6,
            size=10**9,
        )
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["time"])
    names = ("queue_us", "application_us", "sending_us", "first_byte_us", "duration_us")
    expected = (1000, 500_000, 99_000, 2000, 600_000)
    assert all(abs(found[name] - value) <= 2 for name, value in zip(names, expected, strict=True))


def test_empty_user_is_none() -> None:
    """An environ that has a user of None has none."""
    found = json.loads(one(access_json.lines_of({}), left={**ENVIRON, "REMOTE_USER": None}))
    assert "user" not in found


# --- nobody forges a line ------------------------------------------------------------------------

HOSTILE = st.text(
    st.one_of(
        st.sampled_from(
            '\n\r\t\0\x1b\x7f\x85\x9b\xad"\\ \u2028\u2029\u202e\u2066\u200f\ufeff\udc80'
        ),
        st.characters(),
    )
)
KEYS = [key for key in ENVIRON if key not in ("PATH_INFO", "wsgi.url_scheme")]
GUNICORN = '%(h)s %(u)s "%(r)s" "%(f)s" "%(a)s" "%({x}i)s" "%({remote_user}e)s" "%({x}o)s" %(s)s'


@given(st.dictionaries(st.sampled_from([*KEYS, "REMOTE_USER", "HTTP_X"]), HOSTILE), HOSTILE)
@pytest.mark.parametrize("form", [*FORMATS[1:], GUNICORN])
def test_nobody_forges_a_line(form: str, values: dict[str, str], field: str) -> None:
    """Whatever a client or an application writes, a line is one, and its quotes are ours."""
    environ = {**ENVIRON, **values}
    head = b"HTTP/1.1 200 OK\r\nX: " + field.encode("latin-1", "replace").replace(b"\r\n", b"")
    made: list[Entry] = [entry(environ, lines=head)]
    (line,) = access_lines.lines_of(form, {}, standard_output=False)(made, "thread")
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if form == "json":
        found = json.loads(line)
        assert found.get("method", "") == environ["REQUEST_METHOD"]
    elif form == "combined":
        assert line.count('"') == 6
        assert line.count("\\") == len(
            re.findall(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", line)
        )
    elif form == GUNICORN:
        assert re.sub(r"\\.", "", line).count('"') == 12
