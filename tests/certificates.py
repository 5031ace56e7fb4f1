"""Certificates for tests, made by the openssl program: quick ones, on an elliptic curve."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

P256: Final = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA: Final = ("rsa:2048",)


class Made(NamedTuple):
    """The files of a certificate and its key, as settings have them."""

    certfile: str
    keyfile: str

    @property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """The settings that serve with it."""
        return {"certfile": (self.certfile,), "keyfile": (self.keyfile,)}

    @property
    def options(self) -> tuple[str, ...]:
        """The options that serve with it."""
        return ("--certfile", self.certfile, "--keyfile", self.keyfile)


def make(
    directory: Path,
    name: str,
    *alternatives: str,
    subject: str = "",
    issuer: Made | None = None,
    password: str = "",
    days: int = 30,
    key: Sequence[str] = P256,
) -> Made:
    """Make a certificate for these alternative names; without `issuer` it signs itself."""
    directory.mkdir(exist_ok=True)
    made = Made(str(directory / f"{name}.pem"), str(directory / f"{name}-key.pem"))
    command = ["openssl", "req", "-x509", "-newkey", *key]
    command += ["-utf8", "-days", str(days), "-subj", subject or f"/CN={name}"]
    command += ["-keyout", made.keyfile, "-out", made.certfile]
    command += ["-passout", f"pass:{password}"] if password else ["-nodes"]
    if alternatives:
        command += ["-addext", f"subjectAltName={','.join(alternatives)}"]
    if issuer is not None:
        command += ["-CA", issuer.certfile, "-CAkey", issuer.keyfile]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    return made


def local(directory: Path, name: str = "local") -> Made:
    """Make a certificate for this machine."""
    return make(directory, name, "DNS:localhost", "IP:127.0.0.1")
