"""Listening sockets: from the text of a `--bind` to a socket that accepts.

`bind` does it for each form of address (`breezeway.config.address`). All that can go wrong there
has a cause outside of Breezeway, so that each failure is a `BindError` which says what and why.

A unix socket leaves a file behind when its process is killed. Such a file is replaced, if nobody
answers on it; one on which somebody does is left alone, and so is anything that is not a socket.
The file that we made is removed by `close`, unless another one has taken its place meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Iterable, Mapping
from functools import partial

from breezeway.config import address
from breezeway.config.address import InheritedSocket, TcpAddress, UnixAddress
from breezeway.config.settings import Settings
from breezeway.errors import BindError, UsageError

FIRST_UNPRIVILEGED_PORT = 1024
"""Below it only root may bind, unless net.ipv4.ip_unprivileged_port_start says otherwise."""

HTTP, HTTPS, REDIRECT = "http", "https", "redirect"
"""What a listener is for: plain requests, those over TLS, those that are sent on to https."""

UNIX_PORT = "80"
"""SERVER_PORT on a unix socket: PEP 3333 wants a string that is not empty."""


class Listener:
    """A listening socket, non-blocking, and what there is to know about it.

    `url` is where a client reaches it, with the real port; `server_name` and `server_port` are the
    two strings of the environ, an IPv6 address in brackets (RFC 3875 section 4.1.14). `role` is what
    it was last assigned to.
    """

    __slots__ = (
        "__weakref__",
        "_made",
        "_path",
        "role",
        "server_name",
        "server_port",
        "socket",
        "spec",
        "url",
    )

    def __init__(
        self, sock: socket.socket, spec: str, *, made: os.stat_result | None = None
    ) -> None:
        """Take over `sock`; `made` is the file of a unix socket that `close` has to remove."""
        sock.setblocking(False)
        self.socket = sock
        self.spec = spec
        self.role = HTTP
        self._made = made
        self._path = ""
        if sock.family == socket.AF_UNIX:
            name = os.fsdecode(sock.getsockname())
            # An abstract name (unix(7)) has no file; "@" is how the tools of Linux write it.
            self._path = name if name.startswith("\0") else os.path.abspath(name)
            self.url = "unix:" + self._path.replace("\0", "@")
            self.server_name, self.server_port = "localhost", UNIX_PORT
        else:
            host, port = sock.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self.url = f"http://{shown.replace(']', _zone(sock) + ']')}:{port}"
            everywhere = host in ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
            self.server_name = (everywhere and socket.gethostname()) or shown
            self.server_port = str(port)

    @property
    def is_tcp(self) -> bool:
        """Whether it has a port, and not a file or a name."""
        return self.socket.family != socket.AF_UNIX

    def role_in(self, settings: Settings) -> str:
        """Return what the listener is for, by these settings; unix sockets stay plain."""
        if self.spec in settings.redirect_bind:
            return REDIRECT
        return HTTPS if settings.certfile and self.is_tcp else HTTP

    def assign(self, settings: Settings) -> None:
        """Be for what these settings say, in `role` and `url`."""
        self.role = self.role_in(settings)
        scheme = "https" if self.role == HTTPS else "http"
        self.url = re.sub(r"^https?:", f"{scheme}:", self.url)

    @property
    def owned(self) -> bool:
        """Whether `close` removes the file of a unix socket."""
        return self._made is not None

    @property
    def is_lost(self) -> bool:
        """Whether the file that we made for a unix socket is there no more, so that nobody finds it."""
        if self._made is None:
            return False
        try:
            return not os.path.samestat(os.lstat(self._path), self._made)
        except OSError:
            return True

    def own(self) -> None:
        """Have `close` remove the unix socket's file, which another process leaves to this one."""
        with contextlib.suppress(OSError):
            self._made = os.lstat(self._path)

    def disown(self) -> None:
        """Leave the unix socket's file to another process, which listens on the same socket."""
        self._made = None

    def close(self) -> None:
        """Stop listening, and remove the unix socket's file if it is still the one we made."""
        # The file goes first: as long as the socket is open, nobody else can get its inode.
        if self._made is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(self._path), self._made):
                    os.unlink(self._path)
            self._made = None
        self.socket.close()


