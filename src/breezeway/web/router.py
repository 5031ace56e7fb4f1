"""The tree of routes: from a path to what answers it, at a cost that does not grow with their number.

Each node stands for the segments so far. A plain segment is found in a dictionary; variables are tried
in the order of their rank, `int` before `str`, and the plain one before all; what was tried in vain is
taken back. Paths without variables are found in one look at a table of whole paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from breezeway.web.pattern import Pattern, Segment

E = TypeVar("E")


@dataclass(slots=True)
class Leaf(Generic[E]):
    """What there is at the end of a path, by method."""

    pattern: Pattern
    """The first that ends here; others may have other names for the variables."""
    endpoints: dict[str, E] = field(default_factory=dict)

    @property
    def allow(self) -> str:
        """The field Allow: every method, HEAD where there is GET, and OPTIONS."""
        methods = {*self.endpoints, "OPTIONS"}
        if "GET" in methods:
            methods.add("HEAD")
        return ", ".join(sorted(methods))


@dataclass(slots=True)
class _Node(Generic[E]):
    plain: dict[str, _Node[E]] = field(default_factory=dict)
    variables: list[tuple[Segment, _Node[E]]] = field(default_factory=list)
    leaf: Leaf[E] | None = None


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
        node = self._root
        for segment in pattern.segments[1:]:
            node = self._below(node, segment)
        if node.leaf is None:
            node.leaf = Leaf(pattern)
            if all(isinstance(segment, str) for segment in pattern.segments):
                self._whole[pattern.text] = node.leaf
        leaf = node.leaf
        if method in leaf.endpoints:
            same = f" (there as {leaf.pattern.text})" if leaf.pattern.text != pattern.text else ""
            raise ConflictError(
                f"{method} {pattern.text} is there twice{same}", leaf.endpoints[method]
            )
        leaf.endpoints[method] = endpoint

    def _below(self, node: _Node[E], segment: str | Segment) -> _Node[E]:
        if isinstance(segment, str):
            return node.plain.setdefault(segment, _Node())
        for other, child in node.variables:
            if other.key == segment.key:
                return child
        child = _Node()
        node.variables.append((segment, child))
        node.variables.sort(key=lambda each: each[0].rank)
        return child

    def find(self, path: str) -> tuple[Leaf[E], tuple[Any, ...]] | None:
        """Return the leaf of a path, and the values of its variables in order; None if there is none."""
        leaf = self._whole.get(path)
        if leaf is not None:
            return leaf, ()
        return _find(self._root, path.split("/"), 1, ())

    def leaves(self) -> Iterator[Leaf[E]]:
        """Go over all that there is."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if node.leaf is not None:
                yield node.leaf
            nodes += node.plain.values()
            nodes += (child for _, child in node.variables)


def _find(
    node: _Node[E], segments: list[str], at: int, values: tuple[Any, ...]
) -> tuple[Leaf[E], tuple[Any, ...]] | None:
    end = len(segments)
    while at < end:
        segment = segments[at]
        child = node.plain.get(segment)
        if not node.variables:
            if child is None:
                return None
            node = child
            at += 1
            continue
        if child is not None:
            found = _find(child, segments, at + 1, values)
            if found is not None:
                return found
        return _find_variable(node, segments, at, values)
    return None if node.leaf is None else (node.leaf, values)


def _find_variable(
    node: _Node[E], segments: list[str], at: int, values: tuple[Any, ...]
) -> tuple[Leaf[E], tuple[Any, ...]] | None:
    for segment, child in node.variables:
        try:
            if segment.is_rest:
                if child.leaf is not None:
                    return child.leaf, values + segment.parse("/".join(segments[at:]))
                continue
            more = segment.parse(segments[at])
        except ValueError:
            continue
        if at + 1 == len(segments):
            if child.leaf is not None:
                return child.leaf, values + more
            continue
        found = _find(child, segments, at + 1, values + more)
        if found is not None:
            return found
    return None
