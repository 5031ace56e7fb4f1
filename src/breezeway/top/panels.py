"""The widgets of the screen: panels that are painted, and tables in which a row can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

PAGE_ROWS: Final = 10

Paint = Callable[[int, int], Text]
"""Makes the text for a width and a height."""


class Panel(Widget):
    """Shows what a function paints for its size."""

    def __init__(self, paint: Paint, *, id: str, title: str = "") -> None:
        """Make it; with a title it has a border."""
        super().__init__(id=id, classes="boxed" if title else "")
        self._paint = paint
        self._painted = Text()
        if title:
            self.border_title = title

    def render(self) -> Text:
        """Paint it anew."""
        self._painted = self._paint(*self.content_size)
        return self._painted

    def update(self) -> None:
        """Have it rendered if it would look different; what is the same need not cross the network."""
        new = self._paint(*self.content_size)
        if new != self._painted or new.spans != self._painted.spans:
            self.refresh()


class Table(Panel, can_focus=True):
    """A panel with rows, of which one can be chosen; the choice stays with its row when others move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up"),
        Binding("down,j", "move(1)", "down"),
        Binding("pageup", f"move({-PAGE_ROWS})", "up"),
        Binding("pagedown", f"move({PAGE_ROWS})", "down"),
    ]

    def __init__(self, paint: Callable[[int, int, int], Text], *, id: str, title: str) -> None:
        """`paint` gets the number of the chosen row first, -1 for none."""
        super().__init__(
            lambda width, height: paint(self.chosen, width, height), id=id, title=title
        )
        self._keys: Sequence[Hashable] = ()
        self._key: Hashable = None

    @property
    def chosen(self) -> int:
        """The chosen row; -1 if there is none."""
        return self._keys.index(self._key) if self._key in self._keys else -1

    def show(self, keys: Sequence[Hashable]) -> None:
        """Take new rows, by what tells one from the others."""
        before = self.chosen
        self._keys = keys
        if self._key not in keys:
            self._key = keys[min(max(before, 0), len(keys) - 1)] if keys else None

    def action_move(self, rows: int) -> None:
        """Choose another row."""
        if self._keys:
            self._key = self._keys[min(max(self.chosen + rows, 0), len(self._keys) - 1)]
            self.update()
