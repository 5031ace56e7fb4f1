"""What the environ says about TLS, under the names of Apache's mod_ssl."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable
from typing import Any, Final

from breezeway.gateway.types import Environ
from breezeway.worker.tls import Session

SHORT: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "givenName": "GN",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "surname": "SN",
    "userId": "UID",
}
"""Of the types of attributes in a name; others keep the long one."""

_SPECIAL = re.compile(r'[,+"\\<>;]|^[ #]| $')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def of(session: Session, *, asks_clients: bool) -> Environ:
    """Return what there is to say of a connection whose handshake is done."""
    environ: Environ = {
        "wsgi.url_scheme": "https",
        "HTTPS": "on",
        "SSL_PROTOCOL": session.version(),
    }
    cipher = session.cipher()
    if cipher is not None:
        environ["SSL_CIPHER"] = cipher[0]
        environ["SSL_CIPHER_USEKEYSIZE"] = str(cipher[2])
    if session.server_name is not None:
        environ["SSL_TLS_SNI"] = session.server_name
    if asks_clients:
        environ |= _of_client(session)
    return environ


def is_over(session: Session, environ: Environ) -> bool:
    """Tell whether the client's certificate has ended since OpenSSL has looked at it.

    It looks when the certificate is shown. A session that is resumed shows none, and TLS 1.3 gives a new
    ticket for each: a client could go on for ever.
    """
    ends = environ.get("SSL_CLIENT_V_END") if session.session_reused else None
    return ends is not None and ssl.cert_time_to_seconds(ends) < time.time()


def _of_client(session: Session) -> Environ:
    fields: dict[str, Any] | None = session.getpeercert()
    if not fields:
        return {"SSL_CLIENT_VERIFY": "NONE"}
    der = session.getpeercert(binary_form=True)
    assert der is not None
    return {
        # Whoever shows one that is not accepted does not get through the handshake.
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": distinguished_name(fields["subject"]),
        "SSL_CLIENT_I_DN": distinguished_name(fields["issuer"]),
        "SSL_CLIENT_M_SERIAL": fields["serialNumber"],
        "SSL_CLIENT_V_START": fields["notBefore"],
        "SSL_CLIENT_V_END": fields["notAfter"],
        "SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(der),
    }


def distinguished_name(name: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Write a name by RFC 4514, the last part of it first; its bytes as latin-1, as WSGI has text."""
    relatives = [
        "+".join(f"{SHORT.get(kind, kind)}={_escape(value)}" for kind, value in relative)
        for relative in name
    ]
    return ",".join(reversed(relatives)).encode().decode("latin-1")


def _escape(value: str) -> str:
    escaped = _SPECIAL.sub(lambda match: "\\" + match[0], value)
    return _CONTROL.sub(lambda match: f"\\{ord(match[0]):02X}", escaped)
