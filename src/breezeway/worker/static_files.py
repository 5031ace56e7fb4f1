"""`--static /prefix=DIRECTORY`: files that the event loop serves without the application.

For each parsed head `local` decides who answers, and gives the head a `_Request`, which answers every
request with that head. It keeps the plan (`semantics.file_plan`) that it has made, for as long as
stat(2) says that the file is the same; the content of small files is in a cache that all share. So a
small file that is asked for again costs one system call more than hello does. A larger one is
opened each time (`beneath`), and goes out by sendfile(2).

What a prefix means: it is compared with PATH_INFO, so `--root-path` comes off before; the longest one
wins; what is below it is the server's, found or not. Only the prefix `/` leaves to the application
what there is no file for.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from breezeway.beneath import OutsideError, open_beneath
from breezeway.config.checks import statics
from breezeway.config.settings import Settings
from breezeway.gateway.file_answer import (
    BUSY,
    FAILED,
    NOT_FOUND,
    SMALL_BYTES,
    Refusal,
    content_of,
    plan_for,
    read,
    refusal,
    refusal_for,
)
from breezeway.gateway.file_wrapper import FilePieces
from breezeway.gateway.types import Application, Environ, Headers, StartResponse
from breezeway.semantics.file_plan import (
    ALLOW,
    ASK_FIRST,
    FOR_EVER,
    METHODS,
    SIBLINGS,
    STALE_SECONDS,
    FilePlan,
    content_within,
    fields_of,
    file_name,
)
from breezeway.semantics.fingerprints import is_fingerprinted
from breezeway.semantics.negotiation import IDENTITY, choose_coding
from breezeway.semantics.ranges import Range

logger = logging.getLogger("breezeway.worker")

CACHE_BYTES: Final = 4 * 1024 * 1024
"""Content of small files that one worker keeps: the scripts, styles and icons of a large site."""

SETTLED_NS: Final = 2 * 10**9
"""A file that was changed less than two seconds ago is not kept: it may change again without its time
of modification telling, which has the steps of the kernel's clock, or whole seconds."""

LOOK_SECONDS: Final = 1.0
"""How long the list of a file's precompressed siblings holds: a new one is noticed after that."""

MOST_LISTS: Final = 4096
"""Files whose siblings are known; all are looked up anew when there are more."""

NOT_ALLOWED: Final = refusal("405 Method Not Allowed", ("Allow", ALLOW))
OPTIONS: Final = Refusal("204 No Content", [("Allow", ALLOW)], b"")

Note = Callable[..., None]


