"""Forged requests: which pass and which do not, and tokens for clients that say nothing of their origin."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from breezeway.middleware import Csrf, Sessions, stack
from breezeway.middleware.csrf.token import masked, unmasked

from .calling import Counted, Result, call, make_environ, run

SECRET = "a secret of the test, long enough"
FORM = "application/x-www-form-urlencoded"


def post(piece: Any, scheme: str = "https", body: bytes = b"a=1", **fields: str) -> Result:
    """Send a POST; fields are named as in Python."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    named = {"Content-Type": FORM, "Host": "shop.example", **named}
    return call(piece, "/x", "POST", named, body, **{"wsgi.url_scheme": scheme})


# --- where it comes from ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "none"}, True),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "Same-Origin"}, False),
        ({"Sec_Fetch_Site": "same-origin, none"}, False),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "https://shop.example"}, False),
        ({"Sec_Fetch_Site": "same-origin", "Origin": "null"}, True),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "https://pay.example"}, True),
        ({"Sec_Fetch_Site": "same-site", "Origin": "https://a.shop.example"}, True),
        ({"Origin": "https://shop.example"}, True),
        ({"Origin": "https://shop.example", "Host": "shop.example:443"}, True),
        ({"Origin": "https://shop.example:8443", "Host": "shop.example:8443"}, True),
        ({"Origin": "https://shop.example:8443"}, False),
        ({"Origin": "https://shop.example", "Host": "shop.example:8443"}, False),
        ({"Origin": "https://SHOP.example"}, True),
        ({"Origin": "https://[::1]:8000", "Host": "[::1]:8000"}, True),
        ({"Origin": "https://[::1]:8000", "Host": "[0:0::1]:8000"}, True),
        ({"Origin": "http://shop.example"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "https://shop.example.evil.example"}, False),
        ({"Origin": "https://shop.example@evil.example"}, False),
        ({"Origin": "https://shop.example/"}, False),
        ({"Origin": "https://shop.example, https://shop.example"}, False),
        ({"Origin": "shop.example"}, False),
        ({"Origin": "ftp://shop.example"}, False),
        ({"Origin": "//shop.example"}, False),
        ({"Origin": "https://"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://", "Host": ""}, False),
        ({"Origin": "https://pay.example"}, True),
        ({"Origin": "http://pay.example"}, False),
        ({"Origin": "https://a.b.shop.example"}, True),
        ({}, False),
        ({"Sec_Fetch_Site": ""}, False),
        ({"Referer": "https://shop.example/"}, False),
    ],
)
def test_origin(fields: dict[str, str], passes: bool) -> None:
    """Only what a page of this site or of a trusted origin sends passes."""
    application = Counted(b"done")
    piece = Csrf(application, trusted_origins=["https://pay.example", "https://*.shop.example"])
    result = post(piece, **fields)
    assert result.code == (200 if passes else 403)
    assert application.calls == passes


def test_http() -> None:
    """Over http, browsers send no Sec-Fetch-Site, and Origin says it; behind a proxy it may be https."""
    piece = Csrf(Counted(b""))
    for origin, code in (
        ("http://shop.example", 200),
        ("https://shop.example", 200),
        ("http://evil.example", 403),
        ("http://shop.example:81", 403),
    ):
        assert post(piece, "http", Origin=origin).code == code


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_methods(method: str) -> None:
    """What must change nothing passes."""
    assert call(Csrf(Counted()), method=method, fields={"Sec-Fetch-Site": "cross-site"}).code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW", "get"])
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_other_methods(method: str) -> None:
    """Everything else does not."""
    environ = make_environ(method=method, fields={"Sec-Fetch-Site": "cross-site"})
    assert run(Csrf(Counted()), environ).code == 403


