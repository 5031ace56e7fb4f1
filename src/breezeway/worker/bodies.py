"""Bodies that a client holds back until it is told `100 Continue` (RFC 9110 section 10.1.1)."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import IO, TYPE_CHECKING

from breezeway.gateway.failure import ClientGone
from breezeway.gateway.input import AwaitedInput
from breezeway.gateway.types import Environ
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import CHUNKED, CLOSE, Head
from breezeway.http1.response import CONTINUE
from breezeway.worker.body_fetch import BodyFetch
from breezeway.worker.ending import AWAITED, BUSY, Ending
from breezeway.worker.intake import Intake
from breezeway.worker.layer import Channel

if TYPE_CHECKING:
    from breezeway.worker.reactor import Reactor


class Bodies(Ending):
    """A connection's requests with such a body."""

    __slots__ = ("_body", "fetch", "intake")

    def __init__(self, reactor: Reactor, client: Channel, peer: str) -> None:
        """Take the arguments of `Sender`."""
        super().__init__(reactor, client, peer)
        self.intake: Intake | None = None  # of a request that did not come at one go
        self._body: IO[bytes] | None = None  # of the current request, if it is to be closed
        self.fetch: BodyFetch | None = None  # of a body that the client holds back

    def _answer_before_body(self, head: Head, intake: Intake) -> bool:
        """Answer a request whose body is still with the client, who waits for `100 Continue`.

        As many threads as there are may wait for such bodies, in addition to the others. Past that
        the body is received first: a slow client never keeps a thread from anybody else. So is it
        when one thread has to be the only one, and when the body comes in chunks: its
        CONTENT_LENGTH could not be told, and many applications go by that.
        """
        reactor = self.reactor
        intake.expect_body(head)
        threads = reactor.settings.threads
        if threads == 1 or head.length == CHUNKED or reactor.awaited_bodies >= threads:
            self._wait_for_more(intake)
            with contextlib.suppress(ClientGone):
                self.send(CONTINUE)
            return self._read_on()
        with reactor.mutex:
            reactor.awaited_bodies += 1
        self.fetch = BodyFetch()
        environ = head.environ.copy()
        environ["wsgi.input"] = AwaitedInput(partial(self._fetch_body, head.flags))
        return self._answer(environ, head.flags | CLOSE)

    def _fetch_body(self, flags: int) -> IO[bytes]:
        """Ask the client for its body and wait until the event loop has received it.

        Raises:
            ClientGone: it does not come.
        """
        reactor, exchange, fetch = self.reactor, self.exchange, self.fetch
        if exchange is None or fetch is None or exchange.started:
            raise ClientGone("the response has begun, and the client keeps its body")
        if fetch.asked:
            raise ClientGone("the request body did not come when it was asked for")
        reactor.baton.step_aside(exchange)
        self.send(CONTINUE)
        self.last_active = time.monotonic()
        with reactor.mutex:
            self.state = AWAITED
        reactor.enqueue(self)
        reactor.deadlines.schedule(self, time.monotonic() + reactor.settings.body_timeout)
        with reactor.baton.parking():
            body = fetch.wait()
        exchange.flags = flags
        return body

    def deliver(
        self,
        body: IO[bytes] | None,
        error: ClientGone | None,
        refusal: ProtocolError | None = None,
    ) -> None:
        """Give the body, or the reason why there is none, to the thread that waits for it."""
        self._body = body
        self.gone = error is not None and refusal is None
        self.state = BUSY
        if self.fetch is not None:
            self.fetch.finish(body, error, refusal)

    def _end_body(self) -> ProtocolError | None:
        """Close the request's body; return why it was refused, if the client had held it back."""
        if self._body is not None:  # a temporary file must not wait for the garbage collector
            self._body.close()
            self._body = None
        fetch, self.fetch = self.fetch, None
        if fetch is None:
            return None
        self.unread = self.unread or not fetch.asked
        with self.reactor.mutex:
            self.reactor.awaited_bodies -= 1
        return fetch.refusal

    def _answer(self, environ: Environ, flags: int) -> bool:
        """Run the application; False when this thread has lost the baton over it."""
        raise NotImplementedError

    def _read_on(self) -> bool:
        """Receive until there is a complete request or the system has no more."""
        raise NotImplementedError

    def _wait_for_more(self, intake: Intake) -> None:
        """Wait for the rest of a request."""
        raise NotImplementedError
