"""Bearer tokens: who gets in, and the errors of RFC 6750."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from breezeway.middleware import BasicAuth, BearerAuth, stack

from .calling import Counted, Result, call

TOKEN = "a-token_that.is~long+enough/=="
OTHER = "b" * 40


def ask(piece: BearerAuth, authorization: str, path: str = "/") -> Result:
    """Ask with an Authorization field."""
    return call(piece, path, fields={"Authorization": authorization})


@pytest.mark.parametrize("hashed", [False, True])
def test_table(hashed: bool) -> None:
    """A known token lets in, and says who it is; given as it is, or as its SHA-256."""
    given = f"sha256:{hashlib.sha256(TOKEN.encode()).hexdigest().upper()}" if hashed else TOKEN
    application = Counted(b"secret")
    piece = BearerAuth(application, tokens={given: "billing", OTHER: "j\xf6rg"})
    for scheme in ("Bearer", "bearer", "BEARER  "):
        assert ask(piece, f"{scheme} {TOKEN}").body == b"secret"
        assert application.environ["REMOTE_USER"] == "billing"
        assert application.environ["AUTH_TYPE"] == "Bearer"
    assert ask(piece, f"Bearer {OTHER}").code == 200
    assert application.environ["REMOTE_USER"].encode("latin-1").decode() == "j\xf6rg"
    if hashed:
        assert ask(piece, f"Bearer {given}").code == 400


def test_list() -> None:
    """Of a list, who it is is told by the token's digest."""
    application = Counted(b"")
    assert ask(BearerAuth(application, tokens=[TOKEN]), f"Bearer {TOKEN}").code == 200
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    assert application.environ["REMOTE_USER"] == f"token-{digest[:8]}"


def test_function() -> None:
    """A function decides."""
    application = Counted(b"")
    piece = BearerAuth(application, tokens={"good": "ann"}.get)
    assert [ask(piece, f"Bearer {token}").code for token in ("good", "bad")] == [200, 401]
    piece = BearerAuth(application, tokens=lambda token: "")
    assert ask(piece, "Bearer bad").code == 401


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Bearer2 x", f"{TOKEN}"])
def test_no_token(authorization: str) -> None:
    """Without a token there is no error to tell (RFC 6750 section 3.1)."""
    result = ask(BearerAuth(Counted(b""), tokens=[TOKEN], realm="a"), authorization)
    assert (result.code, result["www-authenticate"]) == (401, 'Bearer realm="a"')


@pytest.mark.parametrize(
    "token",
    ["", " ", "a b", "\xe4" * 20, "a,b", '"a"', "=", "a=b", "x" * 8193, f"{TOKEN}, {TOKEN}"],
)
def test_malformed(token: str) -> None:
    """A malformed token is invalid_request."""
    application = Counted(b"")
    result = ask(BearerAuth(application, tokens=[TOKEN]), f"Bearer {token}")
    assert result.code == 400
    assert 'error="invalid_request"' in (result["www-authenticate"] or "")
    assert application.calls == 0


def test_unknown() -> None:
    """A token that is not known is invalid_token; also the hash of one that is."""
    application = Counted(b"")
    piece = BearerAuth(application, tokens=[TOKEN])
    for token in (OTHER, TOKEN[:-1], hashlib.sha256(TOKEN.encode()).hexdigest()):
        result = ask(piece, f"Bearer {token}")
        assert result.code == 401
        assert 'error="invalid_token"' in (result["www-authenticate"] or "")
    assert application.calls == 0


def test_problems() -> None:
    """Refusals are problem details, without a detail where there is no error to tell."""
    piece = BearerAuth(Counted(b""), tokens=[TOKEN])
    results = [ask(piece, authorization) for authorization in ("", "Bearer ,", f"Bearer {OTHER}")]
    assert {result["content-type"] for result in results} == {"application/problem+json"}
    assert [json.loads(result.body) for result in results] == [
        {"title": "Unauthorized", "status": 401},
        {"title": "Bad Request", "status": 400, "detail": "the token is malformed"},
        {
            "title": "Unauthorized",
            "status": 401,
            "detail": "the token is not known, or not any more",
        },
    ]
    head = call(piece, method="HEAD")
    assert (head.code, head.body, head["content-length"]) == (401, b"", str(len(results[0].body)))


def test_only_the_field() -> None:
    """A token in the query or in a form counts for nothing."""
    piece = BearerAuth(Counted(b""), tokens=[TOKEN])
    assert call(piece, f"/?access_token={TOKEN}").code == 401
    body = f"access_token={TOKEN}".encode()
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    assert call(piece, method="POST", body=body, fields=fields).code == 401


def test_paths() -> None:
    """Only what is protected is asked for, and REMOTE_USER comes from nowhere else."""
    application = Counted(b"")
    piece = BearerAuth(application, tokens=[TOKEN], protect=["/api"], exempt=["/api/ping"])
    for path in ("/", "/api/ping"):
        assert call(piece, path, REMOTE_USER="eve").code == 200
        assert "REMOTE_USER" not in application.environ
    assert [call(piece, path).code for path in ("/api", "/api/x", "//api")] == [401] * 3


@pytest.mark.parametrize(
    "options",
    [
        *({"tokens": tokens} for tokens in (TOKEN, [], {}, None, 5, ["short"], [5], ["\xe4" * 20])),
        *({"tokens": {TOKEN: who}} for who in ("", 5)),
        {"tokens": ["sha256:abc"]},
        {"tokens": [TOKEN, TOKEN]},
        {"tokens": [TOKEN], "realm": "\n"},
        {"tokens": [TOKEN], "protect": "/"},
    ],
)
def test_options(options: Any) -> None:
    """What is wrong is told at construction, without showing a token."""
    with pytest.raises(ValueError, match=r"token|realm|protect") as raised:
        BearerAuth(**options)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("bearer_is_outside", [True, False])
def test_beside_basic_auth(bearer_is_outside: bool) -> None:
    """Each of the two says who it is in its part of a site, whichever stands outside."""
    application = Counted(b"page")
    bearer = BearerAuth(tokens={"t" * 16: "robot"}, protect=["/api"])
    basic = BasicAuth(users={"ann": "x"}, protect=["/admin"])
    pieces = [bearer, basic] if bearer_is_outside else [basic, bearer]
    site = stack(application, *pieces)
    for path, authorization, who in (
        ("/api", f"Bearer {'t' * 16}", ("robot", "Bearer")),
        ("/admin", "Basic YW5uOng=", ("ann", "Basic")),
        ("/", "Basic YW5uOng=", (None, None)),
    ):
        fields = {"Authorization": authorization}
        assert call(site, path, fields=fields, REMOTE_USER="eve", AUTH_TYPE="x").code == 200
        assert tuple(map(application.environ.get, ("REMOTE_USER", "AUTH_TYPE"))) == who
    assert call(site, "/api").code == call(site, "/admin").code == 401
