"""Security: which fields go out, whose count, and which policies are refused."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import Security

from .calling import Counted, Result, call, make_environ

HSTS = "strict-transport-security"
CSP = "content-security-policy"
HTTPS = {"wsgi.url_scheme": "https"}


def get(piece: Any, path: str = "/", **more: Any) -> Result:
    """Ask over https."""
    return call(piece, path, **{**HTTPS, **more})


def test_defaults() -> None:
    """What breaks hardly anything is sent, and nothing else."""
    application = Counted(b"a", b"b")
    result = get(Security(application))
    assert result.blocks == [b"a", b"b"]
    assert result.headers == [
        ("Content-Type", "text/plain"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ]
    assert application.closed == 1


def test_all() -> None:
    """Each option has its field."""
    result = get(
        Security(
            Counted(b"a"),
            hsts=31_536_000,
            hsts_subdomains=True,
            hsts_preload=True,
            csp="default-src 'self'; upgrade-insecure-requests;",
            csp_report_only={"default-src": "'none'", "img-src": ["'self'", "data:"]},
            frame_options="DENY",
            referrer_policy=["no-referrer", "same-origin"],
            permissions_policy={"camera": [], "usb": ["self", "https://a.example"], "hid": "*"},
            coop="same-origin",
            coep="require-corp",
            corp="same-site",
        )
    )
    assert dict(result.headers[1:]) == {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
        "Content-Security-Policy": "default-src 'self'; upgrade-insecure-requests;",
        "Content-Security-Policy-Report-Only": "default-src 'none'; img-src 'self' data:",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer, same-origin",
        "Permissions-Policy": 'camera=(), usb=(self "https://a.example"), hid=*',
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-site",
    }


@pytest.mark.parametrize("off", [None, "", False])
def test_none(off: Any) -> None:
    """Everything can be left out, in TOML too."""
    piece = Security(
        Counted(b"a"), frame_options=off, referrer_policy=off, nosniff=False, hsts=off, csp=off
    )
    assert get(piece).headers == [("Content-Type", "text/plain")]


def test_hsts_over_https_only() -> None:
    """A browser ignores it over http, and it is not told there (RFC 6797 section 7.2)."""
    piece = Security(Counted(b"a"), hsts=0)
    assert get(piece)[HSTS] == "max-age=0"
    assert call(piece)[HSTS] is None
    assert call(piece, fields={"X-Forwarded-Proto": "https"})[HSTS] is None


# --- whose count --------------------------------------------------------------------------------------

THEIRS = [("x-frame-options", "DENY"), ("CONTENT-SECURITY-POLICY", "default-src *")]


def test_own_fields_count() -> None:
    """What the application says itself stays, in any case."""
    result = get(Security(Counted(b"a", fields=THEIRS), csp="default-src 'self'"))
    assert (result["x-frame-options"], result[CSP]) == ("DENY", "default-src *")
    assert result["x-content-type-options"] == "nosniff"


def test_override() -> None:
    """By option ours replace them, each once; what we have none of stays."""
    result = get(Security(Counted(b"a", fields=THEIRS), override=True))
    assert (result["x-frame-options"], result[CSP]) == ("SAMEORIGIN", "default-src *")


def test_paths() -> None:
    """The longest prefix counts; what its table does not name is as above."""
    piece = Security(
        Counted(b"a"),
        hsts=60,
        csp="default-src 'self'",
        paths={"/embed": {"frame_options": "", "csp": False}, "/embed/not": {}},
    )
    assert (get(piece, "/embed/x")["x-frame-options"], get(piece, "/embed")[CSP]) == (None, None)
    assert get(piece, "/embed/x")[HSTS] == "max-age=60"
    assert get(piece, "/embed/not")[CSP] == get(piece, "/embedded")[CSP] == "default-src 'self'"


def test_other_ways_of_writing_a_path() -> None:
    """A page has the rules of the path that most applications take it for."""
    paths = {"/admin": {"frame_options": "DENY"}, "/embed": {"frame_options": ""}}
    piece = Security(Counted(b"a"), paths=paths)
    found = [get(piece, path)["x-frame-options"] for path in ("//admin", "/embed/../admin")]
    assert found == ["DENY", "DENY"]
    assert get(piece, "/embed/../x")["x-frame-options"] == "SAMEORIGIN"


def test_no_hsts_below_a_path() -> None:
    """A path can do without, though the site has it with all that belongs to it."""
    site = {"hsts": 31_536_000, "hsts_subdomains": True, "hsts_preload": True}
    piece = Security(Counted(b"a"), **site, paths={"/not": {"hsts": False}})  # type: ignore[arg-type]
    assert (get(piece, "/not")[HSTS], get(piece)[HSTS] is None) == (None, False)


# --- the nonce ----------------------------------------------------------------------------------------


def nonced(**options: Any) -> Security:
    """Make a piece with a nonce in its policy around an application that uses it."""

    def application(environ: Any, start_response: Any) -> Any:
        status = environ.get("test.status", "200 OK")
        fields = [] if status.startswith("304") else [("Content-Type", "text/plain")]
        start_response(status, fields)
        return [environ.get("breezeway.csp_nonce", "none").encode()]

    return Security(application, **{"csp": "script-src 'nonce-{nonce}'", **options})


def test_nonce() -> None:
    """It is in the environ and in all policies of that response, and new for each."""
    piece = nonced(csp_report_only="style-src 'nonce-{nonce}'")
    seen = set()
    for _ in range(20):
        result = get(piece)
        nonce = result.body.decode()
        assert len(nonce) >= 22
        assert result[CSP] == f"script-src 'nonce-{nonce}'"
        assert result["content-security-policy-report-only"] == f"style-src 'nonce-{nonce}'"
        seen.add(nonce)
    assert len(seen) == 20


def test_no_nonce_unless_asked_for() -> None:
    """Without a placeholder none is made; by path likewise."""
    assert get(nonced(csp="script-src 'self'")).body == b"none"
    piece = nonced(paths={"/api": {"csp": "default-src 'none'"}})
    assert get(piece, "/api").body == b"none"
    assert get(piece, "/").body != b"none"


def test_304_keeps_the_nonce_of_the_stored_page() -> None:
    """A new one would go to the stored page, whose scripts have another."""
    result = get(nonced(), **{"test.status": "304 Not Modified"})
    assert (result[CSP], result["x-content-type-options"]) == (None, "nosniff")


def test_threads() -> None:
    """Each of many requests at once has a nonce of its own."""
    piece = nonced()
    with ThreadPoolExecutor(16) as pool:
        results = [*pool.map(lambda _: get(piece), range(200))]
    assert len({result.body for result in results}) == 200
    assert all(result.body.decode() in (result[CSP] or "") for result in results)


# --- what goes through --------------------------------------------------------------------------------


def test_what_is_returned_is_untouched() -> None:
    """The server sees a list or a file as what it is, and the application's list of fields stays."""
    fields = [("Content-Type", "text/plain"), ("X-Frame-Options", "DENY")]
    for returned in ([b"a"], FileWrapper(io.BytesIO(b"a"))):

        def application(environ: Any, start_response: Any, returned: Any = returned) -> Any:
            start_response("200 OK", fields)
            return returned

        assert Security(application)(make_environ(), lambda *a: print) is returned
        assert len(fields) == 2


