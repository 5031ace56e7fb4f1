"""What a gateway takes off a message, and what it adds."""

from __future__ import annotations

import pytest

from breezeway.semantics.forwarded import Fields, Trust
from breezeway.semantics.intermediaries import Said, end_to_end, forwarded_fields


def test_fields_of_the_connection_go() -> None:
    """What belongs to one connection, and what Connection names, stays behind; order is kept."""
    fields = [
        ("Connection", "close, X-Secret"),
        ("A", "1"),
        ("KEEP-ALIVE", "5"),
        ("x-secret", "2"),
        ("Connection", 'x-other,"odd'),
        ("X-Other", "3"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("Trailer", "A"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("a", "4"),
    ]
    assert end_to_end(fields) == [("A", "1"), ("a", "4")]


@pytest.mark.parametrize(
    ("address", "node"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", '"[2001:db8::1]"'),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", '"[fe80::1]"'),
        ("", "unknown"),
        ('x";for=evil', "unknown"),
    ],
)
def test_forwarded_is_read_back(address: str, node: str) -> None:
    """What is said is what our own reader understands, in both families."""
    fields = dict(forwarded_fields(Said(address, "https", "shop.example:8443", "8443", "/old")))
    assert fields["Forwarded"] == f'for={node};proto=https;host="shop.example:8443"'
    told = Trust(["*"], hops=1).read(
        Fields(
            fields["Forwarded"],
            fields.get("X-Forwarded-For", ""),
            *(fields[f"X-Forwarded-{name}"] for name in ("Proto", "Host", "Port", "Prefix")),
        )
    )
    assert (told.scheme, told.host, told.port) == ("https", "shop.example:8443", "8443")
    assert told.prefix == "/old"
    assert (told.client.address or "") == node.strip('"[]').replace("unknown", "")


def test_little_is_known() -> None:
    """What is not known is not said."""
    fields = forwarded_fields(Said("", "http", "", "", ""))
    assert fields == [("Forwarded", "for=unknown;proto=http"), ("X-Forwarded-Proto", "http")]


def test_text_stays_within_its_quotes() -> None:
    """What would end a quoted-string, or escape its end, is escaped (RFC 9110 section 5.6.4)."""
    fields = dict(forwarded_fields(Said("", "http", 'a"b\\', "", "")))
    assert fields["Forwarded"] == r'for=unknown;proto=http;host="a\"b\\"'
