"""The format of Breezeway's own log, and what it leaves alone."""

import logging
import logging.config
import os
import re
import subprocess
import sys
import time
import weakref

import pytest

from breezeway.errors import UsageError
from breezeway.observe import logs

LOGGER = logging.getLogger("breezeway.worker.test")


@pytest.fixture(autouse=True)
def restored():
    """Leave the loggers as they were."""
    root = logging.getLogger("breezeway")
    before = root.handlers[:], root.level, root.propagate
    root.handlers[:] = []
    yield
    logs.become("")
    logs.configure("info")
    root.handlers[:], root.level, root.propagate = before


def test_line_is_readable(capsys):
    """A line has a UTC time with milliseconds, the level in one column, and the message."""
    logs.configure("info")
    LOGGER.info("started with %d threads", 8)
    LOGGER.warning("slow")
    info, warning = capsys.readouterr().err.splitlines()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    assert re.fullmatch(f"{time} INFO  started with 8 threads", info)
    assert re.fullmatch(f"{time} WARN  slow", warning)


def test_times_are_utc(capsys):
    """The time is UTC, whatever the machine's zone."""
    logs.configure("info")
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "file", 1, "message", (), None)
    record.created, record.msecs = 1_795_273_445.123, 123.0
    LOGGER.handle(record)
    assert capsys.readouterr().err == "2026-11-21 15:04:05.123 INFO  message\n"


def test_level_is_respected_and_can_change(capsys):
    """Messages below the level are dropped; a second call changes the level and adds no line."""
    logs.configure("error")
    LOGGER.info("quiet")
    logs.configure("debug")
    LOGGER.debug("loud")
    assert capsys.readouterr().err.count("\n") == 1


def test_traceback_is_shown(capsys):
    """An exception comes with its traceback."""
    logs.configure("info")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        LOGGER.exception("failed")
    assert "RuntimeError: broken" in capsys.readouterr().err


def test_root_logger_is_left_alone(caplog, capsys):
    """The root logger keeps its handlers and level, and does not see our messages."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("debug")
    LOGGER.error("ours")
    assert (root.handlers[:], root.level) == before
    assert not caplog.records
    assert "ours" in capsys.readouterr().err


def test_process_is_shown(capsys):
    """Where several processes log, a line says which one it is from, and what that is."""
    logs.configure("info", process=True)
    LOGGER.info("without a role")
    logs.become("worker 3")
    LOGGER.info("with one")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(f" INFO  [{os.getpid()}] without a role")
    assert second.endswith(f" INFO  [worker 3 {os.getpid()}] with one")


class TestFile:
    def test_lines_go_to_the_file(self, tmp_path, capsys):
        """With a file, messages are appended to it, at once, and standard error stays silent."""
        file = tmp_path / "log"
        file.write_text("before\n")
        logs.configure("info", str(file))
        LOGGER.info("hello \udcff")
        before, line = file.read_text().splitlines()
        assert before == "before"
        assert line.endswith(r"INFO  hello \udcff")
        assert not capsys.readouterr().err

    def test_reopen(self, tmp_path):
        """After `reopen`, messages go to a new file in the same place."""
        file, rotated = tmp_path / "log", tmp_path / "log.1"
        logs.configure("info", str(file))
        LOGGER.info("first")
        file.rename(rotated)
        LOGGER.info("second")
        logs.reopen()
        LOGGER.info("third")
        assert [line[-6:] for line in rotated.read_text().splitlines()] == [" first", "second"]
        assert file.read_text().endswith(" third\n")

    def test_reopen_in_another_directory(self, tmp_path, monkeypatch):
        """A relative name means the same file after the program has changed its directory."""
        monkeypatch.chdir(tmp_path)
        logs.configure("info", "log")
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        logs.reopen()
        assert not (tmp_path / "other/log").exists()

    def test_reopen_that_fails(self, tmp_path, capfd):
        """If the file cannot be opened again, it and standard error say so."""
        directory, moved = tmp_path / "logs", tmp_path / "moved"
        directory.mkdir()
        logs.configure("info", str(directory / "log"))
        directory.rename(moved)
        logs.reopen()
        LOGGER.info("later")
        complaint, line = (moved / "log").read_text().splitlines()
        assert "cannot open the log file" in complaint
        assert "No such file or directory; still writing to the old one" in complaint
        assert line.endswith(" later")
        assert capfd.readouterr().err.endswith(complaint[23:] + "\n")  # but for the time

    def test_without_a_file(self, capsys):
        """Without a file there is nothing to open again."""
        logs.configure("info")
        logs.reopen()
        assert not capsys.readouterr().err

    @pytest.mark.parametrize(
        ("name", "hint"), [("nowhere/log", "The directory must be there."), (".", "")]
    )
    def test_file_that_cannot_be_opened(self, tmp_path, capsys, name, hint):
        """A file that is impossible is the user's mistake; the log stays as it was."""
        logs.configure("info")
        with pytest.raises(UsageError, match=r"cannot write to .* \(--log-file\): ") as caught:
            logs.configure("info", str(tmp_path / name))
        assert caught.value.hint == hint
        LOGGER.info("still here")
        assert "still here" in capsys.readouterr().err

    def test_full_disk(self, capsys):
        """While the disk is full, messages go to standard error, with one line that says why."""
        logs.configure("info", "/dev/full")
        LOGGER.info("one")
        LOGGER.info("two")
        complaint, one, two = capsys.readouterr().err.splitlines()
        assert complaint.endswith(
            "ERROR cannot write to the log file /dev/full: No space left on device;"
            " its lines come here"
        )
        assert one.endswith(" one")
        assert two.endswith(" two")

    def test_old_file_is_closed(self, tmp_path):
        """Another call closes the file of the one before."""
        logs.configure("info", str(tmp_path / "one"))
        open_before = os.listdir("/proc/self/fd")
        logs.configure("info", str(tmp_path / "two"))
        assert len(os.listdir("/proc/self/fd")) == len(open_before)


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_standard_error_that_takes_nothing(redirection):
    """When standard error is closed or full, the program goes on, and logging shows no traceback."""
    script = (
        "import logging; from breezeway.observe import logs; logs.configure('info');"
        "logging.getLogger('breezeway').error('lost'); print('went on')"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, script],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "went on\n"


