"""What an environ holds before a request's own keys come in: per worker, listener and connection."""

from __future__ import annotations

from collections.abc import Callable

from breezeway import __version__
from breezeway.gateway.error_stream import ERRORS
from breezeway.gateway.file_wrapper import FileWrapper
from breezeway.gateway.input import EMPTY_INPUT
from breezeway.gateway.types import Environ

SERVER_SOFTWARE = f"breezeway/{__version__}"


def base_environ(
    *,
    server_name: str,
    server_port: str,
    root_path: str,
    multithread: bool,
    multiprocess: bool,
    stopping: Callable[[], bool],
) -> Environ:
    """Build what is the same for all requests of one listener (PEP 3333, 'environ Variables').

    `stopping` tells whether the server waits for the end of its requests, to end itself.
    """
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "SCRIPT_NAME": root_path,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": ERRORS,
        "wsgi.input": EMPTY_INPUT,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "breezeway.stopping": stopping,
    }
