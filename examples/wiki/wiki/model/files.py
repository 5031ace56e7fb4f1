"""Uploads: what they are by their first bytes, and where they are kept."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from wiki.model.faults import Refused
from wiki.model.tables import FILE_NAME_CHARACTERS, File, User

IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png", (".png",)),
    (b"\xff\xd8\xff", "image/jpeg", (".jpg", ".jpeg")),
    (b"GIF87a", "image/gif", (".gif",)),
    (b"GIF89a", "image/gif", (".gif",)),
    (b"RIFF????WEBP", "image/webp", (".webp",)),
)
"""What browsers show, and which never runs a script; SVG can, and is a file like any other."""

OTHER = "application/octet-stream"
FIRST_BYTES = 12


def is_image(file: File) -> bool:
    """Whether a browser may show it within a page."""
    return file.media_type != OTHER


def media_type(first: bytes, name: str) -> str:
    """Return the type of a file; its name and its first bytes have to agree on one of an image.

    Raises:
        Refused: it is called like an image, and is none.
    """
    for signature, kind, suffixes in IMAGES:
        if name.lower().endswith(suffixes) and _begins(first, signature):
            return kind
    if name.lower().endswith(tuple(suffix for _, _, suffixes in IMAGES for suffix in suffixes)):
        raise Refused("file", "This is called an image, and is none.")
    return OTHER


def _begins(first: bytes, signature: bytes) -> bool:
    wildcard = ord("?")
    return len(first) >= len(signature) and all(
        ours in (theirs, wildcard) for ours, theirs in zip(signature, first, strict=False)
    )


def keep(session: Session, directory: Path, author: User, name: str, content: BinaryIO) -> File:
    """Keep an upload, under a name on disk that nobody has chosen.

    Raises:
        Refused: it is empty, or not what its name says.
    """
    stem, dot, suffix = name.rpartition(".")
    if dot and len(suffix) < 12:
        name = f"{stem[: FILE_NAME_CHARACTERS - 12]}.{suffix}"
    name = name[:FILE_NAME_CHARACTERS]
    content.seek(0)
    first = content.read(FIRST_BYTES)
    if not name or not first:
        raise Refused("file", "There is no file, or nothing in it.")
    kind = media_type(first, name)
    directory.mkdir(parents=True, exist_ok=True)
    stored = secrets.token_hex(16)
    content.seek(0)
    with open(directory / stored, "xb") as kept:
        shutil.copyfileobj(content, kept)
        size = kept.tell()
    file = File(name=name, media_type=kind, size=size, stored=stored, author=author)
    session.add(file)
    session.commit()
    return file


def every(session: Session, most: int = 200) -> Sequence[File]:
    """Return the uploads, the newest first."""
    return session.scalars(select(File).order_by(File.id.desc()).limit(most)).all()
