"""`breezeway check --lint`: an application, asked in every way that PEP 3333 has, under `Lint`.

Nothing listens: the requests are made in this process. Methods that may change something go to a path
that no application has, so that a check changes nothing where it should not.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from breezeway import tracebacks
from breezeway.errors import ApplicationFailedError, UserError
from breezeway.middleware.lint import Lint
from breezeway.middleware.lint.faults import Fault, Report

FORM = b"name=value&name=other"
LONG = "x" * 2000
BROWSER: dict[str, Any] = {
    "HTTP_ACCEPT": "text/html,*/*;q=0.8",
    "HTTP_ACCEPT_ENCODING": "gzip, br, zstd",
    "HTTP_ACCEPT_LANGUAGE": "en",
    "HTTP_COOKIE": "a=b; c",
    "HTTP_USER_AGENT": "Mozilla/5.0",
}


@dataclass(frozen=True)
class Request:
    """One request; `blocks` is how many are taken before the client leaves, None for all."""

    what: str
    environ: dict[str, Any]
    body: bytes = b""
    blocks: int | None = None


@dataclass
class Result:
    """What came of all requests."""

    requests: int = 0
    faults: dict[Fault, str] = field(default_factory=dict)
    """Each, and the first request that showed it."""
    failures: dict[str, str] = field(default_factory=dict)
    """The traceback of each exception that left the application, and the first request."""


class Within:
    """The application itself, within its middleware, whose faults would not be seen from outside."""

    def __init__(self, application: Any) -> None:
        self.report: Report = lambda fault: None
        """Takes what is found in the request that is asked now."""
        self._lint = Lint(application, report=lambda fault: self.report(fault))

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call it."""
        return self._lint(*args, **keywords)


def check(
    application: Any, target: str, paths: Sequence[str] = (), within: Within | None = None
) -> str:
    """Ask an application for `/` and `paths`; return what was found, if that is no breach.

    `within` is the application itself where `application` is middleware around that.

    Raises:
        UserError: there are breaches, or exceptions that left the application; it says which.
    """
    result = run(application, paths, within)
    breaches = sum(not fault.advice for fault in result.faults)
    lines = [_told(fault, what) for fault, what in result.faults.items()]
    lines += [
        f"{what}: the application failed.\n{trace}" for trace, what in result.failures.items()
    ]
    told = "".join(f"{line}\n" for line in lines)
    summary = f"{target}: {result.requests} requests, {_count(breaches, 'breach')} of PEP 3333"
    if result.failures:
        summary += f", {_count(len(result.failures), 'exception')}"
        raise ApplicationFailedError(f"{summary}.", detail=told)
    if breaches:
        raise UserError(f"{summary}.", detail=told)
    return f"{told}{summary}."


def _told(fault: Fault, what: str) -> str:
    kind = "advice on" if fault.advice else "breach of"
    whose = ", by the middleware" if fault.server else ""
    said = f"{fault.fault[0].upper()}{fault.fault[1:]}"
    return f'{what}: {kind} PEP 3333, "{fault.clause}"{whose}\n  {said}.\n  {fault.mend}.\n'


def run(application: Any, paths: Sequence[str] = (), within: Within | None = None) -> Result:
    """Ask an application in every way, and collect what is found."""
    result = Result()
    for request in _requests(["/", *paths]):
        result.requests += 1
        ours: set[Fault] = set()
        """Made on purpose."""

        def report(fault: Fault, what: str = request.what, ours: set[Fault] = ours) -> None:
            if fault.server:
                ours.add(fault)
            else:
                result.faults.setdefault(fault, what)

        def report_within(fault: Fault, what: str = request.what, ours: set[Fault] = ours) -> None:
            if fault not in ours:
                result.faults.setdefault(fault, what)

        if within is not None:
            within.report = report_within
        try:
            _ask(Lint(application, report=report), request)
        except Exception as error:
            trace = tracebacks.whole(error, _without_ours(error.__traceback__))
            result.failures.setdefault(trace, request.what)
    return result


def _requests(paths: Sequence[str]) -> Iterator[Request]:
    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS"):
            yield _request(method, path)
        yield _request("GET", f"{path}?a=1&b=%ff&&c")
        yield _request("GET", path, **BROWSER)
        yield _request("GET", path, "as HTTP/1.0", SERVER_PROTOCOL="HTTP/1.0")
        yield _request("GET", path, "conditional", HTTP_IF_NONE_MATCH="*", HTTP_RANGE="bytes=0-0")
        yield Request(f"GET {path}, left after a block", _environ("GET", path), blocks=1)
        yield Request(f"GET {path}, left at once", _environ("GET", path), blocks=0)
    nowhere = f"/{secrets.token_hex(16)}"
    for path in (nowhere, "/é%/\x00".encode().decode("latin-1"), f"/{LONG}", ""):
        yield _request("GET", path)
    for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
        yield _request(method, nowhere, body=FORM)
    yield _request("POST", nowhere, "as JSON", body=b"{", CONTENT_TYPE="application/json")
    chunked: dict[str, Any] = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    yield _request("POST", nowhere, "without a length", body=FORM, **chunked)


def _request(method: str, path: str, how: str = "", body: bytes = b"", **more: Any) -> Request:
    shown = f"{method} {path if len(path) < 60 else path[:60] + '...'}"
    environ = _environ(method, path, body)
    environ |= more
    return Request(f"{shown} {how}".rstrip(), environ, body)


def _environ(method: str, path: str, body: bytes = b"") -> dict[str, Any]:
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "breezeway-check",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    return environ


def _ask(application: Any, request: Request) -> None:
    """Call an application as a server does."""
    environ = dict(request.environ)
    environ["wsgi.input"] = io.BytesIO(request.body)
    environ["wsgi.errors"] = io.StringIO()
    sent: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None and sent:
            raise exc_info[1].with_traceback(exc_info[2])
        return sent.append

    blocks = application(environ, start_response)
    try:
        if request.blocks == 0:
            return
        for number, block in enumerate(blocks, 1):
            if block:
                sent.append(block)
            if number == request.blocks:
                break
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            close()


def _without_ours(found: TracebackType | None) -> TracebackType | None:
    """Take the frames of Breezeway off the top of a traceback."""
    while found is not None and found.tb_frame.f_globals.get("__name__", "").startswith(
        "breezeway."
    ):
        found = found.tb_next
    return found


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{number or 'no'} {plural if number else what}"
