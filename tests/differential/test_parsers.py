"""What Breezeway takes, h11 and llhttp read in the same way; the proxies are for `make differential`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from .differences import KNOWN, Known, compare, reason_for
from .inputs import Input, corpus, every_single_fault, generated, smuggling
from .oracles import ORACLES
from .reading import End, by_breezeway

pytestmark = pytest.mark.once

GENERATED = 2000
FAULTS = 3


def _disagreements(oracle: str, inputs: Iterable[Input]) -> list[object]:
    found: list[object] = []
    for each in inputs:
        difference = compare(by_breezeway(each.data), ORACLES[oracle](each.data))
        if difference is not None and not reason_for(oracle, difference, each.data):
            found.append((each.name, each.data, difference))
    return found


@pytest.mark.parametrize("oracle", ORACLES)
def test_corpus(oracle: str) -> None:
    """RFC 9112 section 11.2: each case that is served is the same requests to another parser."""
    assert not _disagreements(oracle, corpus())


@pytest.mark.parametrize("oracle", ORACLES)
def test_attempts_at_smuggling(oracle: str) -> None:
    """RFC 9112 section 11.2: so is the little that is served of what is made to be read in two ways."""
    assert not _disagreements(oracle, smuggling())


@pytest.mark.parametrize("oracle", ORACLES)
def test_nearly_right_requests(oracle: str) -> None:
    """RFC 9112 section 11.2: so is what the fuzzers' grammar makes, as far as it is served."""
    assert not _disagreements(oracle, [*generated(GENERATED), *every_single_fault(FAULTS)])


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.oracle}, {known.reason[:40]}")
def test_known_differences_are_still_there(known: Known) -> None:
    """A difference that is not there any more leaves the table."""
    inputs = [*corpus(), *generated(GENERATED), *every_single_fault(1)]
    for each in inputs:
        difference = compare(by_breezeway(each.data), ORACLES[known.oracle](each.data))
        if (
            difference is not None
            and reason_for(known.oracle, difference, each.data) == known.reason
        ):
            return
    raise AssertionError(known.reason)


def test_number_of_attempts() -> None:
    """The page on conformance tells how many attempts at smuggling there are."""
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert f"{len([*smuggling()]):,} attempts at smuggling" in page


def test_oracles_read() -> None:
    """Each oracle finds two requests behind each other, and refuses nonsense."""
    request = b"POST /a?b HTTP/1.1\r\nHost: c\r\nX-D: e\r\nContent-Length: 2\r\n\r\nhi"
    for oracle in ORACLES.values():
        assert oracle(request * 2) == by_breezeway(request * 2)
        assert oracle(request[:-1]).end is End.INCOMPLETE
        assert oracle(request + b"GET \r\n\r\n").end is End.REFUSED
