"""Files of pages: what they are by their first bytes, and where they are kept."""

from __future__ import annotations

import secrets
import shutil
from io import BufferedIOBase
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from wiki.model.faults import Refused
from wiki.model.tables import FILE_NAME_CHARACTERS, File, Page, User

MOST = 50
"""Files of a page: what somebody can make a page take of the disk has an end."""

IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png", (".png",)),
    (b"\xff\xd8\xff", "image/jpeg", (".jpg", ".jpeg")),
    (b"GIF87a", "image/gif", (".gif",)),
    (b"GIF89a", "image/gif", (".gif",)),
    (b"RIFF????WEBP", "image/webp", (".webp",)),
)
"""What browsers show, and which never runs a script; SVG can, and is a file like any other."""

SUFFIXES = tuple(suffix for _, _, suffixes in IMAGES for suffix in suffixes)
OTHER = "application/octet-stream"
FIRST_BYTES = 12


def find(session: Session, page: Page, name: str) -> File | None:
    """Return a file of a page."""
    return session.scalar(select(File).where(File.page_id == page.id, File.name == name))


def keep(
    session: Session, directory: Path, page: Page, author: User, name: str, content: BufferedIOBase
) -> File:
    """Keep a file, under a name on the disk that nobody has chosen.

    Raises:
        Refused: it is empty or not what its name says, or the page has one of this name, or too many.
    """
    first = content.read(FIRST_BYTES)
    if not first:
        raise Refused("file", "There is nothing in this file.")
    if len(name) > FILE_NAME_CHARACTERS:
        raise Refused("file", f"A name has at most {FILE_NAME_CHARACTERS} characters.")
    if len(page.files) >= MOST:
        raise Refused("file", f"A page has at most {MOST} files.")
    kind = media_type(first, name)
    stored = secrets.token_hex(16)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with open(directory / stored, "xb") as kept:
            kept.write(first)
            shutil.copyfileobj(content, kept)
            size = kept.tell()
        file = File(page=page, name=name, media_type=kind, size=size, stored=stored, author=author)
        session.add(file)
        session.commit()
    except BaseException as error:
        session.rollback()
        (directory / stored).unlink(missing_ok=True)
        if isinstance(error, IntegrityError):
            raise Refused("file", "This page has a file of this name already.") from None
        raise
    return file


def remove(session: Session, directory: Path, file: File) -> None:
    """Take a file away for good."""
    session.delete(file)
    session.commit()
    (directory / file.stored).unlink(missing_ok=True)


def media_type(first: bytes, name: str) -> str:
    """Return the type of a file; its name and its first bytes have to agree on one of an image.

    Raises:
        Refused: it is called like an image, and is none.
    """
    for signature, kind, suffixes in IMAGES:
        if name.lower().endswith(suffixes) and _begins(first, signature):
            return kind
    if name.lower().endswith(SUFFIXES):
        raise Refused("file", "This is called like an image, and is none.")
    return OTHER


def _begins(first: bytes, signature: bytes) -> bool:
    wildcard = ord("?")
    return len(first) >= len(signature) and all(
        ours in (theirs, wildcard) for ours, theirs in zip(signature, first, strict=False)
    )
