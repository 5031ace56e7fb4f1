"""The toolkit for the application side: request, response, routing and the rest, on any WSGI server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from breezeway.web.app import App as App
from breezeway.web.csrf import csrf_field as csrf_field
from breezeway.web.csrf import csrf_token as csrf_token
from breezeway.web.errors import BadRequest as BadRequest
from breezeway.web.errors import Conflict as Conflict
from breezeway.web.errors import ContentTooLarge as ContentTooLarge
from breezeway.web.errors import Forbidden as Forbidden
from breezeway.web.errors import Gone as Gone
from breezeway.web.errors import HTTPError as HTTPError
from breezeway.web.errors import MethodNotAllowed as MethodNotAllowed
from breezeway.web.errors import NotAcceptable as NotAcceptable
from breezeway.web.errors import NotFound as NotFound
from breezeway.web.errors import PreconditionFailed as PreconditionFailed
from breezeway.web.errors import TooManyRequests as TooManyRequests
from breezeway.web.errors import Unauthorized as Unauthorized
from breezeway.web.errors import UnprocessableContent as UnprocessableContent
from breezeway.web.errors import UnsupportedMediaType as UnsupportedMediaType
from breezeway.web.flash import flash as flash
from breezeway.web.flash import flashes as flashes
from breezeway.web.group import Group as Group
from breezeway.web.json_encoding import use_json as use_json
from breezeway.web.limits import Limits as Limits
from breezeway.web.parameters import Between as Between
from breezeway.web.parameters import Body as Body
from breezeway.web.parameters import Cookie as Cookie
from breezeway.web.parameters import Form as Form
from breezeway.web.parameters import Header as Header
from breezeway.web.parameters import Length as Length
from breezeway.web.parameters import Matches as Matches
from breezeway.web.parameters import Query as Query
from breezeway.web.pattern import Converter as Converter
from breezeway.web.redirect import OpenRedirect as OpenRedirect
from breezeway.web.redirect import local_path as local_path
from breezeway.web.redirect import redirect as redirect
from breezeway.web.request import Request as Request
from breezeway.web.response import Response as Response
from breezeway.web.response import json_response as json_response
from breezeway.web.response import text_response as text_response
from breezeway.web.uploads import Upload as Upload
from breezeway.web.values import Values as Values

if TYPE_CHECKING:
    from breezeway.web.config import ConfigError as ConfigError
    from breezeway.web.config import load_config as load_config
    from breezeway.web.events import Event as Event
    from breezeway.web.events import EventStream as EventStream
    from breezeway.web.events import last_event_id as last_event_id
    from breezeway.web.files import FileResponse as FileResponse
    from breezeway.web.secret import Secret as Secret
    from breezeway.web.static import add_static as add_static
    from breezeway.web.static import static_url as static_url
    from breezeway.web.templates import Templates as Templates

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
