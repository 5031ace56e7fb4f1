"""Calling applications as a server does, and how long that takes."""

from __future__ import annotations

import gc
import io
import statistics
import time
from typing import Any

from case import Application, Case

BROWSER = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_HOST": "shop.example",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_COOKIE": "theme=dark; language=en",
    "HTTP_SEC_FETCH_DEST": "document",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_FETCH_SITE": "none",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "https",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


def environ_of(case: Case) -> dict[str, Any]:
    """Make the environ of a case."""
    return {
        **BROWSER,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        **case.environ,
    }


def _write(data: bytes) -> None:
    raise AssertionError("nothing here calls write()")


def status_of(application: Application, environ: dict[str, Any]) -> str:
    """Ask once; return the status line."""
    started: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started.append(status)
        return _write

    found = application(dict(environ), start_response)
    for _ in found:
        pass
    getattr(found, "close", lambda: None)()
    return started[-1]


def ask_often(application: Application, environ: dict[str, Any], times: int) -> float:
    """Ask so often; return the nanoseconds for each."""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        return _write

    copy = environ.copy
    began = time.perf_counter_ns()
    for _ in range(times):
        found = application(copy(), start_response)
        for _ in found:
            pass
        if type(found) is not list:
            close = getattr(found, "close", None)
            if close is not None:
                close()
    return (time.perf_counter_ns() - began) / times


def times_in(application: Application, environ: dict[str, Any], seconds: float) -> int:
    """Return how often an application can be asked in that time."""
    times = 1
    while True:
        took = ask_often(application, environ, times) * times / 1e9
        if took > seconds / 4:
            return max(1, int(times * seconds / took))
        times *= 4


def row_of(case: Case, rounds: int, seconds: float) -> tuple[Any, ...]:
    """Measure a case; return the fields of a row."""
    environ = environ_of(case)
    bare = case.application
    peer_bare = case.peer_application or bare
    applications: list[Application] = [bare, case.ours(bare)]
    if case.peer is not None:
        applications += [peer_bare, case.peer(peer_bare)]
    for index, application in enumerate(applications):
        status = status_of(application, environ)
        if index % 2 and case.expect not in status:
            name = case.peer_name if index > 1 else "ours"
            return case.piece, case.what, 0.0, case.peer_name, None, f"{name}: {status}"
    times = [times_in(application, environ, seconds) for application in applications]
    taken: list[list[float]] = [[] for _ in applications]
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        order = range(len(applications))
        for index in order if number % 2 else reversed(order):
            taken[index].append(ask_often(applications[index], environ, times[index]))
    ours = _difference(taken[0], taken[1])
    theirs = _difference(taken[2], taken[3]) if case.peer is not None else None
    return case.piece, case.what, ours, case.peer_name, theirs, ""


def _difference(bare: list[float], wrapped: list[float]) -> float:
    return statistics.median(more - less for less, more in zip(bare, wrapped, strict=True))
