"""Pages: reading, saving, history, search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from wiki.model.faults import EditConflict, Refused
from wiki.model.tables import SUMMARY_CHARACTERS, TITLE_CHARACTERS, Page, Revision, User, now

TEXT_CHARACTERS = 100_000
HITS = 50
TERMS = 10

MARK, UNMARK = "\ue000", "\ue001"
"""Around what was found in an excerpt: private characters, which are taken out of what people write."""

_PRIVATE = re.compile(f"[{MARK}{UNMARK}]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_SEARCH = text("""
    SELECT page.slug, page.title, snippet(page_index, 1, :mark, :unmark, ' … ', 30)
    FROM page_index JOIN page ON page.id = page_index.rowid
    WHERE page_index MATCH :terms
    ORDER BY bm25(page_index, 10.0, 1.0) LIMIT :most
""")


class Hit(NamedTuple):
    """A page that was found, and where: between `MARK` and `UNMARK`."""

    slug: str
    title: str
    excerpt: str


def slug_of(title: str) -> str:
    """Return the name of a page in its URL; empty for a title without a letter or a digit."""
    normal = unicodedata.normalize("NFKC", title).casefold()
    return re.sub(r"[\W_]+", "-", normal).strip("-")


def find(session: Session, slug: str) -> Page | None:
    """Return a page."""
    return session.scalar(select(Page).where(Page.slug == slug))


def every(session: Session) -> Sequence[Page]:
    """Return all pages by their titles."""
    return session.scalars(select(Page).order_by(Page.slug)).all()


def known(session: Session, slugs: set[str]) -> set[str]:
    """Return those of the slugs that have a page."""
    return set(session.scalars(select(Page.slug).where(Page.slug.in_(slugs)))) if slugs else set()


def recent(session: Session, most: int = 100) -> Sequence[Revision]:
    """Return the newest changes of all pages."""
    return session.scalars(select(Revision).order_by(Revision.id.desc()).limit(most)).all()


def revision(session: Session, page: Page, number: int) -> Revision | None:
    """Return a page as it was."""
    wanted = (Revision.page_id == page.id, Revision.number == number)
    return session.scalar(select(Revision).where(*wanted))


def save(
    session: Session, author: User, *, title: str, body: str, summary: str = "", base: int = 0
) -> Page:
    """Save a page; `base` is the revision that the author has seen, 0 if there was none.

    Raises:
        Refused: title or text cannot be.
        EditConflict: there is a newer revision than `base`.
    """
    title, slug, body = _checked(title, body)
    page = find(session, slug)
    if (page.number if page else 0) != base:
        if page is None:
            raise Refused("title", "This page is no longer there.")
        raise EditConflict(page)
    if page is None:
        page = Page(slug=slug, number=0, title="", text="")
        session.add(page)
    short = _clean(summary)[:SUMMARY_CHARACTERS]
    try:
        page.title, page.text, page.number, page.changed = title, body, base + 1, now()
        session.add(
            Revision(
                page=page,
                number=page.number,
                title=title,
                text=body,
                summary=short,
                author=author,
            )
        )
        session.flush()
        _index(session, page)
        session.commit()
    except (StaleDataError, IntegrityError):
        # Between our look and our writing somebody else has saved.
        session.rollback()
        newer = find(session, slug)
        if newer is None:
            raise
        raise EditConflict(newer) from None
    return page


def search(session: Session, wanted: str) -> list[Hit]:
    """Find the pages that have words which begin with each of the wanted ones; the best come first."""
    words = re.findall(r"\w+", wanted)[:TERMS]
    if not words:
        return []
    terms = " ".join(f'"{word}"*' for word in words)
    values = {"terms": terms, "mark": MARK, "unmark": UNMARK, "most": HITS}
    return [Hit(*row) for row in session.execute(_SEARCH, values)]


def _checked(title: str, body: str) -> tuple[str, str, str]:
    title = " ".join(_clean(title).split())
    slug = slug_of(title)
    if not slug or len(title) > TITLE_CHARACTERS:
        raise Refused(
            "title", f"A title has at most {TITLE_CHARACTERS} characters, and a letter or digit."
        )
    body = _clean(body.replace("\r\n", "\n").replace("\r", "\n")).rstrip()
    if len(body) > TEXT_CHARACTERS:
        raise Refused("text", f"A page has at most {TEXT_CHARACTERS:,} characters.")
    return title, slug, body


def _clean(words: str) -> str:
    """Take out what nobody can see, and what no database keeps."""
    visible = _CONTROL.sub("", _PRIVATE.sub("", words))
    return visible.encode("utf-8", "replace").decode()


def _index(session: Session, page: Page) -> None:
    values = {"id": page.id, "title": page.title, "text": page.text}
    session.execute(text("DELETE FROM page_index WHERE rowid = :id"), values)
    session.execute(
        text("INSERT INTO page_index (rowid, title, text) VALUES (:id, :title, :text)"), values
    )