def bind(spec: str, *, backlog: int, unix_mode: int | None, share_port: bool = False) -> Listener:
    """Open the listener that `spec` (a `--bind`) asks for.

    With `share_port`, a port that sockets with SO_REUSEPORT have is not taken.

    Raises `UsageError` if it is no address at all, `BindError` if it cannot be had.
    """
    try:
        where = address.parse(spec)
    except ValueError as error:
        raise UsageError(f"--bind {error}") from None
    if isinstance(where, TcpAddress):
        return _bind_tcp(spec, where, backlog, share_port)
    if isinstance(where, UnixAddress):
        return _bind_unix(spec, where.path, backlog, unix_mode)
    return _adopt(spec, where)


def bind_beside(
    others: Iterable[Listener], spec: str, *, backlog: int, unix_mode: int | None
) -> Listener:
    """Open a listener as `bind` does, also where one of `others` is in its way: ours, to be closed.

    The kernel refuses 0.0.0.0:8000 as long as somebody listens on 127.0.0.1:8000, unless both
    sockets allow it at that moment. Then both take connections until one of them is closed.
    """
    try:
        return bind(spec, backlog=backlog, unix_mode=unix_mode)
    except BindError:
        where = address.parse(spec)
        port = str(where.port) if isinstance(where, TcpAddress) else None
        same = [each.socket for each in others if each.is_tcp and each.server_port == port]
        if not same:
            raise
    try:
        for sock in same:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened = bind(spec, backlog=backlog, unix_mode=unix_mode, share_port=True)
        same.append(opened.socket)
    finally:
        for sock in same:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    return opened


