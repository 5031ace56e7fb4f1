"""Credentials of an Authorization field."""

import base64

import pytest

from breezeway.semantics.authorization import LONGEST, parse_credentials


def basic(text: bytes) -> str:
    """Return the field for a name and a password."""
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("field", "pair"),
    [
        (basic(b"bob:secret"), ("bob", "secret")),
        (basic("é:ü:x".encode()), ("é", "ü:x")),
        (basic(b":"), ("", "")),
        ("basic  Ym9iOng=  ", ("bob", "x")),
        (basic(b"bob"), None),
        (basic(b"\xe9:x"), None),
        (basic(b"a:b\n"), None),
        ("Basic Ym9iOng", None),
        ("Basic", None),
        ("Basic a=b", None),
        ("Basic -_-_", None),
        ("Basic Ym~9iOng=", None),
        (basic(b"a:\x1f"), None),
        (basic(b"a:\x7f"), None),
        (basic("a:\u0080 ".encode()), ("a", "\u0080 ")),
        ("Bearer Ym9iOng=", None),
    ],
)
def test_basic(field, pair):
    """Name and password, UTF-8."""
    credentials = parse_credentials(field)
    assert credentials is not None
    assert credentials.basic == pair


def test_bearer():
    """The token."""
    for field, token in [
        ("Bearer abc.def-_~+/==", "abc.def-_~+/=="),
        ("bearer x", "x"),
        ("Bearer", None),
        ("Bearer a=b, c=d", None),
        ("Basic eDp5", None),
    ]:
        credentials = parse_credentials(field)
        assert credentials is not None
        assert credentials.bearer == token


def test_parameters():
    """Other schemes have parameters."""
    credentials = parse_credentials(r'Digest Username="a\"b", realm = "x, y" ,, qop=auth')
    assert credentials == ("digest", "", {"username": 'a"b', "realm": "x, y", "qop": "auth"})


def test_every_form_of_a_parameter():
    """All characters of a token, a value that is empty, and no white space behind a comma."""
    token = "!#$%&'*+-.^_`|~09AZaz"
    credentials = parse_credentials(f'{token} {token}={token},b="",c=d')
    assert credentials == (token.lower(), "", {token.lower(): token, "b": "", "c": "d"})


@pytest.mark.parametrize(
    "field",
    [
        "",
        " Basic x",
        "Basic\tx",
        "Bearer a b",
        "Digest a=1, a=2",
        'Digest a="',
        "é x",
        "x " + "y" * LONGEST,
    ],
)
def test_malformed(field):
    """None for what is malformed."""
    assert parse_credentials(field) is None


def test_shows_nothing():
    """A password is in no log because somebody has logged the credentials."""
    assert "c2VjcmV0" not in repr(parse_credentials("Bearer c2VjcmV0"))
