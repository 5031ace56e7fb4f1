"""What spans and durations say of a request, by the HTTP semantic conventions (stable since 1.23)."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from breezeway.middleware.closing import Observed
from breezeway.semantics.hosts import parse_host

# http.request.method: known ones of RFC 9110, RFC 5789 and RFC 10008; _OTHER for all others.
METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
OTHER: Final = "_OTHER"

SECRETS: Final = (
    *("access_token", "api_key", "apikey", "auth", "client_secret", "code", "id_token", "key"),
    *("passwd", "password", "refresh_token", "secret", "session", "sig", "signature", "token"),
    *("awsaccesskeyid", "x-amz-credential", "x-amz-security-token", "x-amz-signature"),
    *("x-goog-credential", "x-goog-signature"),
    "__profile__",
)
"""Parameters of a query whose values stay out of spans: those the conventions name, the usual ones, and the
token of `Profiler`."""

REDACTED: Final = "REDACTED"

KEPT_HOSTS: Final = 1024
LONGEST_HOST: Final = 255
"""Characters; a longer name is none (RFC 1035 section 2.3.4)."""


def at_the_beginning(seen: Observed, secrets: Collection[str]) -> dict[str, Any]:
    """Return the attributes of a span that are known at its beginning, for samplers to look at.

    `secrets` are names of parameters of the query, in lower case, whose values are hidden.
    """
    environ = seen.environ
    get = environ.get
    scheme = environ["wsgi.url_scheme"]
    path = get("SCRIPT_NAME", "") + get("PATH_INFO", "")
    attributes: dict[str, Any] = {
        "http.request.method": seen.method,
        "url.scheme": scheme,
        "url.path": quote(path, "/;@:!$&'()*+,=~", "latin-1", "replace"),
        "network.protocol.version": get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
    }
    if seen.method not in METHODS:
        attributes["http.request.method"] = OTHER
        attributes["http.request.method_original"] = seen.method
    host = get("HTTP_HOST")
    server = _server(host, scheme) if host and len(host) <= LONGEST_HOST else None
    if server is None:
        server = get("SERVER_NAME", ""), get("SERVER_PORT", "")
    attributes["server.address"], port = server
    if port.isdecimal():
        attributes["server.port"] = int(port)
    for name, key in (
        ("client.address", "REMOTE_ADDR"),
        ("user_agent.original", "HTTP_USER_AGENT"),
    ):
        value = get(key)
        if value:
            attributes[name] = value
    query = get("QUERY_STRING")
    if query:
        attributes["url.query"] = redacted(query, secrets)
    return attributes


def at_the_end(seen: Observed, code: int, route: str) -> dict[str, Any]:
    """Return the attributes of the duration: nothing that a client can choose freely."""
    get = seen.environ.get
    labels: dict[str, Any] = {
        "http.request.method": seen.method if seen.method in METHODS else OTHER,
        "url.scheme": get("wsgi.url_scheme", "http"),
        "http.response.status_code": code,
        "network.protocol.version": get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
    }
    if route:
        labels["http.route"] = route
    if seen.error is not None:
        labels["error.type"] = _name_of(type(seen.error))
    elif code >= 500:
        labels["error.type"] = str(code)
    return labels


def redacted(query: str, secrets: Collection[str]) -> str:
    """Return a query with the values of secret parameters hidden."""
    pairs = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        is_secret = equals and unquote_plus(name).lower() in secrets
        pairs.append(f"{name}={REDACTED}" if is_secret else pair)
    return "&".join(pairs)


@lru_cache(KEPT_HOSTS)
def _server(host: str, scheme: str) -> tuple[str, str] | None:
    """Return name and port of a Host field; None if it is malformed."""
    try:
        found = parse_host(host)
    except ValueError:
        return None
    return found.name.strip("[]"), found.port or ("443" if scheme == "https" else "80")


def _name_of(kind: type) -> str:
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
