"""The access log: one line for each request, in the combined format of Apache and nginx.

The thread that serves only formats the line; a thread of the log's own writes several at a time,
so that a slow disk or terminal never stops a request.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import Any, Final, TextIO

PAUSE_SECONDS: Final = 0.1
"""Lines are written this often: short enough to follow, long enough to write many at once."""

MAX_LINES: Final = 100_000
"""Lines that may wait to be written, some 20 MB; then the newest are dropped and counted."""

_ESCAPES: Final = {
    code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0), 0x22, 0x5C]
}


class AccessLog:
    """Writes to `stream`, by default standard output."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._stopping = threading.Event()
        self._second = 0
        self._timestamp = ""
        self._thread = threading.Thread(
            target=self._write, name="breezeway-access-log", daemon=True
        )
        self._thread.start()

    def record(
        self, peer: str, environ: dict[str, Any], status: int, size: int, seconds: float
    ) -> None:
        """Add the line of one request: status code, bytes of body, duration."""
        if len(self._lines) >= MAX_LINES:
            self._dropped += 1
            return
        now = int(time.time())
        if now != self._second:
            self._timestamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
            self._second = now
        get = environ.get
        self._lines.append(
            f'{peer} - - [{self._timestamp}] "{_quoted(get("REQUEST_METHOD", "-"))} '
            f'{_quoted(get("RAW_URI", "-"))} {_quoted(get("SERVER_PROTOCOL", "-"))}" '
            f'{status or "-"} {size} "{_quoted(get("HTTP_REFERER", "-"))}" '
            f'"{_quoted(get("HTTP_USER_AGENT", "-"))}" '
            f"{seconds * 1000:.1f}ms\n"
        )

    def _write(self) -> None:
        while True:
            stopping = self._stopping.wait(PAUSE_SECONDS)
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if self._dropped:
                lines.append(f"# {self._dropped} lines dropped\n")
                self._dropped = 0
            try:
                if lines:
                    self._stream.write("".join(lines))
                    self._stream.flush()
            except (OSError, ValueError):
                self._dropped += len(lines)
            if stopping:
                return

    def close(self) -> None:
        """Write what is left; wait at most a second for it."""
        self._stopping.set()
        self._thread.join(1.0)


def _quoted(value: object) -> str:
    """Escape what could end a quoted field or the line; an application may have left anything."""
    text = str(value)
    return text if text.isprintable() and '"' not in text else text.translate(_ESCAPES)