def test_file_that_works_again(tmp_path, capsys):
    """After the disk was full, the file says how many lines went elsewhere."""
    file = tmp_path / "log"
    logs.configure("info", "/dev/full")
    LOGGER.info("one")
    LOGGER.info("two")
    (handler,) = logging.getLogger("breezeway").handlers
    handler.file.path = str(file)
    logs.reopen()
    LOGGER.info("three")
    LOGGER.info("four")
    note, three, four = file.read_text().splitlines()
    assert note.endswith("could not be written to: 2 lines went to standard error")
    assert "three" in three
    assert "four" in four


WRITER = """
import logging, sys, time
from breezeway.observe import logs
logs.configure("info")
logger = logging.getLogger("breezeway.test")
began = time.monotonic()
for number in range(2000):
    logger.info("line %d %s", number, "x" * (number * 37 % 9000))
print(time.monotonic() - began, flush=True)
for line in sys.stdin:
    logger.info("after %s", line.strip())
    print("written", flush=True)
"""


def test_log_file_that_is_a_pipe_that_nobody_empties(tmp_path, capsys):
    """A pipe with a name holds up the first line that it has no room for, and no other."""
    os.mkfifo(tmp_path / "pipe")
    logs.configure("info", str(tmp_path / "pipe"))
    began = time.monotonic()
    for _ in range(30):
        LOGGER.info("x" * 8000)
    assert time.monotonic() - began < 10
    assert "its lines come here" in capsys.readouterr().err


def test_pipe_that_nobody_empties():
    """Nobody waits for a reader who has stopped; afterwards the log says how much is missing."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as writer:
        assert float(writer.stdout.readline()) < 2
        os.set_blocking(writer.stderr.fileno(), False)
        before = os.read(writer.stderr.fileno(), 10**6).decode()
        writer.stdin.write("all\n")
        writer.stdin.close()
        assert writer.stdout.readline() == "written\n"
        after = writer.stderr.read()
    *whole, last, note, line = (before + after).splitlines()
    assert all(re.search(r"INFO  line \d+ x*$", line) for line in whole)
    assert re.search(r"INFO  line \d+ x*$", last)  # it may have been cut
    assert re.search("WARN  standard error took nothing for a while: [0-9]+ lines are lost", note)
    assert line.endswith("after all")


class TestLoggingConfig:
    """What an application does with `logging` does not take our log away."""

    def test_handlers_are_closed(self, tmp_path):
        """`logging.config` closes all handlers that there are; ours goes on writing to its file."""
        file = tmp_path / "log"
        logs.configure("info", str(file))
        logging.shutdown([weakref.ref(each) for each in logging.getLogger("breezeway").handlers])
        LOGGER.info("still here")
        assert file.read_text().endswith("still here\n")

    def test_loggers_are_disabled(self, capsys):
        """`disable_existing_loggers`, which is the default, does not silence us."""
        logs.configure("info")
        logging.config.dictConfig({"version": 1})
        assert LOGGER.disabled
        logs.look()  # the event loop does, at each tick
        LOGGER.info("still here")
        assert "still here" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("named", "handlers", "level", "propagate"),
        [
            (None, "ours", logging.INFO, False),
            ({"level": "ERROR"}, "ours", logging.ERROR, False),
            ({"handlers": []}, "none", logging.INFO, False),
            ({"handlers": [], "level": "DEBUG", "propagate": True}, "none", logging.DEBUG, True),
        ],
    )
    def test_kept(self, named, handlers, level, propagate):
        """Our logger stays as it is, but for what a configuration says of it."""
        logs.configure("info")
        ours = logging.getLogger("breezeway")
        before = ours.handlers[:]
        with logs.kept(named):
            ours.handlers[:] = []
            ours.setLevel(named.get("level", 0) if named else 0)
            ours.propagate = (named or {}).get("propagate", True)
        assert ours.handlers == (before if handlers == "ours" else [])
        assert (ours.level, ours.propagate) == (level, propagate)
