"""For the `logging` of an application: the request that a thread answers, and lines like the server's.

`RequestFilter` gives records the request, `JSONFormatter` and `TextFormatter` make of a record what the
server makes of its own (`docs/logs.md`).
"""

from __future__ import annotations

from breezeway.gateway.current import RequestFilter as RequestFilter
from breezeway.observe.log_format import JSONFormatter as JSONFormatter
from breezeway.observe.log_format import TextFormatter as TextFormatter

__all__ = ["JSONFormatter", "RequestFilter", "TextFormatter"]
