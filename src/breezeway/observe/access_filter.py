"""Which requests have a line in the access log.

Without filters nothing of this is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from breezeway.observe.access_options import shares
from breezeway.observe.entry import COMPLETE, Entry

if TYPE_CHECKING:
    from breezeway.observe.access_lines import Lines


def filtered(
    lines: Lines,
    *,
    skip: Iterable[str] = (),
    sample: Iterable[str] = (),
    slow: float | None = None,
    chance: Callable[[], float] | None = None,
) -> Lines:
    """Return what makes the lines of those requests that pass; `lines` itself without a filter.

    Of requests for a path in `skip`, as in a URL, there is none. With `slow`, in seconds, all have one
    that took at least as long, failed or got a 5xx. Of others those have one that `sample` keeps: a
    share of those with a status, or of its class. What it does not name is kept, but with `slow` it is
    not.
    """
    kept, skipped = shares(sample), _decoded(skip)
    if not (kept or skipped or slow is not None):
        return lines
    default = 1.0 if slow is None else 0.0
    draw = chance or _chance()

    def passes(entry: Entry) -> bool:
        request, _, response, _, began, _, _, returned, finished, outcome = entry
        get = request.environ.get
        if skipped and get("SCRIPT_NAME", "") + get("PATH_INFO", "") in skipped:
            return False
        status = 0 if response is None else response.status
        if slow is not None and (
            (finished or returned) - began >= slow
            or outcome != COMPLETE
            or not status
            or status >= 500
        ):
            return True
        share = kept.get(str(status), kept.get(f"{status // 100}xx", default))
        return share >= 1 or (share > 0 and draw() < share)

    return lambda entries, thread: lines([each for each in entries if passes(each)], thread)


def _decoded(paths: Iterable[str]) -> frozenset[str]:
    """Decode paths as they stand in a URL, as an environ has them (PEP 3333, 'Unicode Issues')."""
    if not paths:
        return frozenset()
    from urllib.parse import unquote  # here, for few skip

    return frozenset(unquote(path, "latin-1") for path in paths)


def _chance() -> Callable[[], float]:
    from random import random  # here, for few sample

    return random
