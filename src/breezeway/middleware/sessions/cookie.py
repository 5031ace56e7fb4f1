"""Sessions in signed cookies: the content is with the client, who can read it and not change it.

A value is `BASE64URL("CREATED EXPIRES JSON").SIGNATURE`; itsdangerous makes and checks the signature,
an HMAC with SHA-256. There is nothing to look up and nothing to lose, and therefore nothing to take
back either: an old value, of before a logout for instance, is good until it expires.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from breezeway.middleware.sessions.store import Record
from breezeway.semantics.cookies import LONGEST_COOKIE


class SignedCookies:
    """Sessions in the value of their cookie."""

    def __init__(self, secrets: Sequence[str], name: str) -> None:
        """`secrets`: the newest first, with which is signed; the others are read as well.

        Raises:
            ValueError: itsdangerous is not installed.
        """
        try:
            from itsdangerous import BadSignature, Signer
        except ImportError:
            raise ValueError(
                "sessions in cookies need the package itsdangerous: pip install 'breezeway[sessions]'"
            ) from None
        purpose = f"breezeway session {name}".encode()
        # Derived once, and not for each cookie, as Signer would do it.
        keys = [hmac.digest(secret.encode(), purpose, hashlib.sha256) for secret in secrets]
        keys.reverse()  # itsdangerous has the newest last
        self._signer = Signer(keys, key_derivation="none", digest_method=hashlib.sha256)
        self._bad = BadSignature

    def load(self, value: str, now: float) -> Record | None:
        """Read a value if its signature is right."""
        if len(value) > LONGEST_COOKIE or not value.isascii():
            return None
        try:
            payload = self._signer.unsign(value)
        except self._bad:
            return None
        try:
            created, expires, text = base64.urlsafe_b64decode(payload).decode().split(" ", 2)
            record = Record(text, int(created), int(expires))
        except (binascii.Error, ValueError):  # signed with this key by somebody else
            return None
        return record if record.expires > now else None

    def create(self, record: Record) -> str:
        """Write a value."""
        text = f"{record.created} {record.expires} {record.text}"
        return self._signer.sign(base64.urlsafe_b64encode(text.encode())).decode()

    def replace(self, value: str, record: Record) -> str:
        """Write another value."""
        return self.create(record)

    move = replace
    touch = replace

    def delete(self, value: str) -> None:
        """Do nothing: who has kept a value has it."""
