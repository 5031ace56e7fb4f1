"""The cases of tests/corpus/cache, and what plays the application and the clock in them.

A case is a `[[case]]` table with a `name` and a `[[case.step]]` for each request. `vector` is the id of
the public cache test that asks for the same, `kind` what that is there: required, optimal or check;
`differs` says why this cache does something else than it asks for. `options` are those of `Cache`.

A step has the request (`method`, `path`, `fields`), what the application would say (`answer`, the lines
of the head; `status`, `body`; `fails`: it raises; `delay`: seconds that it takes), where the answer has
to come `from`, what has to be in it (`expect_status`, `expect`, `without`, `content`) and in the request
that the application got (`sent`, `not_sent`), and how many seconds pass afterwards (`wait`). `{+60}` in
a line is the date in sixty seconds.

`from` is `cache` (the application is not asked), `app`, `etag` or `date` (the application is asked with
that validator, and says 304), or `stale` (it is asked, and the stored response stands in for an error).
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.cache import Cache
from breezeway.semantics.dates import http_date

from .calling import Result, make_environ, run

CORPUS = Path(__file__).parent.parent / "corpus" / "cache"
BEGINNING = 1_800_000_000.0
VALIDATORS = {"etag": "HTTP_IF_NONE_MATCH", "date": "HTTP_IF_MODIFIED_SINCE"}
_DATE = re.compile(r"\{([+-][0-9]+)\}")


class Case(NamedTuple):
    """A story of several requests."""

    name: str
    vector: str
    kind: str
    differs: str
    options: dict[str, Any]
    steps: list[dict[str, Any]]


def cases() -> list[Case]:
    """Return all cases."""
    return [
        Case(
            f"{file.stem}: {case['name']}",
            case.get("vector", ""),
            case["kind"],
            case.get("differs", ""),
            case.get("options", {}),
            case["step"],
        )
        for file in sorted(CORPUS.glob("*.toml"))
        for case in tomllib.loads(file.read_text(encoding="utf-8"))["case"]
    ]


class Origin:
    """An application that says what a step has, and notes what it was asked."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self.step: dict[str, Any] = {}
        self.number = 0
        self.asked: list[WSGIEnvironment] = []

    def clock(self) -> float:
        """Return the time of the story."""
        return self.now

    def dated(self, line: str) -> tuple[str, str]:
        """Return the name and the value of a line."""
        line = _DATE.sub(lambda match: http_date(self.now + int(match[1])).decode(), line)
        name, _, value = line.partition(":")
        return name, value.removeprefix(" ")

    @property
    def content(self) -> bytes:
        """What the application sends in this step."""
        return str(self.step.get("body", f"answer {self.number}")).encode()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if threading.current_thread() is threading.main_thread():
            self.asked.append(environ)
        if self.step.get("fails"):
            raise ConnectionError("the application fails")
        status = self.step.get("status", 200)
        headers = [self.dated(line) for line in self.step.get("answer", ())]
        has_content = status not in (204, 304)
        if has_content and "content-type" not in [name.lower() for name, _ in headers]:
            headers.append(("Content-Type", "text/plain"))
        start_response(_status_line(status), headers)
        self.now += self.step.get("delay", 0)
        return [self.content] if has_content and environ["REQUEST_METHOD"] != "HEAD" else []


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Something"


def play(case: Case, **options: Any) -> None:
    """Play a case, and assert what it expects."""
    origin = Origin()
    cache = Cache(origin, clock=origin.clock, **case.options, **options)
    known: set[bytes] = set()
    for origin.number, origin.step in enumerate(case.steps, 1):
        step = origin.step
        origin.asked.clear()
        try:
            result = _ask(cache, origin)
        except ConnectionError:
            assert step.get("from") == "app", f"{origin.number}: the failure came through"
            continue
        finally:
            for thread in threading.enumerate():
                if thread.name == "breezeway-cache":
                    thread.join()
        _check_source(origin, result, known)
        _check_result(origin, result)
        known.add(result.body)
        origin.now += step.get("wait", 0)


def _ask(cache: WSGIApplication, origin: Origin) -> Result:
    step = origin.step
    fields: dict[str, str] = {}
    for line in step.get("fields", ()):
        name, value = origin.dated(line)
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    method = step.get("method", "GET")
    environ = make_environ(step.get("path", "/"), method, fields, **{"wsgi.multithread": True})
    if method != "M-SEARCH":  # wsgiref.validate does not know it
        return run(cache, environ)
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status, headers]

    blocks = list(cache(environ, start_response))
    return Result(*started, blocks)


def _check_source(origin: Origin, result: Result, known: set[bytes]) -> None:
    step, number = origin.step, origin.number
    source = step.get("from")
    if source is None:
        return
    assert len(origin.asked) == (source != "cache"), f"{number}: asked {len(origin.asked)} times"
    if source in VALIDATORS:
        assert VALIDATORS[source] in origin.asked[0], f"{number}: no condition"
    elif source == "app" and step.get("method") != "HEAD" and step.get("status") not in (204, 304):
        assert result.body == origin.content, f"{number}: {result.body!r}"
    if source != "app" and result.code == 200 and step.get("method") != "HEAD":
        assert result.body in known, f"{number}: {result.body!r}"


def _check_result(origin: Origin, result: Result) -> None:
    step, number = origin.step, origin.number
    status = step.get("status", 200)
    wanted = step.get("expect_status", 200 if status == 304 else status)
    assert result.code == wanted, f"{number}: {result.status}"
    for line in step.get("expect", ()):
        name, value = origin.dated(line)
        assert ", ".join(result.all(name)) == value, f"{number}: {name}: {result.all(name)}"
    for name in step.get("without", ()):
        assert not result.all(name), f"{number}: {name} is there"
    if "content" in step:
        assert result.body == step["content"].encode(), f"{number}: {result.body!r}"
    for line in step.get("sent", ()):
        name, value = origin.dated(line)
        assert origin.asked[0].get(_key(name)) == value, f"{number}: {name} was not sent"
    for name in step.get("not_sent", ()):
        assert _key(name) not in origin.asked[0], f"{number}: {name} was sent"


def _key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")