def test_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is a plain page that says nothing of the reason; the log has it, in one line."""
    result = post(Csrf(Counted(b"")), Sec_Fetch_Site="cross-site", Origin="https://e\r\nvil")
    assert (result.status, result["content-type"]) == ("403 Forbidden", "text/plain; charset=utf-8")
    assert b"does not come from a page of this site" in result.body
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "POST '/x' was refused: Sec-Fetch-Site is 'cross-site', Origin is 'https://e\\r\\nvil'"
    )


def test_exempt() -> None:
    """Nothing is checked below an exempt prefix, and no other way of writing a path gets there."""
    piece = Csrf(Counted(b""), exempt=["/hooks"])
    fields = {"Sec-Fetch-Site": "cross-site"}
    for path, code in (
        ("/hooks", 200),
        ("/hooks/a", 200),
        ("/hooks2", 403),
        ("/hooks/../account", 403),
        ("/hooks//../account", 403),
        ("//hooks", 403),
    ):
        assert call(piece, path, "POST", fields).code == code, path


def test_unmarked() -> None:
    """Who wants to may let requests pass that say nothing; what says something wrong is still refused."""
    piece = Csrf(Counted(b""), unmarked="allow")
    assert post(piece).code == 200
    assert post(piece, Origin="null").code == 403
    assert post(piece, Origin="https://evil.example").code == 403
    assert post(piece, Sec_Fetch_Site="cross-site").code == 403


# --- tokens -----------------------------------------------------------------------------------------


def page(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Give a token for a GET, and say what a POST has."""
    if environ["REQUEST_METHOD"] == "GET":
        content = environ["breezeway.csrf_token"]().encode()
    else:
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield content


