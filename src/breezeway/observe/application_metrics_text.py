"""The application's metrics, as text for Prometheus."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from breezeway.observe.application_metrics_families import Family, Labels
from breezeway.observe.metrics import METRICS
from breezeway.observe.prometheus import braces, escaped, number

logger = logging.getLogger("breezeway.admin")

_SUFFIXES: Final = ("", "_total", "_created", "_info", "_bucket", "_sum", "_count")

_OURS: Final = frozenset(metric.name for metric in METRICS)

_SUFFIXES_OF: Final = {
    "counter": ("", "_total", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
}
"""What readers take for names of such a metric (OpenMetrics 1.0, 'Suffixes'); of a gauge it is one."""

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9_]")


class LeftOut:
    """Logs which metrics are left out, each once; for any thread."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._telling = threading.Lock()

    def __call__(self, name: str, reason: str) -> None:
        """Log it, with the reason, unless that was done."""
        with self._telling:
            if name in self._told:
                return
            self._told.add(name)
        text = "the application's metric %r is left out of /metrics: %s"
        logger.warning(text, name, reason)


def lines(
    families: Iterable[Family], *, openmetrics: bool, leave_out: Callable[[str, str], object]
) -> Iterator[str]:
    """Write families in OpenMetrics 1.0, else in the text format 0.0.4, without the line at its end.

    Characters that a name may not have become `_`: not every reader knows names in quotes. A family
    with a name that is one of the server's own, or of one before it, is left out, for a name that is
    there twice makes readers refuse all metrics. `leave_out` is called with its name and the reason.
    """
    ours = {f"{name}{suffix}" for name in _OURS for suffix in _SUFFIXES}
    seen: set[str] = set()
    for family in families:
        name = _plain(family.name, _NOT_IN_NAMES)
        if name in ours:
            leave_out(family.name, "the server has a metric of this name")
            continue
        names = [f"{name}{suffix}" for suffix in _SUFFIXES_OF.get(family.kind, ("",))]
        if twice := next((each for each in names if each in seen), None):
            leave_out(family.name, f"another metric is {twice} there, too")
            continue
        seen.update(names)
        text = escaped(family.help)
        if openmetrics:
            text = text.replace('"', '\\"')
        elif family.kind == "counter":
            name += "_total"
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} {family.kind}"
        for sample, labels, value in family.samples:
            yield f"{_plain(sample, _NOT_IN_NAMES)}{_braces(labels)} {number(value)}"


def _braces(labels: Labels) -> str:
    return braces({_plain(name, _NOT_IN_LABELS): value for name, value in labels})


def _plain(name: str, others: re.Pattern[str]) -> str:
    """Return a name without what it may not have; it may not begin with a digit, either."""
    plain = others.sub("_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain
