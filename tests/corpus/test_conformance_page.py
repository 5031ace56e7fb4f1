"""The page on conformance tells the truth about the corpus and the tables."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from . import cases

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", re.MULTILINE)
TOTAL = re.compile(r"\*\*In all: (\d+) valid and (\d+) invalid cases\.\*\*")


def _by_subject(all_cases: list) -> Counter[str]:
    return Counter(case.name.partition("/")[0] for case in all_cases)


def test_numbers() -> None:
    """Each subject of the corpus has its row, with the number of its cases, and the sum is right."""
    valid, invalid = _by_subject(cases.valid()), _by_subject(cases.invalid())
    counted = {subject: (valid[subject], invalid[subject]) for subject in {*valid, *invalid}}
    told = {subject: (int(good), int(bad)) for subject, good, bad in ROW.findall(PAGE)}
    assert told == counted
    total = TOTAL.search(PAGE)
    assert total is not None
    assert (int(total[1]), int(total[2])) == (valid.total(), invalid.total())
