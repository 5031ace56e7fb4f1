"""What the server has to know of its own certificates: their names, and until when they are valid.

The standard library can only tell that of a peer's. So here is as much of DER (X.690) as it takes to
find four fields of a certificate (RFC 5280 section 4.1); whether it is sound is left to OpenSSL.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from typing import Final, NamedTuple

BEGIN: Final = "-----BEGIN CERTIFICATE-----"
END: Final = "-----END CERTIFICATE-----"

_INTEGER: Final = 0x02
_OID: Final = 0x06
_UTC_TIME: Final = 0x17
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_DNS_NAME: Final = 0x82
_IP_ADDRESS: Final = 0x87

_SUBJECT_ALT_NAME: Final = b"\x55\x1d\x11"  # 2.5.29.17
_COMMON_NAME: Final = b"\x55\x04\x03"  # 2.5.4.3

_CENTURY_PIVOT: Final = 50
"""Of a year in two digits: below it, it is after 2000 (RFC 5280 section 4.1.2.5.1)."""


class Facts(NamedTuple):
    """About one certificate."""

    names: tuple[str, ...]
    """The host names, in lower case; one may begin with `*.`. Then the addresses, such as `7f:00:00:01`."""
    begins: datetime.datetime
    ends: datetime.datetime
    key_type: bytes
    """The key's algorithm, as an identifier of ASN.1 (RFC 5280 section 4.1.2.7)."""


class _Part(NamedTuple):
    tag: int
    content: bytes


def read(pem: str) -> Facts:
    """Read the first certificate of a file: the server's own, those of the chain come after it.

    Raises:
        ValueError: there is none, or it is none.
    """
    begin = pem.find(BEGIN)
    end = pem.find(END, begin)
    if begin < 0 or end < 0:
        raise ValueError("there is no certificate in PEM")
    try:
        return _facts(ssl.PEM_cert_to_DER_cert(pem[begin : end + len(END)]))
    except (IndexError, StopIteration):
        raise ValueError("the certificate is cut short") from None


def _facts(der: bytes) -> Facts:
    certificate = next(_parts(der))
    parts = list(_parts(next(_parts(certificate.content)).content))
    if parts[0].tag == _VERSION:
        del parts[0]
    if parts[0].tag != _INTEGER:
        raise ValueError("the certificate has no serial number")
    _, _, _, validity, subject, key, *more = parts
    begins, ends = map(_time, _parts(validity.content))
    key_type = next(_parts(next(_parts(key.content)).content)).content
    alternatives = _alternatives(more)
    names = [_text(each) for each in alternatives if each.tag == _DNS_NAME]
    names = names or _common_names(subject)
    names += [each.content.hex(":") for each in alternatives if each.tag == _IP_ADDRESS]
    return Facts(tuple(names), begins, ends, key_type)


def _parts(data: bytes) -> Iterator[_Part]:
    """Split the content of a constructed value."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size])
            at += size
        if at + length > len(data):
            raise ValueError("the certificate is cut short")
        yield _Part(tag, data[at : at + length])
        at += length


def _time(part: _Part) -> datetime.datetime:
    text = part.content.decode("ascii")
    if part.tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < _CENTURY_PIVOT else "19") + text
    found = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    return found.replace(tzinfo=datetime.UTC)


def _alternatives(more: list[_Part]) -> list[_Part]:
    found: list[_Part] = []
    for extensions in more:
        if extensions.tag != _EXTENSIONS:
            continue
        for extension in _parts(next(_parts(extensions.content)).content):
            oid, *_, value = _parts(extension.content)
            if oid == (_OID, _SUBJECT_ALT_NAME):
                found += _parts(next(_parts(value.content)).content)
    return found


def _common_names(subject: _Part) -> list[str]:
    names = []
    for relative in _parts(subject.content):
        for attribute in _parts(relative.content):
            oid, value = _parts(attribute.content)
            if oid == (_OID, _COMMON_NAME):
                names.append(_text(value))
    return names


def _text(part: _Part) -> str:
    """Return a name in lower case; what is not ASCII matches no host."""
    return part.content.decode("ascii", "replace").lower()
