"""Lines of the access log to systemd's journal, by its native protocol: a datagram with fields.

The lines that come here are JSON objects. Each member is a field of its own, so that
`journalctl BREEZEWAY_STATUS=500` finds them; MESSAGE is for people. Behind the object and a tab may
be the line that MESSAGE is to be.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from breezeway.observe.access_options import FORMATS, JSON
from breezeway.observe.access_syslog import BATCH_BYTES, WAIT_SECONDS, send_each
from breezeway.observe.access_target import Unmarked, first_lines
from breezeway.observe.entry import Entry

if TYPE_CHECKING:
    from breezeway.observe.access_lines import Lines

SOCKET: Final = "/run/systemd/journal/socket"

PREFIX: Final = "BREEZEWAY_"
"""In front of the name of a member."""

MESSAGE: Final = "MESSAGE"

MESSAGE_BYTES: Final = 16 * 1024
FIELD_BYTES: Final = 3 * 1024
"""What is longer is cut, so that a whole datagram has its bound: journald drops one that is cut in a field,
and with it the line, which a client must not be able to bring about."""

INFORMATIONAL, WARNING = 6, 4
"""Priorities (syslog(3)) of responses, and of those with 5xx or that have not ended well."""

_BESIDE: Final = "\t"
"""Between the object and the message: neither has one, but as an escape."""


def lines_of(form: str, objects: Lines) -> Lines:
    """Return what makes lines for `Journal`: objects, and the message if the format has atoms."""
    if form in FORMATS:
        if form != JSON:
            return objects
        return lambda entries, thread: [
            f"{each[:-1]}{_BESIDE}{each}" for each in objects(entries, thread)
        ]
    from breezeway.observe import access_atoms

    messages = access_atoms.lines_of(form, keep=False)  # the objects have the note

    def lines(entries: list[Entry], thread: str) -> list[str]:
        pairs = zip(objects(entries, thread), messages(entries, thread), strict=True)
        return [f"{each[:-1]}{_BESIDE}{message}" for each, message in pairs]

    return lines


class Journal(Unmarked):
    """The journal of this machine."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def write(self, lines: memoryview) -> int:
        """Send some of them.

        Raises:
            OSError: there is no journal, or it takes nothing.
        """
        batch = first_lines(lines, BATCH_BYTES)
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.settimeout(WAIT_SECONDS)
            self._socket.connect(self._path)
            return send_each(self._socket, batch, _messages(bytes(batch)))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _messages(lines: bytes) -> Iterator[bytes]:
    for line in lines.decode(errors="replace").split("\n")[:-1]:
        fields = _fields(*line.partition(_BESIDE)[::2])
        yield b"".join(_field(name, value) for name, value in fields.items())


def _field(name: str, value: object) -> bytes:
    most = MESSAGE_BYTES if name == MESSAGE else FIELD_BYTES
    data = str(value).encode(errors="backslashreplace")
    if len(data) > most:
        data = data[:most].decode(errors="ignore").encode()
    return b"%b=%b\n" % (name.encode(), data)


def _fields(text: str, message: str) -> dict[str, object]:
    """Return the fields of one message; a line that is no object is a message alone."""
    fields: dict[str, object] = {"SYSLOG_IDENTIFIER": "breezeway", "PRIORITY": INFORMATIONAL}
    try:
        members = json.loads(text)
    except ValueError:
        return {MESSAGE: text, **fields}
    get = members.get
    if get("status", 0) >= 500 or get("outcome", "complete") != "complete":
        fields["PRIORITY"] = WARNING
    for name, value in members.items():
        if not str(value).isprintable():  # a line feed would begin a field
            members[name] = json.dumps(value)[1:-1]
        fields[PREFIX + name.upper()] = members[name]
    if "status" not in members:  # it tells of lines that were lost
        message = text
    if not message:
        milliseconds = get("duration_us", 0) / 1000
        message = (
            f"{get('client', '-')} {get('method', '-')} {get('target', '-')}"
            f" {get('status', 0)} {get('bytes_out', 0)} {milliseconds:.1f}ms"
        )
    return {MESSAGE: message, **fields}
