"""Where the control socket goes: order of the directories, what is not trusted, who is found."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from breezeway.supervisor import runtime_directory
from breezeway.supervisor.runtime_directory import find, pid_of, socket_path

NOBODY = 65534
NAME = f"{os.getpid()}.sock"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


@pytest.fixture
def place(monkeypatch):
    """Give a short directory in which everything lies that is the system's elsewhere."""
    with tempfile.TemporaryDirectory(prefix="bw") as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        (root / "run").mkdir()
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        monkeypatch.setattr(runtime_directory, "SYSTEM", str(root / "run" / "breezeway"))
        monkeypatch.setattr(runtime_directory, "TEMPORARY", (str(root / "tmp"),))
        yield root


@pytest.fixture
def as_user(monkeypatch):
    """Be a user that is not root, for what asks."""
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)


@pytest.fixture
def listening():
    """Give a function that listens on a path."""
    opened = []

    def listen(path, *, listens=True):
        sock = socket.socket(socket.AF_UNIX)
        opened.append(sock)
        sock.bind(str(path))
        if listens:
            sock.listen()
        return sock

    yield listen
    for sock in opened:
        sock.close()


def mode(path):
    """Return the permission bits."""
    return stat.S_IMODE(os.lstat(path).st_mode)


class TestOrder:
    def test_services_directory_comes_first(self, place):
        """What systemd has made for the service is used as it is; of several, the first."""
        (place / "service").mkdir()
        environ = {
            "RUNTIME_DIRECTORY": f"{place}/service:{place}/other",
            "XDG_RUNTIME_DIR": str(place),
        }
        assert socket_path(environ) == f"{place}/service/{NAME}"

    @needs_root
    def test_root_has_the_systems(self, place):
        """Root makes /run/breezeway, which others may look into and not write to."""
        assert socket_path({"XDG_RUNTIME_DIR": str(place)}) == f"{place}/run/breezeway/{NAME}"
        assert mode(place / "run" / "breezeway") == 0o755

    def test_users_directory(self, place, monkeypatch):
        """A user that is logged in has a directory of its own."""
        user = os.geteuid()
        monkeypatch.setattr(runtime_directory, "SYSTEM", "/nowhere/breezeway")
        (place / "login").mkdir(mode=0o700)
        environ = {"XDG_RUNTIME_DIR": str(place / "login"), "TMPDIR": str(place / "tmp")}
        assert socket_path(environ) == f"{place}/login/breezeway/{NAME}"
        assert mode(place / "login" / "breezeway") == 0o700
        assert os.lstat(place / "login" / "breezeway").st_uid == user

    def test_temporary_directory(self, place, monkeypatch):
        """Everybody else has one for the user among the temporary files, with mode 0700."""
        monkeypatch.setattr(runtime_directory, "SYSTEM", "/nowhere/breezeway")
        directory = place / "tmp" / f"breezeway-{os.geteuid()}"
        assert socket_path({}) == f"{directory}/{NAME}"
        assert mode(directory) == 0o700
        assert socket_path({}) == f"{directory}/{NAME}", "again, now that it is there"

    def test_tmpdir(self, place, monkeypatch):
        """TMPDIR comes before /tmp."""
        monkeypatch.setattr(runtime_directory, "SYSTEM", "/nowhere/breezeway")
        (place / "own").mkdir()
        assert socket_path({"TMPDIR": str(place / "own")}).startswith(f"{place}/own/breezeway-")

    def test_umask_does_not_open_it(self, place, monkeypatch):
        """With a umask of 0 the directory is still for its user alone."""
        monkeypatch.setattr(runtime_directory, "SYSTEM", "/nowhere/breezeway")
        before = os.umask(0)
        try:
            directory = os.path.dirname(socket_path({}))
        finally:
            os.umask(before)
        assert mode(directory) == 0o700

    @pytest.mark.parametrize("given", ["relative", "", "/nowhere", "/etc/passwd"])
    def test_what_is_no_directory_is_passed_over(self, place, given):
        """A variable that names no directory is as if it were not there."""
        environ = dict.fromkeys(("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"), given)
        assert socket_path(environ) == socket_path({})

    def test_path_that_is_too_long_is_passed_over(self, place, monkeypatch):
        """A directory in which the socket's path would be too long is not used."""
        (place / ("x" * 90)).mkdir()
        environ = {"RUNTIME_DIRECTORY": str(place / ("x" * 90))}
        assert socket_path(environ) == socket_path({})

    def test_nowhere(self, monkeypatch):
        """Where nothing can be written there is no path, and no error."""
        monkeypatch.setattr(runtime_directory, "SYSTEM", "/proc/breezeway")
        monkeypatch.setattr(runtime_directory, "TEMPORARY", ("/proc", "/nowhere"))
        environ = {"RUNTIME_DIRECTORY": "/nowhere", "XDG_RUNTIME_DIR": "/proc", "TMPDIR": "/proc"}
        assert socket_path(environ) is None
        assert find(environ) == []


@pytest.fixture
def shared(place, monkeypatch):
    """Give the name that we would take in the shared directory, and nowhere else to go."""
    monkeypatch.setattr(runtime_directory, "SYSTEM", "/nowhere/breezeway")
    return place / "tmp" / f"breezeway-{os.geteuid()}"


