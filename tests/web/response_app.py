"""Each kind of response, for the tests with several servers; what is closed leaves a byte in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breezeway.web import App, EventStream, FileResponse, Request, Response, redirect

LARGE = bytes(range(256)) * 1024
FOLDER = Path(os.environ.get("RESPONSES_FOLDER", "."))
application = App()


def closed() -> None:
    """Note that a response is over."""
    with open(FOLDER / "closed", "ab") as file:
        file.write(b"x")


@application.get("/text")
def text() -> Any:
    """Answer with a text."""
    return "höher"


@application.get("/json")
def number() -> Any:
    """Answer with JSON, and a phrase of one's own."""
    return {"a": 1}, "299 Fine Indeed"


@application.get("/stream")
def stream() -> Any:
    """Answer block by block."""

    def blocks() -> Iterator[str]:
        try:
            yield "ä"
            yield "b" * 100_000
        finally:
            closed()

    return Response(blocks())


@application.get("/file")
def file() -> Any:
    """Answer with a file, and call a function at its end."""
    response = FileResponse(FOLDER / "large.bin", download=True)
    response.on_close(closed)
    return response


@application.get("/away")
def away(request: Request) -> Any:
    """Lead to another path, with a cookie."""
    response = redirect(request.url_for("text"))
    response.set_cookie("a", "1")
    return response


@application.get("/events")
def events() -> Any:
    """Answer with events."""
    return EventStream(["a", None, {"b": 1}])
