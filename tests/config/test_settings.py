"""The table of settings and the checks of its values."""

import dataclasses

import pytest

from breezeway.config import cpus
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


def test_request_timeouts_are_sorted():
    """The longest prefix is first, and the limit of every path is last."""
    settings = Settings(request_timeout=("30s", "/a=1m", "/a/b=500ms", "/x=y=2"))
    assert settings.request_timeouts == (("/a/b", 0.5), ("/x=y", 2.0), ("/a", 60.0), ("", 30.0))
    assert Settings().request_timeouts == ()


def test_workers_for_each_cpu():
    """In Python, too, `auto` is a number of workers."""
    assert Settings(workers="auto").workers == cpus.available()


def test_settings_are_frozen():
    """Settings in force do not change."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().threads = 9  # type: ignore[misc]


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_each_setting_is_documented(setting):
    """Each setting has a flag that is its name, a group, and a sentence."""
    assert setting.flag == "--" + setting.name.replace("_", "-")
    assert setting.env == "BREEZEWAY_" + setting.name.upper()
    assert setting.since
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
        ("threads", 2**64, "must be at most"),
        ("workers", 129, "must be at most 128"),
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
        ("statsd", "8125", "'8125' is not an address"),
        ("statsd", "127.0.0.1:0", "must be HOST:PORT or unix:PATH, not '127.0.0.1:0'"),
        ("statsd", "fd://3", "must be HOST:PORT or unix:PATH"),
        ("statsd_prefix", "a:b", "may have letters, digits"),
        ("statsd_interval", 0.5, "must be at least 1s"),
        ("graceful_timeout", -1, "must be at least 0s"),
        ("head_timeout", 0, "must be at least 1ms"),
        ("head_timeout", float("inf"), "must be a number of seconds"),
        ("head_timeout", "10s", "must be a number of seconds"),
        ("body_memory", -1, "must be at least 0"),
        ("limit_fields", 0, "must be at least 1"),
        ("workers", 0, "must be at least 1"),
        ("workers", "many", "must be a whole number, not 'many'"),
        ("before_fork", "hooks", "must name a callable as MODULE:NAME, not 'hooks'"),
        ("after_fork", "hooks:f()", "must name a callable"),
        ("max_requests", -1, "must be at least 0"),
        ("max_worker_age", 0, "must be at least 1ms"),
        ("probe_path", "health", "must start with '/'"),
        ("static", ("/a?b=c",), "a character that no path has"),
        ("static", ("/a%20b=c", "/a%20%62/=d"), "'/a%20%62/' is there twice"),
        ("probe_path", "/a b", "a character that no request-target has"),
        ("probe_path", "/ü", "a character that no request-target has"),
        ("request_timeout", "30s", "must be a tuple"),
        ("request_timeout", ("soon",), "'soon' is not a duration"),
        ("request_timeout", ("0",), "'0' is too short: at least 1ms"),
        ("request_timeout", ("/export",), "'/export' has no duration: write /export=30s"),
        ("request_timeout", ("export=1m",), "has a prefix that does not start with '/'"),
        ("request_timeout", ("=1m",), "has a prefix that does not start with '/'"),
        ("request_timeout", ("/a=1", "/a=2"), "/a is there twice"),
        ("request_timeout", ("1", "2"), "the one without a prefix is there twice"),
        ("pid_file", "", "must be the path of a file"),
        ("user", "", "must be a name or a number"),
        ("group", "a:b", "must be a name or a number"),
        ("umask", 0o1000, "must be at most 777"),
        ("control_socket", "", "must be a path, 'auto' or 'off'"),
        ("reload_dirs", ("",), "must be the path of a directory"),
        ("env_file", 3, "must be a string"),
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
        ("request_timeout", ()),
        ("reload_dirs", ()),
        ("max_requests_jitter", 0),
        ("umask", 0),
        ("user", "1000"),
        ("control_socket", "off"),
    ],
)
def test_edge_value_is_taken(name, value):
    """Values at the edge of what makes sense are taken as they are."""
    assert getattr(Settings(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("port", r"there is no setting 'port'\. Say bind='HOST:PORT'\.$"),
        ("thread", r"there is no setting 'thread'\. Did you mean 'threads'\?$"),
        ("handler_class", "there is no setting 'handler_class'.$"),
    ],
)
def test_given_names_are_checked(name, told):
    """What a program calls a setting and is none is told, with what it may have meant."""
    with pytest.raises(TypeError, match=told):
        Settings.given(**{name: 1})


@pytest.mark.parametrize("bind", ["[::1]:1", ["[::1]:1"], ("[::1]:1",)])
def test_given_addresses(bind):
    """A program gives one address, or several."""
    assert Settings.given(bind=bind).bind == ("[::1]:1",)


@pytest.mark.parametrize(
    ("name", "item"),
    [("trusted_proxies", "10.0.0.0/8"), ("request_timeout", "30s"), ("static", "/static=public")],
)
def test_given_items(name, item):
    """Of whatever there may be several, a program gives one as it is."""
    for given in (item, [item], (item,)):
        assert getattr(Settings.given(**{name: given}), name) == (item,)


def test_given_address_is_none():
    """What is no address is a value that cannot be, as with all settings."""
    with pytest.raises(SettingError, match="bind must be"):
        Settings.given(bind=8000)
