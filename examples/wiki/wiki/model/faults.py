"""Why something cannot be done, for whoever has asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wiki.model.tables import Page


class Refused(Exception):
    """What was entered cannot be; `field` is where, `says` a sentence."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field
        self.says = says


class EditConflict(Exception):
    """Somebody else has saved the page since it was read; `page` is what it is now."""

    def __init__(self, page: Page) -> None:
        super().__init__(page.title)
        self.page = page
