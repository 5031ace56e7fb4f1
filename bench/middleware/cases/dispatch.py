"""Dispatch beside werkzeug's DispatcherMiddleware."""

from __future__ import annotations

from typing import Any

from case import Case, hello
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from breezeway.middleware import Dispatch

WERKZEUG = "werkzeug DispatcherMiddleware"

FEW: dict[str, Any] = {"/old": hello, "/api": hello, "/static": hello}
MANY: dict[str, Any] = {f"/part{number}/of/it": hello for number in range(1000)}


def cases() -> list[Case]:
    """Cover what is mounted nowhere, at a depth of one and of three, and by host."""

    def case(what: str, mounts: dict[str, Any], path: str) -> Case:
        return Case(
            "dispatch",
            what,
            lambda app: Dispatch(mounts, app),
            WERKZEUG,
            lambda app: DispatcherMiddleware(app, mounts),
            environ={"PATH_INFO": path},
        )

    return [
        case("idle", FEW, "/"),
        case("below a mount", FEW, "/api/v1/items/5"),
        case("none of these", FEW, "/shop/items/5"),
        case("one of 1000, three deep", MANY, "/part999/of/it/x"),
        Case(
            "dispatch",
            "by host",
            lambda app: Dispatch({"shop.example": app, "*.other.example": hello}, hello),
        ),
    ]
