"""Decoding of content codings, piece by piece, with a bound on each piece.

A decoder is a generator: it takes the pieces of an encoded content, and yields those of the decoded one.
Decoders stand in a row when there are several codings.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from breezeway.middleware.option_checks import listed

PIECE_BYTES: Final = 64 * 1024
"""What a step of zlib or brotli yields at most."""

ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""RFC 8878 section 3.1.1.1.2: what every decoder should take. It is memory that the client chooses."""

ZSTD_STEP_BYTES: Final = 256
"""What is given to zstd at once, which cannot be told when to stop. Four bytes may stand for a block of
128 KiB, so that a step yields 8 MiB at most; larger steps gain less than a millisecond for each MiB."""

GZIP_BITS: Final = 16 + zlib.MAX_WBITS
ZLIB_BITS: Final = zlib.MAX_WBITS

Pieces = Iterable[bytes]
Decoder = Callable[[Pieces], Iterator[bytes]]


class MalformedError(Exception):
    """A content is not what its coding says, or it ends too early."""


def gzip(pieces: Pieces) -> Iterator[bytes]:
    """Decode gzip, which may have several members (RFC 1952 section 2.2)."""
    decompressor = zlib.decompressobj(GZIP_BITS)
    for piece in pieces:
        while piece:
            if decompressor.eof:
                decompressor = zlib.decompressobj(GZIP_BITS)
            yield from _inflated(decompressor, piece)
            piece = decompressor.unused_data
    _check_end(decompressor)


def deflate(pieces: Pieces) -> Iterator[bytes]:
    """Decode deflate, which is zlib's format (RFC 9110 section 8.4.1.2), and not the bare one."""
    decompressor = zlib.decompressobj(ZLIB_BITS)
    for piece in pieces:
        if decompressor.eof:
            raise MalformedError
        yield from _inflated(decompressor, piece)
        if decompressor.unused_data:
            raise MalformedError
    _check_end(decompressor)


def _inflated(decompressor: Any, piece: bytes) -> Iterator[bytes]:
    """Yield what is in a piece, as far as the end of the stream."""
    while True:
        try:
            found = decompressor.decompress(piece, PIECE_BYTES)
        except zlib.error as error:
            raise MalformedError from error
        if found:
            yield found
        if decompressor.eof:  # unconsumed_tail stays as it was; the rest is in unused_data
            return
        piece = decompressor.unconsumed_tail
        if not piece and len(found) < PIECE_BYTES:
            return


def _check_end(decompressor: Any) -> None:
    if not decompressor.eof:
        raise MalformedError


def _brotli() -> Decoder:
    import brotli

    brotli.Decompressor().process(b"", output_buffer_limit=1)  # since 1.2

    def decode(pieces: Pieces) -> Iterator[bytes]:
        decompressor = brotli.Decompressor()
        for piece in pieces:
            while True:
                try:
                    found = decompressor.process(piece, output_buffer_limit=PIECE_BYTES)
                except brotli.error as error:
                    raise MalformedError from error
                yield found
                if decompressor.is_finished() or (
                    len(found) < PIECE_BYTES and decompressor.can_accept_more_data()
                ):
                    break
                piece = b""
        if not decompressor.is_finished():
            raise MalformedError

    return decode


def _zstandard() -> Decoder:
    import zstandard

    def decode(pieces: Pieces) -> Iterator[bytes]:
        context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        frame = context.decompressobj()
        for piece in pieces:
            for at in range(0, len(piece), ZSTD_STEP_BYTES):
                step = piece[at : at + ZSTD_STEP_BYTES]
                while step:
                    if frame.eof:  # there may be several (RFC 8878 section 3)
                        frame = context.decompressobj()
                    try:
                        yield frame.decompress(step)
                    except zstandard.ZstdError as error:
                        raise MalformedError from error
                    step = frame.unused_data
        if not frame.eof:
            raise MalformedError

    return decode


MAKERS: Final[dict[str, Callable[[], Decoder]]] = {
    "zstd": _zstandard,
    "br": _brotli,
    "gzip": lambda: gzip,
    "deflate": lambda: deflate,
}
"""By the name in Content-Encoding. Making one fails when its package is not there, or too old."""

EXTRAS: Final = {"zstd": "zstd", "br": "brotli"}
"""What to install for one that is not in the standard library."""


def make_decoders(names: Sequence[str] | None) -> dict[str, Decoder]:
    """Make the decoders of these names, or all whose package is installed.

    Raises:
        ValueError: a name is wrong, or a package that is asked for is not installed.
    """
    if names is not None and not (names := listed("codings", names)):
        raise ValueError("codings must be a list of one name at least")
    found: dict[str, Decoder] = {}
    for name in MAKERS if names is None else names:
        if name not in MAKERS:
            raise ValueError(f"codings are of {', '.join(MAKERS)}, and not {name!r}")
        try:
            found[name] = MAKERS[name]()
        except (ImportError, TypeError):
            if names is not None:
                extra = EXTRAS[name]
                raise ValueError(
                    f"{name} needs a package: pip install 'breezeway[{extra}]'"
                ) from None
    return found
