"""The page of `Debugger`: made of debugger/failure_page.html, with all that is not ours escaped."""

from __future__ import annotations

import html
import os
import secrets
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from breezeway.middleware.debugger.traceback import Failure, Frame, Raised
from breezeway.middleware.debugger.values import MASK, MASKED, shown


def page(failure: Failure, environ: Mapping[str, Any], path: str, secret: str) -> tuple[str, str]:
    """Return the page of a failure, and the nonce of its style and script.

    `path` is where the page asks for the console, `secret` what names the failure there; there is no
    console if that is empty.
    """
    nonce = secrets.token_urlsafe(16)
    last = failure.raised[-1]
    kind, message = _parted(last.headline)
    text = _template().substitute(
        nonce=nonce,
        path=html.escape(path),
        secret=html.escape(secret),
        title=html.escape(last.headline.partition("\n")[0]),
        kind=html.escape(kind),
        message=html.escape(message),
        request=html.escape(f"{environ['REQUEST_METHOD']} {_path(environ)}"),
        raised=_all_raised(failure.raised, bool(secret)),
        text=html.escape(failure.text),
        environ=_table(_environ(environ)),
    )
    return text, nonce


def _parted(headline: str) -> tuple[str, str]:
    """Return the type and the message; without a message the type stands for it."""
    first, newline, more = headline.partition("\n")
    kind, _, message = first.partition(": ")
    if not message + more:
        return "", kind
    return kind, message + newline + more


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy of the page: its own style and script, and its server."""
    if not nonce:
        return "default-src 'none'"
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _template() -> Template:
    return Template(files(__package__).joinpath("failure_page.html").read_text("utf-8"))


def _path(environ: Mapping[str, Any]) -> str:
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _all_raised(raised: list[Raised], has_console: bool) -> str:
    parts = []
    number = 0
    for each in raised:
        is_last = each is raised[-1]
        if len(raised) > 1:
            parts.append(f'<h2 class="raised">{html.escape(each.headline)}</h2>\n')
        opened: set[tuple[str, int]] = set()
        for place, frame in enumerate(each.frames):
            if each.left_out and place == len(each.frames) // 2:
                parts.append(f'<p class="left-out">{each.left_out} frames are left out</p>\n')
            where = (frame.filename, frame.number)
            is_new = frame.is_own and where not in opened  # of a recursion, once
            is_open = is_last and (is_new or place == len(each.frames) - 1)
            opened.add(where)
            parts.append(_frame(frame, number, is_open, has_console))
            number += 1
        if each.relation:
            parts.append(f'<p class="relation">This {each.relation}.</p>\n')
    return "".join(parts)


def _frame(frame: Frame, number: int, is_open: bool, has_console: bool) -> str:
    name = os.path.basename(frame.filename)
    directory = frame.filename.removesuffix(name)
    lines = "".join(
        f'<span class="line{" now" if line.is_current else ""}">'
        f"<i>{line.number}</i>{html.escape(line.text) or ' '}\n</span>"
        for line in frame.lines
    )
    source = f"<pre>{lines}</pre>" if lines else '<p class="left-out">The source is not there.</p>'
    variables = (
        f"<details class=variables><summary>Variables</summary>{_table(frame.variables)}</details>"
        if frame.variables
        else ""
    )
    console = ""
    if has_console:
        console = (
            f'<form class="console" data-frame="{number}" hidden><output></output>'
            '<label><span>&gt;&gt;&gt;</span><input autocomplete="off" spellcheck="false"'
            ' autocapitalize="off" aria-label="Python in this frame"></label></form>'
            '<button type="button" class="opens-console">Console</button>'
        )
    return (
        f'<details class="frame{"" if frame.is_own else " library"}"{" open" if is_open else ""}>'
        f"<summary><code>{html.escape(frame.function)}</code> "
        f'<span class="place"><span>{html.escape(directory)}</span>'
        f"<b>{html.escape(name)}</b>:{frame.number}</span></summary>\n"
        f"{source}{variables}{console}</details>\n"
    )


def _environ(environ: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in sorted(environ.items(), key=lambda item: str(item[0])):
        yield str(key), shown(MASK if key in MASKED else value)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>\n"
        for name, value in rows
    )
    return f"<table>{''.join(cells)}</table>"
