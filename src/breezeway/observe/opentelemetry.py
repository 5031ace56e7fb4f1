"""The metrics as instruments of OpenTelemetry, which read the status when they are collected.

What was counted elsewhere cannot be a histogram there: of a distribution there are the count and the
sum. The middleware OpenTelemetry has the histogram of durations, as the semantic conventions want it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from breezeway.observe.metrics import COUNTER, METRICS, Distribution, Metric

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

SCOPE: Final = "breezeway"
"""The name of the meter that the instruments belong to."""

KEPT_SECONDS: Final = 0.5
"""All instruments of one collection read the same status."""

_OWN_PREFIX: Final = "breezeway_"
_UNITS: Final = {"seconds": "s", "bytes": "By", "": "1"}

Status = dict[str, Any]


def register(meter: Meter, read: Callable[[], Status | None]) -> None:
    """Make the instruments; `read` returns the answer to `status`, None when there is none now."""
    from opentelemetry.metrics import Observation

    last: tuple[float, Status | None] = 0.0, None

    def current() -> Status | None:
        nonlocal last
        if time.monotonic() - last[0] >= KEPT_SECONDS:
            found = read()
            last = time.monotonic(), found
        return last[1]

    def observing(
        metric: Metric, part: str = ""
    ) -> list[Callable[[CallbackOptions], Iterator[Observation]]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            status = current()
            for values, value in () if status is None else metric.read(status):
                number = getattr(value, part) if isinstance(value, Distribution) else value
                yield Observation(number, dict(zip(metric.labels, values, strict=True)))

        return [observe]

    for metric in METRICS:
        name, unit = name_of(metric), _UNITS[metric.unit]
        if metric.is_distribution:
            counter = meter.create_observable_counter
            counter(f"{name}.count", observing(metric, "count"), "1", metric.help)
            counter(f"{name}.sum", observing(metric, "sum"), unit, metric.help)
        elif metric.kind == COUNTER:
            meter.create_observable_counter(name, observing(metric), unit, metric.help)
        else:
            meter.create_observable_gauge(name, observing(metric), unit, metric.help)


def name_of(metric: Metric) -> str:
    """Return the name of an instrument: that of the metric, with a dot behind what all begin with."""
    return f"{SCOPE}.{metric.name.removeprefix(_OWN_PREFIX)}"
