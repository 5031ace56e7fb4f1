"""Networks: what an operator writes, and which addresses are meant."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.networks import LOOPBACK, Networks


@pytest.mark.parametrize(
    ("specs", "inside", "outside"),
    [
        (["10.0.0.0/8"], ["10.0.0.1", "::ffff:10.9.9.9"], ["11.0.0.1", "::a00:1", ""]),
        (["192.0.2.7"], ["192.0.2.7"], ["192.0.2.8"]),
        (["2001:db8::/32"], ["2001:db8::1", "2001:DB8:0::1"], ["2001:db9::1", "1.2.3.4"]),
        (["fe80::/10"], ["fe80::1%eth0"], ["fec0::1"]),
        (["::1", "127.0.0.0/8"], ["::1", "127.9.9.9"], ["::2"]),
        (["unix"], [""], ["127.0.0.1", "unix"]),
        (["*"], ["", "127.0.0.1", "2001:db8::1"], []),
        ([], [], ["", "127.0.0.1"]),
        (["0.0.0.0/0"], ["1.2.3.4"], ["", "::1", "no address"]),
    ],
)
def test_addresses(specs: list[str], inside: list[str], outside: list[str]) -> None:
    """An address is in a network of its own family; IPv4 in the clothes of IPv6 is IPv4."""
    networks = Networks(specs)
    assert all(address in networks for address in inside)
    assert not any(address in networks for address in outside)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("10.0.0", "not a network"),
        ("10.0.0.0/33", "not a network"),
        ("localhost", "not a network"),
        ("", "not a network"),
        ("::ffff:10.0.0.0/104", "write it as IPv4"),
    ],
)
def test_malformed(spec: str, why: str) -> None:
    """What is no network is told as such."""
    with pytest.raises(ValueError, match=why):
        Networks([spec])


@given(st.text(max_size=20))
def test_any_text(text: str) -> None:
    """Any text is either a network or a ValueError, and never an address that is in one."""
    assert text not in Networks(["unix"]) or not text
    with contextlib.suppress(ValueError):
        Networks([text])


@pytest.mark.parametrize(
    ("specs", "environ", "admitted"),
    [
        (LOOPBACK, {"REMOTE_ADDR": "127.0.0.1"}, True),
        (LOOPBACK, {"REMOTE_ADDR": "::1"}, True),
        (LOOPBACK, {"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        (LOOPBACK, {"REMOTE_ADDR": ""}, True),
        (LOOPBACK, {}, True),
        (LOOPBACK, {"REMOTE_ADDR": "192.0.2.1"}, False),
        (LOOPBACK, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
        (LOOPBACK, {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=127.0.0.1"}, False),
        (LOOPBACK, {"REMOTE_ADDR": "", "HTTP_X_REAL_IP": "127.0.0.1"}, False),
        (["*"], {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "a"}, True),
    ],
)
def test_admission(specs: tuple[str, ...], environ: dict[str, str], admitted: bool) -> None:
    """A request that a proxy has passed on, and nobody has settled, comes from nowhere near."""
    assert Networks(specs).admit(environ) is admitted
