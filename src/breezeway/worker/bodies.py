"""Bodies that come after the application was called, or not at all.

- A client may hold its body back until it is told `100 Continue` (RFC 9110 section 10.1.1): that is
  sent when the application reads, so that it can refuse a body unsent.
- Below a path of `--stream-body` the application reads the body as it comes. The event loop receives
  only while a thread waits for it, and no more than `--body-memory`: what the application does not
  read stays with the system, and then with the client.

In both cases the thread that waits is parked: another one may start in its place, so that a slow
client never keeps a thread from anybody else.
"""

from __future__ import annotations

import contextlib
import errno
import time
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from breezeway.gateway.failure import ClientGone
from breezeway.gateway.input import AwaitedInput
from breezeway.gateway.streamed_input import StreamedInput
from breezeway.gateway.types import Environ
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import CHUNKED, CLOSE, Head
from breezeway.http1.response import CONTINUE, plain_answer
from breezeway.observe.entry import COMPLETE
from breezeway.worker import time_limits
from breezeway.worker.body_fetch import BodyFetch, BodyStream
from breezeway.worker.ending import (
    AWAITED,
    BODY,
    BODY_RECEIVE_BYTES,
    BUSY,
    HEAD,
    IDLE,
    READ_SECONDS,
    RETRY_AFTER,
    Ending,
)
from breezeway.worker.intake import Intake, Request
from breezeway.worker.layer import Channel

if TYPE_CHECKING:
    from breezeway.gateway.exchange import Exchange
    from breezeway.worker.reactor import Reactor

NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Of the process or the system, not of the disk: over in a moment, perhaps."""

LEAST_PIECE_BYTES: Final = 8 * 1024
"""As much of a streamed body is received at a time however small `--body-memory` is: each piece costs
two hand-offs between threads, some 100 us."""


class Bodies(Ending):
    """A connection's requests with such a body."""

    __slots__ = ("_body", "_met", "fetch", "intake")

    def __init__(self, reactor: Reactor, client: Channel, peer: str) -> None:
        """Take the arguments of `Sender`."""
        super().__init__(reactor, client, peer)
        self.intake: Intake | None = None  # of a request that did not come at one go
        self._body: IO[bytes] | None = None  # of the current request, if it is to be closed
        self.fetch: BodyFetch | BodyStream | None = None  # of a body that is still to come
        self._met = self.layer is None  # it is known who the client is

    @property
    def only_blank(self) -> bool:
        """Whether nothing came after the last request but the CRLF that some send after a body."""
        return self.exchange is not None and self.intake is not None and self.intake.blank

    def _meet(self, request: Request | None = None) -> bool:
        """Learn who the client is as soon as a layer can tell, and count the connection for it.

        `request` is what has come, if it is complete. Returns False when the client has too many
        connections already: then it is told so, if it understands an answer yet.
        """
        layer = self.layer
        host = layer.client if layer is not None else None
        self._met = layer is None or layer.ready or host is not None
        if host is None or (host or "unix") == self.peer:
            return True
        self.peer = host or "unix"
        try:
            self.reactor.admission.move(self, host)
        except ProtocolError as error:
            if layer is not None and not layer.ready:
                self.close()
                return False
            intake = self.intake
            if intake is not None:
                self.request = self.introduced(request.head if request else intake.begun())
            bodiless = intake is not None and intake.method_head
            self._last_words(error.status, error.reason, bodiless=bodiless)
            return False
        return True

    def dismiss(self, text: str) -> None:
        """Tell the client of half a head that it cannot be served now, without waiting, and close."""
        intake = self.intake
        if intake is not None:
            self.request = self.introduced(intake.begun())
        bodiless = intake is not None and intake.method_head
        ending = RETRY_AFTER + self.reactor.encoder.ending
        answer = plain_answer(503, text, ending, bodiless=bodiless)
        self.enter_own(answer, 503, began=time.monotonic())
        with contextlib.suppress(OSError):
            self.socket.send(answer)
            self.record(COMPLETE)
        self.close()

    def _answer_before_body(self, head: Head, intake: Intake) -> bool:
        """Answer a request whose body is still to come.

        As many threads as there are may wait for such bodies, in addition to the others. Past that
        the body is received first. So is it when one thread has to be the only one, and when a
        withheld body comes in chunks: its CONTENT_LENGTH could not be told, and many applications
        go by that, unless they are made for streams.
        """
        reactor = self.reactor
        withheld = not intake.in_body
        if withheld:
            intake.expect_body(head)
        threads = reactor.settings.threads
        by_length = head.length == CHUNKED and not intake.streamed
        if threads == 1 or by_length or reactor.awaited_bodies >= threads:
            return self._collect(intake, withheld=withheld)
        with reactor.mutex:
            reactor.awaited_bodies += 1
        environ = head.environ.copy()
        if intake.streamed:
            self.fetch = stream = BodyStream(withheld=withheld)
            read = partial(self._fetch_piece, head.flags, stream)
            environ["wsgi.input"] = StreamedInput(read, intake.ahead())
            if head.length == CHUNKED:
                environ["breezeway.trailers"] = stream.trailers
        else:
            self.fetch = BodyFetch()
            environ["wsgi.input"] = AwaitedInput(partial(self._fetch_body, head.flags))
        return self._answer(environ, head.flags | CLOSE)

    def _collect(self, intake: Intake, *, withheld: bool) -> bool:
        """Receive the body before the application is called, after all."""
        try:
            intake.collect()
        except OSError as error:
            self._refuse_unkept(error)
            return True
        self._wait_for_more(intake)
        if withheld:
            with contextlib.suppress(ClientGone):
                self.send(CONTINUE)
        return self._read_on()

    def _refuse_unkept(self, error: OSError) -> None:
        """Refuse a request whose body the system does not keep.

        507 (RFC 4918 section 11.5) for all that a disk may say: it is full (ENOSPC), a quota is used
        up (EDQUOT), the file may not be larger (EFBIG), the disk is read-only, or fails.
        """
        refusal = ProtocolError(507, "the server has no room for the request body")
        if error.errno in NO_DESCRIPTOR:
            refusal = ProtocolError(503, "the server is busy; try again in a moment")
        self.refuse(refusal, f"cannot keep the request body: {error.strerror or error}")

    # --- for the thread that reads ---------------------------------------------------------------

    def _fetch_body(self, flags: int) -> IO[bytes]:
        """Ask the client for its body and wait until the event loop has received it.

        Raises:
            ClientGone: it does not come.
        """
        exchange, fetch = self.exchange, self.fetch
        if exchange is None or not isinstance(fetch, BodyFetch) or exchange.started:
            raise ClientGone("the response has begun, and the client keeps its body")
        if fetch.asked:
            raise ClientGone("the request body did not come when it was asked for")
        fetch.asked = True
        self._await(fetch)
        with self.reactor.baton.parking():
            body: IO[bytes] = fetch.wait()
        self._keep_open(exchange, fetch, flags)
        return body

    def _fetch_piece(self, flags: int, stream: BodyStream) -> bytes:
        """Wait for the next piece of a streamed body; nothing is its end.

        Raises:
            ClientGone: it does not come.
        """
        if stream.ended:
            return b""
        exchange = self.exchange
        if exchange is None or stream is not self.fetch:
            raise ClientGone("the request is over")
        if stream.failed:
            raise ClientGone("the request body did not come")
        if stream.withheld and exchange.started:
            raise ClientGone("the response has begun, and the client keeps its body")
        self._await(stream)
        with self.reactor.baton.parking():
            piece: bytes = stream.wait()
        if stream.ended:
            self._keep_open(exchange, stream, flags)
        return piece

    def begins(self) -> None:
        """Do what `Transport.begins` says."""
        fetch = self.fetch
        if fetch is not None:
            with fetch.mutex:
                fetch.answered = True

    @staticmethod
    def _keep_open(exchange: Exchange, fetch: BodyFetch | BodyStream, flags: int) -> None:
        """Let the connection go on after a body that is all there, unless the client was told."""
        with fetch.mutex:
            if not fetch.answered and not flags & CLOSE:
                exchange.flags &= ~CLOSE

    def _await(self, fetch: BodyFetch | BodyStream) -> None:
        """Have the event loop receive what the thread is going to wait for.

        Raises:
            ClientGone: the client has left.
        """
        reactor, intake = self.reactor, self.intake
        assert intake is not None
        reactor.baton.step_aside(self.exchange)
        if fetch.withheld:
            with fetch.mutex:
                if fetch.answered:
                    raise ClientGone("the response has begun, and the client keeps its body")
                fetch.withheld = False
                self.send(CONTINUE)
        self.last_active = now = time.monotonic()
        intake.want(now)
        with reactor.mutex:
            if (
                fetch is not self.fetch or self.state != BUSY
            ):  # this is not the request's own thread
                raise ClientGone("the request is over")
            fetch.waited_for = True
            self.state = AWAITED
        reactor.enqueue(self)
        reactor.deadlines.schedule(self, time_limits.body_due(self))

    # --- for the holder of the baton ---------------------------------------------------------------

    def _receive_awaited(self) -> bool:
        """Receive the body that a thread waits for, unless its response is just ending."""
        fetch = self.fetch
        if fetch is not None:
            with fetch.mutex:
                if self.state == AWAITED:
                    if isinstance(fetch, BodyStream):
                        self._receive_piece(fetch)
                        return True
                    answered = self._take_in(b"") if self.intake else None
                    return self._read_on() if answered is None else answered
        self.unread = True
        self.reactor.ready.append(self)
        return True

    def _receive_piece(self, stream: BodyStream) -> None:
        """Receive what is there of a streamed body, and give it to the thread that waits for it."""
        intake = self.intake
        assert intake is not None
        room = max(self.reactor.settings.body_memory, LEAST_PIECE_BYTES)
        ends = time.monotonic() + READ_SECONDS
        pieces: list[bytes] = []
        trailers = None
        while room and trailers is None and (not pieces or time.monotonic() < ends):
            size = min(room, intake.receive_size(BODY_RECEIVE_BYTES, LEAST_PIECE_BYTES))
            try:
                data = self._receive(size)
            except (BlockingIOError, InterruptedError):
                self.unread = self.half_closed
                break
            except OSError as error:
                self._on_receive_error(error)
                return
            if not data:
                self._on_eof()
                return
            self.last_active = self.reactor.now
            room -= len(data)
            self.unread = self.half_closed or len(data) == size
            try:
                content, trailers = intake.take_piece(data)
            except ProtocolError as error:
                self.refuse(error)
                return
            pieces.append(content)
        self._pass_piece(stream, b"".join(pieces), trailers)

    def _pass_piece(
        self, stream: BodyStream, piece: bytes, trailers: list[tuple[str, str]] | None
    ) -> None:
        """Give a piece to the thread, unless it is empty and not the end."""
        intake = self.intake
        assert intake is not None
        if trailers is not None:
            stream.trailers.extend(trailers)
            stream.ended = True
            self.unread = self.unread or bool(intake)
            self._uncount(stream)
        elif not piece:
            if self.unread:
                self.reactor.ready.append(self)
            return
        intake.pause(self.reactor.now)
        self.deliver(piece, None)

    def deliver(
        self,
        body: IO[bytes] | bytes | None,
        error: ClientGone | None,
        refusal: ProtocolError | None = None,
    ) -> None:
        """Give the body, or a piece, or the reason why there is none, to the thread that waits."""
        if not isinstance(body, bytes):
            self._body = body
        self.gone = self.gone or (error is not None and refusal is None)
        with self.reactor.mutex:
            fetch = self.fetch
            if fetch is None or self.state != AWAITED:  # the request has just ended
                return
            self.state = BUSY
            fetch.waited_for = False
        fetch.finish(body, error, refusal)

    def _on_eof(self) -> bool:
        """Act on the client's end of input."""
        begun = self.state in (HEAD, BODY) and not self.only_blank
        exchange = self.exchange
        if self.state == AWAITED and exchange is not None:
            begun = not exchange.started
        if begun:
            self.refuse(ProtocolError(400, "the request was cut short"))
        else:
            self._lose()
        return True

    def _lose(self) -> None:
        """Give up a connection that the client has ended."""
        if self.state == AWAITED:
            self.deliver(None, ClientGone("the client has left in the middle of its body"))
            return
        if self.state == BODY and self.intake is not None:
            self.enter_lost(self.intake.begun())
        self.close()

    def _end_body(self) -> ProtocolError | None:
        """Close the request's body; return why it was refused, if it was while it came."""
        if self._body is not None:  # a temporary file must not wait for the garbage collector
            self._body.close()
            self._body = None
        fetch = self.fetch
        if fetch is None:
            return None
        with fetch.mutex, self.reactor.mutex:
            self.fetch = None
            waited_for, fetch.waited_for = fetch.waited_for, False
            if self.state == AWAITED:
                self.state = BUSY
        if isinstance(fetch, BodyFetch):
            if not fetch.asked:
                self.unread = True
        elif not fetch.ended:
            self.unread = True
        self._uncount(fetch)
        if waited_for:  # by a thread of the application's own
            fetch.finish(None, ClientGone("the request is over"), None)
        return fetch.refusal

    def state_at_rest(self) -> int:
        """Return the state between two requests: HEAD when some of the next one is here already.

        Then what comes belongs behind it; in IDLE the fast path would take it for a request.
        """
        return HEAD if self.intake else IDLE

    def forget_request(self) -> None:
        """Let go of everything about the last request and what was received of the next."""
        if self.intake is not None:
            self.intake.close()
        self._end_body()
        self.head = self.request = self.intake = self.exchange = None

    def _uncount(self, fetch: BodyFetch | BodyStream) -> None:
        with self.reactor.mutex:
            self.reactor.awaited_bodies -= fetch.counted
            fetch.counted = False

    def _answer(self, environ: Environ, flags: int) -> bool:
        """Run the application; False when this thread has lost the baton over it."""
        raise NotImplementedError

    def _take_in(self, data: bytes) -> bool | None:
        """Add to the input; answer the request if it is complete; None if it is not."""
        raise NotImplementedError

    def _read_on(self) -> bool:
        """Receive until there is a complete request or the system has no more."""
        raise NotImplementedError

    def _wait_for_more(self, intake: Intake) -> None:
        """Wait for the rest of a request."""
        raise NotImplementedError

    def _on_receive_error(self, error: OSError) -> bool:
        """Act on an error of the socket."""
        raise NotImplementedError

    def refuse(self, error: ProtocolError, why: str = "") -> None:
        """Answer a request that cannot be served as it stands, and close."""
        raise NotImplementedError
