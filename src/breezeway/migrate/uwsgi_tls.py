"""uWSGI's TLS: each address has a certificate and key of its own, and so has each name of `sni`.

Breezeway has one list of certificates for all addresses, from which the client's server name
chooses; all addresses but unix sockets then speak TLS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from breezeway.migrate.page import Page

NAMES: Final = ("https", "https2", "https-socket", "sni")
"""Options that name a certificate."""

MODES: Final = ("none", "optional", "required")
"""What clients have to show, the strictest last."""

CIPHERS: Final = (
    "The cipher suites are fixed: all have forward secrecy and authenticated encryption."
)


class Context(NamedTuple):
    """What one option says; `address` is uWSGI's text of it, or the name of an `sni`."""

    address: str
    certfile: str
    keyfile: str
    ciphers: str = ""
    authorities: str = ""
    """A file; with `!` in front if clients must show a certificate."""

    @property
    def mode(self) -> str:
        """Whether clients show a certificate, as one of `MODES`."""
        if not self.authorities:
            return "none"
        return "required" if self.authorities.startswith("!") else "optional"


def contexts(values: Mapping[str, Sequence[str]], page: Page) -> dict[str, list[Context]]:
    """Read the options that name a certificate: the contexts of each; advise on what cannot be read."""
    found: dict[str, list[Context]] = {}
    for name in NAMES:
        for value in values.get(name, ()):
            context = _read(name, value)
            if context is None:
                page.advise(f"{name} = {value}", "It has no certificate and key.")
            else:
                found.setdefault(name, []).append(context)
    return found


def _read(name: str, value: str) -> Context | None:
    if name == "https2":
        given = dict(item.partition("=")[::2] for item in value.split(","))
        parts = [
            given.get("addr", ""),
            given.get("cert") or given.get("crt", ""),
            given.get("key", ""),
            given.get("ciphers", ""),
            given.get("clientca") or given.get("client_ca", ""),
        ]
    elif name == "sni":
        address, _, files = value.partition(" ")
        parts = [address, *files.split(",", 3)]
    else:
        parts = value.split(",", 4)
    return Context(*parts) if len(parts) > 2 and all(parts[:3]) else None


def certificates(found: Sequence[Context], page: Page) -> None:
    """Set the certificates, and what clients' certificates must be."""
    pairs = list(dict.fromkeys((context.certfile, context.keyfile) for context in found))
    if not pairs or not page.set("certfile", tuple(certfile for certfile, _ in pairs)):
        return
    page.set("keyfile", tuple(keyfile for _, keyfile in pairs))
    if len(pairs) > 1:
        page.comment(
            "certfile",
            "Every address has all of them: the client's server name chooses, by the names in the"
            " certificates; the first is for those that name none.",
        )
    for ciphers in dict.fromkeys(context.ciphers for context in found if context.ciphers):
        page.advise(f"ciphers = {ciphers}", CIPHERS)
    _clients(found, page)


def _clients(found: Sequence[Context], page: Page) -> None:
    modes = {context.mode for context in found}
    strictest = max(modes, key=MODES.index)
    if strictest == "none":
        return
    names = dict.fromkeys(
        context.authorities.removeprefix("!") for context in found if context.authorities
    )
    first, *others = names
    page.set("ca_certs", first)
    page.set(
        "client_certs",
        strictest,
        "What the client shows is in SSL_CLIENT_S_DN and SSL_CLIENT_CERT; it was in HTTPS_DN and"
        " HTTPS_CC.",
    )
    if len(modes) > 1:
        page.comment(
            "client_certs", "It is for all addresses here; they were not all as strict as this."
        )
    for other in others:
        page.advise(f"client_ca = {other}", f"Join it with {first}: there is one file for all.")
