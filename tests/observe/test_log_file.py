"""The file under the logs: whole lines, whatever happens to the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeway.errors import UsageError
from breezeway.observe import log_file
from breezeway.observe.log_file import LogFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name a file."""
    return tmp_path / "log"


def test_new_file_is_not_for_everybody(file: Path) -> None:
    """A file that is made can be read by its owner and group alone."""
    LogFile(str(file), "--log-file").close()
    assert stat.S_IMODE(file.stat().st_mode) & ~log_file.MODE == 0


def test_descriptor_is_not_for_programs_that_are_started(file: Path) -> None:
    """Neither the first descriptor nor the one of `reopen` outlives an exec."""
    log = LogFile(str(file), "--log-file")
    assert not os.get_inheritable(log.fileno())
    log.reopen()
    assert not os.get_inheritable(log.fileno())
    log.close()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give the bytes that the disk takes, in the last item; without one it takes all."""
    write, left = os.write, [0]

    def nearly_full(fd: int, data: bytes) -> int:
        if not left:
            return write(fd, data)
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(fd, data[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        yield left


def test_line_that_was_cut_is_ended(file: Path, room: list[int]) -> None:
    """What the disk took of a line stands on a line of its own."""
    log = LogFile(str(file), "--log-file")
    room[0] = 3
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            log.write(b"first\n")
    room.clear()
    log.write(b"second\n")
    log.write(b"third\n")
    log.close()
    assert file.read_text() == "fir\nsecond\nthird\n"


def test_line_that_another_process_has_cut_is_ended(file: Path, room: list[int]) -> None:
    """What comes first when there is room again is no part of it, whoever writes it."""
    first, second = LogFile(str(file), "--log-file"), LogFile(str(file), "--log-file")
    room[0] = 6
    assert first.append(memoryview(b"one\ntwo\n")) == 4
    with pytest.raises(OSError, match="No space left"):
        second.append(memoryview(b"three\n"))
    file.rename(file.with_name("rotated"))
    room.clear()
    assert second.append(memoryview(b"three\n")) == 6
    assert first.append(memoryview(b"two\n")) == 4
    for log in (first, second):
        log.close()
    assert file.with_name("rotated").read_text() == "one\ntw\nthree\ntwo\n"


def test_line_that_an_earlier_server_has_cut_is_ended(file: Path) -> None:
    """What a process leaves that was killed, or had no room, is no part of what the next one writes."""
    file.write_text("fir")
    log = LogFile(str(file), "--log-file")
    log.write(b"second\n")
    log.write(b"third\n")
    log.close()
    assert file.read_text() == "fir\nsecond\nthird\n"


def test_write_of_another_process_that_is_under_way(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file grows page by page: what ends with a whole line a moment later was not cut."""
    file.write_text("fir")

    def sleep(seconds: float) -> None:
        with file.open("a") as other:
            other.write("st\n")

    monkeypatch.setattr(log_file.time, "sleep", sleep)
    log = LogFile(str(file), "--log-file")
    log.write(b"second\n")
    log.close()
    assert file.read_text() == "first\nsecond\n"


def test_descriptor_that_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that somebody has made non-blocking is waited for, but not for ever."""
    monkeypatch.setattr(log_file, "WAIT_SECONDS", 0.01)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, bytes(select.PIPE_BUF))
    with pytest.raises(BlockingIOError):
        log_file.write_some(theirs, b"again")
    os.read(ours, select.PIPE_BUF)
    assert log_file.write_some(theirs, b"again") == 5
    os.close(ours)
    os.close(theirs)


class TestCheck:
    def test_makes_nothing(self, file: Path) -> None:
        """What can be made is not made; what is there stays as it is."""
        log_file.check(str(file), "--log-file")
        assert not file.exists()
        file.write_text("line\n")
        log_file.check(str(file), "--log-file")
        assert file.read_text() == "line\n"

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            (".", "Is a directory"),
            ("no/log", "No such file or directory"),
            ("file/log", "Not a directory"),
        ],
    )
    def test_what_cannot_be_opened(self, tmp_path: Path, name: str, why: str) -> None:
        """It is refused in the words of a start."""
        (tmp_path / "file").touch()
        for refuse in (log_file.check, LogFile):
            with pytest.raises(UsageError, match=rf"\(--log-file\): {why}\.") as told:
                refuse(str(tmp_path / name), "--log-file")
            assert bool(told.value.hint) == (name == "no/log")

    def test_directory_that_cannot_be_written_to(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No file can be made there."""
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(UsageError, match="Permission denied"):
            log_file.check(str(file), "--log-file")


class TestCreateFor:
    def test_new_file(self, file: Path) -> None:
        """A file that is not there is made, and belongs to the one who is to write to it."""
        user = 12345 if os.getuid() == 0 else os.getuid()
        group = 12345 if os.getuid() == 0 else os.getgid()
        log_file.create_for(str(file), user, group)
        assert (file.stat().st_uid, file.stat().st_gid) == (user, group)

    @pytest.mark.parametrize("kind", ["file", "symlink", "broken symlink"])
    def test_what_is_there_is_left_alone(self, tmp_path: Path, file: Path, kind: str) -> None:
        """Nothing that is there already is given away, least of all through a symlink."""
        target = tmp_path / "precious"
        if kind != "broken symlink":
            target.write_text("")
        if kind == "file":
            target.rename(file)
        else:
            file.symlink_to(target)
        log_file.create_for(str(file), 12345, 12345)
        assert target.exists() is (kind == "symlink")
        if file.exists():
            assert file.stat().st_uid == os.getuid()


def test_pipe_that_may_only_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe with a name may be somebody else's to read."""
    opens = os.open

    def write_only(path: str, flags: int, *more: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opens(path, flags, *more)

    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = opens(path, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(os, "open", write_only)
    log = LogFile(str(path), "--log-file")
    log.write(b"line\n")
    assert os.read(reader, 99) == b"line\n"
    log.close()
    os.close(reader)
