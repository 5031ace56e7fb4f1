"""`OpenTelemetry`: a span and a duration for each request, through the OpenTelemetry API."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.closing import Observed
from breezeway.middleware.opentelemetry.attributes import (
    METHODS,
    SECRETS,
    at_the_beginning,
    at_the_end,
)
from breezeway.middleware.option_checks import listed
from breezeway.middleware.stack import unset

NAME: Final = "breezeway"

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: what the conventions advise for http.server.request.duration."""

ROUTE_KEY: Final = "breezeway.route"

LOOK_SECONDS: Final = 1.0
"""While nobody has set a provider, this often it is looked for."""

log = logging.getLogger("breezeway.middleware")


class OpenTelemetry:
    """Makes a span for each request, and records its duration, by the HTTP semantic conventions.

    Spans go to the global tracer provider, `http.server.request.duration` to the global meter provider;
    which those are is the application's choice (the SDK, or what its operator starts it with). The context
    of the caller is read by the global propagator, usually from `traceparent` (W3C Trace Context).

    The span is current while the application is called, while it makes each block, and while it is
    closed, and at no other time: between blocks the thread is the server's. It ends when the response
    does: that of a list or a file when the application returns it, anything else when it is closed.
    A 5xx and an exception make it an error; a client that leaves is an event of it.

    What a client can choose freely is no label of the metric and no name of a span. Secrets in the query
    are redacted.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        skip: Iterable[str] = (),
        redact: Iterable[str] = (),
        route: str = ROUTE_KEY,
    ) -> None:
        """Check and prepare.

        `skip` lists paths (PATH_INFO, exactly) whose requests get no span and no duration. `redact` lists
        parameters of the query whose values are hidden, beside the usual ones; case does not matter.
        `route` is the key of the environ in which the framework leaves the pattern of the route.

        Raises:
            ValueError: an option is wrong, or the package opentelemetry-api is not installed.
        """
        if not isinstance(route, str) or not route:
            raise ValueError(f"route must be a key of the environ, not {route!r}")
        self.application = application
        self._skip = frozenset(listed("skip", skip))
        self._secrets = frozenset([*SECRETS, *(name.lower() for name in listed("redact", redact))])
        self._route = route
        self._import()
        self._report = self._end  # bound once
        self._is_idle = True
        self._look_at = 0.0

    def _import(self) -> None:
        try:
            from opentelemetry import context, metrics, propagate, trace
            from opentelemetry.propagators.textmap import Getter
        except ImportError:
            raise ValueError(
                "OpenTelemetry needs the package opentelemetry-api: pip install 'breezeway[opentelemetry]'"
            ) from None

        class EnvironGetter(Getter[WSGIEnvironment]):
            def get(self, carrier: WSGIEnvironment, key: str) -> list[str] | None:
                value = carrier.get("HTTP_" + key.upper().replace("-", "_"))
                return None if value is None else [value]

            def keys(self, carrier: WSGIEnvironment) -> list[str]:
                return [
                    key[5:].lower().replace("_", "-") for key in carrier if key.startswith("HTTP_")
                ]

        self._getter = EnvironGetter()
        self._extract = propagate.extract
        self._providers: tuple[Callable[[], object], ...] = (
            trace.get_tracer_provider,
            metrics.get_meter_provider,
        )
        self._tracer = trace.get_tracer(NAME)
        self._kind = trace.SpanKind.SERVER
        self._error = trace.StatusCode.ERROR
        self._with_span = trace.set_span_in_context
        self.attach, self.detach = context.attach, context.detach
        self.current = context.get_current
        name, text = "http.server.request.duration", "Duration of HTTP server requests."
        create: Any = metrics.get_meter(NAME).create_histogram
        try:
            made = create(name, "s", text, explicit_bucket_boundaries_advisory=BOUNDS)
        except TypeError:  # an API before 1.30
            made = create(name, "s", text)
        self._record = made.record

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") in self._skip:
            return self.application(environ, start_response)
        if self._is_idle and self._stays_idle() and "HTTP_TRACEPARENT" not in environ:
            return self.application(environ, start_response)
        seen = _Traced(environ, start_response, self._report)
        seen.api = self
        parent = self._extract(environ, getter=self._getter)
        method = seen.method
        seen.span = self._tracer.start_span(
            method if method in METHODS else "HTTP",
            parent,
            self._kind,
            at_the_beginning(seen, self._secrets),
        )
        seen.context = self._with_span(seen.span, parent)
        token = self.attach(seen.context)
        try:
            return seen.call(self.application)
        finally:
            seen.context = self.current()
            self.detach(token)

    def _stays_idle(self) -> bool:
        """Tell whether nobody has set a provider yet: all there is is what the API itself brings."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            modules = [type(provider()).__module__ for provider in self._providers]
            own = ("opentelemetry.trace", "opentelemetry.metrics")
            self._is_idle = all(module.startswith(own) for module in modules)
        return self._is_idle

    def _end(self, seen: _Traced) -> None:
        seconds = time.perf_counter() - seen.began
        span = seen.span
        try:
            code = int(seen.code) if seen.code.isdecimal() else 500
            route = str(seen.environ.get(self._route) or "")
            labels = at_the_end(seen, code, route)
            if span.is_recording():
                self._tell(seen, code, route, labels)
            self._record(seconds, labels)
        except Exception:  # nothing here may cost a response
            log.exception("a request could not be traced")
        finally:
            span.end()

    def _tell(self, seen: _Traced, code: int, route: str, labels: dict[str, Any]) -> None:
        span, error = seen.span, seen.error
        span.set_attribute("http.response.status_code", code)
        if route:
            span.set_attribute("http.route", route)
            span.update_name(f"{seen.method if seen.method in METHODS else 'HTTP'} {route}")
        if "error.type" in labels:
            span.set_attribute("error.type", labels["error.type"])
            span.set_status(self._error, None if error is None else str(error))
        if error is not None:
            span.record_exception(error)
        elif seen.left:
            span.add_event("client left")


class _Traced(Observed):
    """One request; `context` is the current one when the application has stopped to go on later."""

    api: OpenTelemetry
    span: Any
    context: Any

    def __iter__(self) -> Iterator[bytes]:
        assert self._blocks is not None
        counts = self.method != "HEAD"
        blocks = None
        while True:
            token = self.api.attach(self.context)
            try:
                blocks = blocks or iter(self._blocks)
                block = next(blocks)
            except StopIteration:
                self._is_whole = True
                return
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                self.context = self.api.current()  # an application may have a span of its own open
                self.api.detach(token)
            if counts:
                self.size += len(block)
            yield block

    def close(self) -> None:
        """End the response, with the span."""
        token = self.api.attach(self.context)
        try:
            super().close()
        finally:
            self.api.detach(token)
