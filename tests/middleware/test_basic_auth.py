"""Names and passwords: who gets in, who does not, and what it costs."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from breezeway.middleware import BasicAuth, stack
from breezeway.middleware import basic_auth as module
from breezeway.middleware.basic_auth import parse_credentials
from breezeway.middleware.basic_auth.passwords import hash_password

from .calling import Counted, Result, call

PBKDF2 = "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$" + base64.b64encode(
    hashlib.pbkdf2_hmac("sha256", b"open sesame", b"saltsalt", 1000, 32)
).decode().rstrip("=")
# RFC 7914 section 12: scrypt (P="password", S="NaCl", N=1024, r=8, p=16, dkLen=64)
SCRYPT = "$scrypt$ln=10,r=8,p=16$TmFDbA$" + base64.b64encode(
    bytes.fromhex(
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
        "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    )
).decode().rstrip("=")


def field(name: str, password: str, scheme: str = "Basic") -> dict[str, str]:
    """Make the Authorization field."""
    return {"Authorization": f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def ask(piece: BasicAuth, name: str, password: str, path: str = "/") -> Result:
    """Ask with a name and a password."""
    return call(piece, path, fields=field(name, password))


def test_in_and_out() -> None:
    """The right password lets in; anything else is 401 with the challenge, and reaches nobody."""
    application = Counted(b"secret")
    piece = BasicAuth(application, users={"ann": "open sesame", "bob": PBKDF2, "cid": SCRYPT})
    for name, password in (("ann", "open sesame"), ("bob", "open sesame"), ("cid", "password")):
        assert ask(piece, name, password).body == b"secret"
        assert application.environ["REMOTE_USER"] == name
        assert application.environ["AUTH_TYPE"] == "Basic"
    calls = application.calls
    for name, password in (("ann", "x"), ("bob", ""), ("cid", "Password"), ("dan", "open sesame")):
        result = ask(piece, name, password)
        assert result.code == 401
        assert result["www-authenticate"] == 'Basic realm="Restricted", charset="UTF-8"'
    assert application.calls == calls


def test_no_credentials() -> None:
    """Without credentials: 401, and for HEAD without content."""
    piece = BasicAuth(Counted(b"secret"), users={"ann": "x"}, realm='a "b" \\')
    result = call(piece)
    assert (result.code, result.body) == (401, b"401 Unauthorized\n")
    assert result["www-authenticate"] == r'Basic realm="a \"b\" \\", charset="UTF-8"'
    assert call(piece, method="HEAD").body == b""


@pytest.mark.parametrize(
    "authorization",
    [
        *(
            "",
            "Basic",
            "Basic ",
            "Basic =",
            "Basic ****",
            "Bearer YTpi",
            "BasicYTpi",
            "Basic YTpi x",
        ),
        *("Basic YTp", "Basic YWI=", "Basic //86YQ==", "Basic YQA6YQ==", "Basic YTpi, Basic YTpi"),
        *("Basic\tYTpi", " Basic YTpi", "Basic YTpi\x00", "Basic \xe4", "Digest a=b", "Basic YT-_"),
        "Basic " + base64.b64encode(b"a:" + b"x" * 5000).decode(),
    ],
)
def test_malformed(authorization: str) -> None:
    """What is malformed, too long or of another scheme is no credentials."""
    piece = BasicAuth(Counted(b"secret"), users=lambda name, password: True)
    assert parse_credentials(authorization) is None
    assert call(piece, fields={"Authorization": authorization}).code == 401


def test_forms_of_credentials() -> None:
    """Case of the scheme, several spaces, colons in the password and UTF-8 are all right."""
    assert parse_credentials("bAsIc   YTpi ") == ("a", "b")
    assert parse_credentials(field("a", "b:c:")["Authorization"]) == ("a", "b:c:")
    application = Counted(b"secret")
    piece = BasicAuth(application, users={"j\xf6rg": "\u20ac"})
    assert ask(piece, "j\xf6rg", "\u20ac").code == 200
    assert application.environ["REMOTE_USER"].encode("latin-1").decode() == "j\xf6rg"


def test_paths() -> None:
    """Only what is protected is asked for, and REMOTE_USER comes from nowhere else."""
    application = Counted(b"page")
    piece = BasicAuth(application, users={"ann": "x"}, protect=["/admin"], exempt=["/admin/css"])
    for path in ("/", "/administrator", "/admin/css/a.css"):
        assert call(piece, path, REMOTE_USER="eve", AUTH_TYPE="Basic").code == 200
        assert not {"REMOTE_USER", "AUTH_TYPE"} & {*application.environ}
    for path in ("/admin", "/admin/x", "//admin", "/x/../admin", "/admin;x"):
        assert call(piece, path, REMOTE_USER="ann").code == 401


def test_function() -> None:
    """A function decides, once for each pair and time."""
    asked: list[tuple[str, str]] = []

    def check(name: str, password: str) -> bool:
        asked.append((name, password))
        return password == "y"

    piece = BasicAuth(Counted(b""), users=check)
    assert [ask(piece, "a", password).code for password in "xyxyyx"] == [
        *(401, 200, 401, 200, 200, 401)
    ]
    assert asked == [("a", "x"), ("a", "y"), ("a", "x"), ("a", "x")]
    asked.clear()
    piece = BasicAuth(Counted(b""), users=check, memo_seconds=0)
    assert [ask(piece, "a", "y").code, ask(piece, "a", "y").code] == [200, 200]
    assert len(asked) == 2


@pytest.mark.parametrize("found", ["yes", object(), 1, None])
def test_function_that_says_something_else(found: Any) -> None:
    """Neither the coroutine of an async function lets anybody in, nor a record of a database."""
    application = Counted(b"")
    with pytest.raises(TypeError, match="True or False"):
        ask(BasicAuth(application, users=lambda name, password: found), "a", "b")
    assert application.calls == 0


def test_memo_ends_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is checked again in time, and is bounded."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    asked: list[str] = []
    piece = BasicAuth(
        Counted(b""), users=lambda name, password: not asked.append(name), memo_seconds=10
    )
    ask(piece, "a", "")
    now[0] += 9.9
    ask(piece, "a", "")
    assert asked == ["a"]
    now[0] += 0.2
    ask(piece, "a", "")
    assert asked == ["a", "a"]
    for number in range(module.MEMO_ENTRIES):
        piece._memo.add(f"{number}", "b")
    assert len(piece._memo._entries) == module.MEMO_ENTRIES
    assert piece._memo.get(field("a", "")["Authorization"]) is None


def test_unknown_names_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a name that is not there a hash is computed as well."""
    computed: list[Any] = []
    real = hashlib.pbkdf2_hmac

    def count(*args: Any) -> bytes:
        computed.append(args[3])
        return real(*args)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", count)
    piece = BasicAuth(Counted(b""), users={"ann": "plain", "bob": PBKDF2})
    computed.clear()
    assert [ask(piece, name, "x").code for name in ("bob", "eve", "")] == [401] * 3
    assert computed == [1000] * 3


