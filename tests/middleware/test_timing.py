"""Server-Timing: who gets it, what it says, and that nothing breaks its grammar."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from breezeway.middleware.timing import MOST_METRICS, Timing

from .calling import Counted, call, make_environ, run

NEAR = {"REMOTE_ADDR": "127.0.0.1"}
METRIC = r"""[!#$%&'*+\-.^_`|~0-9A-Za-z]+(;dur=\d+\.\d{3})?(;desc="([ !#-\[\]-~]|\\["\\])*")?"""
FIELD = re.compile(rf"total;dur=\d+\.\d{{3}}(, {METRIC})*")


def adding(add: Callable[[Any], object]) -> Any:
    """Make an application that does something with its timings before its head."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        add(environ["breezeway.timing"])
        start_response("200 OK", [("Content-Type", "text/plain"), ("Server-Timing", "own")])
        return [b"a"]

    return application


def field_of(add: Callable[[Any], object]) -> str:
    """Return our field of an application's response."""
    own, ours = call(Timing(adding(add)), **NEAR).all("Server-Timing")
    assert own == "own"
    assert FIELD.fullmatch(ours)
    return ours


def test_total() -> None:
    """The time until the head is there without the application's doing."""
    assert re.fullmatch(r"total;dur=\d+\.\d{3}", field_of(lambda timing: None))


def test_metrics_of_the_application() -> None:
    """An application adds what it has measured, in any of three forms."""

    def add(timing: Any) -> None:
        timing.add("hit")
        timing.add("db", 1.5, "a query")
        with timing("render"):
            pass

    assert re.fullmatch(
        r'total;dur=\S+, hit, db;dur=1\.500;desc="a query", render;dur=\d+\.\d{3}', field_of(add)
    )


def test_what_fails_is_measured_too() -> None:
    """The time until a failure counts."""

    def add(timing: Any) -> None:
        with pytest.raises(LookupError), timing("db"):
            raise LookupError

    assert ", db;dur=" in field_of(add)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('a"b', r'"a\"b"'),
        ("a\\", r'"a\\"'),
        ("a\r\nX: y", '"a??X: y"'),
        ("é", '"?"'),
        (", b;dur=1", '", b;dur=1"'),
    ],
)
def test_description_stays_in_its_quotes(text: str, written: str) -> None:
    """No description adds a metric or a field."""
    assert field_of(lambda timing: timing.add("x", None, text)).endswith(f", x;desc={written}")


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a,b", "a\n", "é", '"'])
@pytest.mark.parametrize("near", [True, False])
def test_name_is_a_token(name: str, near: bool) -> None:
    """A wrong name is the developer's mistake, whoever asks."""
    with pytest.raises(ValueError, match="cannot name a metric"):
        call(Timing(adding(lambda timing: timing.add(name))), **(NEAR if near else {}))


def test_count_has_a_bound() -> None:
    """A loop does not make the head too long; nor does one long description."""

    def add(timing: Any) -> None:
        for _ in range(1000):
            timing.add("x", 1, "y" * 1000)

    field = field_of(add)
    assert field.count("x;dur") == MOST_METRICS
    assert len(field) < 20_000


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"REMOTE_ADDR": "127.0.0.9"}, True),
        ({"REMOTE_ADDR": "::1"}, True),
        ({"REMOTE_ADDR": ""}, True),
        ({"REMOTE_ADDR": "192.0.2.1"}, False),
        ({"REMOTE_ADDR": "nonsense"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
    ],
)
def test_strangers_get_none(environ: dict[str, str], told: bool) -> None:
    """Durations leak: only this machine gets them, and nobody through a proxy, by default."""
    timing = Timing(adding(lambda timing: timing.add("x")))
    assert len(call(timing, **environ).all("Server-Timing")) == 1 + told


def test_everybody() -> None:
    """With `*` everybody gets it."""
    timing = Timing(adding(lambda timing: None), networks=["*"])
    assert len(call(timing).all("Server-Timing")) == 2


def test_stream_and_second_head() -> None:
    """A stream stays one, and a head that replaces the first has the field once."""
    counted = Counted(b"a", b"b")
    environ = make_environ(**NEAR)
    found = Timing(counted)(environ, lambda status, headers, exc_info=None: None)
    next(iter(found))
    assert counted.yielded == 1
    found.close()  # type: ignore[attr-defined]

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise LookupError
        except LookupError as error:
            start_response("500 No", [("Content-Type", "text/plain")], (type(error), error, None))
        return [b"a"]

    result = run(Timing(application), make_environ(**NEAR))
    assert result.code == 500
    assert len(result.all("Server-Timing")) == 1


@pytest.mark.parametrize("networks", ["127.0.0.1", ["127.0.0.1/8"], ["here"]])
def test_wrong_options(networks: Any) -> None:
    """Networks are checked at construction."""
    with pytest.raises(ValueError, match="network"):
        Timing(networks=networks)
