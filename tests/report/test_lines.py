"""Lines of our own formats and those of others; whatever else is no line."""

import json

import pytest

from breezeway.observe.access_log import DROPPED_LINE, DROPPED_OBJECT
from breezeway.report.lines import UNKNOWN, dropped, record
from tests.report import sample

SECOND = 1_795_600_800
"""2026-11-25T10:00:00Z."""

COMBINED = '203.0.113.9 - ann [25/Nov/2026:10:00:00 +0000] "GET /a?b HTTP/1.1" 200 12 "-" "curl/8"'


def line(**members: object) -> str:
    """Return a line of JSON; without a member that is None."""
    known = {"time": "2026-11-25T10:00:00.5Z", "method": "GET", "target": "/", "status": 200}
    return json.dumps({k: v for k, v in (known | members).items() if v is not None})


class TestJson:
    def test_every_line_of_the_server_is_read(self):
        """The formatter and the reader know the same members."""
        for text in sample.lines(300):
            written = json.loads(text)
            found = record(text.rstrip("\n"))
            assert found is not None
            assert found[1:6] == (
                written["client"], written["method"], written["target"], written["user_agent"],
                written["outcome"],
            )  # fmt: skip
            assert found[6:] == tuple(
                written[name]
                for name in ("status", "bytes_in", "bytes_out", "duration_us", "queue_us",
                             "application_us", "sending_us", "first_byte_us")
            )  # fmt: skip

    @pytest.mark.parametrize(
        "time", ["2026-11-25T10:00:00.999999Z", "2026-11-25T11:00:00+01:00", "2026-11-25T10:00:00"]
    )
    def test_times_may_have_an_offset(self, time):
        """A log that was converted may have its own."""
        for _ in range(2):  # read, and remembered
            assert record(line(time=time))[0] == SECOND

    def test_members_may_be_missing(self):
        """Only time, method and status must be there; a target is not, if no request was understood."""
        assert record(line()) == (SECOND, "-", "GET", "/", "-", "-", 200, *[UNKNOWN] * 7)
        assert record(line(method="-", target=None, status=400))[2:4] == ("-", "-")

    @pytest.mark.parametrize(
        "text",
        [
            line()[:-1],
            line() + "{}",
            line(status="200"),
            line(status=True),
            line(status=-1),
            line(status=1000),
            line(status=None),
            line(duration_us=1.5),
            line(duration_us=10**20),
            line(client=["a"]),
            line(user_agent=7),
            line(time="yesterday"),
            line(time=""),
            line(target={}),
            '{"a":' * 100_000,
            '{"status":' + "9" * 5000 + "}",
            "{}",
            "[]",
        ],
    )
    def test_others_are_no_lines(self, text):
        """Nothing of a wrong type or size comes further."""
        assert record(text) is None


class TestCombined:
    def test_every_line_of_the_server_is_read(self):
        """With the duration at its end."""
        for text, known in zip(sample.lines(100, form="combined"), sample.lines(100), strict=True):
            found, wanted = record(text.rstrip("\n")), json.loads(known)
            assert found[1:5] == tuple(
                wanted[name] for name in ("client", "method", "target", "user_agent")
            )
            assert found[6:9] == (wanted["status"], UNKNOWN, wanted["bytes_out"])
            assert abs(found[9] - wanted["duration_us"]) <= 100

    def test_those_of_others(self):
        """Apache and nginx write no duration; the common format ends after the size."""
        unknown = [UNKNOWN] * 5
        wanted = (SECOND, "203.0.113.9", "GET", "/a?b", "curl/8", "-", 200, UNKNOWN, 12, *unknown)
        assert record(COMBINED) == wanted
        assert record(f'{COMBINED} "203.0.113.7"') == wanted
        windows = f"{COMBINED} 1.5ms\r"  # copied by a program there
        assert record(windows) == (*wanted[:9], 1500, *unknown[1:])
        common = record(COMBINED.removesuffix(' "-" "curl/8"'))
        assert common == (*wanted[:4], "-", *wanted[5:])

    @pytest.mark.parametrize(
        ("part", "instead", "index", "found"),
        [
            ("+0000", "+0130", 0, SECOND - 5400),
            ("ann", "john doe", 3, "/a?b"),
            ("GET /a?b HTTP/1.1", r"GET /a\"b HTTP/1.1", 3, r"/a\"b"),
            ("GET /a?b HTTP/1.1", r"\x16\x03\x01", 3, "-"),
            ("GET /a?b HTTP/1.1", "-", 3, "-"),
            ("GET /a?b HTTP/1.1", "- - -", 3, "-"),
            ("GET /a?b HTTP/1.1", "", 3, "-"),
            (" 200 ", " - ", 6, 0),
            (" 12 ", " - ", 8, 0),
            ("203.0.113.9", "2001:db8::9", 1, "2001:db8::9"),
        ],
    )
    def test_what_may_vary(self, part, instead, index, found):
        """As servers write it, without a request, too."""
        assert record(COMBINED.replace(part, instead))[index] == found

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "words",
            COMBINED.replace("Nov", "ovD"),
            COMBINED.replace("25/Nov", "31/Nov"),
            COMBINED.replace("+0000", "+9999"),
            COMBINED[:60],
            COMBINED.replace(" 200 ", " abc "),
            "a - " + "- [" * 100_000,
            '"\\' * 100_000,
        ],
    )
    def test_others_are_no_lines(self, text):
        """They are found to be none in a short time, too."""
        assert record(text) is None


def test_the_server_tells_what_it_dropped():
    """Such a line is a comment of its own, or an object."""
    for form in (DROPPED_LINE, DROPPED_OBJECT):
        assert dropped(form.format(17).rstrip("\n")) == 17
    assert dropped("# others") is None
