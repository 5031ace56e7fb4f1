"""The TLS of a server: its certificates, which of them a client gets, and what changes them.

A `Tls` has one context that no certificate changes: it makes the objects of all connections and owns the
key of the session tickets, so that only other authorities for clients make a new one. When a client has
said for which host it comes, the connection takes its certificate from another context. There is one for
each certificate; those of the same names share one, where OpenSSL looks for a type of key that the client
knows. New files become new contexts, put in their place in one go: no handshake sees half of a change, no
ticket becomes invalid, and nothing is locked.

`of` keeps each `Tls` for the life of the process and of those forked from it: made by the supervisor,
it is the same for all workers and survives every one of them, with its tickets, and with keys that the
workers' user may not read.
"""

from __future__ import annotations

import datetime
import errno
import functools
import logging
import os
import re
import ssl
import stat
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.worker import certificate
from breezeway.worker.certificate import Facts

logger = logging.getLogger("breezeway.worker")

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption, as all of TLS 1.3 has them (RFC 9325
section 4.2)."""

OPTIONS: Final = ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE

TICKETS: Final = 1
"""For each connection of TLS 1.3: it replaces the one with which the client has come. OpenSSL's 2 cost
13 us more of a handshake's 200."""

LOOK_SECONDS: Final = 5.0
"""How often the files are looked at, and only when a client connects."""

SETTLE_SECONDS: Final = 2.0
"""A file that was written less long ago is left alone: its fellow may not be there yet."""

SOON_DAYS: Final = 14
"""A certificate that ends within so many days is warned of: who renews does it earlier."""

_OTHER_KEY: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL keeps a certificate for each type of key, and looks for the one of this key's."""

_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")

Stamp = tuple[object, ...]


class Pair(NamedTuple):
    """The files of a certificate and of its key, which may be the same."""

    certfile: str
    keyfile: str


@functools.cache
def _say_nothing_of_names() -> None:
    """Have a host name beyond ASCII end its handshake, and no more.

    `ssl` decodes the name before `_choose` is called, and has the interpreter print a traceback if that
    fails: any client could fill the log.
    """
    following = sys.unraisablehook

    def hook(found: sys.UnraisableHookArgs, /) -> None:
        error = found.exc_value
        # The name is the object; from CPython 3.14 on, a part of the message.
        if not (
            isinstance(error, UnicodeDecodeError)
            and (error.object == found.object or repr(error.object) in (found.err_msg or ""))
        ):
            following(found)

    sys.unraisablehook = hook


class Session(ssl.SSLObject):
    """One connection's TLS."""

    server_name: str | None = None
    """The host for which the client has said that it comes."""

    @property
    def decrypt(self) -> Callable[..., Any]:
        """`read`, without the function of Python around it: 0.1 us of a small request."""
        return self._sslobj.read  # type: ignore[attr-defined, no-any-return]

    @property
    def encrypt(self) -> Callable[..., Any]:
        """`write` in the same way."""
        return self._sslobj.write  # type: ignore[attr-defined, no-any-return]


class _Certificates(NamedTuple):
    """What a rotation replaces."""

    first: ssl.SSLContext
    by_name: dict[str, ssl.SSLContext]
    facts: dict[str, Facts]
    """By the name of the file."""


class Tls:
    """The contexts for the settings of TLS."""

    def __init__(self, settings: Settings) -> None:
        """Load everything.

        Raises:
            UsageError: a file cannot be used.
        """
        keyfiles = settings.keyfile or settings.certfile
        _say_nothing_of_names()
        self._pairs = tuple(map(Pair, settings.certfile, keyfiles))
        self._password = settings.keyfile_password
        self._ca_certs = settings.ca_certs
        self._client_certs = settings.client_certs
        self.asks_clients = settings.client_certs != "none"
        """Whether clients may show a certificate."""
        self._stamp = self._stamp_now()
        self._told: Stamp | None = None
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._trusted = self._authorities()
        self._certificates = self._load()
        self._begin()

    def _begin(self) -> None:
        """Make the context of all connections, with a new key for tickets."""
        self._base = self._context()
        self._base.sslobject_class = Session
        self._base.num_tickets = TICKETS
        self._base.sni_callback = self._choose
        self.wrap = self._base.wrap_bio

    # --- for each handshake ------------------------------------------------------------------

    def _choose(self, session: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Choose the certificate; called in the handshake, also if the client names no host."""
        found = self._certificates
        context = found.first
        if name is not None and _HOST_NAME.fullmatch(name):
            assert isinstance(session, Session)
            session.server_name = name
            by_name = found.by_name
            name = name.lower().rstrip(".")
            context = by_name.get(name) or by_name.get("*." + name.partition(".")[2], context)
        session.context = context

    # --- loading -----------------------------------------------------------------------------

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.options |= OPTIONS
        context.set_alpn_protocols(["http/1.1"])
        if self._ca_certs is not None:
            try:
                context.load_verify_locations(self._ca_certs)
            except ssl.SSLError:
                what = "holds no certificate in PEM, or a damaged one"
                raise _unusable(self._ca_certs, "--ca-certs", what) from None
            except OSError as error:  # as below
                raise _unreadable(self._ca_certs, "--ca-certs", error) from None
        if self.asks_clients:
            optional = self._client_certs == "optional"
            context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
        return context

    def _authorities(self) -> str:
        """Return the text of the file of authorities."""
        return "" if self._ca_certs is None else _read(self._ca_certs, "--ca-certs")

    def _load(self) -> _Certificates:
        contexts: dict[frozenset[str], ssl.SSLContext] = {}
        by_name: dict[str, ssl.SSLContext] = {}
        facts: dict[str, Facts] = {}
        taken = set()
        for pair in self._pairs:
            found = facts[pair.certfile] = _check(pair)
            alone = self._context()
            _load_pair(alone, pair, self._password)  # beside others, one of their keys would do
            names = frozenset(found.names)
            context = contexts.setdefault(names, alone)
            if context is not alone and (names, found.key_type) not in taken:  # the first is used
                _load_pair(context, pair, self._password)
            taken.add((names, found.key_type))
            for name in found.names:
                by_name.setdefault(name, context)
        return _Certificates(next(iter(contexts.values())), by_name, facts)

    def complaints(self) -> list[str]:
        """Say which certificates clients will not take, or not much longer."""
        now = datetime.datetime.now(datetime.UTC)
        said = []
        for name, facts in self._certificates.facts.items():
            if facts.ends <= now:
                said.append(f"the certificate {name} has expired, on {facts.ends:%Y-%m-%d}")
            elif facts.begins > now:
                said.append(f"the certificate {name} is not valid before {facts.begins:%Y-%m-%d}")
            elif facts.ends - now < datetime.timedelta(days=SOON_DAYS):
                said.append(f"the certificate {name} expires on {facts.ends:%Y-%m-%d}")
        return said

    # --- rotation ----------------------------------------------------------------------------

    def renew(self) -> bool:
        """Load what has changed; return whether anything has.

        Raises:
            UsageError: a file cannot be used. What was loaded before stays.
        """
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return False
        trusted = self._authorities()
        certificates = self._load()
        if trusted != self._trusted:
            self._begin()  # whom a former authority vouched for could go on with a ticket
        self._trusted, self._certificates, self._stamp = trusted, certificates, stamp
        return True

    def look(self) -> None:
        """Follow the files, if it is time to look; for every new connection."""
        if time.monotonic() >= self._next_look:
            self.follow()

    def follow(self) -> None:
        """Renew, if files have changed and are whole; tell the log."""
        now = time.monotonic()
        self._next_look = now + LOOK_SECONDS
        stamp = self._stamp_now()
        # With --user, what may not be looked at is for the supervisor to tell.
        if stamp == self._stamp or errno.EACCES in stamp:
            return
        if 0 <= time.time() - self._youngest() < SETTLE_SECONDS:
            self._next_look = now + SETTLE_SECONDS
            return
        try:
            self.renew()
        except UsageError as error:  # the next look tries again: no stamp tells of permissions
            if stamp != self._told:
                self._told = stamp
                logger.error(
                    "the new certificates are not used, and the old ones stay: %s"
                    " A reload (HUP) tries again, with the rights of the supervisor.",
                    error.message,
                )
        else:
            self._told = None
            logger.info("the new certificates are in use")
            for complaint in self.complaints():
                logger.warning("%s", complaint)

    def _files(self) -> list[str]:
        names = [name for pair in self._pairs for name in pair]
        return [*names, self._ca_certs] if self._ca_certs is not None else names

    def _stamp_now(self) -> Stamp:
        return tuple(_stamp(name) for name in self._files())

    def _youngest(self) -> float:
        """When one of the files was last written; seconds since 1970."""
        times = [0.0]
        for name in self._files():
            try:
                times.append(os.stat(name).st_mtime)
            except OSError:  # to read it tells what is wrong
                pass
        return max(times)


def _stamp(name: str) -> object:
    try:
        found = os.stat(name)
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino


def _check(pair: Pair) -> Facts:
    """Look whether the files are what they should be: OpenSSL's own words tell it badly."""
    text = _read(pair.certfile, "--certfile")
    try:
        facts = certificate.read(text)
    except ValueError:
        raise _unusable(pair.certfile, "--certfile", "holds no certificate in PEM")
    if pair.keyfile != pair.certfile:
        text = _read(pair.keyfile, "--keyfile")
        if not _PRIVATE_KEY.search(text):
            raise _unusable(pair.keyfile, "--keyfile", "holds no private key in PEM")
    elif not _PRIVATE_KEY.search(text):
        hint = "--keyfile names the file of the key, if it is another one."
        raise _unusable(pair.certfile, "--certfile", "holds no private key", hint)
    return facts


def _load_pair(context: ssl.SSLContext, pair: Pair, password: str | None) -> None:
    asked = False

    def give() -> str:
        nonlocal asked
        asked = True
        return password or ""

    option = "--keyfile" if pair.keyfile != pair.certfile else "--certfile"
    try:
        # Always with a function: without one, OpenSSL asks on the terminal.
        context.load_cert_chain(pair.certfile, pair.keyfile, password=give)
    except ssl.SSLError as error:
        if error.reason in _OTHER_KEY:
            text = f"the key {pair.keyfile} is not that of the certificate {pair.certfile}."
            hint = (
                "Is one of the two from before a renewal? The server's own certificate comes first."
            )
            raise UsageError(text, hint) from None
        if asked and password is None:
            hint = "Its password: BREEZEWAY_KEYFILE_PASSWORD, or --keyfile-password."
            raise _unusable(
                pair.keyfile, option, "has an encrypted key, and there is no password", hint
            )
        if asked:
            what = "has a key that the password does not open"
            raise _unusable(pair.keyfile, option, what, "--keyfile-password")
        _check_certificates(pair.certfile)
        if not error.reason:
            raise _unusable(pair.keyfile, option, "is damaged: OpenSSL cannot read the key")
        text = f"the certificate {pair.certfile} with the key {pair.keyfile} cannot be used: "
        raise UsageError(f"{text}{in_words(error)}.") from None
    except OSError as error:  # it has gone since it was read
        raise _unreadable(pair.keyfile, option, error) from None
    except ValueError:  # a password of more than 1,023 bytes
        raise _unusable(pair.keyfile, option, "cannot have a password as long as that")


def _check_certificates(path: str) -> None:
    """Look whether OpenSSL can read them; for a pair it does not tell of which file it speaks."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        hint = "Is it cut short, or does one begin in the line in which the one before it ends?"
        what = "is damaged: OpenSSL cannot read all of its certificates"
        raise _unusable(path, "--certfile", what, hint) from None
    except OSError as error:  # it has gone since it was read
        raise _unreadable(path, "--certfile", error) from None


def _read(path: str, option: str) -> str:
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # it would be waited for
            raise _unusable(path, option, "is a pipe")
        with open(path, encoding="latin-1") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, option, error) from None


def _unreadable(path: str, option: str, error: OSError) -> UsageError:
    reason = (error.strerror or "it cannot be read").lower()
    return UsageError(f"cannot read {path} ({option}): {reason}.")


def _unusable(path: str, option: str, what: str, hint: str = "") -> UsageError:
    return UsageError(f"{path} ({option}) {what}.", hint)


def in_words(error: ssl.SSLError) -> str:
    """Say what is wrong as OpenSSL says it, in small letters and without its numbers."""
    reason = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    return str(reason).replace("_", " ").lower() if reason else "OpenSSL gives no reason"


_known: dict[tuple[object, ...], Tls] = {}


def of(settings: Settings) -> Tls:
    """Return the `Tls` of these settings, the same one at each call.

    Raises:
        UsageError: a file cannot be used.
    """
    key = (
        settings.certfile,
        settings.keyfile,
        settings.keyfile_password,
        settings.ca_certs,
        settings.client_certs,
    )
    found = _known.get(key)
    if found is None:
        found = _known[key] = Tls(settings)
    return found
