"""What `Lint` has to say about an environ (PEP 3333, "environ Variables")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from breezeway.middleware.lint.faults import (
    ENVIRON,
    STREAMS,
    UNICODE,
    Fault,
    shown,
    typed,
)

REQUIRED: Final = (
    "REQUEST_METHOD",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "wsgi.version",
    "wsgi.url_scheme",
    "wsgi.input",
    "wsgi.errors",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
)

METHODS: Final = frozenset(
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"]
)

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_PROTOCOL: Final = re.compile(r"HTTP/[0-9](\.[0-9])?")

_OF_STREAMS: Final = {
    "wsgi.input": ("read", "readline", "readlines", "__iter__"),
    "wsgi.errors": ("flush", "write", "writelines"),
}


def check_environ(environ: Any) -> Iterator[Fault]:
    """Find the faults of an environ, which are those of the server or of middleware."""
    if type(environ) is not dict:
        yield _fault(
            f"environ is {typed(environ)}, not a dict",
            "Pass a plain dict, and no subclass of it",
        )
        return
    for key in REQUIRED:
        if key not in environ:
            yield _fault(f"environ has no {key}", "Set it")
    yield from _check_values(environ)
    yield from _check_http(environ)
    yield from _check_path(environ)
    yield from _check_wsgi(environ)


def _check_values(environ: dict[Any, Any]) -> Iterator[Fault]:
    for key, value in environ.items():
        if type(key) is not str:
            yield _fault(f"environ has the key {typed(key)}", "Keys are of type str")
        elif "." in key:
            continue  # an extension, of any type
        elif type(value) is not str:
            yield _fault(
                f"{key} is {typed(value)}, not a str",
                "Variables of CGI are of type str; a key of one's own has a dot in it",
            )
        elif not _is_latin_1(value):
            yield Fault(
                UNICODE,
                f"{key} is {shown(value)}, with characters beyond ISO-8859-1",
                "Decode the bytes of the request as latin-1, not as UTF-8",
                server=True,
            )


def _check_http(environ: dict[Any, Any]) -> Iterator[Fault]:
    for key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        if key in environ:
            yield _fault(f"environ has {key}", f"It is called {key[5:]}")
    for key in environ:
        if type(key) is str and key.startswith("HTTP_") and key != key.upper():
            yield _fault(f"environ has {key}", "Names of variables are in capitals")
    method = environ.get("REQUEST_METHOD")
    if type(method) is str and method not in METHODS:
        is_token = _TOKEN.fullmatch(method) is not None
        yield _fault(
            f"REQUEST_METHOD is {shown(method)}",
            "Applications may not know it" if is_token else "A method is a token",
            advice=is_token,
        )
    length = environ.get("CONTENT_LENGTH")
    if type(length) is str and length and not (length.isascii() and length.isdigit()):
        yield _fault(f"CONTENT_LENGTH is {shown(length)}", "It is a number, empty or not there")
    port = environ.get("SERVER_PORT")
    if type(port) is str and not (port.isascii() and port.isdigit()):
        yield _fault(f"SERVER_PORT is {shown(port)}", "It is a number, as a str")
    if environ.get("SERVER_NAME") == "":
        yield _fault("SERVER_NAME is empty", "It is needed to reconstruct the URL")
    protocol = environ.get("SERVER_PROTOCOL")
    if type(protocol) is str and not _PROTOCOL.fullmatch(protocol):
        yield _fault(f"SERVER_PROTOCOL is {shown(protocol)}", "It is like HTTP/1.1")


def _check_path(environ: dict[Any, Any]) -> Iterator[Fault]:
    script_name, path = environ.get("SCRIPT_NAME"), environ.get("PATH_INFO")
    for key, value in (("SCRIPT_NAME", script_name), ("PATH_INFO", path)):
        if type(value) is str and value and value[0] != "/" and (key, value) != ("PATH_INFO", "*"):
            yield _fault(f"{key} is {shown(value)}", "It is empty or begins with a slash")
    if script_name == "/":
        yield _fault("SCRIPT_NAME is '/'", "For the root it is empty, and PATH_INFO is '/'")
    elif type(script_name) is str and script_name.endswith("/"):
        yield _fault(
            f"SCRIPT_NAME is {shown(script_name)}",
            "The slash at its end belongs to PATH_INFO: otherwise URLs get two, or none",
        )
    if not script_name and "PATH_INFO" not in environ:
        yield _fault("there is neither SCRIPT_NAME nor PATH_INFO", "PATH_INFO is at least '/'")
    for key in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"):
        if key not in environ:
            yield _fault(f"{key} is not there", "Set it, even if it is empty", advice=True)
    query = environ.get("QUERY_STRING")
    if type(query) is str and query.startswith("?"):
        yield _fault(
            f"QUERY_STRING is {shown(query)}",
            "It is what follows the question mark",
            advice=True,
        )


def _check_wsgi(environ: dict[Any, Any]) -> Iterator[Fault]:
    version = environ.get("wsgi.version", (1, 0))
    if type(version) is not tuple or version != (1, 0):
        yield _fault(f"wsgi.version is {typed(version)}", "It is the tuple (1, 0)")
    scheme = environ.get("wsgi.url_scheme", "http")
    if scheme not in ("http", "https"):
        yield _fault(f"wsgi.url_scheme is {shown(scheme)}", "It is 'http' or 'https'")
    for key, methods in _OF_STREAMS.items():
        if key in environ:
            missing = [name for name in methods if not hasattr(environ[key], name)]
            if missing:
                yield Fault(
                    STREAMS,
                    f"{key} ({shown(environ[key])}) has no {', '.join(missing)}",
                    "It has the methods of a file; middleware that replaces it has to have all",
                    server=True,
                )
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is not None and not callable(wrapper):
        yield _fault(f"wsgi.file_wrapper is {typed(wrapper)}", "It is a callable or not there")


def _fault(fault: str, mend: str, *, advice: bool = False) -> Fault:
    return Fault(ENVIRON, fault, mend, server=True, advice=advice)


def _is_latin_1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
