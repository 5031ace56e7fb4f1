"""What the server reads of its own certificates, beside what the standard library reads of them."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from breezeway.worker import certificate

from ..certificates import make


def test_names_and_times(tmp_path: Path) -> None:
    """Names and validity are those that the standard library finds."""
    made = make(tmp_path, "a", "DNS:A.example.org", "IP:127.0.0.1", "DNS:*.example.com", days=20000)
    facts = certificate.read(Path(made.certfile).read_text())
    oracle = ssl._ssl._test_decode_cert(made.certfile)  # type: ignore[attr-defined]
    assert facts.names == ("a.example.org", "*.example.com", "7f:00:00:01")
    for found, name in ((facts.begins, "notBefore"), (facts.ends, "notAfter")):
        seconds = ssl.cert_time_to_seconds(oracle[name])
        assert found == datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    assert facts.ends.year > 2050  # a time in the other one of its two forms


def test_common_name(tmp_path: Path) -> None:
    """Without alternative names, the common name is the name."""
    made = make(tmp_path, "a", subject="/O=Shop/CN=Shop.example.org")
    assert certificate.read(Path(made.certfile).read_text()).names == ("shop.example.org",)


def test_name_beyond_ascii(tmp_path: Path) -> None:
    """A name that should have been in Punycode matches no host, and is no reason not to start."""
    made = make(tmp_path, "a", "DNS:münchen.example", "DNS:b.example")
    names = certificate.read(Path(made.certfile).read_text()).names
    assert names[1:] == ("b.example",)
    assert not names[0].isascii()


def test_first_of_a_chain(tmp_path: Path) -> None:
    """The server's own certificate is the first of the file."""
    texts = [Path(make(tmp_path, name).certfile).read_text() for name in ("a", "b")]
    assert certificate.read("note\n" + texts[1] + texts[0]).names == ("b",)


def test_cut_short_anywhere(tmp_path: Path) -> None:
    """A certificate of which the end is missing is told, wherever it was cut."""
    der = ssl.PEM_cert_to_DER_cert(Path(make(tmp_path, "a", "DNS:a").certfile).read_text())
    for size in range(len(der)):
        with pytest.raises(ValueError, match="certificate"):
            certificate.read(ssl.DER_cert_to_PEM_cert(der[:size]))
    with pytest.raises(ValueError, match="no certificate"):
        certificate.read("nothing")
