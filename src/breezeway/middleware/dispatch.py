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

KEPT: Final = 1024
"""Paths, or hosts, for which it is remembered what is mounted there."""

LONGEST_KEPT: Final = LONGEST_NAME + len(":65535")
"""Characters of what is remembered; a Host that is longer names nothing."""

MOST_SPLITS: Final = 16
"""Segments beyond the deepest mount up to which taking a path apart from its end is quicker."""

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_WILDCARD: Final = "*."
_URLS: Final = ("http://", "https://", "unix:")

_Found = tuple[str, WSGIApplication]

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
        self._any: _Mounts = _Mounts()
        self._hosts: dict[Host, _Mounts] = {}
        self._below: dict[Host, _Mounts] = {}
        for key, value in mounts.items():
            self._mount(key, _application(key, value))
        self._has_hosts = bool(self._hosts or self._below)
        self._find: Callable[[str], _Found | None] = lru_cache(KEPT)(self._any.find)
        self._find_hosts: Callable[[str, str], tuple[_Mounts, ...]] = lru_cache(KEPT)(
            self._mounts_of
        )

    def _mount(self, key: str, application: WSGIApplication) -> None:
        if not isinstance(key, str) or not key or re.search(r"[?#]|//", key):
            raise ValueError(f"a key of mounts is a path, a host or host/path, not {key!r}")
        host, _, path = key.partition("/")
        mounts = self._any
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
            mounts = table.setdefault(parsed, _Mounts())
        # As in PATH_INFO: the bytes, each as a character (PEP 3333, "Unicode Issues").
        prefix = unquote_to_bytes(f"/{path}").decode("latin-1").rstrip("/")
        if not mounts.add(prefix, application):
            raise ValueError(f"{key!r} in mounts means the same as another key")

    def _mounts_of(self, host: str, scheme: str) -> tuple[_Mounts, ...]:
        """Return the mounts for a host, the most precise first, then those for any."""
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
        if self._has_hosts:
            host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
            name = host if len(host) <= LONGEST_KEPT else ""
            for mounts in self._find_hosts(name, environ["wsgi.url_scheme"]):
                found = mounts.find(path)
                if found is not None:
                    break
        else:
            found = self._find(path) if len(path) <= LONGEST_KEPT else self._any.find(path)
        if found is None:
            if self.application is unset:
                return answer(environ, start_response, "404 Not Found")
            return self.application(environ, start_response)
        prefix, application = found
        if prefix:
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path[len(prefix) :]
        return application(environ, start_response)


class _Mounts:
    """What is mounted for one host, or for any."""

    __slots__ = ("_by_prefix", "_depths", "_root")

    def __init__(self) -> None:
        self._by_prefix: dict[str, _Found] = {}
        self._depths: dict[str, int] = {}
        """By the first segment: how many the longest prefix that begins with it has."""
        self._root: _Found | None = None
        """What covers all paths."""

    def add(self, prefix: str, application: WSGIApplication) -> bool:
        """Mount an application; return False if there is one."""
        found = (prefix, application)
        if not prefix:
            was, self._root = self._root, found
            return was is None
        depth = prefix.count("/")
        first = "/".join(prefix.split("/", 2)[:2])
        self._depths[first] = max(depth, self._depths.get(first, 0))
        return self._by_prefix.setdefault(prefix, found) is found

    def find(self, path: str) -> _Found | None:
        """Return the longest prefix that covers a path, and what is mounted there."""
        end = path.find("/", 1)
        first = path if end < 0 else path[:end]
        depth = self._depths.get(first, 0)
        if not depth:
            return self._root
        prefixes = self._by_prefix
        if depth > 1:
            more = path.count("/") - depth
            if more > MOST_SPLITS:  # a path of nothing but slashes is not to be taken apart whole
                prefix = "/".join(path.split("/", depth + 1)[: depth + 1])
            else:
                prefix = path.rsplit("/", more)[0] if more > 0 else path
            while (found := prefixes.get(prefix)) is None and prefix != first:
                prefix = prefix[: prefix.rfind("/")]
            return found or self._root
        return prefixes.get(first, self._root)


def _application(key: str, value: Any) -> WSGIApplication:
    """Make what a value of the mounts stands for."""
    urls = [value] if isinstance(value, str) else value
    is_list = isinstance(urls, (list, tuple))
    try:
        if isinstance(value, Mapping) or (
            is_list and all(isinstance(url, str) and url.startswith(_URLS) for url in urls)
        ):
            from breezeway.middleware.proxy import Proxy

            return Proxy(**value) if isinstance(value, Mapping) else Proxy(urls)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key!r} in mounts: {error}") from None
    if not callable(value):
        raise ValueError(
            f"{key!r} in mounts must be an application, or the URL of a server such as"
            f" http://127.0.0.1:9000, not {value!r}"
        )
    application: WSGIApplication = value
    return application
