"""`Profiler`: where the time of a request goes, as a flame graph."""

from __future__ import annotations

import hmac
import itertools
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware import option_checks
from breezeway.middleware.answer import answer
from breezeway.middleware.closing import Observed
from breezeway.middleware.profiler.engine import engine_of
from breezeway.middleware.profiler.flame_graph import page
from breezeway.middleware.profiler.recording import Recording
from breezeway.middleware.stack import unset
from breezeway.semantics.networks import LOOPBACK

PARAMETER: Final = "__profile__"
HEADER: Final = "HTTP_X_PROFILE"

LEAST_TOKEN: Final = 16
"""Characters: what nobody guesses, as `secrets.token_urlsafe(16)` makes it."""

MOST_SECONDS: Final = 30.0
"""Of a response that is shown as a profile: one that has no end is closed then."""

MOST_FILES: Final = 100

_SAFE: Final = re.compile(r"[^A-Za-z0-9]+")

T = TypeVar("T")

log = logging.getLogger("breezeway.middleware")


class Profiler:
    """Profiles requests: one when it is asked for, or every so many.

    A request asks with the secret token, as the parameter `__profile__` of its query or in the field
    `X-Profile`, and gets the flame graph in place of its response. That never is open: without `token`
    nobody can ask, and only clients in `networks` can, of those none whom a proxy has passed on without
    anybody settling who they are. Whoever has no right, or a wrong token, gets the response as ever.

    With `every`, each so-many-th request is profiled, its response goes on untouched, and its flame graph
    is written to `directory`, next to a file for other tools; with `slow` only if it took that long.

    A process profiles one request at a time. Another one that asks meanwhile gets a 503.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        token: str = "",
        networks: Iterable[str] = LOOPBACK,
        every: int = 0,
        slow: float = 0.0,
        directory: str | os.PathLike[str] | None = None,
        files: int = MOST_FILES,
        engine: str = "cprofile",
    ) -> None:
        """Check and prepare.

        `token` is the secret to ask with, of 16 characters or more; without one nobody can ask.
        `networks` lists whose clients may ask, such as `10.0.0.0/8`; `unix` stands for unix sockets, `*`
        for everybody; the default is this machine. `every` profiles each so-many-th request into
        `directory`, which is made; 0 does not. `slow` keeps of those only what took so many seconds.
        `files` is how many profiles are kept there, the latest. `engine` is `cprofile`, or
        `pyinstrument` (an extra), which costs less and sees through calls from several places.

        Raises:
            ValueError: an option is wrong, or pyinstrument is wanted and not installed.
        """
        if not isinstance(token, str) or (token and len(token) < LEAST_TOKEN):
            raise ValueError(f"token must be a text of {LEAST_TOKEN} characters or more")
        for name, value, least in (("every", every, 0), ("files", files, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} on, not {value!r}")
        if not isinstance(slow, int | float) or isinstance(slow, bool) or not slow >= 0:
            raise ValueError(f"slow must be a number of seconds from 0 on, not {slow!r}")
        if not token and not every:
            raise ValueError("give token, to ask for profiles, or every, to have them written")
        if bool(every) != (directory is not None):
            raise ValueError("every and directory belong together: how often, and where to")
        if slow and not every:
            raise ValueError("slow needs every: which requests are looked at")
        self.application = application
        self._token = token.encode()
        self._networks = option_checks.networks("networks", networks)
        self._every = every
        self._slow = slow
        self._files = files
        self._engine = engine_of(engine)
        self._count = itertools.count()
        self._directory = Path()
        if directory is not None:
            self._directory = _made(Path(option_checks.path("directory", directory)).absolute())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        query = environ.get("QUERY_STRING", "")
        if (HEADER in environ or PARAMETER in query) and self._may_ask(environ, query):
            return self._shown(environ, start_response)
        if self._every and next(self._count) % self._every == 0:
            seen = _Profiled(environ, start_response, self._write)
            seen.recording = Recording(self._engine())
            return seen.profiled(self.application)
        return self.application(environ, start_response)

    def _may_ask(self, environ: WSGIEnvironment, query: str) -> bool:
        if not self._token or not self._networks.admit(environ):
            return False
        given = environ.get(HEADER, "")
        for pair in query.split("&"):
            if pair.startswith(f"{PARAMETER}="):
                given = pair[len(PARAMETER) + 1 :]
        return hmac.compare_digest(given.encode(errors="replace"), self._token)

    # --- in place of the response ----------------------------------------------------------------

    def _shown(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the profile of the request as it is without the token."""
        pairs = environ.get("QUERY_STRING", "").split("&")
        rest = "&".join(pair for pair in pairs if not pair.startswith(f"{PARAMETER}="))
        environ["QUERY_STRING"] = rest
        for key in (HEADER, "RAW_URI", "REQUEST_URI"):  # they have the token, too
            environ.pop(key, None)
        seen = _Profiled(environ, lambda *args: lambda data: None, lambda seen: None)
        recording = seen.recording = Recording(self._engine())
        if not recording.hold():
            retry = [("Retry-After", "1")]
            text = "another profile is being taken: try again"
            return answer(environ, start_response, "503 Service Unavailable", text, retry)
        fault = ""
        try:
            _drain(seen, self.application)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            log.exception("the application has raised while it was profiled")
        finally:
            recording.let_go()
        body = self._page(seen, recording, fault)
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ]
        start_response("200 OK", headers)
        return [] if seen.method == "HEAD" else [body]

    def _page(self, seen: Observed, recording: Recording, fault: str) -> bytes:
        path = seen.environ.get("SCRIPT_NAME", "") + seen.environ.get("PATH_INFO", "")
        facts = {
            "status": seen.status or "none",
            "content": f"{seen.size} bytes",
            "time": f"{(time.perf_counter() - seen.began) * 1000:.1f} ms, the profiler's work included",
            "engine": self._engine.__name__.lower(),
            "mind": recording.engine.caveat(),
            "raised": fault,
        }
        return page(f"{seen.method} {path}", facts, recording.engine.tree())

    # --- into the directory ----------------------------------------------------------------------

    def _write(self, seen: _Profiled) -> None:
        seconds = time.perf_counter() - seen.began
        if not seen.recording.has_started or seconds < self._slow:
            return
        seen.recording.rest()
        try:
            fault = "" if seen.error is None else type(seen.error).__name__
            self._write_files(seen, self._page(seen, seen.recording, fault), seconds)
        except Exception:  # nothing here may cost a response
            log.exception("a profile could not be written to %s", self._directory)

    def _write_files(self, seen: _Profiled, content: bytes, seconds: float) -> None:
        moment = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment)) + f"{moment % 1:.6f}"[2:]
        words = _SAFE.sub("-", f"{seen.method[:10]} {seen.environ.get('PATH_INFO', '')[:60]}")
        name = f"profile-{stamp}-{words.strip('-')}-{seconds * 1000:.0f}ms-{secrets.token_hex(4)}"
        path = self._directory / name
        fd = os.open(f"{path}.html", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(content)
        seen.recording.engine.save(f"{path}{self._engine.suffix}")
        for old in sorted(self._directory.glob("profile-*.html"))[: -self._files]:
            for each in self._directory.glob(f"{old.stem}.*"):
                each.unlink(missing_ok=True)


class _Profiled(Observed):
    """One request whose work is profiled, step by step."""

    recording: Recording

    def profiled(self, application: WSGIApplication) -> Iterable[bytes]:
        """Call the application."""
        return self.step(lambda: self.call(application))

    def step(self, work: Callable[[], T]) -> T:
        """Do some work, with the profiler on if it is free."""
        if not self.recording.start():
            return work()
        try:
            return work()
        finally:
            self.recording.rest()

    def __iter__(self) -> Iterator[bytes]:
        blocks = super().__iter__()
        while True:
            block = self.step(lambda: next(blocks, None))
            if block is None:
                return
            yield block


def _drain(seen: _Profiled, application: WSGIApplication) -> None:
    """Take the whole response, and close it."""
    ends = seen.began + MOST_SECONDS
    blocks: Any = seen.profiled(application)
    try:
        for _ in blocks:
            if time.perf_counter() > ends:
                break
    finally:
        getattr(blocks, "close", lambda: None)()


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"directory {directory} cannot be made: {error.strerror}") from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ValueError(f"directory {directory} cannot be written to")
    return directory
