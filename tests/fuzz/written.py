"""Writes a request from its environ: what is read must be what an application was told."""

from __future__ import annotations

from typing import Any


def written(environ: dict[str, Any], body: bytes = b"") -> bytes:
    """Write the request that an environ tells of."""
    lines = [f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}"]
    for key, value in environ.items():
        if key in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            lines.append(f"{key.replace('_', '-').title()}: {value}")
        elif key.startswith("HTTP_"):
            lines.append(f"{key.removeprefix('HTTP_').replace('_', '-').title()}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
