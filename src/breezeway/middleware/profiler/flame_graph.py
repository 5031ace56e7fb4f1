"""A page with a flame graph: one file, which asks no other host for anything.

The tree goes in as JSON, in which `<` is escaped, so that no name of a function or of a path can end the
script; the script puts it on the page as text alone. Without JavaScript there is a table.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from breezeway.middleware.profiler.engine import LEAST_SHARE, Node

MOST_ROWS: Final = 40
"""Of the table: functions that took the most time themselves."""

_STYLE: Final = """
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem; }
h1 { font-size: 1.2rem; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; margin: 0 0 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; } dl div { display: flex; gap: .4rem; }
#graph { position: relative; overflow: hidden; }
#graph button { position: absolute; box-sizing: border-box; height: 19px; padding: 0 3px; border: 0;
  border-right: 1px solid Canvas; border-radius: 2px; font: 12px/19px ui-monospace, monospace;
  text-align: left; white-space: nowrap; overflow: hidden; color: #1b1b1b; cursor: pointer; }
#graph button:focus-visible { outline: 2px solid Highlight; z-index: 1; }
#said { min-height: 3em; margin: .6rem 0; font: 12px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; font: 12px/1.5 ui-monospace, monospace; }
td, th { padding: .1rem .8rem .1rem 0; text-align: left; overflow-wrap: anywhere; }
td:first-child { text-align: right; white-space: nowrap; }
"""

_SCRIPT: Final = """
"use strict";
const [tree, graph, said] = ["tree", "graph", "said"].map((id) => document.getElementById(id));
const root = JSON.parse(tree.textContent);
const LINE = 20;
const ms = (seconds) => (seconds * 1000).toFixed(2) + " ms";
function colour(text) {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + char.codePointAt(0)) >>> 0;
  return `hsl(${sum % 55} 85% ${62 + (sum >> 8) % 14}%)`;
}
function tell([name, place, seconds]) {
  const share = root[2] ? (100 * seconds / root[2]).toFixed(1) : "0";
  said.textContent = `${name}  ${ms(seconds)}, ${share} %\\n${place}`;
}
function draw(focus, way) {
  graph.replaceChildren();
  let lowest = 0;
  const put = (node, left, width, line, above) => {
    lowest = Math.max(lowest, line);
    const bar = document.createElement("button");
    bar.textContent = node[0];
    bar.style.cssText = `left:${left}%;width:${width}%;top:${line * LINE}px`;
    bar.style.background = colour(node[1] || node[0]);
    bar.onmouseenter = bar.onfocus = () => tell(node);
    bar.onclick = () => {
      draw(node, above);
      graph.children[above.length].focus();  // the keyboard goes on from there
    };
    graph.append(bar);
  };
  way.forEach((node, line) => put(node, 0, 100, line, way.slice(0, line)));
  const grow = (node, left, width, line, above) => {
    if (width < 0.05) return;
    put(node, left, width, line, above);
    for (const child of node[3]) {
      const its = node[2] ? width * child[2] / node[2] : 0;
      grow(child, left, its, line + 1, [...above, node]);
      left += its;
    }
  };
  grow(focus, 0, 100, way.length, way);
  graph.style.height = (lowest + 1) * LINE + "px";
  tell(focus);
}
said.style.whiteSpace = "pre-wrap";
draw(root, []);
"""


def page(title: str, facts: Mapping[str, str], tree: Node) -> bytes:
    """Return the page; `facts` stand above the graph, names and values, without those that are empty."""
    nonce = secrets.token_urlsafe(16)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'"
    told = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
        if value
    )
    rows = "".join(
        f"<tr><td>{seconds * 1000:.2f} ms</td><td>{escape(name)}</td><td>{escape(place)}</td></tr>"
        for (name, place), seconds in _own_times(tree)
    )
    data = json.dumps(_plain(tree), separators=(",", ":")).replace("<", "\\u003c")
    text = (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><dl>{told}</dl>"
        '<div id="graph"></div><div id="said"></div>'
        "<h2>Where the time was spent</h2>"
        f"<table><tr><th>own time</th><th>function</th><th>place</th></tr>{rows}</table>"
        f'<script id="tree" type="application/json" nonce="{nonce}">{data}</script>'
        f'<script nonce="{nonce}">{_SCRIPT}</script></body></html>\n'
    )
    return text.encode(errors="backslashreplace")


def _plain(node: Node) -> list[Any]:
    return [node.name, node.place, round(node.seconds, 7), [_plain(each) for each in node.children]]


def _own_times(tree: Node) -> list[tuple[tuple[str, str], float]]:
    """Return the functions that took the most time themselves, over all the ways to them."""
    own: defaultdict[tuple[str, str], float] = defaultdict(float)
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        own[node.name, node.place] += node.seconds - sum(each.seconds for each in node.children)
        waiting += node.children
    own.pop((tree.name, tree.place), None)
    least = tree.seconds * LEAST_SHARE
    rows = [item for item in own.items() if item[1] > least]
    return sorted(rows, key=lambda item: -item[1])[:MOST_ROWS]
