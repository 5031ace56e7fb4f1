"""How often somebody may show a wrong token."""

import logging

import pytest

from breezeway.admin.access import Access
from breezeway.admin.attempts import (
    MOST_AT_ONCE,
    MOST_KNOWN,
    MOST_OF_ALL,
    SECONDS_EACH,
    SECONDS_EACH_OF_ALL,
    Attempts,
    TooManyError,
)
from breezeway.observe.throttle import LINES, WINDOW_SECONDS
from breezeway.testing import Client

from .supervisor import TOKEN

WRONG = {"Authorization": f"Bearer {TOKEN}x"}
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


class Guessing:
    """Attempts, at a time that the test says."""

    def __init__(self):
        self.now = 1000.0
        self.attempts = Attempts(clock=lambda: self.now)

    def guess(self, address, times=1, right=False):
        """Show a token so often; return what came of each: True, False, or seconds to wait."""
        found = []
        for _ in range(times):
            try:
                found.append(self.attempts.check(address, lambda: right))
            except TooManyError as error:
                found.append(error.seconds)
        return found


@pytest.fixture
def guessing():
    """Give attempts."""
    return Guessing()


def test_one_address(guessing):
    """After some wrong tokens none is looked at from there, not even the right one, for a while."""
    assert guessing.guess("10.0.0.1", MOST_AT_ONCE + 2) == [
        *[False] * MOST_AT_ONCE,
        SECONDS_EACH,
        SECONDS_EACH,
    ]
    assert guessing.guess("10.0.0.1", right=True) == [SECONDS_EACH]
    assert guessing.guess("10.0.0.2", right=True) == [True]
    guessing.now += SECONDS_EACH
    assert guessing.guess("10.0.0.1", right=True) == [True]
    assert guessing.guess("10.0.0.1", 2) == [False, SECONDS_EACH]


def test_right_tokens_take_nothing(guessing):
    """Whoever has the token may show it as often as he likes."""
    assert guessing.guess("10.0.0.1", 1000, right=True) == [True] * 1000
    assert guessing.guess("10.0.0.1", MOST_AT_ONCE) == [False] * MOST_AT_ONCE


def test_many_addresses(guessing):
    """All together have an allowance, too; it is back soon, and who was right before needs none."""
    assert guessing.guess("10.9.9.9", right=True) == [True]
    for number in range(MOST_OF_ALL):
        assert guessing.guess(f"10.0.0.{number}") == [False]
    assert guessing.guess("10.1.1.1", right=True) == [SECONDS_EACH_OF_ALL]
    assert guessing.guess("10.9.9.9", right=True) == [True]
    guessing.now += SECONDS_EACH_OF_ALL
    assert guessing.guess("10.1.1.1", right=True) == [True]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("", "", True),
    ],
)
def test_addresses(guessing, one, other, same):
    """A client of IPv6 has a network of addresses, and a unix socket one for all."""
    guessing.guess(one, MOST_AT_ONCE)
    assert (guessing.guess(other) == [False]) is not same


def test_memory_is_bounded(guessing):
    """Addresses are forgotten when their allowance is whole; of right ones the last are known."""
    for number in range(10_000):
        guessing.now += SECONDS_EACH_OF_ALL
        address = f"10.0.{number // 250}.{number % 250}"
        guessing.guess(address)
        guessing.guess(address, right=True)
    assert len(guessing.attempts._of_each) <= SECONDS_EACH / SECONDS_EACH_OF_ALL
    assert len(guessing.attempts._known) == MOST_KNOWN


def test_log(guessing, caplog):
    """The log has some of them, and how many there were besides."""
    caplog.set_level(logging.INFO)
    guessing.guess("10.0.0.1", 1000)
    texts = [each.getMessage() for each in caplog.records]
    assert texts[0] == "a wrong token from 10.0.0.1"
    assert len(texts) == MOST_AT_ONCE + LINES
    guessing.now += WINDOW_SECONDS
    guessing.attempts.look()
    left = 1000 - MOST_AT_ONCE - LINES
    assert f"tokens not looked at: {left} more in the last 10 s" in caplog.text


@pytest.mark.parametrize("path", ["/api/status", "/api/running", "/api/session"])
def test_reading_is_refused(make_admin, path):
    """A request with the token counts once, however often it is looked at; then it is 429."""
    with Client(make_admin("10.1.2.3:9300", TOKEN).application) as client:
        url = f"http://10.1.2.3:9300{path}"
        for _ in range(MOST_AT_ONCE):
            assert client.get(url, headers=WRONG).status in (200, 401)
        found = client.get(url, headers=WRONG)
        assert (found.status, found.headers["Retry-After"]) == (429, "6")
        assert client.get(url, headers=RIGHT).status == 429


def test_login_is_refused(operator):
    """The same for a login and an action; who has a session goes on."""
    assert operator.post("/api/login", json={"token": TOKEN}).status == 200
    for number in range(MOST_AT_ONCE):
        if number % 2:
            assert operator.post("/api/login", json={"token": "wrong"}).status == 403
        else:
            assert operator.post("/api/reload", json={}, headers=WRONG).status == 401
    found = operator.post("/api/login", json={"token": TOKEN})
    assert (found.status, found.headers["Retry-After"]) == (429, "6")
    assert "6 s" in found.json()["error"]
    assert operator.post("/api/reload", json={}, headers=RIGHT).status == 429
    own = {"Origin": "http://localhost"}
    assert operator.post("/api/reload", json={}, headers=own).status == 200


def test_what_is_no_guess(client, operator):
    """Other sites' pages, old sessions and listeners without a token take nothing of the allowance."""
    elsewhere = {"Origin": "https://attacker.example", **WRONG}
    name = Access("127.0.0.1:1", TOKEN).open_session().partition("=")[0]
    old = {"Cookie": f"{name}=1.x", "Origin": "http://localhost"}
    for _ in range(MOST_OF_ALL + 1):
        assert operator.get("/api/session", headers=elsewhere).status == 403
        assert operator.post("/api/reload", json={}, headers=old).status == 401
        assert client.post("/api/login", json={"token": "x"}).status == 403
    assert operator.post("/api/reload", json={}, headers=RIGHT).status == 200
