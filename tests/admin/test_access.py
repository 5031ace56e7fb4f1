"""Who may read and who may act."""

import pytest

from breezeway.admin.access import COOKIE, SESSION_SECONDS, Access

from .supervisor import TOKEN


def environ(host="localhost", method="GET", **fields):
    """Return what of an environ is looked at."""
    return {"HTTP_HOST": host, "REQUEST_METHOD": method, **fields}


@pytest.mark.parametrize(
    ("bind", "host", "known"),
    [
        ("127.0.0.1:9300", "127.0.0.1:9300", True),
        ("127.0.0.1:9300", "localhost:9999", True),
        ("127.0.0.1:9300", "LOCALHOST.", True),
        ("127.0.0.1:9300", "a.localhost", True),
        ("127.0.0.1:9300", "[::1]:9300", True),
        ("127.0.0.1:9300", "10.0.0.1:9300", False),
        ("127.0.0.1:9300", "127.0.0.1.attacker.example", False),
        ("127.0.0.1:9300", "", False),
        ("127.0.0.1:9300", "a b", False),
        ("127.0.0.1:9300", "ops.example", True),
        ("127.0.0.1:9300", "other.example", False),
        (":9300", "10.0.0.1:9300", True),
        ("0.0.0.0:9300", "[fe80::1]", True),
        ("0.0.0.0:9300", "attacker.example", False),
        ("10.0.0.1:9300", "10.0.0.1", True),
        ("10.0.0.1:9300", "10.0.0.2", False),
        ("[fd00::1]:9300", "[fd00:0::1]", True),
        ("host.internal:9300", "host.internal:80", True),
        ("unix:/run/x", "localhost", True),
        ("unix:/run/x", "10.0.0.1", False),
    ],
)
def test_hosts(bind, host, known):
    """Loopback, the bound address and what the settings name are known; rebinding takes a name."""
    assert Access(bind, TOKEN, ["ops.example"]).knows_host(environ(host)) is known


@pytest.mark.parametrize(
    ("bind", "free"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/x", True),
        (":1", False),
        ("10.0.0.1:1", False),
        ("fd://3", False),
    ],
)
def test_reading(bind, free):
    """Reading is free where nobody beyond this machine comes."""
    assert Access(bind, TOKEN).may_read(environ()) is free


def test_sessions_end():
    """A session is over after its time, and none can be made without the token."""
    now = 1000.0
    access = Access("127.0.0.1:1", TOKEN, clock=lambda: now)
    cookie = access.open_session().partition(";")[0]
    name, _, session = cookie.partition("=")
    expiry, _, signature = session.partition(".")
    assert access.may_act(environ(HTTP_COOKIE=cookie))
    other = Access("127.0.0.1:1", TOKEN + "x", clock=lambda: now)
    assert not other.may_act(environ(HTTP_COOKIE=cookie))
    for forged in (f"{int(expiry) + 1}.{signature}", f"{expiry}.", expiry, "", "."):
        assert not access.may_act(environ(HTTP_COOKIE=f"{name}={forged}"))
    assert Access("127.0.0.1:1", TOKEN, clock=lambda: now).may_act(environ(HTTP_COOKIE=cookie))
    now += SESSION_SECONDS
    assert not access.may_act(environ(HTTP_COOKIE=cookie))


def test_sessions_of_two_servers():
    """A browser keeps both: cookies know no ports, but these have other names."""
    servers = [Access(f"127.0.0.1:{port}", f"{TOKEN}{port}") for port in (1, 2)]
    opened = [each.open_session().partition(";")[0] for each in servers]
    kept = dict(cookie.split("=") for cookie in opened)
    assert all(name.startswith(COOKIE) for name in kept)
    jar = "; ".join(map("=".join, kept.items()))
    assert all(each.may_act(environ(HTTP_COOKIE=jar)) for each in servers)
    assert servers[0].close_session().partition("=")[0] == opened[0].partition("=")[0]


def test_nobody_acts_without_a_token():
    """An empty token is none, whoever shows it."""
    access = Access("127.0.0.1:1", None)
    cookie = access.open_session().partition(";")[0]
    assert not access.may_act(environ(HTTP_COOKIE=cookie))
    assert not access.may_act(environ(HTTP_AUTHORIZATION="Bearer "))


def test_a_post_by_cookie_needs_an_origin():
    """Browsers send it; what does not is no browser's own page."""
    access = Access("127.0.0.1:1", TOKEN)
    cookie = access.open_session().partition(";")[0]
    assert not access.may_act(environ(method="POST", HTTP_COOKIE=cookie))
    own = environ(method="POST", HTTP_COOKIE=cookie, HTTP_ORIGIN="http://localhost")
    assert access.may_act(own)
