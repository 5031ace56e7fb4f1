"""The tables."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, ForeignKey, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAME_CHARACTERS = 40
TITLE_CHARACTERS = 100
SUMMARY_CHARACTERS = 200
FILE_NAME_CHARACTERS = 200


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """A time in UTC: SQLite keeps no zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write it without its zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give it its zone again."""
        return None if value is None else value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """The base of all tables."""


class User(Table):
    """Somebody who may edit."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    key: Mapped[str] = mapped_column(String(NAME_CHARACTERS * 3), unique=True)
    """The name as it is looked up: nobody is to be mistaken for another because of an upper case."""
    password: Mapped[str]
    made: Mapped[datetime] = mapped_column(Moment, default=now)


class Page(Table):
    """A page, as it is now; what it was is in its revisions."""

    __tablename__ = "page"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(TITLE_CHARACTERS * 3), unique=True)
    title: Mapped[str] = mapped_column(String(TITLE_CHARACTERS))
    text: Mapped[str] = mapped_column(Text)
    number: Mapped[int] = mapped_column()
    """Of the newest revision."""
    changed: Mapped[datetime] = mapped_column(Moment, default=now)

    revisions: Mapped[list[Revision]] = relationship(
        back_populates="page", order_by="Revision.number.desc()"
    )
    files: Mapped[list[File]] = relationship(back_populates="page", order_by="File.name")

    # An UPDATE names the number that was read; if another one has been faster, it finds no row, and
    # SQLAlchemy raises StaleDataError.
    __mapper_args__ = {"version_id_col": number, "version_id_generator": False}  # noqa: RUF012


class Revision(Table):
    """A page as somebody has saved it."""

    __tablename__ = "revision"
    __table_args__ = (UniqueConstraint("page_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    page_id: Mapped[int] = mapped_column(ForeignKey("page.id"))
    number: Mapped[int]
    title: Mapped[str] = mapped_column(String(TITLE_CHARACTERS))
    text: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(String(SUMMARY_CHARACTERS))
    author_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    made: Mapped[datetime] = mapped_column(Moment, default=now)

    page: Mapped[Page] = relationship(back_populates="revisions")
    author: Mapped[User] = relationship(lazy="joined")


class File(Table):
    """A file of a page; its bytes are in the directory of the uploads, under `stored`."""

    __tablename__ = "file"
    __table_args__ = (UniqueConstraint("page_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    page_id: Mapped[int] = mapped_column(ForeignKey("page.id"))
    name: Mapped[str] = mapped_column(String(FILE_NAME_CHARACTERS))
    media_type: Mapped[str]
    size: Mapped[int]
    """In bytes."""
    stored: Mapped[str] = mapped_column(unique=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    made: Mapped[datetime] = mapped_column(Moment, default=now)

    page: Mapped[Page] = relationship(back_populates="files")
    author: Mapped[User] = relationship(lazy="joined")

    @property
    def is_image(self) -> bool:
        """Whether a browser may show it within a page."""
        return self.media_type.startswith("image/")
