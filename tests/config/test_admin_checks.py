"""The settings of the admin listener: who can reach it, and what that takes."""

import pytest

from breezeway.config import sources
from breezeway.config.setting import SettingError
from breezeway.config.settings import Settings
from breezeway.errors import UsageError

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:9300", "127.9.9.9:1", "localhost:1", "[::1]:0", "unix:admin"]
)
def test_this_machine(bind):
    """Nobody beyond this machine comes there: it takes no token, and may have one."""
    assert Settings(admin_bind=bind).counts_requests
    assert TOKEN not in repr(Settings(admin_bind=bind, admin_token=TOKEN))


@pytest.mark.parametrize(
    "bind", [":9300", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "fd://3", "host.example:1"]
)
def test_other_machines(bind):
    """Where others may come, it takes a token."""
    with pytest.raises(SettingError, match="admin_bind needs admin_token") as caught:
        Settings(admin_bind=bind)
    assert bind in str(caught.value)
    assert Settings(admin_bind=bind, admin_token=TOKEN).admin_bind == bind


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"admin_token": TOKEN}, "needs admin_bind"),
        ({"admin_hosts": ("a.example",)}, "needs admin_bind"),
        ({"admin_bind": "nowhere"}, "is not an address"),
        ({"admin_bind": ":1", "admin_token": "x" * 15}, "at least 16 characters"),
        ({"admin_bind": ":1", "admin_token": "x y" * 15}, "letters, digits"),
        ({"admin_bind": ":1", "admin_token": TOKEN, "admin_hosts": ("a b",)}, "is not a host"),
    ],
)
def test_refused(settings, said):
    """What cannot be meant is refused, without the token in the message."""
    with pytest.raises(SettingError, match=said) as caught:
        Settings(**settings)
    assert str(settings.get("admin_token")) not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "flags", "place"),
    [
        ({}, {"admin_bind": ":9300"}, "--admin-bind"),
        ({"BREEZEWAY_ADMIN_BIND": ":9300"}, {}, "BREEZEWAY_ADMIN_BIND"),
    ],
)
def test_missing_token_is_told(tmp_path, environ, flags, place):
    """Whoever forgets the token is told which flag asks for it, its setting, and what to do."""
    with pytest.raises(UsageError) as caught:
        sources.resolve(flags, environ, str(tmp_path))
    assert caught.value.message == (
        f"{place}: admin_bind needs admin_token (--admin-token), for other machines can reach :9300."
    )
    assert "BREEZEWAY_ADMIN_TOKEN" in caught.value.hint
    assert "--admin-bind 127.0.0.1:9300" in caught.value.hint


def test_counts_requests():
    """Without somebody who looks, requests are not counted."""
    assert not Settings().counts_requests
    assert Settings(metrics=True).counts_requests
