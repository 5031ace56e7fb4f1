"""Writing collected files: each at once or not at all, and not again what is there.

A file gets a temporary name, and its own one by rename(2) when it is whole: neither a full disk nor
Ctrl-C leaves a half file behind. One run at a time has the directory, by a lock that ends with the process;
so temporary files of a run that was killed can be removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import tempfile
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from types import TracebackType
from typing import Any, Final

from breezeway.errors import UserError
from breezeway.middleware.static import manifest as static_manifest
from breezeway.semantics.content_types import content_type
from breezeway.semantics.file_plan import SIBLINGS, file_name

TEMPORARY: Final = ".collect-"
"""What names begin with until a file is whole; a dot keeps them from being served."""

BLOCK_BYTES: Final = 256 * 1024
"""Read, written or compressed at once; between two of them a thread looks whether it shall stop."""

LARGEST_BYTES: Final = 32 * 1024 * 1024
"""A larger file is not compressed, for it would have to be held in memory."""

GAIN: Final = 0.95
"""A variant that is not smaller than this part of the file is not worth its place in caches."""

ENDINGS: Final = dict(SIBLINGS)
"""The extension of each content coding."""

_GZIP_WBITS: Final = 31
"""For zlib: a gzip frame with the largest window, and no time in its head."""

_COMPRESSIBLE: Final = frozenset(
    [
        "application/json",
        "application/toml",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/vnd.microsoft.icon",
    ]
)
"""Beside text and what is XML or JSON by its suffix; all other types are compressed within."""


class Stopped(Exception):
    """The run was given up."""


def codings() -> dict[str, Callable[[int], Any]]:
    """Return how to compress: an object with `compress` and `flush` for a content of that size."""
    found: dict[str, Callable[[int], Any]] = {
        "gzip": lambda size: zlib.compressobj(9, zlib.DEFLATED, _GZIP_WBITS)
    }
    with contextlib.suppress(ImportError):
        import brotli

        found["br"] = lambda size: _Brotli(brotli.Compressor(quality=11))
    with contextlib.suppress(ImportError):
        import zstandard

        found["zstd"] = lambda size: zstandard.ZstdCompressor(level=19).compressobj(size=size)
    return found


class _Brotli:
    """Brotli's compressor, called as the others are."""

    def __init__(self, compressor: Any) -> None:
        self.compress = compressor.process
        self.flush = compressor.finish


def is_compressible(name: str) -> bool:
    """Whether files of such a name become smaller."""
    kind = content_type(name).partition(";")[0]
    return kind.startswith("text/") or kind.endswith(("+xml", "+json")) or kind in _COMPRESSIBLE


def blocks_of(path: str, stop: threading.Event) -> Iterator[bytes]:
    """Read a file.

    Raises:
        UserError: it cannot be read.
        Stopped: `stop` is set.
    """
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                if stop.is_set():
                    raise Stopped
                yield block
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from None


