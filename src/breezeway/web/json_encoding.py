"""JSON of responses: with the standard library, or with a faster library when one says so."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable
from typing import Any, Final

LIBRARIES: Final = ("json", "orjson", "msgspec")


def dumps(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """Write a value as JSON in UTF-8, without white space.

    Dataclasses, dates and times (ISO 8601), UUIDs, decimals (as texts), time spans (in seconds), enums,
    sets and paths are written, too; `default` is asked in place of that for what JSON has no form for.

    Raises:
        TypeError: there is no form for a value, or `default` raises it.
        ValueError: a number is not finite, a text has half a surrogate pair.
        RecursionError: a value contains itself.
    """
    if default is None:
        return _encode(value)
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), default=default, allow_nan=False
    ).encode()


def use_json(library: str) -> None:
    """Write JSON with `json`, the standard library's, with `orjson` or with `msgspec`.

    It holds for the whole process; say it once, where the application is made. The JSON says the same
    with each, but where `docs/web/responses.md` has it otherwise.

    Raises:
        ValueError: there is no such library, or it is not installed.
    """
    global _encode
    if library not in LIBRARIES:
        raise ValueError(f"JSON is written with one of {', '.join(LIBRARIES)}, not {library!r}")
    if library == "json":
        _encode = _standard
        return
    try:
        _encode = _orjson() if library == "orjson" else _msgspec()
    except ImportError:
        raise ValueError(
            f"{library} is not installed: pip install 'breezeway[{library}]'"
        ) from None


def plain(value: Any) -> Any:
    """Write what JSON has no form for in a form that it has.

    Raises:
        TypeError: there is none.
    """
    from breezeway.web.plain import plain as write  # it costs a millisecond, and few need it

    return write(value)


def _standard(value: Any) -> bytes:
    return _write(value).encode()


_write: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=plain, check_circular=False
).encode

_make: Final[Any] = getattr(json.encoder, "c_make_encoder", None)
_quote: Final[Any] = getattr(json.encoder, "c_encode_basestring", None)
if _make is not None and _quote is not None:
    # JSONEncoder.encode makes a C encoder for each value, which takes longer than a small value does.
    # Without a table for circles one can be shared by all threads; a circle is a RecursionError.
    _parts: Final[Any] = _make(None, plain, _quote, None, ":", ",", False, False, False)
    _write = lambda value: "".join(_parts(value, 0))  # noqa: E731


def _orjson() -> Callable[[Any], bytes]:
    import orjson

    # Ours write the same with every library.
    options = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

    def encode(value: Any) -> bytes:
        try:
            return orjson.dumps(value, plain, options)
        except (
            TypeError
        ):  # keys that are no texts, numbers of more than 64 bits, or an error indeed
            return _standard(value)

    return encode


def _msgspec() -> Callable[[Any], bytes]:
    import msgspec

    return msgspec.json.Encoder(enc_hook=plain).encode


_encode: Callable[[Any], bytes] = _standard
