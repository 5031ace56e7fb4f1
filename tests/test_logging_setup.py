"""`[logging]` put in force, and our log beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeway import logging_setup
from breezeway.config import sources
from breezeway.config.logging_table import LoggingTable
from breezeway.errors import UsageError
from breezeway.observe import logs

FILE = """
[logging.handlers.file]
class = "logging.FileHandler"
filename = "{directory}/shop.log"
{handler}
[logging.loggers.{logger}]
level = "INFO"
handlers = ["file"]
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the loggers as they were."""
    ours, shop = logging.getLogger("breezeway"), logging.getLogger("shop")
    before = ours.handlers[:], ours.level, ours.propagate
    yield
    for handler in [*shop.handlers, *(each for each in ours.handlers if each not in before[0])]:
        handler.close()
    shop.handlers[:] = []
    ours.handlers[:], ours.level, ours.propagate = before
    logs.revive()


def table(directory: Path, text: str) -> LoggingTable | None:
    """Read a table from a file."""
    (directory / "breezeway.toml").write_text(text)
    return sources.resolve({}, {}, str(directory)).logging


def test_before_the_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The application logs to its file from its first line on; our log is where it was."""
    logs.configure("info")
    found = table(tmp_path, FILE.format(directory=tmp_path, logger="shop", handler=""))
    with logging_setup.around_import(found, str(tmp_path)):
        logging.getLogger("shop").info("imported")
    logging.getLogger("breezeway.worker").info("ours")
    assert (tmp_path / "shop.log").read_text() == "imported\n"
    assert capsys.readouterr().err.endswith("INFO  ours\n")


def test_our_logger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that names our logger gets what that logs."""
    logs.configure("info")
    found = table(tmp_path, FILE.format(directory=tmp_path, logger="breezeway", handler=""))
    with logging_setup.around_import(found, str(tmp_path)):
        pass
    logging.getLogger("breezeway.worker").info("ours")
    assert (tmp_path / "shop.log").read_text() == "ours\n"
    assert not capsys.readouterr().err


def test_application_that_configures(capsys: pytest.CaptureFixture[str]) -> None:
    """An application that sets up `logging` itself, as in its documentation, does not silence us."""
    import logging.config

    logs.configure("info")
    with logging_setup.around_import(None, "."):
        logging.config.dictConfig({"version": 1})
        assert logging.getLogger("breezeway").disabled
    logging.getLogger("breezeway").info("ours")
    assert capsys.readouterr().err.endswith("INFO  ours\n")


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("mode = 5", "line 2: the handler 'file' cannot be had: TypeError: "),
        ("stream = 1", "line 2: the handler 'file' cannot be had: TypeError: "),
    ],
)
def test_what_logging_does_not_take(tmp_path: Path, handler: str, message: str) -> None:
    """What shows itself only when it is done is told with its place, too."""
    found = table(tmp_path, FILE.format(directory=tmp_path, logger="shop", handler=handler))
    with (
        pytest.raises(UsageError) as caught,
        logging_setup.around_import(found, str(tmp_path)),
    ):
        pass
    assert caught.value.message.startswith(f"breezeway.toml, {message}")


def test_class_that_is_not_there(tmp_path: Path) -> None:
    """A class that cannot be imported is named."""
    text = '[logging.handlers.a]\nclass = "nowhere.Handler"\n[logging.root]\nhandlers = ["a"]\n'
    with (
        pytest.raises(UsageError) as caught,
        logging_setup.around_import(table(tmp_path, text), str(tmp_path)),
    ):
        pass
    assert caught.value.message == (
        "breezeway.toml, line 1: the handler 'a' cannot be had:"
        " ModuleNotFoundError: No module named 'nowhere'."
    )
