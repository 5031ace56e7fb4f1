"""`Dispatch`: applications mounted by prefix of the path and by host."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.stack import unset
from breezeway.semantics.hosts import LONGEST_NAME, Host, parse_host

KEPT_HOSTS: Final = 1024
"""Hosts whose mounts are remembered."""

LONGEST_KEPT: Final = LONGEST_NAME + len(":65535")
"""Characters of a Host that may name something here."""

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_WILDCARD: Final = "*."
_URLS: Final = ("http://", "https://", "unix:")

Mount = WSGIApplication | str | Sequence[str] | Mapping[str, Any]


class Dispatch:
    """Gives each request to the application that is mounted for its host and path.

    The application sees itself at its mount: what of the path led there moves from PATH_INFO to
    SCRIPT_NAME (PEP 3333, "environ Variables"), in the request's own environ. A prefix covers whole
    segments: `/old` covers `/old`, `/old/` and `/old/x`, not `/older`. The longest wins, and one for
    the host before one for any. A request costs a look-up for each segment of its path that leads to
    a mount, however many mounts there are.
    """

    def __init__(self, mounts: Mapping[str, Mount], application: WSGIApplication = unset) -> None:
        """Say what is mounted where, and what answers the rest.

        The keys of `mounts` are prefixes of the path (`/old`), hosts (`shop.example`,
        `*.shop.example` for all below it, `[::1]:8000`) or both (`shop.example/old`). A host without a
        port is meant at any. The values are applications, or what `Proxy` takes: the URL of another
        server, a list of URLs, or a table of its options. What is covered by no mount is for
        `application`; without one, it is 404.

        Raises:
            ValueError: a key or a value cannot be, or two keys mean the same.
        """
        if not isinstance(mounts, Mapping) or not mounts:
            raise ValueError(f"mounts must be a table of one application at least, not {mounts!r}")
        self.application = application
        self._any: _Node = _Node()
        self._hosts: dict[Host, _Node] = {}
        self._below: dict[Host, _Node] = {}
        for key, value in mounts.items():
            self._mount(key, _application(key, value))
        self._find_hosts: Callable[[str, str], tuple[_Node, ...]] = lru_cache(KEPT_HOSTS)(
            self._nodes
        )

    def _mount(self, key: str, application: WSGIApplication) -> None:
        if not isinstance(key, str) or not key or re.search(r"[?#]|//", key):
            raise ValueError(f"a key of mounts is a path, a host or host/path, not {key!r}")
        host, _, path = key.partition("/")
        root = self._any
        if host:
            name = host.removeprefix(_WILDCARD)
            try:
                parsed = parse_host(name)
            except ValueError:
                raise ValueError(
                    f"{host!r} in mounts is not a host, such as shop.example or *.shop.example;"
                    " a path begins with a slash"
                ) from None
            table = self._hosts if name == host else self._below
            root = table.setdefault(parsed, _Node())
        # As in PATH_INFO: the bytes, each as a character (PEP 3333, "Unicode Issues").
        text = unquote_to_bytes(path).decode("latin-1").rstrip("/")
        node = root
        for segment in text.split("/") if text else ():
            node = node.below.setdefault(segment, _Node())
        if node.application is not None:
            raise ValueError(f"{key!r} in mounts means the same as another key")
        node.application = application

    def _nodes(self, host: str, scheme: str) -> tuple[_Node, ...]:
        """Return the trees for a host, the most precise first, then the one for any."""
        try:
            name, port = parse_host(host)
        except ValueError:
            return (self._any,)
        ports = (port or DEFAULT_PORTS.get(scheme, ""), "")
        keys = [(self._hosts, name)]
        if not name.startswith("["):
            labels = name.split(".")
            keys += [(self._below, ".".join(labels[at:])) for at in range(1, len(labels))]
        found = [table.get(Host(name, port)) for table, name in keys for port in ports]
        return (*[node for node in found if node is not None], self._any)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application that the request is for."""
        path: str = environ.get("PATH_INFO", "")
        if not self._hosts and not self._below:
            roots: tuple[_Node, ...] = (self._any,)
        else:
            host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
            if len(host) > LONGEST_KEPT:
                host = ""
            roots = self._find_hosts(host, environ["wsgi.url_scheme"])
        for root in roots:
            application, length = root.find(path)
            if application is not None:
                if length:
                    environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + path[:length]
                    environ["PATH_INFO"] = path[length:]
                return application(environ, start_response)
        if self.application is unset:
            return answer(environ, start_response, "404 Not Found")
        return self.application(environ, start_response)


class _Node:
    """A segment of the mounts' paths."""

    __slots__ = ("application", "below")

    def __init__(self) -> None:
        self.application: WSGIApplication | None = None
        self.below: dict[str, _Node] = {}

    def find(self, path: str) -> tuple[WSGIApplication | None, int]:
        """Return the application with the longest prefix of a path, and how long that is."""
        node, application = self, self.application
        length = at = 0
        while node.below and path[at : at + 1] == "/":
            end = path.find("/", at + 1)
            if end < 0:
                end = len(path)
            below = node.below.get(path[at + 1 : end])
            if below is None:
                break
            node, at = below, end
            if node.application is not None:
                application, length = node.application, end
        return application, length


def _application(key: str, value: Any) -> WSGIApplication:
    from breezeway.middleware.proxy import Proxy

    try:
        if isinstance(value, Mapping):
            return Proxy(**value)
        if isinstance(value, (str, list, tuple)):
            urls = [value] if isinstance(value, str) else value
            if all(isinstance(url, str) and url.startswith(_URLS) for url in urls):
                return Proxy(urls)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key!r} in mounts: {error}") from None
    if not callable(value):
        raise ValueError(
            f"{key!r} in mounts must be an application, or the URL of a server such as"
            f" http://127.0.0.1:9000, not {value!r}"
        )
    application: WSGIApplication = value
    return application
