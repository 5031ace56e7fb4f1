"""The chart for the README: one panel for each scenario, one bar for each server, as SVG text.

Colours follow the reader's light or dark setting, text is text, and nothing is loaded.
"""

from __future__ import annotations

from html import escape

from peers import OURS
from results import Outcome, Results
from scenarios import Kind, Scenario

COLUMNS = 2
PANEL_WIDTH = 440
GAP = 32  # between panels
MARGIN = 20
TITLE = 48  # height of the chart's head
PANEL_TITLE = 26
ROW = 19
BAR = 12
NAME_WIDTH = 122
VALUE_WIDTH = 66
BAR_WIDTH = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH
SHORTEST = 1.5  # so that a slow server still shows

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #334155 }
.h { font-size: 16px; font-weight: 600; fill: #0f172a }
.t { font-size: 13px; font-weight: 600; fill: #0f172a }
.m { fill: #64748b }
.b { fill: #b6c2d1 }
.o { fill: #0d9488 }
.us { font-weight: 600; fill: #0f766e }
@media (prefers-color-scheme: dark) {
  text { fill: #cbd5e1 }
  .h, .t { fill: #f1f5f9 }
  .m { fill: #94a3b8 }
  .b { fill: #475569 }
  .o { fill: #2dd4bf }
  .us { fill: #5eead4 }
}
"""


def draw(scenarios: list[Scenario], results: Results, subtitle: str) -> str:
    """Return the SVG of all scenarios under load that were measured."""
    shown = [s for s in scenarios if s.kind is Kind.LOAD and not s.only_ours]
    shown = [s for s in shown if results.ranked(s.name)]
    parts: list[str] = []
    y = TITLE + MARGIN
    for first in range(0, len(shown), COLUMNS):
        heights = [0]
        for column, scenario in enumerate(shown[first : first + COLUMNS]):
            x = MARGIN + column * (PANEL_WIDTH + GAP)
            panel, height = _panel(scenario, results)
            parts.append(f'<g transform="translate({x} {y})">{panel}</g>')
            heights.append(height)
        y += max(heights) + GAP
    width = 2 * MARGIN + COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" '
        f'height="{y}" role="img" aria-label="Requests per second of WSGI servers">'
        f"<style>{STYLE}</style>"
        f'<text class="h" x="{MARGIN}" y="{MARGIN + 12}">Requests per second on one core</text>'
        f'<text class="m" x="{MARGIN}" y="{MARGIN + 32}">{escape(subtitle)}</text>'
    )
    return "\n".join([head, *parts, "</svg>\n"])


def _panel(scenario: Scenario, results: Results) -> tuple[str, int]:
    """Return one scenario's title and bars, and how high they are."""
    ranked = results.ranked(scenario.name)
    order = sorted(ranked, key=lambda name: ranked[name].median("rate"), reverse=True)
    refused = [n for n, o in results.outcomes[scenario.name].items() if _worth_naming(o)]
    most = ranked[order[0]].median("rate")
    parts = [f'<text class="t" y="12">{escape(scenario.title)}</text>']
    y = PANEL_TITLE
    for name in order:
        parts.append(_bar(name, ranked[name].median("rate"), most, y))
        y += ROW
    for name in refused:
        reason = _short(results.outcomes[scenario.name][name].refusal)
        parts.append(
            f'<text class="m" x="0" y="{y + BAR - 2}">{escape(name)}</text>'
            f'<text class="m" x="{NAME_WIDTH}" y="{y + BAR - 2}">{escape(reason)}</text>'
        )
        y += ROW
    return "".join(parts), y


def _worth_naming(outcome: Outcome) -> bool:
    """Say whether the server was there and failed, as against not installed."""
    return bool(outcome.refusal) and not outcome.refusal.startswith("not available")


def _short(refusal: str) -> str:
    """Return what fits beside a name: no figures, no output of the server."""
    return "wrong answer" if refusal.startswith("wrong") else refusal.partition(":")[0]


def _bar(name: str, rate: float, most: float, y: int) -> str:
    length = max(SHORTEST, BAR_WIDTH * rate / most)
    ours = name == OURS
    text = ' class="us"' if ours else ""
    return (
        f'<text{text} x="0" y="{y + BAR - 2}">{escape(name)}</text>'
        f'<rect class="{"o" if ours else "b"}" x="{NAME_WIDTH}" y="{y}" width="{length:.1f}" '
        f'height="{BAR}" rx="2"/>'
        f'<text{text} x="{NAME_WIDTH + length + 6:.1f}" y="{y + BAR - 2}">{rate:,.0f}</text>'
    )
