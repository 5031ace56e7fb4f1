"""Pages: reading them, writing them, and what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from markupsafe import Markup

from breezeway.web import Form, Group, NotFound, Request, Response, flash, redirect
from wiki.diff import compared
from wiki.markup import rendered
from wiki.model import pages
from wiki.model.faults import EditConflict, Refused
from wiki.model.tables import Page, Revision
from wiki.views import Answer, templates
from wiki.visitor import database, required_user, user_of

group = Group()

FRONT = "front-page"


@dataclass
class Edit:
    """What the form of the editor has."""

    text: str = ""
    title: str = ""
    summary: str = ""
    base: int = 0
    """The version that the editor has seen; 0 if there was none."""
    action: str = "save"


# --- reading -----------------------------------------------------------------------------------------


@group.get("/")
def home(request: Request) -> Response:
    """Go to the front page, or to the list of pages while there is none."""
    if pages.find(database(request), FRONT) is None:
        return redirect(request.url_for("index"))
    return redirect(request.url_for("show", slug=FRONT))


@group.get("/pages")
def index(request: Request) -> Response:
    """List all pages."""
    return templates.page(request, "index.html", pages=pages.every(database(request)))


@group.get("/changes")
def recent(request: Request) -> Response:
    """List what has changed."""
    return templates.page(request, "recent.html", revisions=pages.recent(database(request)))


@group.get("/pages/{slug}")
def show(request: Request, slug: str) -> Answer:
    """Show a page."""
    page = pages.find(database(request), slug)
    if page is None:
        return templates.page(request, "missing.html", slug=slug), 404
    content = _html(request, slug, page.text)
    values = {"page": page, "title": page.title, "content": content, "revision": None}
    return templates.page(request, "page.html", **values)


@group.get("/pages/{slug}/history")
def history(request: Request, slug: str) -> Response:
    """List the versions of a page."""
    return templates.page(request, "history.html", page=found_page(request, slug))


@group.get("/pages/{slug}/history/{number:int}")
def revision(request: Request, slug: str, number: int) -> Response:
    """Show a page as it was."""
    page = found_page(request, slug)
    found = _revision(request, page, number)
    content = _html(request, slug, found.text)
    values = {"page": page, "title": found.title, "content": content, "revision": found}
    return templates.page(request, "page.html", **values)


@group.get("/pages/{slug}/changes")
def changes(request: Request, slug: str, old: int, new: int) -> Response:
    """Show what has changed from one version to another."""
    page = found_page(request, slug)
    first, second = _revision(request, page, old), _revision(request, page, new)
    lines = compared(first.text, second.text)
    return templates.page(request, "changes.html", page=page, old=first, new=second, lines=lines)


# --- writing -----------------------------------------------------------------------------------------


@group.get("/new")
def new(request: Request, title: str = "") -> Answer:
    """Show the editor for a page that is not there yet."""
    required_user(request)
    return _editor(request, None, Edit(title=title))


@group.post("/new", name="new")
def save_new(request: Request, edit: Annotated[Edit, Form()]) -> Answer:
    """Save a new page."""
    edit.base = edit.base if pages.find(database(request), pages.slug_of(edit.title)) else 0
    return _save(request, None, edit)


@group.get("/pages/{slug}/edit")
def edit(request: Request, slug: str) -> Answer:
    """Show the editor for a page."""
    required_user(request)
    page = found_page(request, slug)
    return _editor(request, page, Edit(page.text, page.title, base=page.number))


@group.post("/pages/{slug}/edit", name="edit")
def save(request: Request, slug: str, edit: Annotated[Edit, Form()]) -> Answer:
    """Save a page, or show it as it would be."""
    page = found_page(request, slug)
    edit.title = page.title
    return _save(request, page, edit)


@group.post("/pages/{slug}/history/{number:int}/restore")
def restore(request: Request, slug: str, number: int, base: Annotated[int, Form()]) -> Answer:
    """Save a page again as it was."""
    required_user(request)
    page = found_page(request, slug)
    found = _revision(request, page, number)
    return _save(request, page, Edit(found.text, found.title, f"As in version {number}", base))


def _save(request: Request, page: Page | None, edit: Edit) -> Answer:
    user = user_of(request)
    if user is None:
        # Who was logged out meanwhile gets the text back: it is nowhere else.
        return _editor(request, page, edit, logged_out=True), 401
    if edit.action == "preview":
        slug = page.slug if page else pages.slug_of(edit.title)
        return _editor(request, page, edit, preview=_html(request, slug, edit.text))
    words = {"title": edit.title, "body": edit.text, "summary": edit.summary}
    try:
        saved = pages.save(database(request), user, **words, base=edit.base)
    except Refused as refused:
        return _editor(request, page, edit, faults={refused.field: refused.says}), 422
    except EditConflict as conflict:
        return _conflict(request, conflict.page, edit), 409
    flash(request, f"Saved as version {saved.number}")
    return redirect(request.url_for("show", slug=saved.slug))


def _editor(request: Request, page: Page | None, edit: Edit, **values: Any) -> Response:
    given = {"page": page, "form": edit, "base": edit.base, **values}
    return templates.page(request, "edit.html", **given)


def _conflict(request: Request, page: Page, edit: Edit) -> Response:
    """Show both versions; what is saved from here is based on the newer one."""
    return templates.page(
        request,
        "conflict.html",
        page=page,
        newest=_revision(request, page, page.number),
        form=edit,
        base=page.number,
        lines=compared(page.text, edit.text.replace("\r\n", "\n")),
    )


# --- for all of them ---------------------------------------------------------------------------------


def found_page(request: Request, slug: str) -> Page:
    """Return a page.

    Raises:
        NotFound: there is none of this name.
    """
    page = pages.find(database(request), slug)
    if page is None:
        raise NotFound("There is no page of this name.")
    return page


def _revision(request: Request, page: Page, number: int) -> Revision:
    found = pages.revision(database(request), page, number)
    if found is None:
        raise NotFound("There is no such version of this page.")
    return found


def _html(request: Request, slug: str, source: str) -> Markup:
    """Return the text of a page as HTML, with links to other pages and to the files of this one."""
    return rendered(
        source,
        page_url=lambda other: request.url_for("show", slug=other),
        file_url=lambda name: request.url_for("file", slug=slug, name=name) if slug else name,
        known=lambda slugs: pages.known(database(request), slugs),
    )
