"""RateLimit: counting a request in memory and in Redis, next to flask-limiter."""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import time
from typing import Any

from case import Application, Case, Wrap
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from breezeway.middleware import RateLimit
from run import BROWSER, status_of

LIMIT = "900000000/hour"
"""More than a benchmark can use up."""

STRATEGIES = {
    "fixed_window": "fixed-window",
    "sliding_window": "sliding-window-counter",
    "token_bucket": "fixed-window",
    "gcra": "fixed-window",
}
"""What the peer has for each algorithm; it has neither of the last two."""


def flask_hello(limiter: Limiter | None = None) -> Application:
    """Answer as the bare application does, in Flask."""
    app = Flask("hello")

    @app.get("/")
    def hello() -> str:
        return "Hello there\n"

    if limiter is not None:
        limiter.init_app(app)
    return app.wsgi_app


def peer(strategy: str, storage: str = "memory://", limits: str = LIMIT) -> Wrap:
    """Make the application of the peer; it tells its fields, as ours does."""

    def wrap(application: Application) -> Application:
        return flask_hello(
            Limiter(
                get_remote_address,
                default_limits=[limits],
                storage_uri=storage,
                strategy=strategy,
                headers_enabled=True,
            )
        )

    return wrap


def used_up(application: Application) -> Application:
    """Take the one request that there is."""
    status_of(application, dict(BROWSER))
    return application


def redis_url() -> str | None:
    """Start a Redis server that ends with us; None if there is no such program."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    atexit.register(server.kill)
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return f"redis://127.0.0.1:{port}/0"
        except OSError:
            time.sleep(0.01)
    return None


def cases() -> list[Case]:
    """Compare."""
    bare = flask_hello()

    def case(what: str, ours: Wrap, theirs: Wrap | None = None, **more: Any) -> Case:
        return Case("RateLimit", what, ours, "flask-limiter", theirs, peer_application=bare, **more)

    found = [
        Case("RateLimit", "idle", lambda app: RateLimit(app, limits=LIMIT, exempt_paths=["/"])),
        Case("RateLimit", "other path", lambda app: RateLimit(app, limits=LIMIT, paths=["/login"])),
    ]
    for algorithm, strategy in STRATEGIES.items():

        def ours(app: Application, algorithm: str = algorithm, **options: Any) -> Application:
            return RateLimit(app, **{"limits": LIMIT, "algorithm": algorithm, **options})

        found.append(case(f"memory, {algorithm}", ours, peer(strategy)))
    found += [
        case(
            "memory, gcra, without fields",
            lambda app: RateLimit(app, limits=LIMIT, algorithm="gcra", fields=False),
        ),
        case(
            "memory, two limits",
            lambda app: RateLimit(app, limits=[LIMIT, "800000000/day"]),
            peer("sliding-window-counter", limits=f"{LIMIT};800000000/day"),
        ),
        case(
            "memory, refused",
            lambda app: used_up(RateLimit(app, limits="1/hour")),
            lambda app: used_up(peer("sliding-window-counter", limits="1/hour")(app)),
            expect="429",
        ),
    ]
    url = redis_url()
    if url is not None:
        found += [
            case(
                f"Redis, {algorithm}",
                lambda app, a=algorithm: RateLimit(app, limits=LIMIT, algorithm=a, redis=url),
                peer(strategy, url),
            )
            for algorithm, strategy in list(STRATEGIES.items())[:2]
        ]
    return found
