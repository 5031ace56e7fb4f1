"""Start a server that has no command line, or one that cannot set what a scenario needs.

    launch.py SERVER MODULE:NAME PORT THREADS CONNECTIONS

Imports are inside the functions: start-up time is measured, and each server pays for its own alone.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

HOST = "127.0.0.1"
BACKLOG = 2048
KEEP_ALIVE = 75  # seconds, longer than any measurement
SELECT_LIMIT = 1000  # select(2) takes no descriptor above 1023


def bjoern(app: Any, port: int, threads: int, connections: int) -> None:
    """Run bjoern: one thread, nothing to set."""
    import bjoern

    bjoern.run(app, HOST, port, listen_backlog=BACKLOG)


def fastwsgi(app: Any, port: int, threads: int, connections: int) -> None:
    """Run fastwsgi: one thread."""
    import fastwsgi

    fastwsgi.server.backlog = BACKLOG
    fastwsgi.run(app, HOST, port)


def waitress(app: Any, port: int, threads: int, connections: int) -> None:
    """Run waitress without its log line for each request that has to queue."""
    import logging

    import waitress

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(
        app,
        host=HOST,
        port=port,
        threads=threads,
        backlog=BACKLOG,
        connection_limit=connections + 100,
        asyncore_use_poll=connections > SELECT_LIMIT,
    )


def cheroot(app: Any, port: int, threads: int, connections: int) -> None:
    """Run cheroot; its default keeps ten connections alive."""
    from cheroot.wsgi import Server

    server = Server(
        (HOST, port), app, numthreads=threads, request_queue_size=BACKLOG, timeout=KEEP_ALIVE
    )
    server.keep_alive_conn_limit = connections + 100
    server.start()


def main() -> None:
    name, spec, port, threads, connections = sys.argv[1:]
    module, _, attribute = spec.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    globals()[name](app, int(port), int(threads), int(connections))


if __name__ == "__main__":
    main()
