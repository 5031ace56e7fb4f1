"""Paste Deploy's entry points: what a [server] section may say."""

import pytest

from breezeway import paste, serving
from breezeway.config.settings import Settings
from breezeway.errors import UsageError


@pytest.mark.parametrize(
    ("section", "bind"),
    [
        ({}, Settings().bind),
        ({"bind": "127.0.0.1:1 [::1]:2\n unix:/run/x.sock"}, None),
        ({"listen": "127.0.0.1:1 [::1]:2\n unix:/run/x.sock"}, None),
        ({"listen": "*:6543"}, (":6543",)),
        ({"host": "::1", "port": "80"}, ("[::1]:80",)),
        ({"host": "[::1]", "port": "80"}, ("[::1]:80",)),
        ({"host": "*", "port": "80"}, (":80",)),
        ({"host": "", "port": "80"}, (":80",)),
        ({"host": "wsgi.test"}, ("wsgi.test:8000",)),
        ({"port": "0"}, ("127.0.0.1:0",)),
    ],
)
def test_addresses(section: dict[str, str], bind: tuple[str, ...] | None) -> None:
    """An address is given as bind, as listen, or as host and port."""
    expected = bind or ("127.0.0.1:1", "[::1]:2", "unix:/run/x.sock")
    assert paste.read(section) == Settings(bind=expected)


def test_settings() -> None:
    """Every setting is a key, with hyphens too, and is read as on the command line."""
    section = {
        "threads": "16",
        "limit-body": "10MiB",
        "keep_alive_timeout": "500ms",
        "unix_mode": "660",
        "access_log": "True",
        "root_path": "/shop",
    }
    assert paste.read(section) == Settings(
        threads=16,
        limit_body=10 * 1024**2,
        keep_alive_timeout=0.5,
        unix_mode=0o660,
        access_log=True,
        root_path="/shop",
    )


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"thread": "4"}, "there is no setting 'thread'"),
        ({"app_dir": "."}, "there is no setting 'app_dir'"),
        ({"threads": "many"}, "threads in the .* 'many' is not a whole number"),
        ({"threads": "0"}, "threads in the .* must be at least 1"),
        ({"access_log": "maybe"}, "'maybe' is neither true nor false"),
        ({"bind": ""}, "bind in the .* must be a tuple of at least one"),
        ({"bind": "nowhere"}, "'nowhere' is not an address"),
        ({"port": "http"}, "has no port number"),
        ({"bind": ":1", "listen": ":1"}, "bind and listen .* give one of them"),
        ({"listen": ":1", "port": "1"}, "listen and port .* give one of them"),
    ],
)
def test_mistakes(section: dict[str, str], sentence: str) -> None:
    """What a section cannot mean is said in a sentence."""
    with pytest.raises(UsageError, match=sentence):
        paste.read(section)


def test_exit_with_hint() -> None:
    """The factory ends a mistake with the sentence and its hint, not with a traceback."""
    with pytest.raises(SystemExit, match=r"^breezeway: .* Did you mean 'threads'"):
        paste.server_factory({}, thread="4")


def test_lists() -> None:
    """A list has commas, as in the environment."""
    settings = paste.read({"request_timeout": "30s, /export=5m", "workers": "2"})
    assert settings.request_timeout == ("30s", "/export=5m")
    assert settings.workers == 2


def test_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With workers the application is served under a supervisor, without them here."""
    served = []
    monkeypatch.setattr(serving, "serve_settings", lambda *args: served.append(args) or 0)
    monkeypatch.setattr(
        serving, "supervise", lambda resolve, load: served.append((load(None), resolve().settings))
    )

    def application(environ, start_response):
        """Never called."""

    for section in ({}, {"workers": "2"}):
        paste.server_factory({}, **section)(application)
    assert served == [(application, Settings()), (application, Settings(workers=2))]