def test_errors_and_write() -> None:
    """A second start_response with exc_info gets the fields as well; write() is the server's."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        error = LookupError()
        write = start_response(
            "500 Oh", [("Content-Type", "text/plain")], (LookupError, error, None)
        )
        write(b"a")
        return [b"b"]

    result = get(Security(application))
    assert (result.status, result.body) == ("500 Oh", b"ab")
    assert result["x-content-type-options"] == "nosniff"


# --- policies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'self'",
        "default-src 'none'; script-src 'self' https://cdn.example:* *.example.org wss: data:;;",
        "script-src 'nonce-{nonce}' 'strict-dynamic' 'unsafe-inline' https:",
        "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; object-src 'none'",
        "DEFAULT-SRC 'SELF'",
        "sandbox allow-scripts allow-forms; report-uri /csp; report-to csp",
        "script-src 'url-sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'report-sha256'",
        "require-trusted-types-for 'script'; trusted-types default 'allow-duplicates'",
        "script-src",
        {"default-src": ["'self'"], "upgrade-insecure-requests": []},
        {"img-src": "'self' data:"},
    ],
)
def test_good_csp(policy: Any) -> None:
    """What browsers read is taken."""
    assert get(Security(Counted(b"a"), csp=policy))[CSP]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("default-src 'self' script-src 'self'", "semicolon"),
        ("defaul-src 'self'", "did you mean default-src"),
        ("x", "no directive"),
        ("default-src self", "quotes"),
        ("default-src 'self", "quotes"),
        ("script-src unsafe-inline", "quotes"),
        ("script-src nonce-{nonce}", "quotes"),
        ("script-src 'slef'", "no keyword"),
        ("script-src '{nonce}'", "no keyword"),
        ("script-src {nonce}", "nonce-"),
        ("script-src 'sha255-abc='", "no keyword"),
        ("script-src 'none' https:", "'none'"),
        ("script-src 'self'; script-src https:", "twice"),
        ("script-src 'self'; SCRIPT-SRC https:", "twice"),
        ("upgrade-insecure-requests 1", "no value"),
        ("default-src 'self', script-src 'self'", "comma"),
        ("default-src 'self';\r\nX: y", "one line"),
        ("default-src 'self';\nscript-src 'self'", "one line"),
        ("default-src 'self'\x00", "one line"),
        ("default-src exämple.org", "ASCII"),
        (";", "empty"),
        (" ", "empty"),
        ({"default-src": "'self'; script-src 'self'"}, "semicolon"),
        ({"default-src": 5}, "5"),
        ({"default-src": [5]}, "5"),
        (5, "5"),
        (["default-src 'self'"], "text or a table"),
        (True, "True"),
    ],
)
def test_bad_csp(policy: Any, message: str) -> None:
    """What a browser would ignore, or read in another way, is told."""
    for option in ("csp", "csp_report_only"):
        with pytest.raises(ValueError, match=message) as caught:
            Security(**{option: policy})
        assert option in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"permissions_policy": "geolocation 'none'"}, "camera"),
        ({"permissions_policy": "camera=none"}, "camera|none"),
        ({"permissions_policy": "camera=(https://a.example)"}, "quotes"),
        ({"permissions_policy": "camera=(), camera=*"}, "twice"),
        ({"permissions_policy": "camera=();"}, "camera"),
        ({"permissions_policy": "camera=()\r\nX: y"}, "one line"),
        ({"permissions_policy": {"camera": ['a"b']}}, "origin"),
        ({"permissions_policy": {"Camera": []}}, "Camera"),
        ({"permissions_policy": 5}, "5"),
        ({"referrer_policy": "origins"}, "origins"),
        ({"referrer_policy": "origin,"}, "referrer_policy"),
        ({"referrer_policy": 5}, "5"),
        ({"frame_options": "ALLOW-FROM https://a.example"}, "frame_options"),
        ({"frame_options": ["DENY"]}, "frame_options"),
        ({"coop": "same-site"}, "coop"),
        ({"coep": "x"}, "coep"),
        ({"corp": "x"}, "corp"),
        ({"hsts": -1}, "hsts"),
        ({"hsts": True}, "hsts"),
        ({"hsts": "60"}, "hsts"),
        ({"hsts_subdomains": True}, "hsts"),
        ({"hsts": 60, "hsts_preload": True}, "preload"),
        ({"hsts": 60, "hsts_preload": True, "hsts_subdomains": True}, "preload"),
        ({"nosniff": "yes"}, "nosniff"),
        ({"override": 1}, "override"),
        ({"paths": {"x": {}}}, "slash"),
        ({"paths": {"/x": {"cps": ""}}}, "unknown"),
        ({"paths": {"/x": {"csp": "x"}}}, "directive"),
        ({"paths": {"/x": 5}}, "table"),
        ({"paths": 5}, "table"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What cannot work is told when the piece is made."""
    with pytest.raises(ValueError, match=message):
        Security(**options)


@given(
    st.text(alphabet="default-src 'self';*:.,\n{nonce}\"=()", max_size=60) | st.text(max_size=30)
)
def test_what_is_taken_is_sent_as_one_field(text: str) -> None:
    """No policy fails in another way than ValueError, and none breaks out of its field."""
    for option in ("csp", "permissions_policy", "referrer_policy"):
        try:
            piece = Security(Counted(b"a"), **{option: text or None})  # type: ignore[arg-type]
        except ValueError:
            continue
        for _, value in get(piece).headers:
            assert value.isascii()
            assert value.isprintable()
