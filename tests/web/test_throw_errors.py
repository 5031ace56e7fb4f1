"""A debugger around an App gets the errors that nobody expected."""

from __future__ import annotations

import pytest

from breezeway.web import App, NotFound

from ..middleware.calling import call

THROW = {"x-wsgiorg.throw_errors": True}


def failing() -> App:
    """Make an App with an error page, and pages that fail."""
    app = App()
    app.error(500)(lambda request, error: "our page")
    app.error(KeyError)(lambda request, error: ("no such key", 404))
    app.get("/divide", name="divide")(lambda: str(1 / 0))
    app.get("/key", name="key")(lambda: {}["x"])
    app.get("/nothing", name="nothing")(lambda: (_ for _ in ()).throw(NotFound()))
    return app


def test_unexpected_errors_are_raised() -> None:
    """An exception for which there is but the page for 500 is raised; without the wish, it is not."""
    assert call(failing(), "/divide").status.startswith("500")
    with pytest.raises(ZeroDivisionError):
        call(failing(), "/divide", **THROW)


@pytest.mark.parametrize("path", ["/key", "/nothing", "/elsewhere"])
def test_expected_errors_are_answered(path: str) -> None:
    """What has an answer of its own keeps it."""
    assert call(failing(), path, **THROW).status.startswith("404")
