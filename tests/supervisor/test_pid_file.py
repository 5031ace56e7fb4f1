"""The pid file: one supervisor at a time, a handover without a gap, and all that can be wrong."""

import contextlib
import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from breezeway.errors import UsageError, UserError
from breezeway.supervisor.pid_file import PidFile

DEADLINE = 20  # seconds
NOBODY = 65534

# Does what the lines on its standard input say, and answers each with a line.
OTHER = """
import sys
from breezeway.errors import UserError
from breezeway.supervisor.pid_file import PidFile
file = None
for line in sys.stdin:
    try:
        exec(line)
        print("done", flush=True)
    except UserError as error:
        print(error.message, flush=True)
"""


class Other:
    """Another process."""

    def __init__(self, fd=None):
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[] if fd is None else [fd],
        )
        self.pid = self.process.pid

    def do(self, line):
        """Let it run a line; return "done" or the message of a UserError."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        """Let it end by itself."""
        self.process.stdin.close()
        assert self.process.wait(DEADLINE) == 0


@contextlib.contextmanager
def another(fd=None):
    """Run another process."""
    other = Other(fd)
    with other.process:
        try:
            yield other
        finally:
            other.process.kill()


@pytest.fixture
def path(tmp_path):
    """Give a path for the file."""
    return tmp_path / "server.pid"


def refused(path):
    """Try in vain; return the error."""
    with pytest.raises(UserError) as caught:
        PidFile(str(path))
    assert caught.value.exit_code in (1, 2)
    return caught.value


def is_locked(path):
    """Tell whether anybody has the lock."""
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class TestOne:
    def test_says_who_runs(self, path):
        """The file has the process id and a newline, is locked, and goes at the end."""
        with closing(PidFile(str(path))) as file:
            assert path.read_text() == f"{os.getpid()}\n"
            assert path.stat().st_mode & 0o777 == 0o644 & ~umask()
            assert is_locked(path)
            assert not os.get_inheritable(file.fileno())
        assert not path.exists()
        file.close()

    def test_relative_path(self, path, monkeypatch):
        """A relative path means the directory of the start."""
        monkeypatch.chdir(path.parent)
        with closing(PidFile("server.pid")):
            monkeypatch.chdir("/")
        assert not path.exists()

    @pytest.mark.parametrize("left", ["", "1\n", "4194304999\n", f"{2**40}", "  17  "])
    def test_file_of_a_dead_one_is_taken(self, path, left):
        """What a killed supervisor left is taken, whosever number it is by now."""
        path.write_text(left)
        with closing(PidFile(str(path))):
            assert path.read_text() == f"{os.getpid()}\n"

    def test_file_of_a_killed_one_is_taken(self, path):
        """A supervisor that was killed holds nobody up."""
        with another() as other:
            assert other.do(f"file = PidFile({str(path)!r})") == "done"
            other.process.kill()
            other.process.wait()
        assert path.exists()
        with closing(PidFile(str(path))):
            assert path.read_text() == f"{os.getpid()}\n"

    def test_workers_do_not_keep_the_lock(self, path):
        """A forked process that closes its copy takes nothing from the supervisor."""
        file = PidFile(str(path))
        copy = os.dup(file.fileno())
        file.close_in_child()
        assert path.exists()
        assert is_locked(path), "the supervisor's"
        os.close(copy)
        assert not is_locked(path)


def umask():
    """Return the umask."""
    value = os.umask(0)
    os.umask(value)
    return value


class TestTwo:
    def test_live_owner(self, path):
        """A second supervisor is refused, and told who has the file; the file stays."""
        with another() as other:
            assert other.do(f"file = PidFile({str(path)!r})") == "done"
            error = refused(path)
            assert error.message == (
                f"cannot use the pid file {path} (--pid-file): process {other.pid} has locked it."
            )
            assert error.hint == "Is Breezeway running already?"
            assert path.read_text() == f"{other.pid}\n"
            other.end()

    def test_live_owner_without_a_number(self, path):
        """While the owner has not written yet it is another process."""
        path.touch()
        with open(path) as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            assert "another process has locked it" in refused(path).message

    def test_file_that_goes_before_it_is_locked(self, path, monkeypatch):
        """A file that its owner removed between our open and our lock is made anew."""
        path.write_text("17\n")
        flock = fcntl.flock

        def removed_meanwhile(fd, operation):
            monkeypatch.setattr(fcntl, "flock", flock)
            path.unlink()
            flock(fd, operation)

        monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
        with closing(PidFile(str(path))):
            assert path.read_text() == f"{os.getpid()}\n"
            assert is_locked(path)

    @pytest.mark.parametrize("change", ["replaced", "rewritten", "gone"])
    def test_what_is_not_ours_any_more_stays(self, path, change):
        """close() removes the file only if it is ours and says so."""
        with closing(PidFile(str(path))):
            if change == "replaced":
                path.unlink()
                path.write_text(f"{os.getpid()}\n")
            elif change == "rewritten":
                path.write_text("17\n")
            else:
                path.unlink()
        assert path.exists() is (change != "gone")

    @pytest.mark.parametrize("change", ["removed", "replaced"])
    def test_lost_file_is_made_anew(self, path, change):
        """With the number and the lock; a file that is still there is left as it is."""
        with closing(PidFile(str(path))) as file:
            before = file.fileno()
            file.renew()
            assert file.fileno() == before
            path.unlink()
            if change == "replaced":
                path.write_text("1\n")
            file.renew()
            assert path.read_text() == f"{os.getpid()}\n"
            assert is_locked(path)
        assert not path.exists()

    def test_lost_file_that_another_has_made(self, path):
        """It is left to that one."""
        with closing(PidFile(str(path))) as file:
            path.unlink()
            with closing(PidFile(str(path))), pytest.raises(UserError, match="has locked it"):
                file.renew()
            file.renew()
            assert is_locked(path)


class TestUpgrade:
    def test_new_supervisor_takes_over(self, path):
        """The lock is held all the time; the number changes; the old one leaves the file."""
        old = PidFile(str(path))
        with another(old.fileno()) as new:
            assert new.do(f"file = PidFile.inherit({str(path)!r}, {old.fileno()})") == "done"
            assert path.read_text() == f"{os.getpid()}\n", "it does not serve yet"
            assert new.do("file.write()") == "done"
            assert path.read_text() == f"{new.pid}\n"
            old.close()
            assert path.read_text() == f"{new.pid}\n"
            assert is_locked(path)
            assert f"process {new.pid} has locked it" in refused(path).message
            assert new.do("file.close()") == "done"
            assert not path.exists()
            new.end()

    def test_old_supervisor_goes_on(self, path):
        """When the new one does not come up, nothing has changed for the old one."""
        with closing(PidFile(str(path))) as old:
            with another(old.fileno()) as new:
                assert new.do(f"file = PidFile.inherit({str(path)!r}, {old.fileno()})") == "done"
                new.process.kill()
                new.process.wait()
            assert path.read_text() == f"{os.getpid()}\n"
            assert is_locked(path)
        assert not path.exists()

    def test_new_supervisor_that_gives_up_leaves_the_file(self, path):
        """A new one that closes without having written leaves file and lock to the old one."""
        with closing(PidFile(str(path))) as old:
            with another(old.fileno()) as new:
                new.do(f"file = PidFile.inherit({str(path)!r}, {old.fileno()})")
                assert new.do("file.close()") == "done"
                new.end()
            assert path.read_text() == f"{os.getpid()}\n"
            assert is_locked(path)

    def test_old_supervisor_can_have_it_back(self, path):
        """A new one that fails after it has written: the old one writes again."""
        with closing(PidFile(str(path))) as old:
            with another(old.fileno()) as new:
                new.do(f"file = PidFile.inherit({str(path)!r}, {old.fileno()})")
                new.do("file.write()")
                new.process.kill()
                new.process.wait()
            old.write()
            assert path.read_text() == f"{os.getpid()}\n"
        assert not path.exists()

    def test_longer_number_leaves_nothing_behind(self, path):
        """A number shorter than the last one does not end in its digits."""
        with closing(PidFile(str(path))) as file:
            path.write_text("123456789012\n")
            file.write()
            assert path.read_text() == f"{os.getpid()}\n"

    @pytest.mark.parametrize("change", ["other path", "gone", "closed"])
    def test_inherit_checks(self, path, tmp_path, change):
        """A descriptor of another file is not taken for it."""
        with closing(PidFile(str(path))) as old:
            fd, name = old.fileno(), str(path)
            if change == "other path":
                name = str(tmp_path / "other.pid")
                (tmp_path / "other.pid").touch()
            elif change == "gone":
                path.unlink()
            else:
                fd = os.dup(fd)
                os.close(fd)
            with pytest.raises(UserError, match="not the one that the old supervisor has"):
                PidFile.inherit(name, fd)


class TestWrong:
    def test_no_directory(self, path):
        """A directory that is not there is named, with what would make it."""
        error = refused(path.parent / "run" / "server.pid")
        assert f"there is no directory {path.parent}/run" in error.message
        assert f"mkdir -p {path.parent}/run" in error.hint

    def test_no_permission(self, path):
        """A directory that may not be written to is a sentence."""
        path.parent.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            # To another user all of pytest's directories look so.
            assert "no permission" in refused(path).message
        finally:
            if root:
                os.seteuid(0)
            path.parent.chmod(0o755)

    @pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
    def test_full_disk(self, path, monkeypatch, error):
        """A disk that takes nothing is a sentence, and half a file does not stay."""

        def full(*_):
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "pwrite", full)
        assert os.strerror(error) in refused(path).message
        assert not path.exists()

    def test_write_that_fails_for_real(self, path):
        """The same with a limit of the system in place of a full disk."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            error = refused(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert error.message.startswith(f"cannot use the pid file {path} (--pid-file): ")
        assert not path.exists()

    @pytest.mark.parametrize("content", ["root:x:0:0:", "12 13", "-1\n", "1" * 100, "\0\0"])
    def test_file_with_something_else(self, path, content):
        """A file that was not made for this is left as it is."""
        path.write_text(content)
        error = refused(path)
        assert "it is not a pid file" in error.message
        assert "left as it is" in error.hint
        assert path.read_text() == content

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("directory", "Is a directory"),
            ("symlink", "it is a symbolic link"),
            ("fifo", "it is not a pid file"),
        ],
    )
    def test_what_is_no_file(self, path, kind, message):
        """What is no regular file is refused, and a link is not followed."""
        {
            "directory": path.mkdir,
            "symlink": lambda: path.symlink_to(path.parent / "target"),
            "fifo": lambda: os.mkfifo(path),
        }[kind]()
        assert message in refused(path).message
        assert not (path.parent / "target").exists()

    @pytest.mark.parametrize("text", ["", "a\0b"])
    def test_no_path(self, text):
        """What cannot be a path is a usage error."""
        with pytest.raises(UsageError, match="is not a path"):
            PidFile(text)

    def test_no_descriptor_is_lost(self, path):
        """Each way to fail closes what it opened."""
        path.write_text("something else")
        before = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
        for _ in range(3):
            refused(path)
        if before is not None:
            assert set(os.listdir("/proc/self/fd")) == before
