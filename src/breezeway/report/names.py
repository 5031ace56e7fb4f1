"""Groups what a log names: paths into routes, and what programs call themselves into programs.

There are as many paths as things in a database, and as many names of programs as versions. What
varies in a path is shown as `{}`.
"""

from __future__ import annotations

import re
from typing import Final

MOST_SEGMENTS: Final = 8
"""Of a path; what is deeper is shown as `/...`."""

MOST_LETTERS: Final = 120
"""Of a route or another name."""

_VARYING: Final = re.compile(
    r"""
    (?<=/) \d+ (?:[-_]\d+)* (?= / | $ | \.[a-z] )                            # 42, 2026-11-22, 7.json
    | (?<=[/.-])
      (?: [0-9a-f]{8} (?:-[0-9a-f]{4}){3} -[0-9a-f]{12}                      # a UUID
        | [0-9a-f]{8,}                                                       # 3f9a01bc, a digest
      ) (?= [/.] | $ )
    | (?<=/) (?=[\w~-]*\d) (?=(?-i:[\w~-]*[A-Z])) [\w~-]{20,} (?= [/.] | $ )  # another token
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""What tells a browser, the first that is there: most name those that they want to be taken for."""

_BOT: Final = re.compile("bot|crawl|spider|slurp", re.IGNORECASE)
_WORD: Final = re.compile(r"[\w.-]+")
_PRODUCT: Final = re.compile(r"[^\s/;(]+")


def path_of(target: str) -> str:
    """Return the path of a request-target, without query and parameters (RFC 9112 section 3.2)."""
    path = target.partition("?")[0].partition(";")[0]
    if not path.startswith("/"):  # absolute-form, or no path at all
        _, scheme, rest = path.partition("://")
        path = f"/{rest.partition('/')[2]}" if scheme else path
    return path


def route_of(path: str) -> str:
    """Return the group of a path: `/users/42/orders` is one of `/users/{}/orders`."""
    head = path[:2048]
    segments = head.split("/", MOST_SEGMENTS + 1)
    if len(segments) > MOST_SEGMENTS + 1:
        head = "/".join((*segments[: MOST_SEGMENTS + 1], "..."))
    return cut(_VARYING.sub("{}", head))


def program_of(agent: str) -> str:
    """Return what program a User-Agent field is of, without its version."""
    agent = agent[:400]
    if agent in ("", "-"):
        return "-"
    if _BOT.search(agent):
        return cut(next(word for word in _WORD.findall(agent) if _BOT.search(word)))
    if agent.startswith("Mozilla/"):
        for sign, name in _BROWSERS:
            if sign in agent:
                return name
    product = _PRODUCT.match(agent)
    return cut(product[0] if product else agent)


def cut(text: str) -> str:
    """Shorten a name to `MOST_LETTERS`."""
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."
