"""What has happened to the server lately: the last lines of the supervisor's log, for who looks on."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from typing import Any, Final

KEPT: Final = 200
"""Lines. A reload takes two, a worker's death one."""

TEXT_CHARACTERS: Final = 2000
"""Of one line; stacks of a worker that hangs are longer, and the log has all of them."""


class Events(logging.Handler):
    """A handler of the logger `breezeway.supervisor`."""

    def __init__(self) -> None:
        """Keep what is logged from here on, until `close`."""
        super().__init__()
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._logger = logging.getLogger("breezeway.supervisor")
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        text = record.getMessage()
        if len(text) > TEXT_CHARACTERS:
            text = text[: TEXT_CHARACTERS - 1] + "…"
        self._kept.append(
            {
                "number": next(self._numbers),
                "time": round(record.created, 3),
                "level": record.levelname.lower(),
                "text": text,
            }
        )

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return those that came after the one with this number, the oldest first."""
        return [each for each in self._kept if each["number"] > number]

    def close(self) -> None:
        """Keep nothing any more."""
        self._logger.removeHandler(self)
        super().close()
