"""The grammar of nearly right requests, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from ..corpus import cases
from .nearly import SPECIAL, Writer

_ALL = (*(case.request for case in cases.valid()), *(case.request for case in cases.invalid()))
CORPUS = [request for request in _ALL if len(request) < 500]


class Drawn:
    """Choices that hypothesis makes, and makes smaller when a check fails."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, bound: int) -> int:
        """Choose a number from 0 to `bound` - 1."""
        return self._draw(st.integers(0, bound - 1))


@st.composite
def connections(draw: st.DrawFn) -> bytes:
    """Draw what comes over a connection."""
    return Writer(Drawn(draw)).connection()


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Draw a case of the corpus and change it, and perhaps one more behind it."""
    writer = Writer(Drawn(draw))
    cases_drawn = draw(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=2))
    return writer.changed(b"".join(cases_drawn))


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    """Draw a body in the chunked coding, and perhaps more behind it."""
    writer = Writer(Drawn(draw))
    return writer.changed(writer.chunks()) + draw(st.sampled_from([b"", b"GET"]))


JUNK = st.lists(st.sampled_from(SPECIAL) | st.binary(max_size=4), max_size=12).map(b"".join)
"""What follows no grammar at all."""
