"""Listening sockets: every form of address, and every way in which one cannot be had."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
import textwrap
import urllib.parse
from pathlib import Path

import pytest

from breezeway.config.settings import Settings
from breezeway.errors import BindError, UsageError
from breezeway.worker import port_owner
from breezeway.worker.listener import Listener, bind, bind_all, bind_beside

NOBODY = 65534
DEADLINE = 10  # seconds


@contextlib.contextmanager
def listening(spec, *, backlog=16, unix_mode=None):
    """Bind and close again."""
    listener = bind(spec, backlog=backlog, unix_mode=unix_mode)
    try:
        yield listener
    finally:
        listener.close()


def refused(spec, **options):
    """Bind in vain; return the error."""
    with pytest.raises(BindError) as caught, listening(spec, **options):
        pass
    assert caught.value.exit_code == 4
    assert caught.value.message.startswith(f"cannot listen on {spec} (--bind): ")
    return caught.value


def has_ipv6():
    """Tell whether this machine has ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


def exchange(listener, address):
    """Connect to `address` and get one byte from the listener's side."""
    with socket.create_connection(address, timeout=DEADLINE) as client:
        listener.socket.setblocking(True)
        listener.socket.settimeout(DEADLINE)
        server, _ = listener.socket.accept()
        with server:
            server.sendall(b"!")
        assert client.recv(1) == b"!"


