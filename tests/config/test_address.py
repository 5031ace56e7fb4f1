"""The addresses that `--bind` understands."""

import pytest

from breezeway.config.address import InheritedSocket, TcpAddress, UnixAddress, parse


@pytest.mark.parametrize(
    ("spec", "address"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("www.example.org:65535", TcpAddress("www.example.org", 65535)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        ("[fe80::1%eth0]:80", TcpAddress("fe80::1%eth0", 80)),
        (":8000", TcpAddress(None, 8000)),
        ("unix:/run/shop.sock", UnixAddress("/run/shop.sock")),
        ("unix:shop:80", UnixAddress("shop:80")),
        ("fd://3", InheritedSocket(3)),
    ],
)
def test_every_form_is_read(spec, address):
    """Each of the five forms is read."""
    assert parse(spec) == address


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "is not an address"),
        ("8000", "is not an address"),
        ("localhost", "is not an address"),
        ("localhost:", "has no port number"),
        ("localhost:http", "has no port number"),
        ("localhost:-1", "has no port number"),
        ("localhost:+80", "has no port number"),
        ("localhost:8_0", "has no port number"),
        ("localhost:٨", "has no port number"),
        ("localhost:65536", "a port above 65535"),
        ("localhost:123456", "has no port number"),
        ("::1:8000", "goes in brackets"),
        ("[::1]", "has no port number"),
        ("[localhost]:80", "has no host"),
        ("[::1", "has no host"),
        ("http://localhost:80", "has no host"),
        ("user@host:80", "has no host"),
        ("a b:80", "has no host"),
        ("a\0b:80", "has no host"),
        ("[::\0]:80", "has no host"),
        ("unix:", "has no path"),
        ("unix:a\0b", "has no path"),
        ("fd://", "has no file descriptor number"),
        ("fd://x", "has no file descriptor number"),
        ("fd://-1", "has no file descriptor number"),
    ],
)
def test_what_is_no_address_is_refused(spec, reason):
    """Anything else is refused with a sentence that quotes it."""
    with pytest.raises(ValueError, match=reason) as caught:
        parse(spec)
    assert repr(spec) in str(caught.value)
