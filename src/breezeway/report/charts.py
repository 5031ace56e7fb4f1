"""Charts as inline SVG, without a script.

An SVG holds shapes alone, and is stretched to where there is room; its text stands beside it, so that it
can be read on a phone. Each chart has a name for those who do not see it, and its shapes have titles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from breezeway.report import wording
from breezeway.report.summary import Numbers

HEIGHT: Final = 100
"""Units of the height of a chart; a column is `STEP` wide."""

STEP: Final = 10

TICKS: Final = 5
"""Times below a chart."""

FAINTEST: Final = 0.12
"""Opacity of a single request in the heat map."""


def traffic(timeline: Numbers) -> str:
    """Draw requests over time."""
    parts, width = timeline["parts"], timeline["seconds"]
    most = max(part["requests"] for part in parts)
    shapes = []
    for number, part in enumerate(parts):
        height = part["requests"] / most * HEIGHT
        shapes.append(_rect(number, HEIGHT - height, height, "fine"))
        when = wording.moment(part["time"], width)
        shapes.append(_hit(number, f"{when}: {wording.number(part['requests'])} requests"))
    name = f"Requests over time, at most {wording.number(most)} in {wording.span(width)}"
    ticks = [wording.number(most), wording.number(most / 2), "0"]
    return _plot(name, shapes, len(parts), ticks, timeline)


def failures(timeline: Numbers) -> str:
    """Draw requests that failed over time, on a scale of their own: it is few of many."""
    parts, width = timeline["parts"], timeline["seconds"]
    most = max(part["client_errors"] + part["server_errors"] for part in parts)
    shapes = []
    for number, part in enumerate(parts):
        server = part["server_errors"] / most * HEIGHT
        client = part["client_errors"] / most * HEIGHT
        shapes.append(_rect(number, HEIGHT - server, server, "server"))
        shapes.append(_rect(number, HEIGHT - server - client, client, "client"))
        shapes.append(
            _hit(
                number,
                f"{wording.moment(part['time'], width)}: {part['client_errors']} with 4xx,"
                f" {part['server_errors']} with 5xx",
            )
        )
    name = f"Failed requests over time, at most {wording.number(most)} in {wording.span(width)}"
    return _plot(name, shapes, len(parts), [wording.number(most), "0"], timeline, "low")


def volume(timeline: Numbers) -> str:
    """Draw bytes sent over time."""
    parts, width = timeline["parts"], timeline["seconds"]
    most = max(part["bytes_out"] for part in parts) or 1
    shapes = []
    for number, part in enumerate(parts):
        height = part["bytes_out"] / most * HEIGHT
        shapes.append(_rect(number, HEIGHT - height, height, "third"))
        shapes.append(
            _hit(
                number, f"{wording.moment(part['time'], width)}: {wording.size(part['bytes_out'])}"
            )
        )
    name = f"Bytes sent over time, at most {wording.size(most)} in {wording.span(width)}"
    return _plot(name, shapes, len(parts), [wording.size(most), "0"], timeline, "low")


def heat(timeline: Numbers) -> str:
    """Draw how many requests took how long over time; the more, the stronger the colour."""
    rows, parts, width = timeline["heat"], timeline["parts"], timeline["seconds"]
    most = max(max(part["heat"].values(), default=1) for part in parts)
    height = HEIGHT / len(rows)
    shapes = []
    for number, part in enumerate(parts):
        for bits, count in part["heat"].items():
            top = HEIGHT - (bits - rows[0] + 1) * height
            share = math.log(count) / math.log(most) if most > 1 else 1.0
            title = (
                f"{wording.moment(part['time'], width)}: {wording.number(count)} took"
                f" {wording.bits(bits - 1)} to {wording.bits(bits)}"
            )
            opacity = FAINTEST + (1 - FAINTEST) * share**2
            shapes.append(
                f'<rect class="fine" x="{number * STEP}" y="{top:.2f}" width="{STEP}" height="{height:.2f}"'
                f' fill-opacity="{opacity:.2f}"><title>{escape(title)}</title></rect>'
            )
    every = max(1, math.ceil(len(rows) / 12))
    ticks = [wording.bits(bits) if (bits - rows[0]) % every == 0 else "" for bits in reversed(rows)]
    name = f"How long requests took, over time: from {wording.bits(rows[0])} to {wording.bits(rows[-1])}"
    return _plot(name, shapes, len(parts), ticks, timeline, "heat")


def spread(duration: Numbers, least: float, most: float) -> str:
    """Draw quantiles on a logarithmic scale from `least` to `most` seconds: a box from P50 to P99."""

    def at(seconds: float) -> float:
        if seconds <= least or most <= least:
            return 0.0
        return min(1.0, math.log(seconds / least) / math.log(most / least)) * 100

    quantiles = duration["quantiles"]
    p50, p95, p99 = at(quantiles["0.5"]), at(quantiles["0.95"]), at(quantiles["0.99"])
    end = at(duration["most"])
    words = (
        f"P50 {wording.quantile(duration, '0.5')}, P95 {wording.quantile(duration, '0.95')},"
        f" P99 {wording.quantile(duration, '0.99')}, at most {wording.quantile(duration, 'most')}"
    )
    return (
        f'<svg viewBox="0 0 102 10" preserveAspectRatio="none" role="img" aria-label="{escape(words)}">'
        f'<title>{escape(words)}</title><line class="range" x1="{p50:.1f}" x2="{end:.1f}" y1="5" y2="5"/>'
        f'<rect class="box" x="{p50:.1f}" y="2" width="{max(p99 - p50, 1):.1f}" height="6"/>'
        f'<rect class="tick" x="{p50:.1f}" y="1" width="1.2" height="8"/>'
        f'<rect class="tick" x="{p95:.1f}" y="3" width="0.8" height="4"/></svg>'
    )


def stack(parts: Sequence[tuple[str, str, float]]) -> str:
    """Draw shares of a whole as one bar: class, words and size of each."""
    whole = sum(size for _, _, size in parts) or 1.0
    pieces, keys = [], []
    for name, words, size in parts:
        text = f"{words} {wording.share(size, whole)}"
        keys.append(key(name, text))
        pieces.append(f'<div class="{name}" style="width:{size / whole * 100:.2f}%"></div>')
    return (
        f"<figure><figcaption>{''.join(keys)}</figcaption>"
        f'<div class="stack" aria-hidden="true">{"".join(pieces)}</div></figure>'
    )


def key(name: str, words: str) -> str:
    """Return an entry of a legend."""
    return f'<span><i class="key {name}"></i>{escape(words)}</span>'


def _rect(number: int, top: float, height: float, name: str) -> str:
    return (
        f'<rect class="{name}" x="{number * STEP + 1}" y="{top:.2f}" width="{STEP - 2}"'
        f' height="{height:.2f}"/>'
    )


def _hit(number: int, title: str) -> str:
    """Return what shows a title over the whole height of a column."""
    return (
        f'<rect class="hit" x="{number * STEP}" y="0" width="{STEP}" height="{HEIGHT}">'
        f"<title>{escape(title)}</title></rect>"
    )


def _plot(
    name: str,
    shapes: Iterable[str],
    columns: int,
    ticks: Iterable[str],
    timeline: dict[str, Any],
    kind: str = "",
) -> str:
    parts, width = timeline["parts"], timeline["seconds"]
    shown = min(TICKS, len(parts))
    chosen = [round(n * (len(parts) - 1) / max(shown - 1, 1)) for n in range(shown)]
    x = "".join(f"<span>{escape(wording.moment(parts[n]['time'], width))}</span>" for n in chosen)
    y = "".join(f"<span>{escape(tick)}</span>" for tick in ticks)
    return (
        f'<div class="plot {kind}"><div class="y" aria-hidden="true">{y}</div>'
        f'<svg viewBox="0 0 {columns * STEP} {HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(name)}">{"".join(shapes)}</svg>'
        f'<div class="x" aria-hidden="true">{x}</div></div>'
    )
