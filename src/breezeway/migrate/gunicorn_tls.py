"""gunicorn's TLS: one certificate for all addresses, and what clients have to show."""

from __future__ import annotations

from typing import Any, Final

from breezeway.migrate.page import Page, shown

NAMES: Final = ("certfile", "keyfile", "ca_certs", "cert_reqs")

CLIENT_CERTS: Final = {0: "none", 1: "optional", 2: "required"}
"""What the numbers of `ssl.VerifyMode` are here."""

SYSTEM_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian, and what comes from it, has the authorities that OpenSSL trusts by default."""


def translate(values: dict[str, Any], page: Page) -> None:
    """Set the certificate, if there is one, and what clients' certificates must be."""
    certfile, keyfile = values.get("certfile"), values.get("keyfile")
    if not certfile:
        for name in NAMES:
            if values.get(name):
                page.advise(f"{name} = {shown(values[name])}", "It needs a certfile.")
        return
    if not page.set("certfile", (certfile,)):
        return
    if keyfile:
        page.set("keyfile", (keyfile,))
    if any(spec.startswith("unix:") for spec in page.value("bind")):
        page.comment("certfile", "gunicorn spoke TLS on unix sockets, too; here they are plain.")
    _clients(values, page)


def _clients(values: dict[str, Any], page: Page) -> None:
    given, authorities = values.get("cert_reqs") or 0, values.get("ca_certs")
    try:
        number = int(given, 0) if isinstance(given, str) else int(given)
        mode = CLIENT_CERTS[number]
    except (KeyError, TypeError, ValueError):
        page.advise(f"cert_reqs = {shown(given)}", "gunicorn does not take this value.")
        return
    if mode != "none":
        if authorities:
            page.set("ca_certs", authorities)
        else:
            page.set(
                "ca_certs",
                SYSTEM_AUTHORITIES,
                "Without ca_certs gunicorn takes the system's authorities. A certificate of any of"
                " them passes: name your own.",
            )
        page.set("client_certs", mode)
    elif authorities:
        advice = "Without cert_reqs gunicorn asks no client for a certificate."
        page.advise(f"ca_certs = {shown(authorities)}", advice)
