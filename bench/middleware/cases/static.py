"""Static, beside WhiteNoise."""

from __future__ import annotations

import atexit
import gzip
import tempfile
from pathlib import Path
from typing import Any

from case import Application, Case, Wrap

SCRIPT = b"const answer = 42; // and so on\n" * 300
ETAG = "HTTP_IF_NONE_MATCH"


class FileWrapper:
    """What a server does: a file goes by sendfile, anything else has to be read."""

    def __init__(self, file: Any, block_size: int = 8192) -> None:
        self.file = file
        self.close = file.close

    def __iter__(self) -> Any:
        if hasattr(self.file, "fileno"):
            return iter(())
        return iter(lambda: self.file.read(8192), b"")


def _directory() -> Path:
    held = tempfile.TemporaryDirectory()
    atexit.register(held.cleanup)
    root = Path(held.name)
    (root / "js").mkdir()
    (root / "js" / "app.js").write_bytes(SCRIPT)
    (root / "js" / "app.js.gz").write_bytes(gzip.compress(SCRIPT))
    (root / "large.bin").write_bytes(bytes(1_000_000))
    for number in range(200):
        (root / f"{number}.css").write_bytes(b"body {}")
    return root


def cases() -> list[Case]:
    """Return the cases."""
    from breezeway.middleware import Static

    root = _directory()

    def ours(application: Application) -> Application:
        return Static(application, directory=root)

    def at_root(application: Application) -> Application:
        return Static(application, directory=root, prefix="/")

    def whitenoise(prefix: str) -> Wrap:
        def peer(application: Application) -> Application:
            from whitenoise import WhiteNoise

            found: Application = WhiteNoise(application, root=str(root), prefix=prefix)
            return found

        return peer

    def tag(wrap: Wrap) -> str:
        """Return the entity tag of the small file, compressed."""
        seen: dict[str, str] = {}
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/static/js/app.js", "SCRIPT_NAME": ""}
        environ["HTTP_ACCEPT_ENCODING"] = "gzip"
        application = wrap(lambda *args: [])
        found = application(environ, lambda status, headers, *more: seen.update(headers))
        getattr(found, "close", lambda: None)()
        return seen["ETag"]

    small = {"PATH_INFO": "/static/js/app.js", "wsgi.file_wrapper": FileWrapper}
    large = {"PATH_INFO": "/static/large.bin", "wsgi.file_wrapper": FileWrapper}
    peer = ("WhiteNoise", whitenoise("static"))

    def since(application: Application) -> Application:
        return _asking(ours(application), tag(ours))

    def peer_since(application: Application) -> Application:
        return _asking(whitenoise("static")(application), tag(whitenoise("static")))

    part = {**large, "HTTP_RANGE": "bytes=1000-1999"}
    return [
        Case("static", "idle", ours, *peer),
        Case("static", "idle, at /", at_root, "WhiteNoise", whitenoise("")),
        Case("static", "9.6 KB, compressed", ours, *peer, environ=small),
        Case("static", "1 MB", ours, *peer, environ=large),
        Case("static", "304", since, "WhiteNoise", peer_since, environ=small, expect="304"),
        Case("static", "range of 1 MB", ours, *peer, environ=part, expect="206"),
    ]


def _asking(application: Application, etag: str) -> Application:
    def asking(environ: dict[str, Any], start_response: Any) -> Any:
        environ[ETAG] = etag
        return application(environ, start_response)

    return asking
