"""What a stylesheet or a script refers to, where it can be replaced without a doubt.

In CSS that is `url(...)`, `@import "..."` and the comment `sourceMappingURL`. In JavaScript it is what
names a module: `import ... from "./x.js"`, `import "./x.js"`, `export ... from "./x.js"`,
`import("./x.js")`, and `sourceMappingURL`. Comments and strings are told apart from code first. In a
script where they cannot be, because its quotes and brackets do not come out even, nothing but
`sourceMappingURL` is replaced.

Only references that are relative to the file count: `img/a.png`, `../a.png`, in a script `./a.js`. What
begins with a slash or a scheme, `data:` and `#fragment` stay as they are.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

CSS: Final = (".css",)
SCRIPTS: Final = (".js", ".mjs")

# https://www.w3.org/TR/css-syntax-3/: comments and strings are tokens, and so is url( without quotes.
_STRING: Final = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
_CSS: Final = re.compile(
    rf"""
      /\*\#\ *sourceMappingURL=(?P<map>[^\s*]+)\s*\*/
    | /\*.*?(?:\*/|\Z)
    | (?<![\w-]) url\(\s*(?: (?P<url>{_STRING}) | (?P<bare>[^\s"'()\\]+) )\s*\)
    | @import\s+(?P<import>{_STRING})
    | {_STRING}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

_MAP: Final = re.compile(r"^//# sourceMappingURL=(?P<map>\S+)[ \t]*$", re.MULTILINE)

# The tokens of a script that may hide or hold a reference, and the code between them.
_SCRIPT: Final = re.compile(
    rf"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<string> {_STRING} )
    | (?P<quote> ["'`] )
    | (?P<slash> / )
    | (?P<open> [(\[{{] )
    | (?P<close> [)\]}}] )
    | (?P<word> [\w$]+ )
    | (?P<space> \s+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX: Final = re.compile(r"/(?![*/])(?:[^\\/\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_TEMPLATE: Final = re.compile(r"[^`\\$]+|\\.|\$(?!\{)", re.DOTALL)

_BEFORE_REGEX: Final = frozenset(
    (
        "await",
        "case",
        "delete",
        "do",
        "else",
        "in",
        "instanceof",
        "of",
        "return",
        "throw",
        "typeof",
        "void",
        "yield",
    )
)
"""Words after which a slash begins a regular expression, and does not divide."""

_CLAUSE: Final = frozenset("{},*")
"""What stands between `import` or `export` and `from`, beside words."""


class Reference(NamedTuple):
    """A reference in a file."""

    start: int
    stop: int
    """Where its text begins and ends, without quotes."""

    name: str
    """Of the file that it refers to, relative to the root of all files."""

    suffix: str
    """The query or fragment that follows."""


def references(name: str, text: str) -> list[Reference]:
    """Return what a file of that name refers to, in order."""
    extension = posixpath.splitext(name)[1].lower()
    found: list[tuple[int, int]] = []
    if extension in CSS:
        found = list(_in_css(text))
    elif extension in SCRIPTS:
        maps = [match.span("map") for match in _MAP.finditer(text)][-1:]
        try:
            found = [*_Script(text).modules(), *maps]
        except (ValueError, RecursionError):
            found = maps
    made = (_reference(name, text, start, stop) for start, stop in sorted(found))
    return [reference for reference in made if reference is not None]


def replaced(text: str, found: list[Reference], to: Callable[[str], str | None]) -> str:
    """Return the text with other names in the references, where `to` gives one.

    The text that replaces one has the directories of the old one: `../img/a.png` becomes
    `../img/a.1234.png`.
    """
    parts: list[str] = []
    at = 0
    for reference in found:
        new = to(reference.name)
        if new is None:
            continue
        before = text[reference.start : reference.stop]
        path = before[: len(before) - len(reference.suffix)]
        directory = path[: path.rfind("/") + 1]
        parts += (
            text[at : reference.start],
            directory + quote(posixpath.basename(new)),
            reference.suffix,
        )
        at = reference.stop
    return "".join([*parts, text[at:]])


def _reference(name: str, text: str, start: int, stop: int) -> Reference | None:
    value = text[start:stop]
    if not value or value[0] in "/#?" or "\\" in value or re.match(r"[A-Za-z][\w+.-]*:", value):
        return None
    path = re.split(r"[?#]", value, maxsplit=1)[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path)))
    if target in (".", "..") or target.startswith("../") or path.endswith("/"):
        return None
    return Reference(start, stop, target, value[len(path) :])


def _in_css(text: str) -> Iterator[tuple[int, int]]:
    for match in _CSS.finditer(text):
        kind = match.lastgroup
        if kind in ("map", "bare"):
            yield match.span(kind)
        elif kind in ("url", "import"):
            start, stop = match.span(kind)
            yield start + 1, stop - 1


class _Script:
    """A script, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[str] = []

    def modules(self) -> Iterator[tuple[int, int]]:
        """Give where the names of modules stand.

        Raises:
            ValueError: strings and code cannot be told apart.
        """
        found = []
        before: list[str] = []  # tokens of code since the last import or export
        last = ""
        for kind, start, stop in self._tokens():
            token = self._text[start:stop]
            if kind == "string":
                if _names_module(before, last) and token[1:2] == ".":
                    found.append((start + 1, stop - 1))
                before = []
            elif kind == "word" and token in ("import", "export") and last != ".":
                before = [token]
            elif before:
                before.append(token)
                if kind not in ("word", "open", "close") and token not in _CLAUSE:
                    before = []
            last = token
        if self._open:
            raise ValueError("brackets do not come out even")
        yield from found

    def _tokens(self) -> Iterator[tuple[str, int, int]]:
        text = self._text
        last = ""
        while self._at < len(text):
            match = _SCRIPT.match(text, self._at)
            assert match is not None
            kind, start = str(match.lastgroup), self._at
            self._at = match.end()
            token = match[0]
            if kind == "quote":
                if match[0] != "`":
                    raise ValueError("a quote without its other one")
                yield from self._template()
                kind = "template"
            elif kind == "slash" and _may_begin_regex(last):
                regex = _REGEX.match(text, start)
                if regex is None:
                    raise ValueError("neither a division nor a regular expression")
                self._at = regex.end()
                kind = "regex"
            elif kind == "open":
                self._open.append(token)
            elif kind == "close":
                self._shut(token)
            if kind in ("comment", "space"):
                continue
            yield kind, start, self._at
            last = token if kind in ("word", "close", "open", "other", "slash") else "value"

    def _shut(self, bracket: str) -> None:
        if not self._open or self._open.pop() + bracket not in ("()", "[]", "{}"):
            raise ValueError("brackets do not come out even")

    def _template(self) -> Iterator[tuple[str, int, int]]:
        """Give the tokens of the code within a template, up to its end."""
        text = self._text
        while self._at < len(text):
            if text[self._at] == "`":
                self._at += 1
                return
            if text.startswith("${", self._at):
                self._at += 2
                yield from self._substitution()
                continue
            match = _TEMPLATE.match(text, self._at)
            if match is None:
                break
            self._at = match.end()
        raise ValueError("a template without an end")

    def _substitution(self) -> Iterator[tuple[str, int, int]]:
        depth = len(self._open)
        self._open.append("{")
        for token in self._tokens():
            yield token
            if len(self._open) == depth:
                return
        raise ValueError("a substitution without an end")


def _names_module(before: list[str], last: str) -> bool:
    """Whether a string names a module, by the tokens from `import` or `export` on."""
    if not before:
        return False
    if before in (["import"], ["import", "("]):
        return True
    return last == "from" and len(before) > 2


def _may_begin_regex(last: str) -> bool:
    """Whether a slash after that token begins a regular expression.

    After `)` and `}` it may do either; then it counts as a division, and a quote in the expression
    shows in what follows.
    """
    if not last:
        return True
    if last[0].isalnum() or last[0] in "_$":
        return last in _BEFORE_REGEX
    return last not in (")", "]", "}")
