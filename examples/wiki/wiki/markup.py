"""From what people write to HTML: Markdown without HTML in it, and links to pages as `[[Title]]`.

A link or picture without a path, `![A cat](cat.png)`, is a file of the page itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup, escape

from wiki.model.pages import MARK, UNMARK, slug_of

Url = Callable[[str], str]

_OWN_FILE = re.compile(r"[^/:?#\\]+")
"""A target that is the name of a file of the page, percent-encoded: no path, no scheme, no query."""


def rendered(
    source: str, *, page_url: Url, file_url: Url, known: Callable[[set[str]], set[str]]
) -> Markup:
    """Return a page as HTML.

    `page_url` makes the URL of a page of its slug, `file_url` that of a file of this page of its name;
    `known` says which slugs have a page: links to the others look otherwise.
    """
    tokens = _MARKDOWN.parse(source)
    inner = [child for token in tokens for child in token.children or ()]
    wiki_links = [token for token in inner if token.type == "wiki_link"]
    there = known({token.meta["slug"] for token in wiki_links})
    for token in wiki_links:
        token.attrs["href"] = page_url(token.meta["slug"])
        if token.meta["slug"] not in there:
            token.attrs["class"] = "missing"
            token.attrs["title"] = "This page is not there yet"
    for token in inner:
        if token.type == "link_open":
            _point(token, "href", file_url)
            if "//" in str(token.attrs["href"]):
                token.attrs["rel"] = "nofollow ugc"
        if token.type == "image":
            _point(token, "src", file_url)
            token.attrs["loading"] = "lazy"
    # The library escapes all text and attributes, and HTML is switched off.
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704


def _point(token: Token, attribute: str, file_url: Url) -> None:
    target = str(token.attrs.get(attribute, ""))
    if _OWN_FILE.fullmatch(target):
        token.attrs[attribute] = file_url(unquote(target))


def highlighted(excerpt: str) -> Markup:
    """Return an excerpt of the search as HTML."""
    safe = str(escape(excerpt)).replace(MARK, "<mark>").replace(UNMARK, "</mark>")
    return Markup(safe)  # noqa: S704


def _wiki_link(state: StateInline, silent: bool) -> bool:
    """Read `[[Title]]` or `[[Title|other words]]`."""
    if not state.src.startswith("[[", state.pos):
        return False
    end = state.src.find("]]", state.pos + 2)
    inside = state.src[state.pos + 2 : end]
    title, _, words = inside.partition("|")
    slug = slug_of(title)
    if end < 0 or "\n" in inside or not slug:
        return False
    if not silent:
        token = state.push("wiki_link", "a", 0)
        token.content = words.strip() or title.strip()
        token.meta = {"slug": slug}
    state.pos = end + 2
    return True


def _write_wiki_link(renderer: Any, tokens: list[Token], at: int, *_: Any) -> str:
    token = tokens[at]
    return f"<a{renderer.renderAttrs(token)}>{escape(token.content)}</a>"


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.inline.ruler.before("link", "wiki_link", _wiki_link)
    markdown.add_render_rule("wiki_link", _write_wiki_link)
    return markdown


_MARKDOWN = _markdown()
