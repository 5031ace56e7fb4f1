"""Breezeway: the whole way of WSGI (PEP 3333) in pure Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from breezeway.errors import RequestTimeout

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from breezeway.simple_server import SimpleServer

__version__ = "0.1.0.dev0"

__all__ = ["RequestTimeout", "__version__", "make_server", "run", "serve", "share_metrics"]


def serve(
    application: Any, bind: str | list[str] | tuple[str, ...] = "127.0.0.1:8000", **settings: Any
) -> None:
    """Serve a WSGI application until Ctrl-C or SIGTERM, then finish the requests in flight.

    `bind` is one address or several, as `--bind` takes them; every other setting can be given by
    its name, such as `threads=16` (`breezeway.config.settings`; sizes in bytes, times in seconds).
    What cannot be bound is told on standard error and ends the program, as on the command line.

    Raises:
        ValueError: a setting has a value that it cannot have.
    """
    from breezeway import serving

    serving.serve(application, bind, **settings)


def run(
    application: Any,
    *,
    bind: str | list[str] | tuple[str, ...] = "127.0.0.1:8000",
    reload: bool = False,
    **settings: Any,
) -> None:
    """Serve a WSGI application from a quick script, with the access log on, until Ctrl-C.

    With `reload` the script is started anew at each change of its files. For that it is imported by
    the command line (`breezeway MODULE:NAME --reload`), so that the application must have a name in
    the script; a call of this function while a script is imported returns at once. Everything else
    is as with `serve`.

    Raises:
        ValueError: a setting has a value that it cannot have.
    """
    from breezeway import running

    running.run(application, bind, reload, settings)


def make_server(host: str, port: int, app: Any, **settings: Any) -> SimpleServer:
    """Make a server as `wsgiref.simple_server.make_server` does; `serve_forever` runs it.

    Raises:
        ValueError: a setting has a value that it cannot have.
        breezeway.errors.BindError: the address cannot be had.
    """
    from breezeway.simple_server import SimpleServer

    return SimpleServer(host, port, app, **settings)


def share_metrics() -> CollectorRegistry:
    """Have metrics of prometheus_client count for all workers together, and return a registry of them.

    To be called before the first metric is made: metrics that are there already stay as they are. In
    a process that no supervisor of Breezeway has started (tests, another server, `breezeway.serve`)
    nothing is changed, and the registry is the default one.

    Raises:
        ImportError: prometheus_client is not installed.
    """
    from breezeway.observe import application_metrics

    return application_metrics.share()