class TestNotTrusted:
    def test_symlink(self, shared, place):
        """A link that somebody has put there first is not followed, not even to our own."""
        (place / "elsewhere").mkdir(mode=0o700)
        shared.symlink_to(place / "elsewhere")
        assert socket_path({}) is None
        assert find({}) == []
        assert not list((place / "elsewhere").iterdir())

    @needs_root
    def test_another_owner(self, shared, listening):
        """A directory that belongs to somebody else is not used, and not searched."""
        shared.mkdir(mode=0o700)
        listening(shared / "1.sock")
        assert find({}) == [f"{shared}/1.sock"]
        os.chown(shared, NOBODY, NOBODY)
        assert socket_path({}) is None
        assert find({}) == []

    @pytest.mark.parametrize("bits", [0o720, 0o702])
    def test_writable_by_others(self, shared, listening, bits):
        """A directory that others can write to is not used, and not searched."""
        shared.mkdir()
        shared.chmod(bits)
        listening(shared / "1.sock")
        assert socket_path({}) is None
        assert find({}) == []

    def test_file(self, shared):
        """A file with the name is not used."""
        shared.write_text("precious")
        assert socket_path({}) is None
        assert shared.read_text() == "precious"

    def test_shared_without_sticky_bit(self, shared, place):
        """Where everybody may rename everybody's files, nothing is made."""
        (place / "tmp").chmod(0o777)
        assert socket_path({}) is None
        assert not shared.exists()

    @needs_root
    def test_login_of_somebody_else(self, shared, place):
        """A variable that came along with sudo or su names somebody else's directory."""
        (place / "login").mkdir(mode=0o700)
        os.chown(place / "login", NOBODY, NOBODY)
        assert socket_path({"XDG_RUNTIME_DIR": str(place / "login")}) == f"{shared}/{NAME}"
        assert not list((place / "login").iterdir())


class TestSweep:
    def test_sockets_of_the_dead_are_removed(self, shared, listening):
        """What a killed supervisor left behind goes; the live, the fresh and other files stay."""
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        shared.mkdir(mode=0o700)
        listening(shared / f"{ended.pid}.sock").close()
        dead_but_named_otherwise = shared / "notes.sock"
        listening(dead_but_named_otherwise).close()
        listening(shared / f"{os.getppid()}.sock", listens=False)
        live = 2**22 + 1  # a pid that cannot be here; in another container it may
        listening(shared / f"{live}.sock")
        (shared / f"{ended.pid}0.sock").write_text("precious")
        socket_path({})
        left = {path.name for path in shared.iterdir()}
        assert left == {
            "notes.sock",
            f"{os.getppid()}.sock",
            f"{live}.sock",
            f"{ended.pid}0.sock",
        }


class TestFind:
    def test_finds_the_live_everywhere(self, place, listening, monkeypatch):
        """All sockets that answer are found, with those of services, and each once."""
        user = os.geteuid()
        directories = [
            place / "run" / "breezeway",
            place / "run" / "breezeway" / "shop",
            place / "login" / "breezeway",
            place / "tmp" / f"breezeway-{user}",
            place / "own",
        ]
        for number, directory in enumerate(directories, 1):
            directory.mkdir(parents=True, mode=0o700)
            listening(directory / f"{number}.sock")
        listening(directories[0] / "99.sock").close()
        listening(directories[0] / "other.sock")
        (directories[0] / "98.sock").write_text("")
        environ = {
            "RUNTIME_DIRECTORY": f"{directories[4]}:{directories[1]}",
            "XDG_RUNTIME_DIR": str(place / "login"),
            "TMPDIR": str(place / "tmp"),
        }
        found = find(environ)
        assert sorted(pid_of(path) for path in found) == [1, 2, 3, 4, 5]
        assert all(
            os.path.samefile(directories[pid_of(path) - 1], Path(path).parent) for path in found
        )

    def test_busy_socket_is_live(self, shared):
        """A supervisor whose backlog is full is found, and looking does not block."""
        shared.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as busy:
            busy.bind(str(shared / "1.sock"))
            busy.listen(0)
            clients = []
            for _ in range(4):
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                client.connect_ex(str(shared / "1.sock"))
                clients.append(client)
            assert find({}) == [f"{shared}/1.sock"]
            for client in clients:
                client.close()

    @needs_root
    def test_root_finds_other_users_servers(self, place, listening):
        """Root, as after sudo, finds servers of users, each in a directory that is its user's."""
        for uid, owner in ((NOBODY, NOBODY), (NOBODY - 1, NOBODY)):
            directory = place / "tmp" / f"breezeway-{uid}"
            directory.mkdir(mode=0o700)
            listening(directory / f"{uid}.sock")
            os.chown(directory, owner, owner)
        assert [pid_of(path) for path in find({})] == [NOBODY]

    def test_users_find_their_own_alone(self, place, listening, as_user):
        """A user does not look among the files of others."""
        directory = place / "tmp" / f"breezeway-{NOBODY - 1}"
        directory.mkdir(mode=0o700)
        listening(directory / "1.sock")
        assert find({}) == []


@pytest.mark.parametrize(
    ("path", "pid"),
    [("/run/breezeway/17.sock", 17), ("17.sock", 17), ("/run/shop.sock", None), ("0.sock", None)],
)
def test_pid_of(path, pid):
    """The name of a control socket tells its supervisor."""
    assert pid_of(path) == pid
