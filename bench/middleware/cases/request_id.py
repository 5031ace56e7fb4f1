"""RequestId beside the few lines that people write themselves around uuid4."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from case import Application, Case

from breezeway.middleware import RequestId

current: ContextVar[str] = ContextVar("current")


def by_uuid4(application: Application) -> Application:
    """Give each request an id, in the environ, the response and a context variable."""

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = environ.get("HTTP_X_REQUEST_ID") or str(uuid4())
        environ["request_id"] = request_id
        current.set(request_id)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Request-ID", request_id)], exc_info)

        return application(environ, start)

    return called


def cases() -> list[Case]:
    """Return the cases of this piece."""
    trace = {"HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    return [
        Case("request_id", "a new id", RequestId, "uuid4 by hand", by_uuid4),
        Case("request_id", "a trace continued", RequestId, environ=trace),
    ]
