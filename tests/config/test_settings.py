"""The table of settings and the checks of its values."""

import dataclasses

import pytest

from breezeway.config.setting import SettingError
from breezeway.config.settings import TABLE, Settings
from breezeway.http1.limits import Limits


def test_defaults_are_valid_and_as_documented():
    """Without any argument there are settings, and their limits are the protocol's own."""
    settings = Settings()
    assert settings.bind == ("127.0.0.1:8000",)
    assert settings.threads == 8
    assert settings.limits == Limits()


def test_limits_carry_the_settings():
    """Each limit_* setting reaches the protocol."""
    settings = Settings(limit_request_line=1, limit_head=2, limit_fields=3, limit_body=4)
    assert settings.limits == Limits(request_line=1, head=2, fields=3, body=4)


def test_settings_are_frozen():
    """Settings in force do not change."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().threads = 9  # type: ignore[misc]


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_each_setting_is_documented(setting):
    """Each setting has a flag that is its name, a group, and a sentence."""
    assert setting.flag == "--" + setting.name.replace("_", "-")
    assert setting.group
    assert setting.doc[0].isupper()
    assert setting.doc.endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("bind", "127.0.0.1:8000", "must be a tuple of at least one"),
        ("bind", (), "must be a tuple of at least one"),
        ("bind", (8000,), "must be a string, not 8000"),
        ("bind", ("8000",), "'8000' is not an address"),
        ("bind", (":80", ":80"), "':80' is there twice"),
        ("unix_mode", 0o1777, "must be at most 777"),
        ("unix_mode", "660", "must be a file mode"),
        ("backlog", 0, "must be at least 1"),
        ("backlog", 2**31, "must be at most"),
        ("threads", 0, "must be at least 1"),
        ("threads", True, "must be a whole number"),
        ("threads", None, "must be a whole number, not None"),
        ("app_dir", 1, "must be a string"),
        ("root_path", "shop", "start with '/'"),
        ("root_path", "/", "not end with it"),
        ("root_path", "/shop/", "not end with it"),
        ("root_path", "/a?b", "a character that no path has"),
        ("root_path", "/a\r\n", "a character that no path has"),
        ("server_name", "", "must be a host name"),
        ("server_name", "a b", "must be a host name"),
        ("server_name", "a\r\n", "must be a host name"),
        ("server_name", "bücher.example", "must be a host name"),
        ("log_level", "loud", "must be one of debug, info"),
        ("access_log", 1, "must be True or False"),
        ("graceful_timeout", -1, "must be at least 0s"),
        ("head_timeout", 0, "must be at least 1ms"),
        ("head_timeout", float("inf"), "must be a number of seconds"),
        ("head_timeout", "10s", "must be a number of seconds"),
        ("body_memory", -1, "must be at least 0"),
        ("limit_fields", 0, "must be at least 1"),
    ],
)
def test_impossible_value_is_refused(name, value, reason):
    """A value that a setting cannot have is a ValueError that names the setting and says why."""
    with pytest.raises(ValueError, match=reason) as caught:
        Settings(**{name: value})
    assert isinstance(caught.value, SettingError)
    assert str(caught.value).startswith(f"{name} ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bind", ("127.0.0.1:0", "127.0.0.1:0")),
        ("unix_mode", 0o600),
        ("root_path", "/bücher/neu"),
        ("server_name", "[::1]"),
        ("graceful_timeout", 0),
        ("queue_limit", 0),
        ("body_memory", 0),
        ("keep_alive_timeout", 5),
    ],
)
def test_edge_value_is_taken(name, value):
    """Values at the edge of what makes sense are taken as they are."""
    assert getattr(Settings(**{name: value}), name) == value
