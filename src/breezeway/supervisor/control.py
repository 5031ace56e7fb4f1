"""The control socket: one JSON line asks for something, JSON lines answer. See docs/control.md.

    > {"command": "reload"}
    < {"progress": "worker 4712 is ready", "done": 1, "total": 2}
    < {"progress": "worker 4713 is ready", "done": 2, "total": 2}
    < {"ok": true, "result": {"generation": 2}}

Everything runs in the supervisor's loop and nothing waits there: sockets do not block, and what a
client can make us keep has a bound in number, in bytes and in time. What a client sends is read as
hostile; the worst that it gets is an error line and the end of its connection.

A client has one operation at a time; further lines wait. An operation belongs to the supervisor:
it goes on when the client that asked for it has left, and its answers go nowhere then.

Only the user that runs the supervisor, and root, may talk to it. The mode of the socket's file,
0600 from its first moment, keeps others out, and the kernel's word on who they are (SO_PEERCRED)
does so once more, for a directory may have been moved, or the file's mode changed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import Any, Final, NoReturn, Protocol

from breezeway.errors import BindError, UsageError, UserError
from breezeway.worker import listener

logger = logging.getLogger("breezeway.supervisor")

CLIENTS: Final = 16
"""Clients at a time. Operators, a deploy script and a monitor are three."""

REQUEST_BYTES: Final = 64 * 1024
"""Longest request line. The longest command there is takes some 40 bytes."""

OUTPUT_BYTES: Final = 16 * 1024 * 1024
"""What may wait for one client. The stacks of 1000 threads are about 3 MiB."""

PROGRESS_BYTES: Final = 64 * 1024
"""A client that is so far behind misses progress; an answer it gets all the same."""

IDLE_SECONDS: Final = 60.0
"""A client that asks nothing, or does not read its answer, is dropped after this."""

FULL_SECONDS: Final = 1.0
"""Pause of accepting after the system had no file descriptor or memory for one more client."""

LAST_SECONDS: Final = 1.0
"""What `close` spends on bringing the last answers to the clients."""

BACKLOG: Final = 16
RECEIVE_BYTES: Final = 16 * 1024

_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred of unix(7): pid, uid, gid."""


class Caller(Protocol):
    """Who asked for an operation: told any number of times how it goes, and once how it ended."""

    def progress(self, text: str, done: int, total: int) -> None:
        """Tell how far it is: `done` steps of `total`, and in words what has just been done."""

    def succeed(self, result: dict[str, Any]) -> None:
        """Tell that it is done; `result` is what JSON can hold."""

    def fail(self, error: str) -> None:
        """Tell that it failed, and why, in words; several lines are welcome."""


Execute = Callable[[dict[str, Any], Caller], None]


