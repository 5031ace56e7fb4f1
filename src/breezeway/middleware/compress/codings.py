"""The content codings that responses are compressed with, and how each is flushed for streaming."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from breezeway.middleware.option_checks import listed

if TYPE_CHECKING:
    import zstandard

GZIP_WINDOW_BITS: Final = 16 + zlib.MAX_WBITS
"""RFC 1952, for zlib: its header and trailer, and the whole window of 32 KiB."""

BROTLI_STREAM_WINDOW_BITS: Final = 18
"""256 KiB. The encoder keeps two windows for as long as a response lasts, and whoever streams to many
clients has many; on pages, the default of 4 MiB gains nothing."""

ZSTD_WINDOW_BITS: Final = 23
"""8 MiB: no browser takes a larger window (RFC 9659 section 3). Levels from 20 on have one."""


class Encoder(Protocol):
    """Compresses one response that comes in blocks."""

    def block(self, data: bytes, flush: bool) -> bytes:
        """Return what to send for a block; with `flush`, all that the client needs to read it."""

    def end(self) -> bytes:
        """Return the rest."""


class Coding(Protocol):
    """A content coding at one level. It is used by many threads at once."""

    def whole(self, content: bytes) -> bytes:
        """Compress a content."""

    def encoder(self) -> Encoder:
        """Return an encoder for one response."""


class Gzip:
    """gzip (RFC 9110 section 8.4.1.3)."""

    LEVELS: Final = (1, 9)
    LEVEL: Final = 6

    def __init__(self, level: int) -> None:
        self._level = level

    def whole(self, content: bytes) -> bytes:
        """Compress a content."""
        return zlib.compress(content, self._level, GZIP_WINDOW_BITS)

    def encoder(self) -> Encoder:
        """Return an encoder for one response."""
        return _GzipEncoder(zlib.compressobj(self._level, zlib.DEFLATED, GZIP_WINDOW_BITS))


class _GzipEncoder:
    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def block(self, data: bytes, flush: bool) -> bytes:
        """Compress a block."""
        found: bytes = self._compressor.compress(data)
        return found + self._compressor.flush(zlib.Z_SYNC_FLUSH) if flush else found

    def end(self) -> bytes:
        """Return the rest, with the checksum."""
        rest: bytes = self._compressor.flush()
        return rest


class Brotli:
    """br (RFC 7932)."""

    LEVELS: Final = (0, 11)
    LEVEL: Final = 4
    """About the time of gzip at 6, and 20 % smaller; above 4 it gets several times slower."""

    def __init__(self, level: int) -> None:
        """Load the package; ImportError when it is not installed."""
        import brotli

        self._module = brotli
        self._level = level

    def whole(self, content: bytes) -> bytes:
        """Compress a content."""
        found: bytes = self._module.compress(content, quality=self._level)
        return found

    def encoder(self) -> Encoder:
        """Return an encoder for one response."""
        return _BrotliEncoder(
            self._module.Compressor(quality=self._level, lgwin=BROTLI_STREAM_WINDOW_BITS)
        )


class _BrotliEncoder:
    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def block(self, data: bytes, flush: bool) -> bytes:
        """Compress a block."""
        found: bytes = self._compressor.process(data)
        return found + self._compressor.flush() if flush else found

    def end(self) -> bytes:
        """Return the rest."""
        rest: bytes = self._compressor.finish()
        return rest


class Zstandard:
    """zstd (RFC 8878)."""

    LEVELS: Final = (1, 22)
    LEVEL: Final = 3

    def __init__(self, level: int) -> None:
        """Load the package; ImportError when it is not installed."""
        import zstandard

        self._module = zstandard
        parameters = zstandard.ZstdCompressionParameters.from_level(level)
        self._options: dict[str, Any] = {"level": level}
        if parameters.window_log > ZSTD_WINDOW_BITS:
            self._options = {
                "compression_params": zstandard.ZstdCompressionParameters.from_level(
                    level, window_log=ZSTD_WINDOW_BITS
                )
            }
        # To make one takes 11 of the 31 us that a page of 12 KB does. It may not be shared by threads.
        self._of_thread = threading.local()

    def whole(self, content: bytes) -> bytes:
        """Compress a content."""
        compressor: zstandard.ZstdCompressor | None = getattr(self._of_thread, "compressor", None)
        if compressor is None:
            compressor = self._of_thread.compressor = self._compressor()
        return compressor.compress(content)

    def encoder(self) -> Encoder:
        """Return an encoder for one response."""
        return _ZstandardEncoder(self._compressor().compressobj(), self._module)

    def _compressor(self) -> zstandard.ZstdCompressor:
        return self._module.ZstdCompressor(**self._options)


class _ZstandardEncoder:
    def __init__(self, compressor: Any, module: Any) -> None:
        self._compressor = compressor
        self._flush_block = module.COMPRESSOBJ_FLUSH_BLOCK

    def block(self, data: bytes, flush: bool) -> bytes:
        """Compress a block."""
        found: bytes = self._compressor.compress(data)
        return found + self._compressor.flush(self._flush_block) if flush else found

    def end(self) -> bytes:
        """Return the rest, which ends the frame."""
        rest: bytes = self._compressor.flush()
        return rest


CODINGS: Final[dict[str, type[Gzip] | type[Brotli] | type[Zstandard]]] = {
    "zstd": Zstandard,
    "br": Brotli,
    "gzip": Gzip,
}
"""By the name in Content-Encoding; the one to be preferred first. zstd takes half the time of gzip."""

EXTRAS: Final = {"zstd": "zstd", "br": "brotli"}
"""What to install for one that is not in the standard library."""


def make_codings(names: Sequence[str] | None, levels: Mapping[str, int]) -> dict[str, Coding]:
    """Make the codings of these names, or all whose package is installed, the best first.

    Raises:
        ValueError: a name or a level is wrong, or a package that is asked for is not installed.
    """
    if names is not None and not (names := listed("codings", names)):
        raise ValueError("codings must be a list of one name at least")
    if not isinstance(levels, Mapping):
        raise ValueError(f"levels must be a table with the level of each coding, not {levels!r}")
    found: dict[str, Coding] = {}
    for name in {**levels, **dict.fromkeys(names or ())}:
        if name not in CODINGS:
            known = ", ".join(CODINGS)
            raise ValueError(f"codings and levels are of {known}, and not of {name!r}")
    for name, level in levels.items():
        least, most = CODINGS[name].LEVELS
        if type(level) is not int or not least <= level <= most:
            raise ValueError(f"the level of {name} is from {least} to {most}, not {level!r}")
    for name in names if names is not None else CODINGS:
        made = CODINGS[name]
        try:
            found[name] = made(levels.get(name, made.LEVEL))
        except ImportError:
            if names is not None or name in levels:
                extra = EXTRAS[name]
                raise ValueError(
                    f"{name} needs a package: pip install 'breezeway[{extra}]'"
                ) from None
    return found