class TestTcp:
    def test_listens_on_an_ipv4_address(self):
        """HOST:PORT accepts connections, and tells the real port for port 0."""
        with listening("127.0.0.1:0") as listener:
            port = listener.socket.getsockname()[1]
            assert port
            assert listener.spec == "127.0.0.1:0"
            assert listener.url == f"http://127.0.0.1:{port}"
            assert (listener.server_name, listener.server_port) == ("127.0.0.1", str(port))
            exchange(listener, ("127.0.0.1", port))

    def test_socket_is_ready_for_the_event_loop(self):
        """The socket does not block, is not inherited, and its port can be had again at once."""
        with listening("127.0.0.1:0") as listener:
            assert not listener.socket.getblocking()
            assert not listener.socket.get_inheritable()
            assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)

    @needs_ipv6
    def test_listens_on_an_ipv6_address(self):
        """[::1]:PORT has brackets in the URL and in SERVER_NAME."""
        with listening("[::1]:0") as listener:
            port = int(listener.server_port)
            assert listener.url == f"http://[::1]:{port}"
            assert listener.server_name == "[::1]"
            exchange(listener, ("::1", port))

    def test_name_prefers_ipv4(self):
        """Of localhost, the address is 127.0.0.1."""
        with listening("localhost:0") as listener:
            assert listener.socket.getsockname()[0] == "127.0.0.1"

    def test_everywhere_includes_ipv4(self):
        """:PORT is reached by IPv4, and its SERVER_NAME is a name, not a wildcard."""
        with listening(":0") as listener:
            assert urllib.parse.urlsplit(listener.url).hostname in ("::", "0.0.0.0")
            assert listener.server_name == socket.gethostname()
            exchange(listener, ("127.0.0.1", int(listener.server_port)))

    @needs_ipv6
    def test_everywhere_includes_ipv6(self):
        """:PORT is reached by IPv6 where there is any."""
        with listening(":0") as listener:
            exchange(listener, ("::1", int(listener.server_port)))

    def test_link_local(self):
        """The URL of a link-local address has its interface, as RFC 6874 writes it."""
        table = Path("/proc/net/if_inet6")
        lines = table.read_text().splitlines() if table.exists() else []
        found = [line.split() for line in lines if line.startswith("fe80")]
        if not found:
            pytest.skip("no link-local address here")
        host = ":".join(textwrap.wrap(found[0][0], 4))
        interface = found[0][-1]
        with listening(f"[{host}%{interface}]:0") as listener:
            assert f"%25{interface}]:{listener.server_port}" in listener.url
            assert "%" not in listener.server_name
        error = refused(f"[{host}]:0")
        assert "a link-local address needs its interface" in error.message
        assert f"[{host}%eth0]:0" in error.hint

    @needs_ipv6
    def test_ipv6_wildcard_leaves_ipv4_alone(self):
        """[::]:PORT is IPv6 alone, so that 0.0.0.0:PORT can stand beside it."""
        with contextlib.ExitStack() as stack:
            for _ in range(20):  # a client somewhere may have the port on its side
                six = stack.enter_context(listening("[::]:0"))
                with contextlib.suppress(BindError):
                    four = stack.enter_context(listening(f"0.0.0.0:{six.server_port}"))
                    break
            assert four.server_port == six.server_port

    def test_everywhere_without_ipv6(self, monkeypatch):
        """:PORT is IPv4 where there is nothing else."""
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
        with listening(":0") as listener:
            assert listener.socket.family == socket.AF_INET

    def test_port_taken_by_this_process(self):
        """Two options for one port are told apart from another process."""
        with listening("127.0.0.1:0") as first:
            error = refused(f"127.0.0.1:{first.server_port}")
        assert "is taken by" in error.message
        if Path("/proc/net/tcp").exists():
            assert error.message.endswith("by this process itself.")
            assert error.hint == "Two of its options ask for the same port."

    @pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
    def test_port_taken_by_another_process(self):
        """The process that has the port is named."""
        program = (
            "import socket; s = socket.create_server(('127.0.0.1', 0));"
            "print(s.getsockname()[1], flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            port = int(other.stdout.readline())
            error = refused(f"127.0.0.1:{port}")
            other.stdin.close()
        name = Path(os.path.realpath(sys.executable)).name[:15]
        assert f"is taken by process {other.pid} (" in error.message
        assert name[:6] in error.message
        assert "another port" in error.hint

    def test_port_taken_by_nobody_known(self, monkeypatch):
        """Where nobody can tell who has the port, the error says so much."""
        monkeypatch.setattr(port_owner, "PROC", Path("/nowhere"))
        with listening("127.0.0.1:0") as first:
            error = refused(f"127.0.0.1:{first.server_port}")
        assert error.message.endswith("is taken by another process.")

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port is not free in time")
    @pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost", ""])
    def test_beside_one_of_ours(self, host):
        """Both take connections until one is closed, on addresses that include each other."""
        with listening(":0") as free:  # on no address a client has it on its side
            port = free.server_port
        with listening(f"127.0.0.1:{port}") as ours:
            spec = f"{host}:{port}"
            with pytest.raises(BindError):
                bind(spec, backlog=16, unix_mode=None)
            wider = bind_beside([ours], spec, backlog=16, unix_mode=None)
            with contextlib.closing(wider):
                for each in (ours, wider):
                    assert not each.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
                ours.close()
                exchange(wider, ("127.0.0.1", int(wider.server_port)))

    def test_beside_one_of_ours_and_somebody_elses(self):
        with socket.create_server(("127.0.0.2", 0)) as other:
            port = other.getsockname()[1]
            with listening(f"127.0.0.1:{port}") as ours, pytest.raises(BindError):
                bind_beside([ours], f"0.0.0.0:{port}", backlog=16, unix_mode=None)

    def test_no_such_address(self):
        """An address of another machine cannot be listened on."""
        error = refused("192.0.2.1:0")  # RFC 5737: nobody has it
        assert "this machine has no such address" in error.message
        assert ":0" in error.hint

    @pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 64, "[1::2::3]"])
    def test_no_such_host(self, host):
        """A name that has no address is said to be none."""
        assert "there is no host" in refused(f"{host}:0").message

    def test_no_permission_for_a_low_port(self):
        """A privileged port is refused with a hint on what to do instead."""
        first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if first.exists() and int(first.read_text()) < 1024:
            pytest.skip("no port is privileged here")
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            error = refused("127.0.0.1:1")
        finally:
            if root:
                os.seteuid(0)
        assert "no permission for port 1" in error.message
        assert "Ports below 1024 need root" in error.hint

    @pytest.mark.parametrize("spec", ["8000", "::1:80", "unix:", "fd://x"])
    def test_what_is_no_address_is_a_usage_error(self, spec):
        """What is no address at all is a usage error, not a failure to bind."""
        with pytest.raises(UsageError, match="--bind") as caught:
            bind(spec, backlog=1, unix_mode=None)
        assert caught.value.exit_code == 2


