"""`breezeway dev-cert`: a certificate for development, for this machine alone.

It signs itself, so that there is no authority whose key could be stolen to vouch for other hosts. The
openssl program makes it, which nearly every system has.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from typing import Final

import click

from breezeway.errors import UserError

CERTFILE: Final = "localhost.pem"
KEYFILE: Final = "localhost-key.pem"

DAYS: Final = 365
"""Browsers refuse certificates for much longer."""

CONFIGURATION: Final = """\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost, DNS:*.localhost, IP:127.0.0.1, IP:::1
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
"""


@click.command("dev-cert")
@click.argument("directory", default=".", metavar="[DIRECTORY]")
def dev_cert(directory: str) -> int:
    """Make a certificate for https on this machine, for development.

    It is for localhost, 127.0.0.1 and ::1, and vouches for itself: a browser warns until it is told to
    trust it. Existing files are left as they are.
    """
    paths = [os.path.join(directory, name) for name in (CERTFILE, KEYFILE)]
    for path in paths:
        if os.path.lexists(path):
            raise _taken(path)
    certificate, key = _make()
    try:
        os.makedirs(directory, exist_ok=True)
        _write(paths[1], key, 0o600)
        try:
            _write(paths[0], certificate, 0o644)
        except OSError:
            os.unlink(paths[1])
            raise
    except FileExistsError as error:
        raise _taken(error.filename) from None
    except OSError as error:
        raise UserError(f"cannot write to {directory}: {error.strerror}.") from None
    made = " and ".join(paths)
    certfile, keyfile = map(shlex.quote, paths)
    click.echo(
        f"Made {made}, for localhost, 127.0.0.1 and ::1, for {DAYS} days.\n"
        "Serve with them:\n"
        f"  breezeway MODULE:NAME --certfile {certfile} --keyfile {keyfile}\n"
        "Ask with:\n"
        f"  curl --cacert {certfile} https://localhost:8000/"
    )
    return 0


def _make() -> tuple[bytes, bytes]:
    """Return a certificate and its key."""
    program = shutil.which("openssl")
    if program is None:
        raise UserError(
            "dev-cert needs the openssl program, and there is none.",
            "Install it: apt install openssl, dnf install openssl, apk add openssl,"
            " or brew install openssl.",
        )
    with tempfile.TemporaryDirectory(prefix="breezeway-") as place:
        configuration, key, certificate = (
            os.path.join(place, name) for name in ("request.cnf", KEYFILE, CERTFILE)
        )
        _write(configuration, CONFIGURATION.encode(), 0o600)
        command = [program, "req", "-x509", "-sha256", "-nodes", "-days", str(DAYS)]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-config", configuration, "-keyout", key, "-out", certificate]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # ours
        if done.returncode:
            detail = done.stderr.decode(errors="replace")
            raise UserError("openssl could not make a certificate.", detail=detail)
        found = []
        for path in (certificate, key):
            with open(path, "rb") as file:
                found.append(file.read())
        return found[0], found[1]


def _write(path: str, content: bytes, mode: int) -> None:
    """Write a new file; what cannot be written whole is removed.

    Raises:
        FileExistsError: it is there already.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(fd, "wb") as file:
            file.write(content)
    except OSError:
        os.unlink(path)
        raise


def _taken(path: str) -> UserError:
    return UserError(
        f"{path} is there already, and is left as it is.",
        "Remove it for a new one, or name another directory.",
    )
