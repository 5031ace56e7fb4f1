"""`CookieJar`: what is kept, and where it goes."""

from __future__ import annotations

import pytest

from breezeway.testing import CookieJar

START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def sent(jar: CookieJar, url: str) -> str:
    """Return the Cookie field of a request."""
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar.sent_to(url))


@pytest.fixture
def clock() -> Clock:
    """Make a clock that stands still."""
    return Clock()


@pytest.fixture
def jar(clock: Clock) -> CookieJar:
    """Make an empty jar."""
    return CookieJar(clock=clock)


class TestWhere:
    def test_host_only(self, jar: CookieJar) -> None:
        """Without a domain a cookie is for its host alone."""
        jar.receive("http://example.org/", ["a=1"])
        assert sent(jar, "http://example.org:8000/x") == "a=1"
        assert sent(jar, "http://EXAMPLE.org/") == "a=1"
        assert sent(jar, "http://www.example.org/") == ""

    def test_domain(self, jar: CookieJar) -> None:
        """With one it is for all hosts below."""
        jar.receive("http://www.example.org/", ["a=1; Domain=example.org"])
        assert sent(jar, "http://example.org/") == sent(jar, "http://b.example.org/") == "a=1"
        assert sent(jar, "http://badexample.org/") == ""

    @pytest.mark.parametrize("domain", ["org", "other.org", "a.www.example.org", "0.0.1"])
    def test_refused_domains(self, jar: CookieJar, domain: str) -> None:
        """A host sets no cookie for others, nor for all of them."""
        jar.receive("http://www.example.org/", [f"a=1; Domain={domain}"])
        assert len(jar) == 0
        ((field, why),) = jar.refused
        assert field == f"a=1; Domain={domain}"
        assert domain in why

    def test_address(self, jar: CookieJar) -> None:
        """An address may name itself, which has nothing below."""
        jar.receive("http://127.0.0.1/", ["a=1; Domain=127.0.0.1"])
        jar.receive("http://[::1]:80/", ["b=1"])
        assert sent(jar, "http://127.0.0.1/") == "a=1"
        assert sent(jar, "http://[::1]/") == "b=1"
        jar.receive("http://127.0.0.1/", ["c=1; Domain=0.0.1"])
        assert "c" not in jar

    def test_path(self, jar: CookieJar) -> None:
        """The longest path comes first, then the oldest cookie."""
        url = "http://localhost/a/b?x=/y/"
        jar.receive(url, ["one=1; Path=/", "two=2", "three=3; Path=/", "four=4; Path=/c"])
        jar.receive(url, ["one=5; Path=/"])
        assert sent(jar, "http://localhost/a/x") == "two=2; one=5; three=3"
        assert sent(jar, "http://localhost") == "one=5; three=3"

    def test_secure(self, jar: CookieJar) -> None:
        """Secure cookies come and go over https, and are not overwritten over http."""
        jar.receive("http://localhost/", ["a=1; Secure"])
        assert "https" in jar.refused[0][1]
        jar.receive("https://localhost/", ["a=2; Secure", "b=3"])
        assert sent(jar, "https://localhost/") == "a=2; b=3"
        assert sent(jar, "http://localhost/") == "b=3"
        jar.receive("http://localhost/", ["a=4; Path=/"])
        assert "Secure cookie of its name" in jar.refused[1][1]
        assert jar["a"] == "2"


class TestWhen:
    def test_ages(self, jar: CookieJar, clock: Clock) -> None:
        """Max-Age counts, then Expires; without both a cookie stays."""
        past = "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        jar.receive("http://localhost/", [f"a=1; Max-Age=10; {past}", "b=2", f"c=3; {past}"])
        assert sent(jar, "http://localhost/") == "a=1; b=2"
        clock.now += 10
        assert sent(jar, "http://localhost/") == "b=2"
        assert "a" not in jar
        assert len(jar) == 1

    @pytest.mark.parametrize(
        "end", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
    )
    def test_removed(self, jar: CookieJar, end: str) -> None:
        """A cookie that has expired removes the one of its name, domain and path."""
        jar.receive("http://localhost/", ["a=1", "a=2; Path=/x"])
        jar.receive("http://localhost/", [f"a=; {end}"])
        assert [(cookie.path, cookie.value) for cookie in jar] == [("/x", "2")]


class TestTest:
    def test_set_and_find(self, jar: CookieJar) -> None:
        """A test puts cookies in and looks at them."""
        jar.set("a", "1", http_only=True, same_site="Lax", max_age=60)
        jar.set("b", "2", url="https://example.org/x", secure=True, domain="example.org")
        found = jar.find("a")
        assert found is not None
        assert (found.domain, found.path, found.host_only) == ("localhost", "/", True)
        assert (found.http_only, found.same_site, found.expires) == (True, "Lax", START + 60)
        assert jar.get("b") == "2"
        assert jar.get("c") is None
        assert jar.get("c", "no") == "no"
        assert "b" in jar
        assert repr(jar) == "CookieJar(a=1, b=2)"
        with pytest.raises(KeyError):
            jar["c"]
        with pytest.raises(ValueError, match="character"):
            jar.set("a", "b c")
        with pytest.raises(ValueError, match="https"):
            jar.set("a", "b", secure=True)

    def test_several_of_a_name(self, jar: CookieJar) -> None:
        """Of several with one name the newest is found; all are removed."""
        jar.set("a", "1", path="/x")
        jar.set("a", "2")
        jar.set("b", "3")
        assert jar["a"] == "2"
        jar.remove("a")
        assert [cookie.name for cookie in jar] == ["b"]
        with pytest.raises(KeyError):
            jar.remove("a")
        jar.clear()
        assert len(jar) == 0
