"""`Limits`: how much of a request is taken, of each thing that a client can send more of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what is read of a request; past one the answer is 413.

    For an application: `App(limits=Limits(...))`; for a route: `@app.post("/films", limits=...)`; for a
    single call: `request.form(limits=...)`. Each is a whole one: what is not named has its default.
    """

    body_bytes: int = MIB
    """Of a body that is read into memory: JSON, text, bytes, an urlencoded form. As much as nginx takes
    (client_max_body_size), and more than a page or a program sends that does not send files."""

    field_bytes: int = MIB
    """Of all fields of a form with files, names included: they are held in memory, too."""

    fields: int = 1000
    """Names and values of a form or query: as PHP and Django have it, for each costs a hundred bytes and
    more of memory, however short it is."""

    files: int = 100
    """Of a form: somebody who sends a folder of pictures sends fewer at a time."""

    file_bytes: int = 32 * MIB
    """Of a single file: a picture of a camera, a scanned document; no film."""

    files_bytes: int = 64 * MIB
    """Of all files of a form: what a client can make a request take of the disk."""

    memory_bytes: int = 256 * KIB
    """Of the files of a form that are held in memory; past it all are in one temporary file."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{field.name} must be a number of 0 or more, not {value!r}")


DEFAULT: Final = Limits()
