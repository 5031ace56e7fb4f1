"""Pages: reading them, writing them, and what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from breezeway.web import Form, Group, NotFound, Request, Response
from wiki.answers import redirect
from wiki.diff import compared
from wiki.markup import rendered
from wiki.model import pages
from wiki.model.faults import EditConflict, Refused
from wiki.model.tables import Page, Revision
from wiki.views import view
from wiki.visitor import database, flash, required_user, user_of

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
    found = pages.find(database(request), FRONT)
    if found is None:
        return redirect(request, request.app.url_for("index"))
    return redirect(request, request.app.url_for("show", slug=FRONT))


@group.get("/pages")
def index(request: Request) -> Response:
    """List all pages."""
    return view(request, "index.html", pages=pages.every(database(request)))


@group.get("/changes")
def recent(request: Request) -> Response:
    """List what has changed."""
    return view(request, "recent.html", revisions=pages.recent(database(request)))


@group.get("/pages/{slug}")
def show(request: Request, slug: str) -> Response:
    """Show a page."""
    page = pages.find(database(request), slug)
    if page is None:
        return view(request, "missing.html", 404, slug=slug)
    content = _html(request, page.text)
    return view(request, "page.html", page=page, title=page.title, content=content, revision=None)


@group.get("/pages/{slug}/history")
def history(request: Request, slug: str) -> Response:
    """List the versions of a page."""
    return view(request, "history.html", page=_page(request, slug))


@group.get("/pages/{slug}/history/{number:int}")
def revision(request: Request, slug: str, number: int) -> Response:
    """Show a page as it was."""
    page = _page(request, slug)
    found = _revision(request, page, number)
    content = _html(request, found.text)
    return view(request, "page.html", page=page, title=found.title, content=content, revision=found)


@group.get("/pages/{slug}/changes")
def changes(request: Request, slug: str, old: int, new: int) -> Response:
    """Show what has changed from one version to another."""
    page = _page(request, slug)
    first, second = _revision(request, page, old), _revision(request, page, new)
    lines = compared(first.text, second.text)
    return view(request, "changes.html", page=page, old=first, new=second, lines=lines)


# --- writing -----------------------------------------------------------------------------------------


@group.get("/new")
def new(request: Request, title: str = "") -> Response:
    """Show the editor for a page that is not there yet."""
    required_user(request)
    return _editor(request, None, Edit(title=title))


@group.post("/new", name="new")
def save_new(request: Request, edit: Annotated[Edit, Form()]) -> Response:
    """Save a new page."""
    edit.base = edit.base if pages.find(database(request), pages.slug_of(edit.title)) else 0
    return _save(request, None, edit)


@group.get("/pages/{slug}/edit")
def edit(request: Request, slug: str) -> Response:
    """Show the editor for a page."""
    required_user(request)
    page = _page(request, slug)
    return _editor(request, page, Edit(page.text, page.title, base=page.number))


@group.post("/pages/{slug}/edit", name="edit")
def save(request: Request, slug: str, edit: Annotated[Edit, Form()]) -> Response:
    """Save a page, or show it as it would be."""
    page = _page(request, slug)
    edit.title = page.title
    return _save(request, page, edit)


@group.post("/pages/{slug}/history/{number:int}/restore")
def restore(request: Request, slug: str, number: int, base: Annotated[int, Form()]) -> Response:
    """Save a page again as it was."""
    required_user(request)
    page = _page(request, slug)
    found = _revision(request, page, number)
    summary = f"As in version {number}"
    return _save(request, page, Edit(found.text, found.title, summary, base))


def _save(request: Request, page: Page | None, edit: Edit) -> Response:
    user = user_of(request)
    if user is None:
        # Who was logged out meanwhile gets the text back: it is nowhere else.
        return _editor(request, page, edit, 401, logged_out=True)
    if edit.action == "preview":
        return _editor(request, page, edit, preview=_html(request, edit.text))
    try:
        saved = pages.save(
            database(request),
            user,
            title=edit.title,
            body=edit.text,
            summary=edit.summary,
            base=edit.base,
        )
    except Refused as refused:
        faults = {refused.field: refused.says}
        return _editor(request, page, edit, 422, faults=faults)
    except EditConflict as conflict:
        return _conflict(request, conflict.page, edit)
    flash(request, f"Saved as version {saved.number}")
    return redirect(request, request.app.url_for("show", slug=saved.slug))


def _editor(
    request: Request, page: Page | None, edit: Edit, status: int = 200, **values: Any
) -> Response:
    values = {"logged_out": False, "faults": {}, **values}
    return view(request, "edit.html", status, page=page, form=edit, base=edit.base, **values)


def _conflict(request: Request, page: Page, edit: Edit) -> Response:
    """Show both versions; what is saved from here is based on the newer one."""
    return view(
        request,
        "conflict.html",
        409,
        page=page,
        newest=_revision(request, page, page.number),
        form=edit,
        base=page.number,
        lines=compared(page.text, edit.text.replace("\r\n", "\n")),
    )


def _page(request: Request, slug: str) -> Page:
    page = pages.find(database(request), slug)
    if page is None:
        raise NotFound("There is no page of this name.")
    return page


def _revision(request: Request, page: Page, number: int) -> Revision:
    found = pages.revision(database(request), page, number)
    if found is None:
        raise NotFound("There is no such version of this page.")
    return found


def _html(request: Request, source: str) -> str:
    def link(slug: str) -> str:
        url: str = request.app.url_for("show", slug=slug)
        return url

    return rendered(source, link, lambda slugs: pages.known(database(request), slugs))
