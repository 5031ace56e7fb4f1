"""Passwords as `BasicAuth` has them: hashed, or as they are; and a command that hashes one.

The text of a hash is that of the PHC string format: `$scrypt$ln=14,r=8,p=5$SALT$HASH`, in base64
without padding. `$pbkdf2-sha256$i=600000$SALT$HASH` is read as well.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import hmac
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

Check = Callable[[str, str], bool]

SCRYPT_LN: Final = 14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 5
"""128 * r * 2**ln bytes of memory, 16 MiB, five times over: one of the settings that OWASP calls equally
good, and the one among them that sixteen threads can compute at once in 256 MiB."""

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32

MOST_SCRYPT_BYTES: Final = 256 * 1024 * 1024
"""Memory that a hash in the configuration may ask for."""

_SCRYPT: Final = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,3}),p=([0-9]{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)
_PBKDF2: Final = re.compile(
    r"\$pbkdf2-sha(256|512)\$i=([0-9]{1,8})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)

Compute = Callable[[bytes], bytes]


class _Stored(NamedTuple):
    compute: Compute
    expected: bytes


def hash_password(password: str) -> str:
    """Return the hash of a password with a salt of its own, as `users` takes it."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(SCRYPT_LN, SCRYPT_R, SCRYPT_P, salt, HASH_BYTES)(password.encode())
    parameters = f"ln={SCRYPT_LN},r={SCRYPT_R},p={SCRYPT_P}"
    return f"$scrypt${parameters}${_base64(salt)}${_base64(digest)}"


def check_of(users: Mapping[str, str]) -> Check:
    """Return a function of name and password that says whether they are right.

    For a name that is unknown it computes what it would for the first one that is hashed.

    Raises:
        ValueError: a name or a password is not as described; the password is not shown.
    """
    stored = {_checked_name(name): _read(name, password) for name, password in users.items()}
    hashed = (name for name, password in users.items() if password.startswith("$"))
    stand_in = stored[next(hashed, next(iter(stored)))]

    def check(name: str, password: str) -> bool:
        found = stored.get(name)
        compute, expected = found or stand_in
        is_right = hmac.compare_digest(compute(password.encode()), expected)
        return is_right and found is not None

    return check


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name or ":" in name or not name.isprintable():
        raise ValueError(f"users has {name!r}, which is no name: text without a colon")
    return name


def _read(name: str, password: object) -> _Stored:
    if not isinstance(password, str) or not password:
        raise ValueError(f"users: the password of {name!r} is no text, or empty")
    if not password.startswith("$"):
        return _plain(password)
    try:
        if match := _SCRYPT.fullmatch(password):
            ln, r, p = (int(number) for number in match.groups()[:3])
            salt, expected = _bytes(match[4]), _bytes(match[5])
            compute = _scrypt(ln, r, p, salt, len(expected))
        elif match := _PBKDF2.fullmatch(password):
            salt, expected = _bytes(match[3]), _bytes(match[4])
            compute = _pbkdf2(f"sha{match[1]}", int(match[2]), salt, len(expected))
        else:
            raise ValueError("unknown scheme")
        compute(b"")  # what the library does not take is told at start
    except (ValueError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"users: the password of {name!r} begins with $, and is no hash that is known"
            f" here ($scrypt$..., $pbkdf2-sha256$...): {error}"
        ) from None
    return _Stored(compute, expected)


def _plain(password: str) -> _Stored:
    """Compare digests, which have one length, under a key, so that nothing is learned from them."""
    key = secrets.token_bytes(HASH_BYTES)

    def compute(given: bytes) -> bytes:
        return hmac.digest(key, given, hashlib.sha256)

    return _Stored(compute, compute(password.encode()))


def _scrypt(ln: int, r: int, p: int, salt: bytes, length: int) -> Compute:
    needed = 128 * r * (2**ln + p + 2)
    if needed > MOST_SCRYPT_BYTES:
        raise ValueError(f"it takes {needed:,} bytes of memory, and may take {MOST_SCRYPT_BYTES:,}")

    def compute(password: bytes) -> bytes:
        return hashlib.scrypt(password, salt=salt, n=2**ln, r=r, p=p, maxmem=needed, dklen=length)

    return compute


def _pbkdf2(digest: str, iterations: int, salt: bytes, length: int) -> Compute:
    return lambda password: hashlib.pbkdf2_hmac(digest, password, salt, iterations, length)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def main() -> int:
    """Ask for a password, from a terminal twice, and print its hash."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            sys.stderr.write("The two are not the same.\n")
            return 1
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        sys.stderr.write("There is no password.\n")
        return 1
    sys.stdout.write(f"{hash_password(password)}\n")
    return 0