class TestUnix:
    def test_listens_and_removes_its_file(self, tmp_path):
        """unix:PATH accepts connections; close() removes the file."""
        path = tmp_path / "shop.sock"
        with listening(f"unix:{path}") as listener:
            assert listener.url == f"unix:{path}"
            assert listener.server_name == "localhost"
            assert listener.server_port
            assert not listener.socket.getblocking()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
        assert not path.exists()

    def test_close_twice(self, tmp_path):
        """close() may be called again."""
        with listening(f"unix:{tmp_path}/shop.sock") as listener:
            listener.close()

    def test_relative_path_survives_a_change_of_directory(self, tmp_path, monkeypatch):
        """A relative path means the directory at the time of binding."""
        monkeypatch.chdir(tmp_path)
        with listening("unix:shop.sock") as listener:
            assert listener.url == f"unix:{tmp_path}/shop.sock"
            monkeypatch.chdir("/")
        assert not (tmp_path / "shop.sock").exists()

    @pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
    def test_mode_is_set_whatever_the_umask(self, tmp_path, mode):
        """--unix-mode is the file's mode."""
        path = tmp_path / "shop.sock"
        with listening(f"unix:{path}", unix_mode=mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode

    def test_stale_socket_is_replaced(self, tmp_path):
        """The file of a process that was killed is replaced."""
        path = tmp_path / "shop.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
            dead.listen()
        assert path.exists()
        with listening(f"unix:{path}"), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

    def test_live_socket_is_left_alone(self, tmp_path):
        """A socket on which somebody listens stays, and goes on listening."""
        spec = f"unix:{tmp_path}/shop.sock"
        with listening(spec):
            assert "somebody listens there already" in refused(spec).message
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{tmp_path}/shop.sock")

    def test_busy_socket_is_left_alone(self, tmp_path):
        """A socket whose backlog is full is live, and finding that out does not block."""
        spec = f"unix:{tmp_path}/shop.sock"
        with listening(spec, backlog=1), contextlib.ExitStack() as clients:
            for _ in range(8):
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(f"{tmp_path}/shop.sock")
            assert "somebody listens there already" in refused(spec).message

    @pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo"])
    def test_what_is_no_socket_is_never_removed(self, tmp_path, kind):
        """A path that is something else stays as it is."""
        path = tmp_path / "shop.sock"
        {
            "file": lambda: path.write_text("precious"),
            "directory": path.mkdir,
            "symlink": lambda: path.symlink_to(tmp_path / "elsewhere"),
            "fifo": lambda: os.mkfifo(path),
        }[kind]()
        before = path.lstat()
        assert "it is not a socket" in refused(f"unix:{path}").message
        assert os.path.samestat(path.lstat(), before)

    def test_somebody_elses_file_is_not_removed(self, tmp_path):
        """close() leaves a file that has taken the place of ours."""
        path = tmp_path / "shop.sock"
        with listening(f"unix:{path}"):
            path.unlink()
            path.write_text("precious")
        assert path.read_text() == "precious"

    def test_file_that_is_gone_is_no_error(self, tmp_path):
        """close() does not mind if somebody removed the file."""
        with listening(f"unix:{tmp_path}/shop.sock"):
            (tmp_path / "shop.sock").unlink()

    def test_no_such_directory(self, tmp_path):
        """A directory that is not there is named, with what would make it."""
        error = refused(f"unix:{tmp_path}/run/shop.sock")
        assert f"there is no directory {tmp_path}/run" in error.message
        assert f"mkdir -p {tmp_path}/run" in error.hint

    def test_not_a_directory(self, tmp_path):
        """A file where a directory should be is named."""
        (tmp_path / "run").write_text("")
        error = refused(f"unix:{tmp_path}/run/shop.sock")
        assert f"{tmp_path}/run is not a directory" in error.message

    @pytest.mark.parametrize("length", [108, 200, 300])
    def test_path_too_long(self, length):
        """A path that the system cannot take is refused, by its length."""
        assert "too long" in refused(f"unix:/tmp/{'x' * (length - 5)}").message

    def test_no_permission(self, tmp_path):
        """A directory that cannot be written to is named."""
        (tmp_path / "run").mkdir(mode=0o500)
        root = os.geteuid() == 0
        if root:
            os.chmod(tmp_path, 0o755)
            os.chmod(tmp_path / "run", 0o755)
            os.seteuid(NOBODY)
        try:
            error = refused(f"unix:{tmp_path}/run/shop.sock")
        finally:
            if root:
                os.seteuid(0)
        assert "no permission in " in error.message


class TestInherited:
    def test_adopts_a_tcp_listener(self):
        """fd://N takes over a listening TCP socket."""
        parent = socket.create_server(("127.0.0.1", 0))
        port = parent.getsockname()[1]
        with listening(f"fd://{parent.detach()}") as listener:
            assert listener.url == f"http://127.0.0.1:{port}"
            assert not listener.socket.getblocking()
            assert not listener.socket.get_inheritable()
            exchange(listener, ("127.0.0.1", port))

    @needs_ipv6
    def test_adopts_an_ipv6_listener(self):
        """fd://N takes over a listening IPv6 socket."""
        parent = socket.create_server(("::1", 0), family=socket.AF_INET6)
        with listening(f"fd://{parent.detach()}") as listener:
            assert listener.server_name == "[::1]"

    def test_adopts_a_unix_listener_and_leaves_its_file(self, tmp_path):
        """fd://N takes over a unix socket; its file belongs to who made it."""
        path = tmp_path / "shop.sock"
        parent = socket.socket(socket.AF_UNIX)
        parent.bind(str(path))
        parent.listen()
        with listening(f"fd://{parent.detach()}") as listener:
            assert listener.url == f"unix:{path}"
        assert path.exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
    def test_adopts_an_abstract_unix_listener(self):
        """An abstract name is shown with an @."""
        parent = socket.socket(socket.AF_UNIX)
        parent.bind(f"\0breezeway-test-{os.getpid()}")
        parent.listen()
        with listening(f"fd://{parent.detach()}") as listener:
            assert listener.url == f"unix:@breezeway-test-{os.getpid()}"

    def test_closed_descriptor(self):
        """A descriptor that is not open is said to be none."""
        reader, writer = os.pipe()
        os.close(reader)
        os.close(writer)
        assert "no such file descriptor" in refused(f"fd://{writer}").message

    def test_not_a_socket(self):
        """A descriptor that is not a socket is refused and stays open."""
        reader, writer = os.pipe()
        assert "is not a socket" in refused(f"fd://{writer}").message
        os.close(writer)
        os.close(reader)

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_not_listening(self, kind):
        """A socket that does not listen is refused and stays open."""
        with socket.socket(socket.AF_INET, kind) as idle:
            idle.bind(("127.0.0.1", 0))
            error = refused(f"fd://{idle.fileno()}")
            assert "not a listening stream socket" in error.message
            assert idle.getsockname()[1]


class TestBindAll:
    def test_opens_every_listener(self, tmp_path):
        """All of the addresses are opened, in their order."""
        settings = Settings(bind=("127.0.0.1:0", f"unix:{tmp_path}/shop.sock"), unix_mode=0o600)
        listeners = bind_all(settings)
        try:
            assert [listener.spec for listener in listeners] == list(settings.bind)
            assert all(isinstance(listener, Listener) for listener in listeners)
            assert stat.S_IMODE((tmp_path / "shop.sock").stat().st_mode) == 0o600
        finally:
            for listener in listeners:
                listener.close()

    def test_descriptor_that_another_address_has(self):
        """A descriptor that nobody has passed may be the number of a socket just opened."""
        with socket.create_server(("127.0.0.1", 0)) as passed:
            number = passed.fileno()
        with pytest.raises(BindError, match="another address has this file descriptor"):
            bind_all(Settings(bind=("127.0.0.1:0", f"fd://{number}")))  # the lowest that is free

    def test_opens_all_or_none(self, tmp_path):
        """If one cannot be had, the others are closed and their files removed."""
        path = tmp_path / "shop.sock"
        with pytest.raises(BindError, match=r"192\.0\.2\.1"):
            bind_all(Settings(bind=(f"unix:{path}", "192.0.2.1:0")))
        assert not path.exists()
