"""What a comparison has found, as a table and lists."""

from __future__ import annotations

from collections import Counter, defaultdict

from .inputs import Input

CELL = 10
"""Least width of a column."""

SHOWN = 40
SHOWN_BYTES = 400
"""Differences that are not understood, and bytes of each."""

_SERVED, _REFUSED = " served", " refused"

LEGEND = """
Of a parser: connections that it takes whole. Of a proxy: requests that it has forwarded and that
Breezeway has served + refused."""


class Report:
    """Counts, and differences."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._parsers = ["sent"]
        self._proxies: list[str] = []
        self.understood: Counter[tuple[str, str]] = Counter()
        """Who reads otherwise, and why."""
        self.unexplained: list[tuple[str, Input, str]] = []
        """Who reads otherwise, and how."""

    def count(self, each: Input, parser: str, *, takes: bool) -> None:
        """Count an input, and whether a parser takes it; `sent` is a parser that takes all."""
        if parser not in self._parsers:
            self._parsers.append(parser)
        self._rows[_group(each)][parser] += takes

    def count_forwarded(self, each: Input, proxy: str, served: int, refused: int) -> None:
        """Count the requests of an input that a proxy has forwarded."""
        if proxy not in self._proxies:
            self._proxies.append(proxy)
        self._rows[_group(each)][proxy + _SERVED] += served
        self._rows[_group(each)][proxy + _REFUSED] += refused

    def note(self, who: str, each: Input, told: str, reason: str) -> None:
        """Note a difference."""
        if reason:
            self.understood[who, reason] += 1
        else:
            self.unexplained.append((who, each, told))

    def print(self) -> None:
        """Print the table and the differences."""
        names = [*self._parsers, *self._proxies]
        widths = [max(CELL, len(name)) for name in names]
        first = max(map(len, self._rows))
        self._print_row("", first, names, widths)
        for group, row in self._rows.items():
            cells = [str(row[name]) for name in self._parsers]
            cells += [f"{row[name + _SERVED]}+{row[name + _REFUSED]}" for name in self._proxies]
            self._print_row(group, first, cells, widths)
        print(LEGEND)
        print("\nDifferences that are understood:")
        for (who, reason), count in self.understood.most_common():
            print(f"  {count:5} {who}: {reason}")
        print(f"\nDifferences that are not: {len(self.unexplained)}")
        for who, each, told in self.unexplained[:SHOWN]:
            print(f"  {who}, {each.name}: {told}\n    {each.data[:SHOWN_BYTES]!r}")

    @staticmethod
    def _print_row(group: str, first: int, cells: list[str], widths: list[int]) -> None:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{group:{first}}", *aligned, sep="  ")


def _group(each: Input) -> str:
    parts = each.name.split("/")
    return "/".join(parts[:2]) if parts[0] in ("valid", "invalid") else parts[0]
