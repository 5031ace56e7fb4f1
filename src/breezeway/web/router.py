"""The tree of routes: from a path to what answers it, at a cost that does not grow with their number.

Each node stands for the segments so far. A plain segment is found in a dictionary; variables are tried
in the order of their rank, `int` before `str`, and the plain one before all; last comes what is mounted
there. What was tried in vain is taken back. Paths without variables are found in one look at a table of
whole paths.

Routes may be added while other threads look for one: whatever they walk through is replaced, not changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Generic, TypeVar
from wsgiref.types import WSGIApplication

from breezeway.web.pattern import NO_MATCH, Pattern, Segment

E = TypeVar("E")


# Plain classes here and beside: making a dataclass takes half a millisecond, which each start would pay.


class Leaf(Generic[E]):
    """What there is at the end of a path, by method; or all below it, if it is mounted."""

    __slots__ = ("endpoints", "mounted", "pattern")

    def __init__(self, pattern: Pattern, mounted: WSGIApplication | None = None) -> None:
        self.pattern = pattern
        """The first that ends here; others may have other names for the variables."""
        self.endpoints: dict[str, E] = {}
        self.mounted = mounted

    def endpoint(self, method: str) -> E | None:
        """Return what answers a method; for HEAD that is what answers GET, if it has none itself."""
        found = self.endpoints.get(method)
        return self.endpoints.get("GET") if found is None and method == "HEAD" else found

    @property
    def methods(self) -> set[str]:
        """Every method: HEAD where there is GET, and OPTIONS."""
        return {*self.endpoints, "OPTIONS", *(["HEAD"] if "GET" in self.endpoints else [])}

    @property
    def depth(self) -> int:
        """Segments of the path; an empty prefix has none."""
        return len(self.pattern.segments) - 1

    @property
    def prefix(self) -> str:
        """The path of what is mounted."""
        return "/".join(str(segment) for segment in self.pattern.segments)


class _Node(Generic[E]):
    __slots__ = ("leaf", "mount", "plain", "variables")

    def __init__(self) -> None:
        self.plain: dict[str, _Node[E]] = {}
        self.variables: tuple[tuple[Segment, _Node[E]], ...] = ()
        self.leaf: Leaf[E] | None = None
        self.mount: Leaf[E] | None = None


Found = tuple[Leaf[E], tuple[Any, ...]]
"""A leaf, and the values of its variables in order."""


class ConflictError(ValueError):
    """Two routes answer the same requests; `other` is the one that was there."""

    def __init__(self, message: str, other: Any) -> None:
        super().__init__(message)
        self.other = other


class Router(Generic[E]):
    """Routes of one host."""

    def __init__(self) -> None:
        self._root: _Node[E] = _Node()
        self._whole: dict[str, Leaf[E]] = {}
        """Leaves of paths without variables, by the path."""

    def add(self, pattern: Pattern, method: str, endpoint: E) -> None:
        """Add a route.

        Raises:
            ConflictError: another one answers the same method of the same paths.
        """
        node = self._node(pattern)
        leaf = node.leaf or Leaf(pattern)
        if method in leaf.endpoints:
            same = f" (there as {leaf.pattern.text})" if leaf.pattern.text != pattern.text else ""
            raise ConflictError(
                f"{method} {pattern.text} is there twice{same}", leaf.endpoints[method]
            )
        leaf.endpoints[method] = endpoint
        node.leaf = leaf
        if not pattern.names:
            self._whole[pattern.text] = leaf

    def mount(self, pattern: Pattern, application: WSGIApplication) -> None:
        """Let an application answer a path and all below it, where no route does.

        Raises:
            ConflictError: another one does already.
        """
        node = self._node(pattern)
        if node.mount is not None:
            raise ConflictError(f"something is mounted at {pattern.text!r} already", None)
        node.mount = Leaf(pattern, mounted=application)

    def _node(self, pattern: Pattern) -> _Node[E]:
        node = self._root
        for segment in pattern.segments[1:]:
            node = _below(node, segment)
        return node

    def find(self, path: str) -> Found[E] | None:
        """Return the leaf of a path, and the values of its variables in order; None if there is none."""
        leaf = self._whole.get(path)
        if leaf is not None:
            return leaf, ()
        segments = path.split("/")
        return None if segments[0] else _find(self._root, segments, 1, ())

    def find_all(self, path: str) -> Iterator[Found[E]]:
        """Go over all leaves of a path, in the order in which they count."""
        segments = path.split("/")
        return iter(()) if segments[0] else _find_all(self._root, segments, 1, ())

    def leaves(self) -> Iterator[Leaf[E]]:
        """Go over all that there is."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            yield from (leaf for leaf in (node.leaf, node.mount) if leaf is not None)
            nodes += node.plain.values()
            nodes += (child for _, child in node.variables)


def _below(node: _Node[E], segment: str | Segment) -> _Node[E]:
    if isinstance(segment, str):
        return node.plain.setdefault(segment, _Node())
    at = bisect_left(node.variables, _order(segment), key=lambda each: _order(each[0]))
    if at < len(node.variables) and node.variables[at][0].key == segment.key:
        return node.variables[at][1]
    child: _Node[E] = _Node()
    node.variables = (*node.variables[:at], (segment, child), *node.variables[at:])
    return child


def _order(segment: Segment) -> Any:
    """Return what a segment is sorted by: of equals, not by the order in which modules are imported."""
    return segment.rank, segment.key


def _find(node: _Node[E], segments: list[str], at: int, values: tuple[Any, ...]) -> Found[E] | None:
    end = len(segments)
    mount = node.mount
    while at < end:
        child = node.plain.get(segments[at])
        if node.variables:
            found = None if child is None else _find(child, segments, at + 1, values)
            if found is None:
                found = _find_variable(node, segments, at, values)
            return found if found is not None or mount is None else (mount, values)
        if child is None:
            break
        node = child
        mount = node.mount or mount
        at += 1
    else:
        if node.leaf is not None:
            return node.leaf, values
    return None if mount is None else (mount, values)


def _find_variable(
    node: _Node[E], segments: list[str], at: int, values: tuple[Any, ...]
) -> Found[E] | None:
    for segment, child in node.variables:
        try:
            if segment.is_rest:
                if child.leaf is not None:
                    return child.leaf, values + segment.parse("/".join(segments[at:]))
                continue
            more = segment.parse(segments[at])
        except NO_MATCH:
            continue
        if at + 1 == len(segments):
            if child.leaf is not None:
                return child.leaf, values + more
            continue
        found = _find(child, segments, at + 1, values + more)
        if found is not None:
            return found
    return None


def _find_all(
    node: _Node[E], segments: list[str], at: int, values: tuple[Any, ...]
) -> Iterator[Found[E]]:
    """Do what `_find` does, and go on; for the rare path that is there with another method."""
    if at == len(segments):
        if node.leaf is not None:
            yield node.leaf, values
    else:
        child = node.plain.get(segments[at])
        if child is not None:
            yield from _find_all(child, segments, at + 1, values)
        for segment, below in node.variables:
            try:
                rest = "/".join(segments[at:]) if segment.is_rest else segments[at]
                more = segment.parse(rest)
            except NO_MATCH:
                continue
            after = len(segments) if segment.is_rest else at + 1
            yield from _find_all(below, segments, after, values + more)
    if node.mount is not None:
        yield node.mount, values
