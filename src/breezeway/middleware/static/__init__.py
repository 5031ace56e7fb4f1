"""`Static`: the files of a site, from a directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Final
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.option_checks import flag
from breezeway.middleware.stack import unset
from breezeway.middleware.static import manifest as static_manifest
from breezeway.middleware.static.file_answer import MEMORY_BYTES, Sender
from breezeway.middleware.static.files import Files, Found, Redirect, in_a_path
from breezeway.middleware.static.options import Description, directories, navigates, prefixes
from breezeway.semantics.fields import with_vary
from breezeway.semantics.file_plan import ALLOW, METHODS
from breezeway.semantics.path_prefixes import mount_point

KEY: Final = "breezeway.static_url"
"""Where the environ has the function that returns the URL of a file by its name."""

ASKED: Final = ("Accept", "Sec-Fetch-Mode")
"""By which fields a page is told from data (`navigates`)."""

Directory = str | PathLike[str]


class Static:
    """Serves files; what there is no file for is the application's.

    Names with a fingerprint of the content may be kept for ever; all others are asked for again
    (RFC 9111, RFC 8246). Precompressed siblings (.br, .zst, .gz), ranges and conditional requests are
    those of RFC 9110 sections 12 to 14. Paths cannot lead out of the directory, not even while
    somebody swaps links in it; names that begin with a dot, pipes and devices are not served.

    The files are listed once, and what is found by the table costs no look at the disk for one that
    is not there. The environ has a function under `breezeway.static_url` that returns the URL of a file
    by its name, fingerprinted if `breezeway collect` has made a manifest.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        directory: Directory | Sequence[Directory],
        prefix: str = "/static",
        refresh: bool = False,
        index: str = "",
        fallback: str = "",
        fallback_except: Sequence[str] = (),
        missing: str = "application",
        manifest: Directory | None = None,
        immutable: str = "",
        max_age: int = 0,
        fields: Mapping[str, str] | None = None,
        types: Mapping[str, str] | None = None,
        symlinks: bool = False,
        memory: int = MEMORY_BYTES,
    ) -> None:
        """Serve what is below `directory`, or below several, of which the first that has a file counts.

        `prefix` is the path under which the files stand. `refresh` looks at the disk at each request
        in place of a list that is made now. `index` is the name of the file that answers for a
        directory, such as `index.html` (default: none). `fallback` is the file that answers for every
        other page that a browser navigates to, as single-page applications need it; paths that begin
        with one of `fallback_except` are left to the application. `missing` says who answers when
        there is no file: `application`, or `404`. `manifest` is the path of one of `breezeway collect`
        (default: the one in the directory, if any). `immutable` is a regular expression for paths
        below `prefix` that may be kept for ever beside those that are recognised. `max_age` is how
        many seconds all others may be kept without asking. `fields` are further response fields.
        `types` are media types by extension. `symlinks` allows symbolic links to lead out of the
        directory. `memory` bounds what small files take, in bytes.

        Raises:
            ValueError: an option is wrong, or a directory is not there.
        """
        self.application = application
        refresh, symlinks = flag("refresh", refresh), flag("symlinks", symlinks)
        roots = directories(directory)
        self._base = _prefix(prefix)
        if missing not in ("application", "404"):
            raise ValueError(f"missing must be 'application' or '404', not {missing!r}")
        if missing == "404" and not self._base:
            raise ValueError(
                "missing = '404' needs a prefix other than '/', or nothing would be left"
            )
        for option, value in (("index", index), ("fallback", fallback)):
            if not isinstance(value, str) or value.startswith("/"):
                raise ValueError(f"{option} must be the name of a file, not {value!r}")
        self._owns = missing == "404"
        self._fallback_except = prefixes("fallback_except", fallback_except)
        where, self._names = _manifest(manifest, roots)
        describe = Description(
            frozenset(self._names.values()),
            immutable=immutable,
            max_age=max_age,
            fields={} if fields is None else fields,
            types={} if types is None else types,
        )
        made = partial(Files, roots, self._base, anywhere=symlinks, hidden=(where,))
        self._files = made(describe=describe, index=index)
        # Another page would be there for a script that asks for the same URL.
        self._pages = made(describe=lambda *args: with_vary(describe(*args), *ASKED), index="")
        self._fallback = f"{self._base}/{in_a_path(fallback)}" if fallback else ""
        self._page = self._pages.find(self._fallback) if fallback else None
        if fallback and self._page is None and not refresh:
            raise ValueError(f"fallback {fallback!r} is not in the directory")
        self._url = self.url  # made once: it is set for each request
        self._send = partial(Sender, anywhere=symlinks, memory=memory)
        self._sender = self._send(keeps=not refresh)
        self._table: dict[str, Found] | None = None if refresh else self._files.table()

    def refresh(self) -> None:
        """Look at the disk at each request from now on, as with the option."""
        self._sender, self._table = self._send(keeps=False), None

    def url(self, name: str, script_name: str = "") -> str:
        """Return the path of a file for a page: of the fingerprinted one, if there is a manifest.

        `script_name` is that of the environ, where the piece is mounted below a path.

        Raises:
            ValueError: there is a manifest, and it does not have the name.
        """
        if self._names:
            try:
                name = self._names[name]
            except KeyError:
                raise ValueError(f"the manifest of static files has no {name!r}") from None
        path = f"{mount_point(script_name)}{self._base}/{in_a_path(name)}"
        return quote(path.encode("latin-1"))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with a file, or let the application answer."""
        if self._names or KEY not in environ:
            script_name = environ.get("SCRIPT_NAME")
            environ[KEY] = partial(self.url, script_name=script_name) if script_name else self._url
        path = environ.get("PATH_INFO", "")
        table = self._table
        found = self._files.find(path) if table is None else table.get(path)
        if found is None and self._fallback:
            found = self._fallback_for(path, environ)
        if found is not None:
            if environ["REQUEST_METHOD"] in METHODS:
                if isinstance(found, Redirect):
                    return _redirect(environ, start_response)
                result = self._sender.answer(found, environ, start_response)
                if result is not None:
                    return result
            elif self._base:
                return _refuse(environ, start_response)
        if self._owns and f"{path}/".startswith(f"{self._base}/"):
            if environ["REQUEST_METHOD"] in METHODS:
                return answer(environ, start_response, "404 Not Found")
            return _refuse(environ, start_response)
        return self.application(environ, start_response)

    def _fallback_for(self, path: str, environ: WSGIEnvironment) -> Found | None:
        """Return the page of a single-page application if this request is for one."""
        if (
            not f"{path}/".startswith(f"{self._base}/")
            or "." in path.rpartition("/")[2]
            or any(path == each or path.startswith(f"{each}/") for each in self._fallback_except)
            or not navigates(environ)
        ):
            return None
        return self._pages.find(self._fallback) if self._table is None else self._page


def _prefix(prefix: str) -> str:
    """Return the prefix without the slash at its end."""
    if not isinstance(prefix, str) or not prefix.startswith("/") or "//" in prefix:
        raise ValueError(f"prefix must be a path that begins with a slash, not {prefix!r}")
    return in_a_path(prefix.rstrip("/"))


def _manifest(given: Directory | None, roots: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return where the manifest is, if anywhere, and the fingerprinted name of each file."""
    if not isinstance(given, str | PathLike | None):
        raise ValueError(f"manifest must be the path of a file, not {given!r}")
    usual = [os.path.join(root, static_manifest.NAME) for root in roots]
    where = os.fspath(given) if given is not None else next(filter(os.path.exists, usual), "")
    if not where:
        return "", {}
    try:
        files = static_manifest.read(where)
    except OSError as error:
        raise ValueError(f"manifest {where} cannot be read: {error.strerror}") from None
    return os.path.abspath(where), {name: each["name"] for name, each in files.items()}


def _redirect(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    location = quote(path.encode("latin-1")) + "/" + (f"?{query}" if query else "")
    return answer(environ, start_response, "302 Found", headers=[("Location", location)])


def _refuse(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    if environ["REQUEST_METHOD"] == "OPTIONS":
        start_response("204 No Content", [("Allow", ALLOW)])
        return []
    return answer(environ, start_response, "405 Method Not Allowed", headers=[("Allow", ALLOW)])
