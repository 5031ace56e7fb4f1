"""What the CORS protocol says for one part of a site: checked once, and the fields made beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.option_checks import flag, texts, whole
from breezeway.semantics.fields import Headers
from breezeway.semantics.origins import ANY, NULL, Origins

SAFELISTED_FIELDS: Final = ("Accept", "Accept-Language", "Content-Language", "Content-Type")
"""Which a page may send without permission, as long as their values are simple (Fetch section 2.2.2)."""

MOST_REQUEST_FIELDS: Final = 4096
"""Characters of Access-Control-Request-Headers that are repeated when any may be sent."""

# field-name = token                                                       RFC 9110 section 5.6.2
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TOKENS: Final = re.compile(rf"{_TOKEN.pattern}(?:[ \t]*,[ \t]*{_TOKEN.pattern})*")

_PREFLIGHT_VARY: Final = (
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers,"
    " Access-Control-Request-Private-Network"
)

_VARY: Final = (("Vary", "Origin"),)


class Rule:
    """The permissions of one part of a site."""

    def __init__(
        self,
        *,
        origins: str | Iterable[str],
        credentials: bool,
        methods: str | Iterable[str],
        headers: str | Iterable[str],
        expose: str | Iterable[str],
        max_age: int,
        private_network: bool,
    ) -> None:
        """Take the options of `Cors`; raise ValueError."""
        self._credentials: Final = flag("credentials", credentials)
        self._any, self._origins = _origins(origins, credentials)
        any_exposed = _names("expose", expose)
        if any_exposed == ANY and credentials:
            raise ValueError("expose: with credentials, * is a name like any: list the fields")
        more = [("Access-Control-Allow-Credentials", "true")] if self._credentials else []
        if any_exposed:
            more.append(("Access-Control-Expose-Headers", any_exposed))
        self._more: Final = tuple(more)
        self.varies: Final = not self._any
        """Whether responses are not the same for every origin."""
        self.idle: Final[tuple[tuple[str, str], ...]] = self.fields(ANY) if self._any else _VARY
        """What a response gets whose request names no origin."""
        self._known = {origin: self._allowed(origin) for origin in self._origins.exact}
        self._methods: Final = _methods(methods)
        self._headers: Final = _names("headers", headers, SAFELISTED_FIELDS)
        self._max_age: Final = str(whole("max_age", max_age, 0, unit="seconds"))
        self._private_network: Final = flag("private_network", private_network)

    def allows(self, origin: str) -> bool:
        """Whether an origin is let in."""
        return self._any or origin in self._origins

    def fields(self, origin: str) -> tuple[tuple[str, str], ...]:
        """Return what the response to a request of an origin gets."""
        if self._any:
            return (("Access-Control-Allow-Origin", ANY), *self._more)
        known = self._known.get(origin)
        if known is not None:
            return known
        return self._allowed(origin) if origin in self._origins else _VARY

    def _allowed(self, origin: str) -> tuple[tuple[str, str], ...]:
        return (("Access-Control-Allow-Origin", origin), *self._more, *_VARY)

    def preflight(self, origin: str, environ: WSGIEnvironment) -> Headers:
        """Return the fields of the answer to a preflight (Fetch section 3.3).

        The methods and fields that may be sent are all listed whichever is asked for: a browser
        compares them itself, says which is missing, and keeps the list for other requests.
        """
        fields = [("Vary", _PREFLIGHT_VARY)]
        if not self.allows(origin):
            return fields
        fields.append(("Access-Control-Allow-Origin", ANY if self._any else origin))
        if self._credentials:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        method = environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"]
        if self._methods != ANY:
            fields.append(("Access-Control-Allow-Methods", self._methods))
        elif _TOKEN.fullmatch(method):
            fields.append(("Access-Control-Allow-Methods", method))
        wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        if self._headers != ANY:
            fields.append(("Access-Control-Allow-Headers", self._headers))
        # Each by its name: a literal * would leave out Authorization, and be none with credentials.
        elif len(wanted) <= MOST_REQUEST_FIELDS and _TOKENS.fullmatch(wanted):
            fields.append(("Access-Control-Allow-Headers", wanted))
        if self._private_network and (
            environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true"
        ):
            fields.append(("Access-Control-Allow-Private-Network", "true"))
        fields.append(("Access-Control-Max-Age", self._max_age))
        return fields


def _listed(option: str, value: str | Iterable[str]) -> list[str]:
    found = texts(option, value)
    if ANY in found and len(found) > 1:
        raise ValueError(f"{option}: * is all of them, and stands alone")
    return found


def _origins(value: str | Iterable[str], credentials: bool) -> tuple[bool, Origins]:
    patterns = _listed("origins", value)
    if patterns == [ANY]:
        if credentials:
            raise ValueError(
                "origins: * cannot go with credentials: any page at all could act as the user and"
                " read the result; name the origins"
            )
        return True, Origins(())
    if NULL in patterns and credentials:
        raise ValueError("origins: null cannot go with credentials: any page can pose as null")
    try:
        return False, Origins(patterns)
    except ValueError as error:
        raise ValueError(f"origins: {error}") from None


def _methods(value: str | Iterable[str]) -> str:
    found = _listed("methods", value)
    for text in found:
        if text != ANY and (_TOKEN.fullmatch(text) is None or text != text.upper()):
            raise ValueError(f"methods: {text!r} is not a method in capitals, such as PUT")
    return ", ".join(found)


def _names(option: str, value: str | Iterable[str], always: Iterable[str] = ()) -> str:
    found = _listed(option, value)
    if found == [ANY]:
        return ANY
    for text in found:
        if _TOKEN.fullmatch(text) is None:
            raise ValueError(f"{option}: {text!r} is not the name of a field")
    there = {text.lower() for text in always}
    return ", ".join([*always, *(text for text in found if text.lower() not in there)])
