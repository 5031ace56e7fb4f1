"""The toolkit for the application side: request, response, routing and the rest, on any WSGI server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from breezeway.web.app import App
from breezeway.web.csrf import csrf_field, csrf_token
from breezeway.web.errors import (
    BadRequest,
    Conflict,
    ContentTooLarge,
    Forbidden,
    Gone,
    HTTPError,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthorized,
    UnprocessableContent,
    UnsupportedMediaType,
)
from breezeway.web.flash import flash, flashes
from breezeway.web.group import Group
from breezeway.web.json_encoding import use_json
from breezeway.web.limits import Limits
from breezeway.web.parameters import Between, Body, Cookie, Form, Header, Length, Matches, Query
from breezeway.web.pattern import Converter
from breezeway.web.redirect import OpenRedirect, local_path, redirect
from breezeway.web.request import Request
from breezeway.web.response import Response, json_response, text_response
from breezeway.web.uploads import Upload
from breezeway.web.values import Values

if TYPE_CHECKING:
    from breezeway.web.config import ConfigError, load_config
    from breezeway.web.events import Event, EventStream, last_event_id
    from breezeway.web.files import FileResponse
    from breezeway.web.secret import Secret
    from breezeway.web.static import add_static, static_url
    from breezeway.web.templates import Templates

__all__ = [
    "App",
    "BadRequest",
    "Between",
    "Body",
    "ConfigError",
    "Conflict",
    "ContentTooLarge",
    "Converter",
    "Cookie",
    "Event",
    "EventStream",
    "FileResponse",
    "Forbidden",
    "Form",
    "Gone",
    "Group",
    "HTTPError",
    "Header",
    "Length",
    "Limits",
    "Matches",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "OpenRedirect",
    "PreconditionFailed",
    "Query",
    "Request",
    "Response",
    "Secret",
    "Templates",
    "TooManyRequests",
    "Unauthorized",
    "UnprocessableContent",
    "UnsupportedMediaType",
    "Upload",
    "Values",
    "add_static",
    "csrf_field",
    "csrf_token",
    "flash",
    "flashes",
    "json_response",
    "last_event_id",
    "load_config",
    "local_path",
    "redirect",
    "static_url",
    "text_response",
    "use_json",
]

LATER: Final = {
    "ConfigError": "config",
    "Event": "events",
    "EventStream": "events",
    "FileResponse": "files",
    "Secret": "secret",
    "Templates": "templates",
    "add_static": "static",
    "last_event_id": "events",
    "load_config": "config",
    "static_url": "static",
}
"""What not every application needs, and its module: each is imported when it is first asked for.

None is called like its module, which is an attribute of this package once it is imported.
"""


def __getattr__(name: str) -> Any:
    module = LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *LATER]
