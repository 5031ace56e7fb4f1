"""What a socket would not take yet: kept in order, and drained by the event loop.

The thread of the application adds, the event loop drains; both hold `lock` meanwhile. A producer
that is far ahead waits on `room`, which the event loop releases when the client has caught up.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections import deque
from typing import Final

from breezeway.gateway.file_wrapper import FileRange
from breezeway.worker.layer import Channel
from breezeway.worker.slow_readers import Pace

SENDFILE_BYTES: Final = 1024 * 1024
"""What one sendfile(2) is asked for, so that no connection keeps the event loop from the others."""


TURN_BYTES: Final = 1024 * 1024
"""After so much the other connections have their turn. A client on the same machine can take a file as
fast as it is sent: with no end to that, two of them kept everybody else waiting for 450 ms."""

MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)  # Linux


class Duplicate:
    """A descriptor of our own for a file, which the application may close at once."""

    __slots__ = ("descriptor", "users")

    def __init__(self, descriptor: int) -> None:
        """Duplicate a descriptor.

        Raises:
            OSError: there is none left.
        """
        self.descriptor = os.dup(descriptor)
        self.users = 0
        """Parts of the file that are still to be sent."""

    @property
    def name(self) -> str:
        """What the file is called in the log."""
        try:
            return repr(os.readlink(f"/proc/self/fd/{self.descriptor}"))
        except OSError:  # not on Linux
            return "the file"

    def release(self) -> None:
        """Do without it for one part; the last one closes it."""
        self.users -= 1
        if not self.users:
            os.close(self.descriptor)


class FilePart:
    """A part of a file that is still to be sent."""

    __slots__ = ("_count", "_file", "_offset")

    def __init__(self, file_range: FileRange, file: Duplicate) -> None:
        """Share `file` with the other parts."""
        file.users += 1
        self._file = file
        self._offset = file_range.offset
        self._count = file_range.length

    def send(self, connection: Channel) -> int:
        """Send what the socket takes; return the number of bytes.

        Raises:
            OSError: BlockingIOError among others.
            EOFError: the file has become shorter, or its disk fails.
        """
        count = min(self._count, SENDFILE_BYTES)
        try:
            if isinstance(connection, socket.socket):
                sent = os.sendfile(connection.fileno(), self._file.descriptor, self._offset, count)
            else:
                sent = connection.send_file(self._file.descriptor, self._offset, count)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ESTALE):  # no socket has these
                raise
            raise EOFError(f"{self._file.name} cannot be read: {error.strerror}") from error
        if not sent:
            raise EOFError(f"{self._file.name} has become shorter while it was sent")
        self._offset += sent
        self._count -= sent
        return sent

    @property
    def left(self) -> int:
        """Bytes of it that were not sent."""
        return self._count

    @property
    def done(self) -> bool:
        """Whether all of it was sent."""
        return not self._count

    def close(self) -> None:
        """Let go of the file."""
        self._file.release()


def rest_of(piece: bytes | memoryview, sent: int) -> memoryview:
    """Return what is left of a piece, in memory of at most twice its size.

    A view keeps all of the object that it shows a part of. So when half of a body has gone, the
    other half is copied, and the application's object is free.
    """
    rest = memoryview(piece)[sent:]
    whole = rest.obj
    if isinstance(whole, bytes) and 2 * rest.nbytes < len(whole):
        return memoryview(bytes(rest))
    return rest


class Outbox:
    """The bytes and file parts that wait for one client."""

    __slots__ = ("_pieces", "counted", "lock", "more", "pace", "room", "size")

    def __init__(self, pace: Pace) -> None:
        """`pace` is told what goes out."""
        self.pace = pace
        self._pieces: deque[memoryview | FilePart] = deque()
        self.size = 0
        """Bytes in memory; those in files do not count."""
        self.counted = 0
        """Bytes for which `Unsent` has made room."""
        self.more = False
        """The socket may take more at once: there will be no event of it."""
        self.lock = threading.Lock()
        self.room: threading.Lock | None = None
        """Held while a producer waits; see `wait_for_room`."""

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._pieces)

    def add(self, *pieces: memoryview | FileRange) -> None:
        """Add pieces at the end; their parts of files are all of one file.

        Raises:
            OSError: there is no descriptor left for the file; nothing was added.
        """
        file = None
        for piece in pieces:
            if isinstance(piece, FileRange):
                file = Duplicate(piece.descriptor)
                break
        for piece in pieces:
            if isinstance(piece, memoryview):
                self._pieces.append(piece)
                self.size += piece.nbytes
            elif file is not None:
                self._pieces.append(FilePart(piece, file))

    def flush(self, connection: Channel) -> bool:
        """Send what the socket takes, but no more than about `TURN_BYTES`; set `more` if it was that.

        Return whether the socket took anything.

        Raises:
            OSError, EOFError: what is left cannot be sent.
        """
        sent = 0
        self.more = False
        try:
            while self._pieces and sent < TURN_BYTES:
                sent += self._send_first(connection)
            self.more = bool(self._pieces)
        except (BlockingIOError, InterruptedError):
            pass
        return sent > 0

    def _send_first(self, connection: Channel) -> int:
        piece = self._pieces[0]
        if isinstance(piece, FilePart):
            sent = piece.send(connection)
            self.pace.sent += sent
            if piece.done:
                piece.close()
                self._pieces.popleft()
            return sent
        # The head of a file leaves together with the file's first bytes.
        sent = connection.send(piece, MSG_MORE if len(self._pieces) > 1 else 0)
        self.size -= sent
        self.pace.sent += sent
        if sent == piece.nbytes:
            self._pieces.popleft()
        else:
            self._pieces[0] = rest_of(piece, sent)
        return sent

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until `make_room` is called; return whether it was, within `timeout` seconds.

        The caller holds `lock`, which is free during the wait.
        """
        room = self.room = threading.Lock()
        room.acquire()
        self.lock.release()
        try:
            return room.acquire(timeout=timeout)
        finally:
            self.lock.acquire()
            self.room = None

    def make_room(self) -> None:
        """Let a producer that waits go on; the caller holds `lock`."""
        if self.room is not None:
            self.room.release()
            self.room = None

    @property
    def waiting(self) -> int:
        """Bytes that wait, those in files included; the caller holds `lock`, or nobody else adds."""
        return self.size + sum(each.left for each in self._pieces if isinstance(each, FilePart))

    def clear(self) -> int:
        """Throw everything away; return how many bytes that was, those in files included."""
        waiting = self.waiting
        for piece in self._pieces:
            if isinstance(piece, FilePart):
                piece.close()
        self._pieces.clear()
        self.size = 0
        return waiting
