"""An application that takes forms, for servers in a process of their own."""

from __future__ import annotations

import hashlib
from typing import Any

from breezeway.web import App, Limits, Request

application = App(limits=Limits(file_bytes=4_000_000))


@application.get("/")
def front() -> str:
    """Say that the server is there."""
    return "front"


@application.post("/form")
def form(request: Request) -> Any:
    """Tell what is in a form."""
    files = request.form().files.pairs
    return {
        "fields": request.form().pairs,
        "files": [
            [name, file.filename, file.content_type, hashlib.sha256(file.read()).hexdigest()]
            for name, file in files
        ],
    }


@application.post("/body")
def body(request: Request) -> Any:
    """Tell how long a body is."""
    return len(request.body)


@application.post("/stream")
def stream(request: Request) -> Any:
    """Tell how long a body is that is read in pieces."""
    return sum(map(len, request.stream.blocks()))
