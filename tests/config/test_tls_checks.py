"""What the settings of TLS must be to each other."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.config import view
from breezeway.config.setting import SettingError
from breezeway.config.settings import Settings
from breezeway.config.sources import resolve


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keyfile": ("k",)}, "keyfile must be there once for each certfile, not 1 for 0"),
        (
            {"certfile": ("a", "b"), "keyfile": ("k",)},
            "keyfile must be there once for each certfile, not 1 for 2 certificates",
        ),
        ({"redirect_bind": (":80",)}, "redirect_bind needs a certfile"),
        ({"ca_certs": "c", "client_certs": "required"}, "ca_certs needs a certfile"),
        ({"certfile": ("a",), "ca_certs": "c"}, "ca_certs needs client_certs to be"),
        ({"certfile": ("a",), "client_certs": "optional"}, "client_certs needs ca_certs"),
        (
            {"certfile": ("a",), "bind": (":80",), "redirect_bind": (":80",)},
            "redirect_bind ':80' is there as bind, too",
        ),
        (
            {"certfile": ("a",), "redirect_bind": ("unix:/run/a",)},
            "redirect_bind must be no unix socket",
        ),
        ({"certfile": ("a",), "client_certs": "maybe"}, "client_certs must be one of"),
    ],
)
def test_what_makes_no_sense(settings: dict[str, Any], said: str) -> None:
    """Settings that contradict each other are refused."""
    with pytest.raises(SettingError, match=said):
        Settings(**settings)


def test_what_makes_sense() -> None:
    """One certificate with its key in the same file, several, client certificates, a redirect."""
    Settings(certfile=("a",))
    Settings(certfile=("a", "b"), keyfile=("k", "l"))
    Settings(certfile=("a",), ca_certs="c", client_certs="required", redirect_bind=(":80",))


def test_the_password_is_shown_nowhere() -> None:
    """The value of a secret setting is in no text about the settings."""
    given = {"keyfile_password": "geheim", "certfile": ("a",)}
    resolved = resolve(given, {}, "/")
    texts = [line for line, _ in view.as_toml(resolved)]
    texts += [view.as_json(resolved), repr(resolved.settings), repr(resolved)]
    assert not [text for text in texts if "geheim" in text]
    assert [text for text in texts if text.startswith("# keyfile_password = ***")]
    with pytest.raises(SettingError) as caught:
        Settings(certfile=("a",), keyfile_password=123456)  # type: ignore[arg-type]
    assert "123456" not in str(caught.value)
