"""The settings as options of the command line."""

import click
import pytest

from breezeway.config import options, sources
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import UsageError


def parse(*args, **defaults):
    """Read command-line arguments as `breezeway serve` would, where no other source is."""
    command = click.Command("serve", params=options.options())
    with command.make_context("serve", list(args)) as context:
        return sources.resolve(context.params, {}, "/proc/self/task", defaults=defaults).settings


def test_nothing_given_means_the_defaults():
    """Without options the settings are the table's defaults."""
    assert parse() == Settings()


def test_every_setting_has_its_option():
    """There is an option for each row of the table, in its order."""
    assert [option.name for option in options.options()] == [row.name for row in TABLE]


def test_values_take_units():
    """Options read sizes, durations and modes with their units."""
    settings = parse(
        *("--limit-body", "10MiB", "--head-timeout", "500ms"),
        *("--unix-mode", "660", "--threads", "3", "--log-level", "DEBUG"),
    )
    assert settings == Settings(
        limit_body=10 * 1024**2, head_timeout=0.5, unix_mode=0o660, threads=3, log_level="debug"
    )


def test_bind_is_repeatable():
    """Several --bind add up, and take the place of the default."""
    assert parse("--bind", ":1", "--bind", "unix:x").bind == (":1", "unix:x")


def test_switch_goes_both_ways():
    """A switch can be turned on and, over another default, off."""
    assert parse("--access-log").access_log is True
    assert parse("--no-access-log", access_log=True).access_log is False
    assert parse(access_log=True).access_log is True


def test_zero_is_a_value():
    """An option given as 0 is given."""
    assert parse("--queue-limit", "0", "--graceful-timeout", "0").queue_limit == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--threads", "many"], "Invalid value for '--threads': 'many' is not a whole number"),
        (["--limit-body", "1MB"], "Invalid value for '--limit-body': '1MB' is not a size"),
        (["--workers", "x"], "Invalid value for '--workers': 'x' is neither a whole number nor"),
    ],
)
def test_bad_text_is_a_usage_error(args, message):
    """What an option cannot read is a usage error that names the option."""
    with pytest.raises(click.UsageError) as caught:
        parse(*args)
    assert caught.value.format_message().startswith(message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--threads", "0"], "Invalid value for '--threads': must be at least 1."),
        (["--bind", "x"], "Invalid value for '--bind': 'x' is not an address"),
        (["--root-path", "x"], "Invalid value for '--root-path': must be empty, or start"),
        (["--request-timeout", "x"], "Invalid value for '--request-timeout': 'x' is not a dur"),
    ],
)
def test_bad_value_is_a_usage_error(args, message):
    """What a setting cannot be is a usage error, too."""
    with pytest.raises(UsageError) as caught:
        parse(*args)
    assert caught.value.message.startswith(message)


def test_help_shows_units_and_defaults():
    """The help of an option ends with its default, written as one would type it."""
    helps = {option.name: option.help for option in options.options(access_log=True)}
    assert helps["limit_body"].endswith("[default: 1GiB]")
    assert helps["keep_alive_timeout"].endswith("[default: 65s]")
    assert helps["bind"].endswith("[default: 127.0.0.1:8000]")
    assert helps["access_log"].endswith("[default: on]")
    assert "[default" not in helps["server_name"]
