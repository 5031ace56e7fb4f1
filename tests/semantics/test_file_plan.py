"""The plan for one file: status, fields and bytes for every kind of request."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.semantics.dates import http_date
from breezeway.semantics.file_plan import (
    FilePlan,
    Representation,
    file_name,
    plan,
    validators_of,
)
from breezeway.semantics.ranges import Range

SIZE = 1000
MODIFIED = 1_000_000_000
NOW = MODIFIED + 1000.0
FILE = Representation(SIZE, MODIFIED * 10**9 + 123_456_789)
ETAG = f'"{FILE.modified_ns:x}-3e8"'
DATE = http_date(MODIFIED).decode()
TYPE = ("Content-Type", "text/css; charset=utf-8")
CACHE = ("Cache-Control", "no-cache")
WHOLE = [TYPE, CACHE, ("Last-Modified", DATE), ("ETag", ETAG)]


def planned(
    method: str = "GET",
    *,
    file: Representation = FILE,
    own: tuple[tuple[str, str], ...] = (),
    now: float = NOW,
    **fields: str,
) -> FilePlan:
    """Plan a request with these fields: `if_match` is If-Match; `own` are the response's."""
    environ: dict[str, Any] = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    environ["REQUEST_METHOD"] = method
    return plan(environ, file, [TYPE, CACHE, *own], now, lambda: "limit")


def test_whole() -> None:
    """Without conditions and ranges it is all of the file, with strong validators."""
    expected = [*WHOLE, ("Accept-Ranges", "bytes"), ("Content-Length", "1000")]
    assert planned() == FilePlan("200 OK", expected, (Range(0, SIZE),), whole=True)
    assert planned("HEAD") == planned()


def test_empty() -> None:
    """An empty file has no part to send."""
    empty = planned(file=FILE._replace(size=0))
    assert empty.pieces == ()
    assert ("Content-Length", "0") in empty.headers
    assert planned(file=FILE._replace(size=0), range="bytes=-5").status == "200 OK"
    assert planned(file=FILE._replace(size=0), range="bytes=0-").status[:3] == "416"


def test_one_range() -> None:
    """One range is the content, with Content-Range; also bytes=0-0."""
    found = planned(range="bytes=0-0")
    assert found.status == "206 Partial Content"
    assert found.pieces == [Range(0, 1)]
    assert ("Content-Range", "bytes 0-0/1000") in found.headers
    assert ("Content-Length", "1") in found.headers
    assert TYPE in found.headers


def test_several_ranges() -> None:
    """Several are a multipart, whose length is known before."""
    found = planned(range="bytes=0-0,500-599")
    assert found.status == "206 Partial Content"
    types = [value for name, value in found.headers if name == "Content-Type"]
    assert types == ["multipart/byteranges; boundary=limit"]
    assert not any(name == "Content-Range" for name, _ in found.headers)
    size = sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in found.pieces)
    assert ("Content-Length", str(size)) in found.headers
    assert [each for each in found.pieces if isinstance(each, Range)] == [
        Range(0, 1),
        Range(500, 600),
    ]


def test_ranges_that_become_one() -> None:
    """A single part is no multipart."""
    assert planned(range="bytes=0-9,5-20,2000-").pieces == [Range(0, 21)]


def test_range_of_a_head() -> None:
    """Range is for GET alone (RFC 9110 section 14.2)."""
    assert planned("HEAD", range="bytes=0-0").status == "200 OK"


def test_unsatisfiable() -> None:
    """416 tells the size."""
    found = planned(range="bytes=1000-")
    assert found.status == "416 Range Not Satisfiable"
    assert ("Content-Range", "bytes */1000") in found.headers
    assert not any(name in ("ETag", "Cache-Control") for name, _ in found.headers)


@pytest.mark.parametrize(
    ("value", "status"),
    [(ETAG, "206"), ('"other"', "200"), (f"W/{ETAG}", "200"), (DATE, "206"), ("x", "200")],
)
def test_if_range(value: str, status: str) -> None:
    """If-Range that does not hold makes it the whole file, also if the range cannot be."""
    assert planned(range="bytes=0-0", if_range=value).status[:3] == status
    outside = planned(range="bytes=5000-", if_range=value).status[:3]
    assert outside == ("416" if status == "206" else "200")


