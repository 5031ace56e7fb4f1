"""The smallest WSGI application. Save it, then run: breezeway hello."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Greet whoever asks, by the path they ask for."""
    # PEP 3333: PATH_INFO holds the path's bytes as latin-1; they are UTF-8 from any browser.
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    greeting = f"Hello, {path.strip('/') or 'world'}!\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(greeting))),
    ]
    start_response("200 OK", headers)
    return [greeting]
