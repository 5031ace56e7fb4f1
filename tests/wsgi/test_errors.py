"""PEP 3333, 'Input and Error Streams': wsgi.errors takes text for the operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN
from ..live import Live, eventually
from .conftest import Play

WAYS: dict[str, Callable[[Any], object]] = {
    "write": lambda errors: errors.write("a word\n"),
    "write in pieces": lambda errors: [errors.write(part) for part in ("a", " wo", "rd\n")],
    "write and flush": lambda errors: [errors.write("a word"), errors.flush()],
    "writelines": lambda errors: errors.writelines(["a word\n", "another\n"]),
    "print": lambda errors: print("a", "word", file=errors),
}


def complainer(complain: Callable[[Any], object]) -> Any:
    """Return an application that writes to wsgi.errors."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        complain(environ["wsgi.errors"])
        start_response("200 OK", [PLAIN])
        return [b"done"]

    return application


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_text_reaches_the_operator(
    play: Play,
    live: Live,
    log: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    way: Callable[[Any], object],
) -> None:
    """What is written is logged by 'breezeway.application', or stands on standard error."""
    play(complainer(way))
    assert live.get().body == b"done"
    seen = ""

    def arrived() -> bool:
        nonlocal seen
        seen += capsys.readouterr().err
        ours = [r.getMessage() for r in log.records if r.name == "breezeway.application"]
        return "a word" in seen or any("a word" in line for line in ours)

    eventually(arrived, "the text")


def test_every_character_is_taken(play: Play, live: Live) -> None:
    """wsgi.errors is a text stream: no character is too much for it."""
    play(complainer(lambda errors: errors.write("caf\xe9 \u20ac \U0001f600\n")))
    assert live.get().body == b"done"


def test_flush_alone(play: Play, live: Live) -> None:
    """flush() may be called whenever, with nothing to flush as well."""
    play(complainer(lambda errors: errors.flush()))
    assert live.get().body == b"done"


def test_bytes_are_an_error(live: Live) -> None:
    """wsgi.errors is a text stream: bytes are a TypeError, and so a 500."""
    live.play(complainer(lambda errors: errors.write(b"bytes")))
    assert live.get().status == 500


def test_text_cannot_forge_the_log(live: Live, log: pytest.LogCaptureFixture) -> None:
    """What an application repeats of its client is still the application's in the log."""
    live.play(complainer(lambda errors: errors.write("one\nbreezeway: forged\n")))
    assert live.get().body == b"done"
    forged = [record for record in log.records if "forged" in record.getMessage()]
    assert all(record.name == "breezeway.application" for record in forged)