def test_not_modified() -> None:
    """304 has what steers caches, and neither the type nor the length."""
    found = planned(if_none_match=ETAG, own=(("Vary", "Accept-Encoding"),))
    assert found.status == "304 Not Modified"
    assert found.headers == [CACHE, ("Vary", "Accept-Encoding"), ("ETag", ETAG)]
    assert found.pieces == ()
    assert planned(if_modified_since=DATE).status == "304 Not Modified"
    assert planned(if_none_match=ETAG, range="bytes=0-0").status == "304 Not Modified"


@pytest.mark.parametrize(("field", "value"), [("range", "bytes=5000-"), ("if_match", '"x"')])
def test_what_a_failure_keeps(field: str, value: str) -> None:
    """A 412 or 416 has the fields of the response that are not of its content, nor of its age."""
    kept = (("Set-Cookie", "a=1"), ("Access-Control-Allow-Origin", "*"), ("X-Request-Id", "7"))
    own = (*kept, ("Content-Language", "de"), ("Expires", "0"), ("ETag", '"y"'))
    found = planned(own=own, **{field: value}).headers
    told = {"Content-Type", "Content-Length", "Content-Range"}
    assert [each for each in found if each[0] not in told] == [*kept]
    assert [value for name, value in found if name == "Content-Type"] == [
        "text/plain; charset=utf-8"
    ]


def test_failed() -> None:
    """412 comes before any range."""
    assert planned(if_match='"x"', range="bytes=0-0").status == "412 Precondition Failed"
    assert planned(if_match=ETAG, range="bytes=0-0").status == "206 Partial Content"


def test_fields_of_the_response_win() -> None:
    """Validators that the response has already are the ones that count."""
    own = (("etag", '"mine"'), ("Last-Modified", http_date(5).decode()))
    assert planned(own=own, if_none_match='"mine"').status[:3] == "304"
    assert planned(own=own, if_none_match=ETAG).status[:3] == "200"
    assert planned(own=own, if_modified_since=http_date(6).decode()).status[:3] == "304"
    assert len([name for name, _ in planned(own=own).headers if name.lower() == "etag"]) == 1


def test_tags_differ() -> None:
    """Another size, another nanosecond, another coding: another tag."""
    variants = [
        FILE,
        FILE._replace(size=SIZE + 1),
        FILE._replace(modified_ns=FILE.modified_ns + 1),
        FILE._replace(coding="gzip"),
        FILE._replace(coding="br"),
    ]
    assert len({validators_of(each).etag for each in variants}) == len(variants)


@pytest.mark.parametrize("moment", [MODIFIED + 2000, -5, 10**12])
def test_time_that_cannot_be(moment: int) -> None:
    """No Last-Modified later than Date (section 8.8.2.1), none that no date can say."""
    found = planned(file=FILE._replace(modified_ns=moment * 10**9))
    assert not any(name == "Last-Modified" for name, _ in found.headers)
    assert any(name == "ETag" for name, _ in found.headers)


def test_only_a_whole_answer_is_one_to_repeat() -> None:
    """What depends on the time or on chance is planned each time."""
    assert planned().whole
    assert not planned(range="bytes=0-0").whole
    assert not planned(range="bytes=0-0", if_range='"x"').whole
    assert not planned(if_none_match=ETAG).whole


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.css", "a.css"),
        ("b/a.css", "b/a.css"),
        (".well-known/security.txt", ".well-known/security.txt"),
        ("b/.well-known/a", None),
        (".env", None),
        ("b/../a", None),
        ("b//a", None),
        ("b/", None),
        ("", None),
        ("a\0", None),
        ("\xc3\xa4", "ä"),
        ("\u20ac", None),
    ],
)
def test_file_name(path: str, name: str | None) -> None:
    """There is one path for each file, and none for what is not for the public."""
    assert file_name(path) == name