class Identity(NamedTuple):
    """What one version of one file has to itself."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int


class Sibling(NamedTuple):
    """A file that stands for another one, in a content coding; or that one itself."""

    coding: str
    path: str
    """Relative to the directory."""


class StaticFiles:
    """The handler of all requests for static files of one worker."""

    def __init__(self, settings: Settings, note: Note) -> None:
        """`note` is `Reactor.note`."""
        self.anywhere = settings.static_symlinks
        self.note = note
        mounts: dict[str, str] = {}
        for prefix, directory in statics(settings.static):
            mounts.setdefault(prefix.rstrip("/"), os.path.abspath(directory))
        self._mounts = sorted(mounts.items(), key=lambda mount: -len(mount[0]))
        self._lists: dict[str, tuple[float, tuple[Sibling, ...]]] = {}
        self._contents: dict[str, tuple[Identity, bytes]] = {}
        self._size = 0

    def local(self, environ: Environ) -> Application | None:
        """Return what answers a request, if it is for a static file."""
        path: str = environ["PATH_INFO"]
        for prefix, root in self._mounts:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("/", ""):
                return self._below(root, path[len(prefix) + 1 :], environ, owned=bool(prefix))
        return None

    def _below(self, root: str, path: str, environ: Environ, *, owned: bool) -> Application | None:
        """Return what answers for a path below a prefix; `owned`: whatever it is."""
        method = environ["REQUEST_METHOD"]
        if method not in METHODS:
            if not owned:
                return None
            return OPTIONS if method == "OPTIONS" else NOT_ALLOWED
        name = file_name(path)
        if name is None:
            return NOT_FOUND if owned else None
        if not owned and not os.path.isfile(f"{root}/{name}"):
            return None
        return _Request(self, root, name)

    def siblings(self, root: str, path: str) -> tuple[float, tuple[Sibling, ...]]:
        """List the file's precompressed siblings, the best coding first, and until when it holds.

        Raises:
            OSError: the file itself is not there.
        """
        full = f"{root}/{path}"
        now = time.monotonic()
        known = self._lists.get(full)
        if known is not None and now < known[0]:
            return known
        status = os.stat(full)
        oldest = status.st_mtime - STALE_SECONDS
        found = tuple(
            Sibling(coding, path + extension)
            for coding, extension in SIBLINGS
            if stat.S_ISREG(status.st_mode) and _is_file_since(full + extension, oldest)
        )
        if len(self._lists) >= MOST_LISTS:
            self._lists.clear()
        known = self._lists[full] = now + LOOK_SECONDS, found
        return known

    def content(self, full: str, identity: Identity) -> bytes | None:
        """Return the content of a small file if it is known, and the file still the same."""
        known = self._contents.get(full)
        return known[1] if known is not None and known[0] == identity else None

    def keep(self, full: str, status: os.stat_result, content: bytes) -> None:
        """Keep the content of a small file; the first that came goes when there is no room."""
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED_NS:
            return
        before = self._contents.pop(full, None)
        if before is not None:
            self._size -= len(before[1])
        self._contents[full] = identity_of(status), content
        self._size += len(content)
        while self._size > CACHE_BYTES:
            _, first = self._contents.pop(next(iter(self._contents)))
            self._size -= len(first)


class _Kept(NamedTuple):
    """What a request with the same head gets, as long as the file is the same."""

    until: float
    """When siblings are looked for again; monotonic seconds."""

    path: str
    """Of the variant, relative to the directory."""

    full: str
    identity: Identity
    plan: FilePlan


class _Request:
    """Answers the requests that have one head."""

    __slots__ = ("_files", "_kept", "_name", "_path", "_root")

    def __init__(self, files: StaticFiles, root: str, path: str) -> None:
        self._files = files
        self._root = root
        self._path = path
        self._name = path.rpartition("/")[2]
        self._kept: _Kept | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the file, or say why not."""
        try:
            kept = self._kept
            if kept is not None and time.monotonic() < kept.until:
                result = self._again(kept)
                if result is not None:
                    start_response(kept.plan.status, kept.plan.headers)
                    return result
            self._kept = None
            return self._answer(environ, start_response)
        except OutsideError:
            answer = NOT_FOUND
        except OSError as error:
            answer = refusal_for(error)
            if answer is BUSY:
                message = "a static file cannot be opened: %s"
                self._files.note("static.busy", message, error.strerror)
            elif answer is FAILED:
                message = "static file %r cannot be read: %s"
                self._files.note("static.failed", message, self._path, error)
        return answer(environ, start_response)

    def _again(self, kept: _Kept) -> Iterable[bytes] | None:
        """Return the content for a plan that was made before; None when the file is another one."""
        identity = kept.identity
        if identity.size <= SMALL_BYTES:
            if identity_of(os.stat(kept.full)) != identity:
                return None
            content = self._files.content(kept.full, identity)
            return None if content is None else [content]
        file = open_beneath(self._root, kept.path, anywhere=self._files.anywhere)
        if identity_of(file.status) != identity:
            file.close()
            return None
        return FilePieces(file.descriptor, kept.plan.pieces)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the best variant; with the file itself if that one cannot be had."""
        until, siblings = self._files.siblings(self._root, self._path)
        accepted = environ.get("HTTP_ACCEPT_ENCODING")
        coding = choose_coding(accepted, [sibling.coding for sibling in siblings])
        for sibling in siblings:
            if sibling.coding == coding:
                try:
                    return self._send(sibling, until, environ, start_response, varies=True)
                except OSError as error:
                    if refusal_for(error) is BUSY:
                        raise
        itself = Sibling(IDENTITY, self._path)
        return self._send(itself, until, environ, start_response, varies=bool(siblings))

    def _send(
        self,
        variant: Sibling,
        until: float,
        environ: Environ,
        start_response: StartResponse,
        *,
        varies: bool,
    ) -> Iterable[bytes]:
        files = self._files
        full = f"{self._root}/{variant.path}"
        status = os.stat(full)
        fields = self._fields(variant, varies=varies)
        content = files.content(full, identity_of(status))
        if content is not None:
            planned = plan_for(environ, status, fields, variant.coding)
            silent = environ["REQUEST_METHOD"] == "HEAD"
            result: Iterable[bytes] = [b"" if silent else content_within(content, planned.pieces)]
        else:
            file = open_beneath(self._root, variant.path, anywhere=files.anywhere)
            try:
                planned = plan_for(environ, file.status, fields, variant.coding)
                if planned.whole and file.status.st_size <= SMALL_BYTES:
                    files.keep(full, file.status, read(file, Range(0, file.status.st_size)))
                result = content_of(environ, file, planned.pieces)
                status = file.status
            except BaseException:
                file.close()
                raise
        if planned.whole and environ["REQUEST_METHOD"] == "GET":
            self._kept = _Kept(until, variant.path, full, identity_of(status), planned)
        start_response(planned.status, planned.headers)
        return result

    def _fields(self, variant: Sibling, *, varies: bool) -> Headers:
        fields = fields_of(self._name, variant.coding)
        if varies:
            fields.append(("Vary", "Accept-Encoding"))
        kept = FOR_EVER if is_fingerprinted(self._name) else ASK_FIRST
        return [*fields, ("Cache-Control", kept)]


def identity_of(status: os.stat_result) -> Identity:
    """Return what changes whenever another file is there, or this one was changed."""
    return Identity(
        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev
    )


def _is_file_since(path: str, oldest: float) -> bool:
    try:
        status = os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.EACCES, errno.ELOOP):
            return False
        raise
    return stat.S_ISREG(status.st_mode) and status.st_mtime >= oldest