class Target:
    """The directory that is written to."""

    def __init__(self, path: str) -> None:
        """Nothing happens before it is entered."""
        self.path = os.path.abspath(path)
        self.stop = threading.Event()
        self.written = 0
        """Files that were written."""
        self.kept = 0
        """Files that were there already."""
        self._lock = threading.Lock()
        self._codings = codings()
        self._known: dict[str, Any] = {}
        """What the manifest of the last run says of each file that it has written."""
        self._is_current = False
        """The last run has made the variants that this one would."""
        self._descriptor = -1
        self._mode = 0o644

    def __enter__(self) -> Target:
        """Make the directory if need be, and keep others out.

        Raises:
            UserError: it cannot be written to, or another run is at work.
        """
        with self._writing(self.path):
            os.makedirs(self.path, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                raise UserError(f"another collect is at work in {self.path}.") from None
            mask = os.umask(0o022)
            os.umask(mask)
            self._mode = 0o666 & ~mask
            for directory, _, names in os.walk(self.path):
                for name in names:
                    if name.startswith(TEMPORARY):
                        os.unlink(os.path.join(directory, name))
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            with open(os.path.join(self.path, static_manifest.NAME), encoding="utf-8") as file:
                manifest = json.load(file)
            for name, each in manifest["outputs"].items():
                self._known[name] = {
                    "size": each["size"],
                    "encodings": {c: n for c, n in each["encodings"].items() if c in ENDINGS},
                }
            self._is_current = manifest["codings"] == sorted(self._codings)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let others in."""
        os.close(self._descriptor)

    def put(
        self,
        name: str,
        read: Callable[[], Iterable[bytes]],
        digest: bytes,
        size: int,
        modified_ns: int | None,
        packed: dict[str, bytes],
    ) -> dict[str, Any]:
        """Write a file and its variants, unless they are there; return what the manifest says of it.

        `read` gives the content, `digest` is its SHA-384, `size` is in bytes. `modified_ns` is the time
        of modification that it gets, in nanoseconds since the epoch; None is now. `packed` has the
        variants of this content that were made before, by their codings, and gets those that are made.

        Raises:
            UserError: it cannot be written, or the content is not what it was.
            Stopped: the run was given up.
        """
        path = os.path.join(self.path, name)
        before = self._known.get(name)
        is_there = self._is_there(path, digest, size)
        if is_there and before and self._is_current and self._has_variants(path, before):
            with self._lock:
                self.kept += 1
            return dict(before)
        compressible = is_compressible(name) and 0 < size <= LARGEST_BYTES
        with self._writing(path):
            if not is_there:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if compressible:  # no moment with new content beside old variants
                    for coding in {*self._codings, *(before or {}).get("encodings", ())}:
                        _remove(path + ENDINGS[coding])
                self._replace(path, _checked(path, read(), digest), modified_ns)
            encodings = {}
            if compressible:
                encodings = self._compress(name, b"".join(read()), modified_ns, packed)
        with self._lock:
            self.written += 1
        return {"size": size, "encodings": encodings}

    def _compress(
        self, name: str, content: bytes, modified_ns: int | None, packed: dict[str, bytes]
    ) -> dict[str, int]:
        """Write the variants that are smaller; return their sizes."""
        path = os.path.join(self.path, name)
        found = {}
        for coding, start in self._codings.items():
            if coding not in packed:
                packed[coding] = b"".join(self._packed(start(len(content)), content))
            if len(packed[coding]) < GAIN * len(content):
                self._replace(path + ENDINGS[coding], [packed[coding]], modified_ns)
                found[coding] = len(packed[coding])
            else:
                _remove(path + ENDINGS[coding])
        for coding in self._known.get(name, {}).get("encodings", ()):
            if coding not in found:
                _remove(path + ENDINGS[coding])
        return found

    def _packed(self, compressor: Any, content: bytes) -> Iterator[bytes]:
        for at in range(0, len(content), BLOCK_BYTES):
            if self.stop.is_set():
                raise Stopped
            yield compressor.compress(content[at : at + BLOCK_BYTES])
        yield compressor.flush()

    def _is_there(self, path: str, digest: bytes, size: int) -> bool:
        try:
            status = os.lstat(path)
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        made = hashlib.sha384()
        for block in blocks_of(path, self.stop):
            made.update(block)
        return made.digest() == digest

    def _has_variants(self, path: str, before: dict[str, Any]) -> bool:
        try:
            return all(
                os.path.getsize(path + ENDINGS[coding]) == size
                for coding, size in before["encodings"].items()
            )
        except OSError:
            return False

    def _replace(self, path: str, blocks: Iterable[bytes], modified_ns: int | None) -> None:
        """Write a file under a temporary name, and rename it."""
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(path))
        try:
            with open(descriptor, "wb") as file:
                for block in blocks:
                    file.write(block)
                os.fchmod(descriptor, self._mode)
            if modified_ns is not None:
                os.utime(temporary, ns=(modified_ns, modified_ns))
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise

    def prune(self, outputs: Collection[str]) -> int:
        """Remove what the last manifest has and `outputs` has not; return how many files."""
        gone = [name for name in self._known if name not in outputs and _is_below(name)]
        for name in gone:
            path = os.path.join(self.path, name)
            with self._writing(path):
                for coding in self._known[name]["encodings"]:
                    _remove(path + ENDINGS[coding])
                _remove(path)
                with contextlib.suppress(OSError):
                    os.removedirs(os.path.dirname(path))  # those that are empty
            del self._known[name]
        return len(gone)

    def write_manifest(self, files: dict[str, Any], outputs: dict[str, Any]) -> None:
        """Write the manifest, unless it is there."""
        manifest = {
            "version": static_manifest.VERSION,
            "codings": sorted(self._codings),
            "files": files,
            "outputs": {**self._known, **outputs},
        }
        content = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
        path = os.path.join(self.path, static_manifest.NAME)
        if not self._is_there(path, hashlib.sha384(content).digest(), len(content)):
            with self._writing(path):
                self._replace(path, [content], None)

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}.") from None


def _checked(path: str, blocks: Iterable[bytes], digest: bytes) -> Iterator[bytes]:
    made = hashlib.sha384()
    for block in blocks:
        made.update(block)
        yield block
    if made.digest() != digest:
        message = f"what becomes {path} has changed while it was collected."
        raise UserError(message, "Run it again when nothing writes to the sources.")


def _is_below(name: str) -> bool:
    """Whether a name of a manifest is one that a run may have written."""
    try:
        return file_name(os.fsencode(name).decode("latin-1")) is not None
    except (TypeError, ValueError):
        return False


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