def test_threads() -> None:
    """Many threads at once each get their own answer."""
    piece = BasicAuth(Counted(b""), users={f"u{n}": f"p{n}" for n in range(4)}, memo_seconds=0.001)

    def one(number: int) -> bool:
        name, right = f"u{number % 4}", number % 3 > 0
        password = f"p{number % 4}" if right else f"p{number % 4 + 1}"
        return (parse(piece, name, password) == name) is right

    def parse(piece: BasicAuth, name: str, password: str) -> str | None:
        return piece._name(field(name, password)["Authorization"])

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(2000)))


def test_helper_makes_a_hash() -> None:
    """The command prints what `users` takes."""
    command = [sys.executable, "-m", "breezeway.middleware.basic_auth"]
    done = subprocess.run(command, input="open sesame\n", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    hashed = done.stdout.strip()
    assert hashed.startswith("$scrypt$ln=14,r=8,p=5$")
    piece = BasicAuth(Counted(b""), users={"ann": hashed})
    assert [ask(piece, "ann", word).code for word in ("open sesame", "x")] == [200, 401]
    empty = subprocess.run(command, input="\n", capture_output=True, text=True)
    assert (empty.returncode, empty.stdout) == (1, "")
    assert hash_password("a") != hash_password("a")


@pytest.mark.parametrize(
    "options",
    [
        *({"users": users} for users in ({}, [], None, "a", {"a": ""}, {"": "a"}, {"a:b": "c"})),
        *(
            {"users": {"a": text}}
            for text in (5, "$2y$10$abc", "$scrypt$x", "$", "$scrypt$ln=14,r=8")
        ),
        {"users": {"a": "$scrypt$ln=30,r=8,p=1$AAAA$AAAA"}},
        {"users": {"a": "$pbkdf2-sha256$i=0$AAAA$AAAA"}},
        {"users": {"a": "b"}, "realm": "\xe4"},
        {"users": {"a": "b"}, "realm": "a\nb"},
        {"users": {"a": "b"}, "protect": "/"},
        {"users": {"a": "b"}, "exempt": ["x"]},
        {"users": {"a": "b"}, "memo_seconds": -1},
        {"users": {"a": "b"}, "memo_seconds": "x"},
        {"users": {"a": "b"}, "memo_seconds": True},
    ],
)
def test_options(options: Any) -> None:
    """What is wrong is told at construction, without showing a password."""
    with pytest.raises(ValueError, match=r"users|realm|protect|prefix|memo_seconds") as raised:
        BasicAuth(**options)
    assert "2y" not in str(raised.value)


def test_in_a_stack() -> None:
    """The piece takes its application later, too."""
    assert call(stack(Counted(b"x"), BasicAuth(users={"a": "b"}))).code == 401
