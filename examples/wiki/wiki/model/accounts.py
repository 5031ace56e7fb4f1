"""Who may edit: names and passwords."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from wiki.model.faults import Refused
from wiki.model.tables import NAME_CHARACTERS, User

PASSWORD_LEAST = 10
PASSWORD_MOST = 200

SCRYPT = {"n": 2**14, "r": 8, "p": 5}
"""16 MiB, five times over: one of the settings that OWASP recommends."""

SCRYPT_BYTES = 64 * 1024 * 1024
SALT_BYTES = 16


def sign_up(session: Session, name: str, password: str) -> User:
    """Make an account.

    Raises:
        Refused: the name is taken or none, or the password is too short.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise Refused("name", f"A name has 1 to {NAME_CHARACTERS} characters.")
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise Refused("password", f"A password has at least {PASSWORD_LEAST} characters.")
    user = User(name=name, key=_key(name), password=hashed(password))
    session.add(user)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise Refused("name", "Somebody has this name already.") from None
    return user


def log_in(session: Session, name: str, password: str) -> User | None:
    """Return who has this name and password; an unknown name takes as long as a wrong password."""
    user = session.scalar(select(User).where(User.key == _key(name)))
    is_right = _matches(password[: PASSWORD_MOST + 1], user.password if user else _NOBODY)
    return user if is_right else None


def hashed(password: str) -> str:
    """Return the hash of a password, with a salt of its own."""
    salt = secrets.token_bytes(SALT_BYTES)
    return f"{salt.hex()}${_scrypt(password, salt).hex()}"


def _matches(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), digest)


def _scrypt(password: str, salt: bytes) -> bytes:
    normal = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(normal, salt=salt, maxmem=SCRYPT_BYTES, **SCRYPT)


def _key(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


_NOBODY = f"{bytes(SALT_BYTES).hex()}$"
"""No password has this hash."""
