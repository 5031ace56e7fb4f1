"""Signing up, logging in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from breezeway.web import Form, Group, Request, Response, flash, local_path, redirect
from wiki.model import accounts
from wiki.model.faults import Refused
from wiki.model.tables import User
from wiki.views import Answer, templates
from wiki.visitor import USER, database

group = Group()


@dataclass
class Credentials:
    """What the form has."""

    name: str
    password: str
    next: str = "/"


@group.get("/log-in", name="log_in")
def log_in_form(request: Request, next: str = "/") -> Response:
    """Ask for name and password."""
    return templates.page(request, "account.html", kind="log_in", name="", next=next)


@group.post("/log-in", name="log_in")
def log_in(request: Request, form: Annotated[Credentials, Form()]) -> Answer:
    """Log in."""
    user = accounts.log_in(database(request), form.name, form.password)
    if user is None:
        # Which of the two is wrong is nobody's business.
        faults = {"form": "There is nobody of this name and password."}
        values = {"name": form.name, "next": form.next, "faults": faults}
        return templates.page(request, "account.html", kind="log_in", **values), 401
    return _logged_in(request, user, form.next)


@group.get("/sign-up", name="sign_up")
def sign_up_form(request: Request, next: str = "/") -> Response:
    """Ask for a new name and password."""
    return templates.page(request, "account.html", kind="sign_up", name="", next=next)


@group.post("/sign-up", name="sign_up")
def sign_up(request: Request, form: Annotated[Credentials, Form()]) -> Answer:
    """Make an account, and log in."""
    try:
        user = accounts.sign_up(database(request), form.name, form.password)
    except Refused as refused:
        faults = {refused.field: refused.says}
        values = {"name": form.name, "next": form.next, "faults": faults}
        return templates.page(request, "account.html", kind="sign_up", **values), 422
    return _logged_in(request, user, form.next)


@group.post("/log-out")
def log_out(request: Request) -> Response:
    """Log out."""
    request.session.clear()
    return redirect("/")


def _logged_in(request: Request, user: User, wanted: str) -> Response:
    # A new id: who has planted one in this browser does not log in with it.
    request.session.rotate()
    request.session[USER] = user.id
    flash(request, f"Hello, {user.name}")
    return redirect(local_path(wanted))
