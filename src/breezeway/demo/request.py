"""The request as the application sees it: the environ of PEP 3333, in groups and explained."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from breezeway.demo.render import Answer, Html, facts, fill, page, root_of, text

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

# PEP 3333, section 'environ Variables', and what servers add beside them.
NOTES = {
    "REQUEST_METHOD": "the method, as it was sent",
    "SCRIPT_NAME": "the start of the path that leads to this application",
    "PATH_INFO": "the rest of the path, percent-decoded; its bytes read as latin-1",
    "QUERY_STRING": "what follows the “?”, as it was sent",
    "CONTENT_TYPE": "the media type of the body",
    "CONTENT_LENGTH": "the size of the body in bytes",
    "SERVER_NAME": "the host this server believes to be",
    "SERVER_PORT": "the port that took the request",
    "SERVER_PROTOCOL": "the version of HTTP that the client spoke",
    "SERVER_SOFTWARE": "the server itself",
    "REMOTE_ADDR": "where the connection comes from",
    "REMOTE_PORT": "the port at that end of the connection",
    "REQUEST_URI": "the request-target, not decoded",
    "RAW_URI": "the same, under its other name",
    "HTTP_HOST": "the host that the client asked for",
    "HTTP_USER_AGENT": "what the client says it is",
    "HTTP_COOKIE": "the cookies of this host, whoever set them",
    "wsgi.version": "the version of the interface",
    "wsgi.url_scheme": "http or https",
    "wsgi.input": "the body of the request, to read",
    "wsgi.errors": "the error log of the server, to write to",
    "wsgi.multithread": "may another thread call the application meanwhile?",
    "wsgi.multiprocess": "may another process call it?",
    "wsgi.run_once": "is this the only call of this process?",
    "wsgi.file_wrapper": "sends a file the way the server does best",
    "wsgi.input_terminated": "reading to the end of wsgi.input is safe",
    "wsgi.early_hints": "sends a 103 response before the real one",
    "breezeway.client_disconnected": "tells whether the client has gone",
    "breezeway.stopping": "tells whether the server waits for the last requests",
}


def start(environ: WSGIEnvironment) -> Answer:
    """Show the start page: the way that this request took."""
    main = fill(
        "start",
        root=root_of(environ),
        client=text(address(environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT"))),
        server=text(environ.get("SERVER_SOFTWARE", "a WSGI server")),
        listener=text(address(environ["SERVER_NAME"], environ["SERVER_PORT"])),
        protocol=text(environ.get("SERVER_PROTOCOL", "")),
        thread=text(threading.current_thread().name),
    )
    return page(environ, "It works", main)


def table(environ: WSGIEnvironment) -> Answer:
    """Show all of the environ that belongs to the request."""
    names = sorted(name for name in environ if belongs(name))
    fields = [name for name in names if name.startswith("HTTP_")]
    wsgi = [name for name in names if name.startswith("wsgi.")]
    others = [name for name in names if "." in name and name not in wsgi]
    request = [name for name in names if name not in {*fields, *wsgi, *others}]
    main = fill(
        "request",
        request=rows(environ, request),
        fields=rows(environ, fields),
        wsgi=rows(environ, wsgi),
        others=section("Extensions of this server", rows(environ, others)) if others else Html(""),
    )
    return page(environ, "Your request", main)


def belongs(name: str) -> bool:
    """Tell whether a key is the request's.

    PEP 3333 lets a server put its process's environment variables in too (wsgiref does). They
    may hold secrets and are not for whoever asks.
    """
    return name in NOTES or name not in os.environ


def address(host: str | None, port: str | None) -> str:
    """Return host and port as one reads them; either may be missing."""
    if not host:
        return "a local socket"
    if ":" in host:
        host = f"[{host}]"
    return f"{host}:{port}" if port else host


def section(heading: str, content: Html) -> Html:
    """Return a titled part of a page."""
    return Html(f"<section><h2>{text(heading)}</h2>{content}</section>")


def rows(environ: WSGIEnvironment, names: list[str]) -> Html:
    """Return the list of these keys, their values and what they mean."""
    return facts((name, shown(name, environ[name])) for name in names)


def name_of(value: object) -> str:
    """Return the name of a class, function or method; of anything else, its type's."""
    named: Any = value if hasattr(value, "__qualname__") else type(value)
    return ".".join(filter(None, (named.__module__, named.__qualname__)))


def shown(name: str, value: object) -> Html:
    """Return one value and its note.

    A string as it is; of an object its type or name, since a repr may tell addresses and more.
    """
    if isinstance(value, str):
        code = f"<code>{text(value)}</code>" if value else '<span class="note">(empty)</span>'
    elif isinstance(value, bool | int | tuple):
        code = f"<code>{text(repr(value))}</code>"
    else:
        code = f'<code class="type">{text(name_of(value))}</code>'
    note = NOTES.get(name)
    return Html(f'{code}<span class="note">{text(note)}</span>' if note else code)
