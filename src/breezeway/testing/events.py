"""Reading a stream of server-sent events (HTML standard, "Server-sent events")."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as a browser would give it to a script."""

    data: str
    type: str = "message"
    id: str = ""
    """Of this event, or of the last one that had an id."""
    retry: int | None = None
    """Milliseconds; of the last field that named any."""

    def json(self) -> Any:
        """Return the data as JSON; raise ValueError if it is none."""
        return json.loads(self.data)


def lines(blocks: Iterable[bytes], encoding: str = "utf-8") -> Iterator[str]:
    r"""Yield the lines of a text, each as soon as it is there; they end in \r, \n or \r\n."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest = ""
    after_return = False
    for block in blocks:
        text = decoder.decode(block)
        if not text:
            continue
        if (
            after_return
        ):  # a line ended in the last block, and this may be the other half of its end
            text = text.removeprefix("\n")
        after_return = text.endswith("\r")
        *found, rest = (rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from found
    rest += decoder.decode(b"", True)
    if rest:
        yield rest


def events(blocks: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a stream; one that is not complete at the end is dropped."""
    data: list[str] = []
    kind = last_id = ""
    retry: int | None = None
    for number, line in enumerate(lines(blocks)):
        if number == 0:
            line = line.removeprefix("\ufeff")
        if not line:
            if data:
                yield Event("\n".join(data), kind or "message", last_id, retry)
            data, kind = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            last_id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value)
