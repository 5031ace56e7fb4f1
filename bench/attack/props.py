"""Files that a scenario needs: a certificate, and a directory to serve. Gone when the run is over."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from attack.app import LARGE

DAYS = "2"


@cache
def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="breezeway-attack-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def certificate() -> tuple[str, ...]:
    """Make a certificate and its key; return the options that use them."""
    cert, key = _directory() / "cert.pem", _directory() / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return "--certfile", str(cert), "--keyfile", str(key)


@cache
def files() -> tuple[str, ...]:
    """Make a directory with a file of 1 MiB and a small one; return the options that serve it."""
    root = _directory() / "files"
    root.mkdir()
    (root / "large").write_bytes(LARGE)
    (root / "small").write_bytes(b"Hello, world!\n")
    return "--static", f"/files={root}"
