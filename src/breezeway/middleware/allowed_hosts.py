"""`AllowedHosts`: requests for other hosts are refused."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.option_checks import prefixes, texts
from breezeway.middleware.stack import unset
from breezeway.semantics.hosts import Hosts, parse_host
from breezeway.semantics.path_prefixes import PathTable

MOST_KNOWN: Final = 1024
"""Hosts that are remembered as good ones: reading one takes 2 us. With more, it begins anew."""

log = logging.getLogger("breezeway.middleware")


class AllowedHosts:
    """Refuse requests whose Host is not one of those that are served here.

    The attack: the Host field is whatever the client writes, and applications make URLs of it. A forged
    one puts the attacker's host into the link of a password mail, or into a page that a cache keeps
    for all; and a page of the attacker whose name is made to point here (DNS rebinding) reads what only
    the user's own network may see.

    A host that is none is 400, one that is not served here 421 (RFC 9110 sections 7.2 and 15.5.20), as
    `--allowed-hosts` of the server has it. A request without Host, which HTTP/1.0 allows, asks for no
    host: 421. Case, and the dot at the end of a full name, do not matter.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        hosts: str | Iterable[str] = (),
        exempt: str | Iterable[str] = (),
    ) -> None:
        """Take the hosts; a text does where a list of one would.

        `hosts`: those that are served, at least one. `example.org` is that name alone,
        `*.example.org` all below it and not itself, `192.0.2.1` and `[2001:db8::1]` an address. With a
        port, `example.org:8443`, it is just that port, otherwise any.
        `exempt`: prefixes of paths that are answered whatever the host, such as `/health` for a load
        balancer that asks by address; none by default. `//x` and `/health/../x` are no such paths
        unless all that an application may take them for is.

        Raises:
            ValueError: a host or a prefix is malformed, or there is no host.
        """
        self.application = application
        self._hosts: Final = read_hosts(hosts)
        paths = prefixes("exempt", exempt)
        self._exempt: Final = PathTable(dict.fromkeys(paths, True)) if paths else None
        self._known: Final[set[str]] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Refuse a request, or let the application answer."""
        host = environ.get("HTTP_HOST", "")
        if host in self._known:
            return self.application(environ, start_response)
        exempt = self._exempt
        if exempt is not None and exempt.agreed(environ.get("PATH_INFO", ""), False, False):
            return self.application(environ, start_response)
        if host in self._hosts:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known.add(host)
            return self.application(environ, start_response)
        return refusal(host, environ, start_response)


def read_hosts(hosts: str | Iterable[str]) -> Hosts:
    """Read an option `hosts`; raise ValueError."""
    patterns = texts("hosts", hosts)
    if not patterns:
        raise ValueError("hosts must name at least one host that is served here")
    try:
        return Hosts(patterns)
    except ValueError as error:
        raise ValueError(f"hosts: {error}") from None


def refusal(host: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Refuse a request for a host that is not served here."""
    log.info("refused a request for host %.255r from %s", host, environ.get("REMOTE_ADDR"))
    try:
        if host:
            parse_host(host)
    except ValueError:
        return answer(environ, start_response, "400 Bad Request", "the host is malformed")
    text = "the request is for a host that is not served here"
    return answer(environ, start_response, "421 Misdirected Request", text)