class Clients:
    """Those who speak the protocol, as part of the loop around `selector`.

    Each registration's data is a callable that takes the event mask. The loop calls `expire` now
    and then, for the limits of time.
    """

    def __init__(
        self,
        selector: BaseSelector,
        execute: Execute,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`execute` gets each request, an object with a "command".

        It returns at once and answers through its caller, now or later; a `UserError` that it
        raises is the answer, too.
        """
        self.execute = execute
        self.clock = clock
        self.selector = selector
        self.clients: set[_Client] = set()

    def adopt(self, sock: socket.socket) -> None:
        """Take a connected socket, whose other end is a process of ours: it may be idle for ever."""
        sock.setblocking(False)
        _Client(self, sock, idle_seconds=float("inf"))

    def expire(self) -> float | None:
        """Drop the clients that have been idle for too long.

        Returns the seconds until there can be something to do here again, None for never.
        """
        now = self.clock()
        for client in [each for each in self.clients if each.deadline <= now]:
            client.close()
        nearest = min((client.deadline for client in self.clients), default=float("inf"))
        return None if nearest == float("inf") else max(nearest - now, 0.0)

    def close(self) -> None:
        """Bring the last answers to the clients.

        Whoever waits for an operation is told that it does not come to an end any more.
        """
        ends = time.monotonic() + LAST_SECONDS
        for client in list(self.clients):
            client.finish(ends)

    def close_in_child(self) -> None:
        """Close the descriptors that came with a fork; parent, loop and file stay as they are.

        Without this a worker would keep the connections of clients open. Nothing is unregistered:
        with epoll, that would take effect in the parent.
        """
        for client in self.clients:
            client.sock.close()
        self.clients.clear()


class ControlServer(Clients):
    """Listens on the control socket."""

    def __init__(
        self,
        path: str,
        selector: BaseSelector,
        execute: Execute,
        *,
        take_over: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the socket at `path`; the other arguments are those of `Clients`.

        With `take_over` the socket of a live predecessor, from which this process has taken over,
        is replaced; the predecessor leaves ours alone when it closes.

        Raises `BindError` if the socket cannot be had, such as when somebody else listens there.
        """
        super().__init__(selector, execute, clock=clock)
        self._resume: float | None = None
        self._listen(path, take_over=take_over)

    @property
    def is_lost(self) -> bool:
        """Whether the socket's file is there no more, so that nobody finds it."""
        return self._listener.is_lost

    def move(self, path: str) -> None:
        """Listen at `path` instead; who is connected stays so.

        Raises `BindError` if that cannot be had; everything stays as it is.
        """
        old = self._listener
        self._listen(path)
        self._stop_listening(old)

    def _listen(self, path: str, *, take_over: bool = False) -> None:
        self._listener = _bind(path, take_over=take_over)
        self.path = os.path.abspath(path)
        self.selector.register(self._listener.socket, EVENT_READ, self._accept)

    def _stop_listening(self, found: listener.Listener) -> None:
        if self._resume is None:
            _unregister(self.selector, found.socket)
        self._resume = None
        found.close()

    def expire(self) -> float | None:
        """Do so for the pause of accepting as well."""
        due = super().expire()
        if self._resume is None:
            return due
        left = self._resume - self.clock()
        if left > 0:
            return left if due is None else min(left, due)
        self._resume = None
        self.selector.register(self._listener.socket, EVENT_READ, self._accept)
        return due

    def close(self) -> None:
        """Do so, and remove the socket's file if it is still ours."""
        super().close()
        self._stop_listening(self._listener)

    def close_in_child(self) -> None:
        """Close the listener as well."""
        super().close_in_child()
        self._listener.socket.close()

    def _accept(self, _: int) -> None:
        # Not until there is nothing more: the loop has other business, and will call again.
        for _ in range(CLIENTS):
            try:
                sock, _address = self._listener.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # It would be reported again at once, and for ever.
                logger.warning("the control socket takes no client: %s", error.strerror)
                self.selector.unregister(self._listener.socket)
                self._resume = self.clock() + FULL_SECONDS
                return
            sock.setblocking(False)
            self._welcome(sock)

    def _welcome(self, sock: socket.socket) -> None:
        client = _Client(self, sock)
        uid = _peer_uid(sock)
        if uid is not None and uid not in (os.geteuid(), 0):
            logger.warning("user %d was refused at the control socket", uid)
            client.refuse("only root and the user that runs this server may control it")
        elif len(self.clients) > CLIENTS:
            client.refuse(f"there are {CLIENTS} clients already")


class _Client:
    """One connection."""

    def __init__(
        self, server: Clients, sock: socket.socket, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.sock = sock
        self._idle_seconds = idle_seconds
        self._server = server
        self._input = bytearray()
        self._output = bytearray()
        self._busy = False
        """An operation of this client is under way."""
        self._working = False
        """`_work` runs; an answer that comes meanwhile must not start it again."""
        self._at_end = False
        """The client sends nothing more; it may still read."""
        self._ending = False
        """Nothing more is read, and the connection ends when all is sent."""
        self._closed = False
        self._registered = 0
        self._active = server.clock()
        server.clients.add(self)
        self._watch()

    @property
    def deadline(self) -> float:
        """When it has been idle for too long; nobody is while an operation is under way."""
        waiting = self._busy and not self._output
        return float("inf") if waiting else self._active + self._idle_seconds

    def send(self, message: dict[str, Any]) -> None:
        """Queue a line, and send what can be sent."""
        if self._closed:
            return
        line = json.dumps(message).encode() + b"\n"
        if len(line) > OUTPUT_BYTES:
            error = f"the answer is larger than {OUTPUT_BYTES} bytes"
            line = json.dumps({"ok": False, "error": error}).encode() + b"\n"
        if len(self._output) + len(line) > OUTPUT_BYTES:
            self.close()  # it asks and asks, and never reads
            return
        self._output += line
        self._flush()

    def progress(self, message: dict[str, Any]) -> None:
        """Send a line that may be left out."""
        if len(self._output) <= PROGRESS_BYTES:
            self.send(message)

    def answer(self, message: dict[str, Any]) -> None:
        """Send the line that ends an operation, and go on to the next request."""
        self._busy = False
        self._active = self._server.clock()
        self.send(message)
        if not self._working:
            self._work()

    def refuse(self, error: str) -> None:
        """Send an error, and end the connection."""
        self._ending = True
        self._input.clear()
        self.send({"ok": False, "error": error})
        self._watch()

    def finish(self, ends: float) -> None:
        """Send what is left, waiting until `ends` at most, and close."""
        if self._busy:
            self._ending = True
            self.answer({"ok": False, "error": "the supervisor ended before this was done"})
        if not self._closed and self._output:
            with contextlib.suppress(OSError):
                # 0 would mean not to block: what the client takes at once it gets in any case.
                self.sock.settimeout(max(ends - time.monotonic(), 0.0))
                self.sock.sendall(self._output)
        self.close()

    def close(self) -> None:
        """End the connection now; an operation goes on without it."""
        if self._closed:
            return
        self._closed = True
        if self._registered:
            _unregister(self._server.selector, self.sock)
        self._server.clients.discard(self)
        self._input.clear()
        self._output.clear()
        self.sock.close()

    def _on_event(self, mask: int) -> None:
        if mask & EVENT_WRITE:
            self._flush()
        if mask & EVENT_READ and not self._closed:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        if data:
            self._active = self._server.clock()
            self._input += data
        else:
            self._at_end = True
        self._work()

    def _work(self) -> None:
        """Take request after request out of the input."""
        self._working = True
        while not (self._busy or self._ending or self._closed):
            line, newline, _ = self._input.partition(b"\n")
            if len(line) > REQUEST_BYTES:
                self.refuse(f"a request must not be longer than {REQUEST_BYTES} bytes")
            elif newline:
                del self._input[: len(line) + 1]
                self._begin(bytes(line))
            elif line and self._at_end:
                self.refuse("this request is not complete: it has to end with a newline")
            else:
                break
        self._working = False
        if self._at_end and not self._busy:
            self._ending = True
        self._watch()

    def _begin(self, line: bytes) -> None:
        self._busy = True
        caller = _Operation(self)
        try:
            self._server.execute(_parse(line), caller)
        except UserError as error:
            caller.fail(f"{error.detail}{error.message}\n{error.hint}".rstrip())
        except Exception:
            # Whatever it is, the workers' supervisor must not end of it.
            logger.exception("a command on the control socket failed")
            caller.fail("an internal error; the server's log has the traceback")

    def _flush(self) -> None:
        try:
            while self._output:
                sent = self.sock.send(self._output)
                del self._output[:sent]
                self._active = self._server.clock()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
        self._watch()

    def _watch(self) -> None:
        """Register for what there is to wait for; close when that is nothing more."""
        if self._closed:
            return
        if self._ending and not self._busy and not self._output:
            self.close()
            return
        events = EVENT_WRITE if self._output else 0
        if not (self._at_end or self._ending) and len(self._input) <= REQUEST_BYTES:
            events |= EVENT_READ
        if events == self._registered:
            return
        selector = self._server.selector
        if not self._registered:
            selector.register(self.sock, events, self._on_event)
        elif events:
            selector.modify(self.sock, events, self._on_event)
        else:
            selector.unregister(self.sock)
        self._registered = events


class _Operation:
    """One request of a client, as the supervisor sees it; after its end it says nothing more."""

    __slots__ = ("_client",)

    def __init__(self, client: _Client) -> None:
        self._client: _Client | None = client

    def progress(self, text: str, done: int, total: int) -> None:
        if self._client is not None:
            self._client.progress({"progress": text, "done": done, "total": total})

    def succeed(self, result: dict[str, Any]) -> None:
        try:
            json.dumps(result)
        except (TypeError, ValueError):
            logger.exception("a result of a command on the control socket is not JSON")
            self.fail("an internal error; the server's log has the traceback")
        else:
            self._end({"ok": True, "result": result})

    def fail(self, error: str) -> None:
        self._end({"ok": False, "error": error})

    def _end(self, answer: dict[str, Any]) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.answer(answer)


def _parse(line: bytes) -> dict[str, Any]:
    """Read one request; raise `UsageError` with a sentence if it is none."""
    try:
        # As text, for json.loads() would take bytes for UTF-16 or UTF-32 if they look like it.
        request = json.loads(
            line.decode(), object_pairs_hook=_object, parse_constant=_no_such_number
        )
    except (ValueError, RecursionError):
        raise UsageError("this is not a line of JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        raise UsageError('a request is an object with a "command"')
    return request


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values for one name, one would be ignored: which one, readers disagree.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same name twice")
    return found


def _no_such_number(text: str) -> NoReturn:
    raise ValueError(text)  # NaN and Infinity, which are Python's and not JSON


def _peer_uid(sock: socket.socket) -> int | None:
    """Return the user of the process that connected; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    found = sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1])


def _bind(given: str, *, take_over: bool) -> listener.Listener:
    if not given or "\0" in given:
        raise UsageError(f"--control-socket {given!r} is not a path")
    path = os.path.abspath(given)
    if take_over:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
    # A umask is the whole process's; the supervisor has one thread.
    umask = os.umask(0o177)
    try:
        return listener.bind(f"unix:{path}", backlog=BACKLOG, unix_mode=None)
    except BindError as error:
        text = error.message.replace("(--bind)", "(--control-socket)", 1)
        raise BindError(text, error.hint) from None
    finally:
        os.umask(umask)


def _unregister(selector: BaseSelector, sock: socket.socket) -> None:
    with contextlib.suppress(KeyError, ValueError, RuntimeError):  # the loop may be closed already
        selector.unregister(sock)