def adopt(fd: int, spec: str) -> Listener:
    """Take over a listener of an earlier process of ours; a unix socket's file stays that one's."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    return Listener(sock, spec)


def bind_all(settings: Settings, inherited: Mapping[str, Listener] | None = None) -> list[Listener]:
    """Return every listener of `settings`: those that were inherited, by their `spec`, and new ones.

    What was inherited and is in no setting is closed. If one cannot be had, the new ones are.
    """
    there = inherited or {}
    unwanted = [each for spec, each in there.items() if spec not in settings.addresses]
    with contextlib.ExitStack() as opened:
        listeners: list[Listener] = []
        for spec in settings.addresses:
            listener = there.get(spec)
            if listener is None:
                listener = bind_beside(
                    unwanted, spec, backlog=settings.backlog, unix_mode=settings.unix_mode
                )
                if any(each.socket.fileno() == listener.socket.fileno() for each in listeners):
                    listener.socket.detach()
                    hint = "The process that starts Breezeway has to pass it."
                    raise _failure(spec, "another address has this file descriptor", hint)
                opened.callback(listener.close)
            listener.assign(settings)
            listeners.append(listener)
        opened.pop_all()
    for listener in unwanted:
        listener.close()
    return listeners


def _zone(sock: socket.socket) -> str:
    """Return what a URL needs of a link-local address beside it: its interface (RFC 6874)."""
    scope = sock.getsockname()[3] if sock.family == socket.AF_INET6 else 0
    return f"%25{socket.if_indextoname(scope)}" if scope else ""


def _failure(spec: str, reason: str, hint: str = "") -> BindError:
    return BindError(f"cannot listen on {spec} (--bind): {reason}.", hint)


def _bind_tcp(spec: str, where: TcpAddress, backlog: int, share_port: bool) -> Listener:
    create = partial(socket.create_server, backlog=backlog, reuse_port=share_port)
    try:
        if where.host is not None:
            family, sockaddr = _resolve(where.host, where.port)
            sock = create(sockaddr, family=family)
        elif socket.has_dualstack_ipv6():
            sock = create(("::", where.port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            sock = create(("", where.port))
    except (socket.gaierror, UnicodeError):
        raise _failure(spec, f"there is no host {where.host!r}", "Is the name right?") from None
    except OSError as error:
        raise _tcp_failure(spec, where.port, error) from None
    return Listener(sock, spec)


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    # Bytes are not sent through the idna codec, whose tables would stay in memory for ever.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Of `localhost`, every client tries 127.0.0.1; not every one tries ::1.
    family, _, _, _, sockaddr = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, sockaddr  # type: ignore[return-value]  # (4 items for IPv6, which bind wants)


def _tcp_failure(spec: str, port: int, error: OSError) -> BindError:
    match error.errno:
        case errno.EADDRINUSE:
            return _taken(spec, port)
        case errno.EACCES | errno.EPERM:
            hint = "Choose another port."
            if port < FIRST_UNPRIVILEGED_PORT:
                hint = (
                    f"Ports below {FIRST_UNPRIVILEGED_PORT} need root or CAP_NET_BIND_SERVICE;"
                    " take a higher one, such as 8000, or an inherited socket (fd://3)."
                )
            return _failure(spec, f"no permission for port {port}", hint)
        case errno.EADDRNOTAVAIL:
            hint = f"To listen on all of its addresses: --bind :{port}"
            return _failure(spec, "this machine has no such address", hint)
        case errno.EINVAL if "[fe" in spec:
            hint = f"Say which: {spec.replace(']', '%eth0]')}"
            return _failure(spec, "a link-local address needs its interface", hint)
        case _:
            return _failure(spec, os.strerror(error.errno or 0))


def _taken(spec: str, port: int) -> BindError:
    from breezeway.worker import port_owner  # here alone, since most ports are free

    hint = "Stop it, or choose another port; port 0 takes a free one."
    owner = port_owner.find(port)
    if owner is None:
        return _failure(spec, f"port {port} is taken by another process", hint)
    pid, name = owner
    if pid == os.getpid():
        hint = "Two of its options ask for the same port."
        return _failure(spec, f"port {port} is taken by this process itself", hint)
    return _failure(spec, f"port {port} is taken by process {pid} ({name})", hint)


def _bind_unix(spec: str, path: str, backlog: int, mode: int | None) -> Listener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(spec, path)
        sock.bind(path)
        # Nobody can connect before listen(), so that no one slips in before the mode is set.
        if mode is not None:
            os.chmod(path, mode)
        made = os.lstat(path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _unix_failure(spec, path, error) from None
    except BindError:
        sock.close()
        raise
    return Listener(sock, spec, made=made)


def _remove_stale(spec: str, path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            hint = "It is left as it is: remove it yourself, or choose another path."
            raise _failure(spec, "this file is there already, and it is not a socket", hint)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog must not block; EAGAIN says that somebody listens, too.
        probe.setblocking(False)
        result = probe.connect_ex(path)
    if result == errno.ECONNREFUSED:
        os.unlink(path)
    elif result != errno.ENOENT:
        raise _failure(spec, "somebody listens there already", "Stop it, or choose another path.")


def _unix_failure(spec: str, path: str, error: OSError) -> BindError:
    if error.errno is None or error.errno == errno.ENAMETOOLONG:
        # Python itself refuses a path longer than sockaddr_un takes, without an errno.
        hint = "The system takes about 100 bytes; choose a shorter path, or a relative one."
        return _failure(spec, "the path is too long for a unix socket", hint)
    directory = os.path.dirname(os.path.abspath(path))
    match error.errno:
        case errno.ENOENT:
            hint = f"Make it first: mkdir -p {directory}"
            return _failure(spec, f"there is no directory {directory}", hint)
        case errno.ENOTDIR:
            return _failure(spec, f"{directory} is not a directory")
        case errno.EACCES | errno.EPERM:
            hint = "The user that runs Breezeway must be allowed to write to this directory."
            return _failure(spec, f"no permission in {directory}", hint)
        case _:
            return _failure(spec, os.strerror(error.errno))


def _adopt(spec: str, where: InheritedSocket) -> Listener:
    try:
        sock = socket.socket(fileno=where.fd)
    except OSError as error:
        reason = "no such file descriptor is open"
        if error.errno != errno.EBADF:
            reason = "this file descriptor is not a socket"
        raise _failure(spec, reason, "The process that starts Breezeway has to pass it.") from None
    if not _can_accept(sock):
        sock.detach()  # it is not ours to close
        raise _failure(spec, "it is not a listening stream socket", "Pass a socket after listen().")
    sock.set_inheritable(False)
    return Listener(sock, spec)


def _can_accept(sock: socket.socket) -> bool:
    return (
        sock.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
        and sock.type == socket.SOCK_STREAM
        and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    )