class OldBrowser:
    """A browser that sends neither Sec-Fetch-Site nor Origin."""

    def __init__(self, piece: Any, scheme: str = "https") -> None:
        self.piece = piece
        self.scheme = scheme
        self.cookies: dict[str, str] = {}

    def get(self) -> Result:
        """Load a page."""
        return self.take(call(self.piece, fields=self.fields(), **{"wsgi.url_scheme": self.scheme}))

    def token(self) -> str:
        """Load a page, and return the token in it."""
        return self.get().body.decode()

    def post(self, body: bytes = b"", **fields: str) -> Result:
        """Send a form."""
        cookie = self.fields()
        return self.take(post(self.piece, self.scheme, body, **cookie, **fields))

    def fields(self) -> dict[str, str]:
        """Return the Cookie field."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    def take(self, result: Result) -> Result:
        """Keep the cookies of a response."""
        for cookie in result.all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return result


@pytest.fixture(params=["cookie", "session"])
def piece(request: pytest.FixtureRequest) -> Any:
    """Give a test a site with tokens bound to a cookie, or to a session."""
    if request.param == "cookie":
        return Csrf(page, secret=SECRET)
    return stack(page, Sessions(store="memory"), Csrf())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_token(piece: Any, scheme: str) -> None:
    """A token that a page has given comes back in a field or in a form, as often as one likes."""
    browser = OldBrowser(piece, scheme)
    token = browser.token()
    for _ in range(2):
        assert browser.post(X_CSRF_Token=token).code == 200
        assert browser.post(f"a=1&csrf_token={token}&b=2".encode()).code == 200
    assert browser.post(X_CSRF_Token=token, Origin="null").code == 200
    assert browser.post(X_CSRF_Token=token, Origin="https://evil.example").code == 403
    assert browser.post(X_CSRF_Token=token, Sec_Fetch_Site="cross-site").code == 403


def test_wrong_tokens(piece: Any) -> None:
    """No token, a token of somebody else, a changed one and nonsense are refused."""
    browser, other = OldBrowser(piece), OldBrowser(piece)
    token, theirs = browser.token(), other.token()
    assert browser.post().code == 403
    for index in range(0, len(token) - 1, 5):
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        assert browser.post(X_CSRF_Token=changed).code == 403
    for wrong in (theirs, "x", "A" * 86, token[:-1], f"{token}A", "\xe4" * 86, "*" * 86):
        assert browser.post(X_CSRF_Token=wrong).code == 403
        assert browser.post(f"csrf_token={wrong}".encode()).code == 403
    assert OldBrowser(piece).post(X_CSRF_Token=token).code == 403
    assert browser.post(X_CSRF_Token=token).code == 200


def test_tokens_look_different(piece: Any) -> None:
    """The same visitor gets another text each time, which stands for the same, and no second cookie."""
    browser = OldBrowser(piece)
    one, result = browser.token(), browser.get()
    two = result.body.decode()
    assert one != two
    assert unmasked(one) == unmasked(two)
    assert result["set-cookie"] is None
    assert result["vary"] == "Cookie"
    assert browser.post(X_CSRF_Token=one).code == browser.post(X_CSRF_Token=two).code == 200


def test_masks() -> None:
    """What is under a mask comes out again; what is malformed does not."""
    value = bytes(range(32))
    assert unmasked(masked(value)) == value
    for malformed in ("", "A", "A" * 85, "A" * 87, "\u20ac" * 86, "=" * 86):
        assert unmasked(malformed) is None


def test_cookie_of_the_token() -> None:
    """The cookie is `__Host-` over https, is not for scripts, and keeps shared caches out."""
    result = OldBrowser(Csrf(page, secret=SECRET)).get()
    name, _, rest = (result["set-cookie"] or "").partition("=")
    assert name == "__Host-csrf"
    assert rest.endswith("; Path=/; SameSite=Lax; Secure; HttpOnly")
    assert (result["cache-control"], result["vary"]) == ("no-store", "Cookie")
    result = OldBrowser(Csrf(page, secret=SECRET, cookie_name="t"), "http").get()
    assert (result["set-cookie"] or "").startswith("t=")


def test_cookie_that_somebody_planted() -> None:
    """A cookie that is not well-formed is replaced, and is none for a check."""
    browser = OldBrowser(Csrf(page, secret=SECRET))
    for planted in ("x", "", "A" * 44, "\xe4" * 43):
        browser.cookies["__Host-csrf"] = planted
        assert browser.post(X_CSRF_Token=masked(bytes(32))).code == 403
        token = browser.token()
        assert browser.cookies["__Host-csrf"] != planted
        assert browser.post(X_CSRF_Token=token).code == 200


def test_rotation_of_secrets() -> None:
    """A token of an older secret is good as long as the secret is in the list."""
    new = "another secret, which is the newest"
    browser = OldBrowser(Csrf(page, secret=SECRET))
    token = browser.token()
    browser.piece = Csrf(page, secret=[new, SECRET])
    assert browser.post(X_CSRF_Token=token).code == 200
    browser.piece = Csrf(page, secret=new)
    assert browser.post(X_CSRF_Token=token).code == 403


def test_login_makes_old_tokens_worthless() -> None:
    """Who has planted a session has no token of what it becomes with the login."""

    def application(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/login":
            environ["breezeway.session"].rotate()
        return page(environ, start_response)

    browser = OldBrowser(stack(application, Sessions(store="memory"), Csrf()))
    planted = browser.token()
    assert browser.post(X_CSRF_Token=planted).code == 200
    browser.take(
        call(browser.piece, "/login", fields=browser.fields(), **{"wsgi.url_scheme": "https"})
    )
    assert browser.post(X_CSRF_Token=planted).code == 403
    assert browser.post(X_CSRF_Token=browser.token()).code == 200


def test_no_token_without_secret() -> None:
    """Without a session and a secret the page that asks for a token is told so."""
    with pytest.raises(RuntimeError, match="neither a secret nor a session"):
        call(Csrf(page))
    assert post(Csrf(page), X_CSRF_Token=masked(bytes(32))).code == 403


def test_token_after_the_head(caplog: pytest.LogCaptureFixture) -> None:
    """A token that comes too late for its cookie is told in the log."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["breezeway.csrf_token"]().encode()

    assert call(Csrf(application, secret=SECRET), "/live").code == 200
    (record,) = caplog.records
    assert "for '/live': it has no cookie" in record.getMessage()


def test_replaced_response_has_the_cookie() -> None:
    """A response that takes the place of another has the cookie of the token."""

    def application(environ: Any, start_response: Any) -> Any:
        token = environ["breezeway.csrf_token"]()
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise LookupError
        except LookupError:
            start_response("404 No", [("Content-Type", "text/plain")], sys.exc_info())
        return [token.encode()]

    browser = OldBrowser(Csrf(application, secret=SECRET))
    token = browser.token()
    browser.piece.application = page
    assert browser.post(X_CSRF_Token=token).code == 200


