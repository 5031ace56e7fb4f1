"""Files of pages: uploading them, fetching them, taking them away.

Whoever has an account can upload anything, and it comes from the same origin as the wiki. So a browser
gets nothing to show but pictures of kinds that run no script, and saves everything else.
"""

from __future__ import annotations

from breezeway.web import (
    ContentTooLarge,
    FileResponse,
    Forbidden,
    Group,
    NotFound,
    Request,
    Response,
    Upload,
    flash,
    redirect,
)
from wiki.controllers.pages import found_page
from wiki.model import files
from wiki.model.faults import Refused
from wiki.model.tables import File, Page
from wiki.views import Answer, templates
from wiki.visitor import close_database, database, required_user

group = Group("/pages/{slug}/files")

HARMLESS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Were a browser to show a file as a page all the same, it would have no origin and run nothing; the
style is that with which Chromium shows a picture."""


@group.before
def nothing_from_strangers(request: Request) -> None:
    """Ask who it is before anything of a file is read."""
    if request.method == "POST":
        required_user(request)


@group.get("", name="files")
def show(request: Request, slug: str) -> Response:
    """Show the files of a page."""
    return _page_of_files(request, found_page(request, slug))


@group.post("", name="files")
def upload(request: Request, slug: str, file: Upload) -> Answer:
    """Keep a file; its name is the one that the toolkit has made safe."""
    user, page = required_user(request), found_page(request, slug)
    uploads = request.app.config.uploads
    try:
        kept = files.keep(database(request), uploads, page, user, file.filename, file)
    except Refused as refused:
        return _page_of_files(request, page, {refused.field: refused.says}), 422
    flash(request, f"Uploaded {kept.name}")
    return redirect(request.url_for("files", slug=slug))


@group.get("/{name}")
def file(request: Request, slug: str, name: str) -> Response:
    """Send a file."""
    found = _file(request, slug, name)
    close_database(request)  # it is not held while a slow client takes the file
    return FileResponse(
        found.stored,
        headers=HARMLESS,
        root=request.app.config.uploads,
        name=found.name,
        download=not found.is_image,
        content_type=found.media_type,
    )


@group.post("/{name}/delete")
def delete(request: Request, slug: str, name: str) -> Response:
    """Take a file away: nothing brings it back, so only who has uploaded it can."""
    user, found = required_user(request), _file(request, slug, name)
    if found.author_id != user.id:
        raise Forbidden("Only who has uploaded a file can delete it.")
    files.remove(database(request), request.app.config.uploads, found)
    flash(request, f"Deleted {name}")
    return redirect(request.url_for("files", slug=slug))


@group.error(413)
def too_large(request: Request, _: ContentTooLarge) -> Response:
    """Say in the form itself that a file is too large."""
    most = request.app.config.upload_megabytes
    faults = {"file": f"A file has at most {most} MB."}
    return _page_of_files(request, found_page(request, request.path_values["slug"]), faults)


def _file(request: Request, slug: str, name: str) -> File:
    found = files.find(database(request), found_page(request, slug), name)
    if found is None:
        raise NotFound("This page has no file of this name.")
    return found


def _page_of_files(request: Request, page: Page, faults: dict[str, str] | None = None) -> Response:
    most = request.app.config.upload_megabytes
    return templates.page(request, "files.html", page=page, most=most, faults=faults or {})