# --- forms ------------------------------------------------------------------------------------------


class Counting(io.BytesIO):
    """An input that counts how much was read of it, and gives little at a time."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to seven bytes."""
        data = super().read(min(size, 7) if size and size > 0 else size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize(
    ("content_type", "length", "reads"),
    [
        (FORM, None, True),
        ("Application/X-WWW-Form-Urlencoded ; charset=utf-8", None, True),
        ("multipart/form-data", None, False),
        ("multipart/form-data; boundary=", None, False),
        ("multipart/form-data; boundary=x; boundary=y", None, False),
        ("text/plain", None, False),
        ("", None, False),
        (FORM, "", False),
        (FORM, "x", False),
        (FORM, "-1", False),
        (FORM, "\xb2", False),
        (FORM, "1" * 30, False),
        (FORM, "1001", False),
    ],
)
def test_what_is_read(content_type: str, length: str | None, reads: bool) -> None:
    """Only a form of a known and bounded length is read, and the application finds it as it came."""
    seen: list[bytes] = []

    def application(environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return page(environ, start_response)
        seen.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    piece = Csrf(application, secret=SECRET, form_bytes=1000)
    browser = OldBrowser(piece)
    token = browser.token()
    form = f"a=%C3%A4+b&csrf%5Ftoken={token}&c=;".encode()
    source = Counting(form)
    environ = make_environ("/x", "POST", browser.fields(), **{"wsgi.url_scheme": "https"})
    environ |= {"CONTENT_TYPE": content_type, "wsgi.input": source}
    environ["CONTENT_LENGTH"] = str(len(form)) if length is None else length
    statuses: list[str] = []
    piece(environ, lambda status, headers: statuses.append(status) or print)  # type: ignore[func-returns-value]
    assert statuses[0][:3] == ("200" if reads else "403")
    assert source.taken == (len(form) if reads else 0)
    assert seen == ([form] if reads else [])


def parts(*texts: str, boundary: str = "-x") -> bytes:
    """Make the body of a form of parts."""
    return "".join(f"--{boundary}\r\n{text}\r\n" for text in texts).encode() + b"--%b--\r\n" % (
        boundary.encode()
    )


def field(name: str, value: str, more: str = "") -> str:
    """Make a part."""
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}'


PARTS: list[tuple[list[str], bool]] = [
    (["{token}"], True),
    ([field("a", "1"), "{token}", field("file", "x" * 5000, '; filename="a"')], True),
    (["{token}", field("file", "x" * 100_000, '; filename="a"')], True),
    ([field("file", "x" * 5000, '; filename="a"'), "{token}"], False),
    ([field("csrf_token", "wrong"), "{token}"], False),
    (["Content-Type: text/plain\r\nX\r\n{token}"], True),
    (["content-disposition: FORM-DATA;name=csrf_token\r\n\r\n{value}"], True),
    ([field("csrf_token", "{value}", '; filename="a"')], False),
    (["Content-Disposition: attachment; name=csrf_token\r\n\r\n{value}"], False),
    (["Content-Disposition: form-data; name=csrf_token\r\n{value}"], False),
    (["Content-Disposition: form-data; name=\xff\r\n\r\n{value}", "{token}"], True),
    ([field("other", "{value}")], False),
    ([], False),
]


@pytest.mark.parametrize(("texts", "passes"), PARTS)
def test_token_in_a_form_with_files(texts: list[str], passes: bool) -> None:
    """It is found at the beginning, which alone is read, and the application finds all as it came."""
    seen: list[bytes] = []

    def application(environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return page(environ, start_response)
        assert source.taken <= 1000
        seen.append(environ["wsgi.input"].readline())
        seen.append(environ["wsgi.input"].read(2000))
        seen.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    piece = Csrf(application, secret=SECRET, form_bytes=1000)
    browser = OldBrowser(piece)
    token = browser.token()
    whole = field("csrf_token", token)
    form = parts(*(text.replace("{token}", whole).replace("{value}", token) for text in texts))
    source = Counting(form + b"of the next request")
    environ = make_environ("/x", "POST", browser.fields(), **{"wsgi.url_scheme": "https"})
    environ |= {"CONTENT_TYPE": 'multipart/form-data; boundary="-x"', "wsgi.input": source}
    environ["CONTENT_LENGTH"] = str(len(form))
    statuses: list[str] = []
    piece(environ, lambda status, headers: statuses.append(status) or print)  # type: ignore[func-returns-value]
    assert statuses[0][:3] == ("200" if passes else "403")
    assert b"".join(seen) == (form if passes else b"")
    assert source.taken <= (len(form) if passes else 1000)


def test_form_with_files_that_is_cut_off() -> None:
    """A token that has not come whole is none; a body that ends early ends early for the application."""
    browser = OldBrowser(Csrf(page, secret=SECRET, form_bytes=500))
    form = parts(field("csrf_token", browser.token()), field("a", "x" * 1000))
    for sent, code in ((100, 403), (300, 200), (700, 200)):
        environ = make_environ("/x", "POST", browser.fields(), form[:sent])
        environ |= {"CONTENT_LENGTH": str(len(form)), "wsgi.url_scheme": "https"}
        environ["CONTENT_TYPE"] = "multipart/form-data; boundary=-x"
        result = run(browser.piece, environ)
        assert (
            (result.code, len(result.body)) == (code, sent) if code == 200 else result.code == 403
        )


def test_nothing_is_read_without_need() -> None:
    """A request that says where it comes from, or has its token in a field, keeps its input."""
    source = Counting(b"a=1")
    found: list[Any] = []

    def application(environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return page(environ, start_response)
        found.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return []

    piece = Csrf(application, secret=SECRET)
    browser = OldBrowser(piece)
    token = browser.token()
    for fields in ({"Sec-Fetch-Site": "none"}, {"X-CSRF-Token": token}):
        environ = make_environ("/x", "POST", {**browser.fields(), **fields}, b"a=1")
        environ |= {"wsgi.input": source, "CONTENT_TYPE": FORM, "wsgi.url_scheme": "https"}
        piece(environ, lambda *head: print)
    assert found == [source, source]
    assert source.taken == 0


def test_client_that_leaves_within_the_form() -> None:
    """A form that ends early has no token; an error of the input is the server's."""
    browser = OldBrowser(Csrf(page, secret=SECRET))
    token = browser.token()
    environ = make_environ("/x", "POST", browser.fields(), f"csrf_token={token}".encode()[:50])
    environ |= {"CONTENT_LENGTH": "97", "CONTENT_TYPE": FORM, "wsgi.url_scheme": "https"}
    assert run(browser.piece, environ).code == 403

    class Gone(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionError("gone")

    environ = make_environ("/x", "POST", browser.fields())
    environ |= {"wsgi.input": Gone(), "CONTENT_LENGTH": "97", "CONTENT_TYPE": FORM}
    with pytest.raises(ConnectionError):
        run(browser.piece, environ)


def test_the_form_comes_through(piece: Any) -> None:
    """The application reads the form that was read before it."""
    browser = OldBrowser(piece)
    form = f"csrf_token={browser.token()}&a=1".encode()
    assert browser.post(form).body == form


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"trusted_origins": value}
            for value in ("https://a.example", ["*"], ["a"], [5], 5, ["null"])
        ),
        *({"exempt": value} for value in ("/x", ["x"], 5)),
        *({"unmarked": value} for value in ("refuse", None, True)),
        *({"secret": value} for value in ("short", [SECRET, "x"], 5, [5])),
        *({"cookie_name": value} for value in ("", "a b", 5)),
        *({"secure": value} for value in ("yes", 1, None)),
        *({"form_field": value} for value in ("", 5)),
        *({"form_bytes": value} for value in (-1, "1", True, 1.5)),
    ],
)
def test_options(options: Any) -> None:
    """What is wrong is told at construction, and no secret is shown."""
    with pytest.raises(ValueError, match=r"\w{4}") as raised:
        Csrf(**options)
    assert SECRET not in str(raised.value)
