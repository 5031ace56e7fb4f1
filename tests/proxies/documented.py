"""Proxies with the configurations of docs/proxies.md, and servers with the settings beside them.

What is changed: ports, paths of sockets, and what lets a program run without root and in a directory
of its own. Each change must find what it changes, so that the page and these tests cannot part ways.
"""

from __future__ import annotations

import re
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from breezeway.config.settings import TABLE

from .. import debian
from ..differential import proxies
from ..live import Live, serving

PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"

ADDRESS = "127.0.0.1:8000"
SOCKET = "/run/breezeway/http.sock"
"""Where the server listens, on the page."""


def block(heading: str, language: str) -> str:
    """Return the first block in a language below a heading of the page."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    assert found, heading
    match = re.match(rf"(?:(?!\n#).)*?\n```{language}\n(.*?)\n```\n", rest, re.DOTALL)
    assert match is not None, (heading, language)
    return match[1]


def said(text: str) -> str:
    """Return code that is in the text of the page."""
    assert f"`{text}`" in " ".join(PAGE.read_text(encoding="utf-8").split()), text
    return text


def settings(heading: str) -> dict[str, Any]:
    """Return the settings below a heading, by name."""
    rows = {row.name: row for row in TABLE}
    read = tomllib.loads(block(heading, "toml"))
    return {
        name: tuple(value) if isinstance(value, list) else rows[name].kind.parse(value)
        for name, value in read.items()
    }


def replaced(text: str, old: str, new: str) -> str:
    """Replace what has to be there."""
    assert old in text, (old, text)
    return text.replace(old, new)


class _Documented(proxies.Proxy):
    """One kind of proxy, with a configuration of the page."""

    stop_signal = signal.SIGTERM
    language: str
    """Of its configuration, as the page says."""
    before_port = ":"
    """In an address, as its configuration has it."""

    def __init__(self, directory: Path, configuration: str, server: str) -> None:
        """`server` is where the server listens: an address, or the path of a socket."""
        there = ADDRESS if ":" in server else SOCKET
        old, new = (each.replace(":", self.before_port) for each in (there, server))
        self._page = replaced(configuration, old, new)
        super().__init__(directory, 0)


class Nginx(_Documented, proxies.Nginx):
    """nginx, which wants its files in a place where it may write."""

    stop_signal = signal.SIGTERM
    language = "nginx"

    def _configure(self, server_port: int) -> str:
        here = self._directory
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {here}/{kind};\n" for kind in kinds)
        page = replaced(self._page, "listen 80;", f"listen 127.0.0.1:{self.port};")
        return f"""
            daemon off; master_process off; pid {here}/pid; error_log stderr error;
            events {{ }}
            http {{ {temporary} access_log off; {page} }}
        """


class HAProxy(_Documented, proxies.HAProxy):
    """HAProxy; a block on the page that has no frontend goes with the one above it."""

    stop_signal = signal.SIGTERM
    language = "haproxy"

    def _configure(self, server_port: int) -> str:
        return replaced(self._page, "bind :80\n", f"bind 127.0.0.1:{self.port}\n")


class Caddy(_Documented):
    """Caddy, without the control port that all of one machine would share."""

    name = "Caddy"
    program = "caddy"
    language = "caddy"

    def _configure(self, server_port: int) -> str:
        page = replaced(self._page, "http://example.org {", f"http://example.org:{self.port} {{")
        return f"{{\n admin off\n default_bind 127.0.0.1\n}}\n{page}"

    def _command(self) -> list[str]:
        own = [f"{name}={self._directory}" for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")]
        run = ["run", "--config", str(self._configuration), "--adapter", "caddyfile"]
        return ["env", *own, debian.program(self.program), *run]


class Envoy(_Documented, proxies.Envoy):
    """Envoy."""

    language = "yaml"
    before_port = ", port_value: "

    def _configure(self, server_port: int) -> str:
        here = f"address: 127.0.0.1, port_value: {self.port} "
        return replaced(self._page, "address: 0.0.0.0, port_value: 80 ", here)


class Arrangement(NamedTuple):
    """A proxy and a server, as a part of the page puts them together."""

    kind: type[_Documented]
    heading: str
    """Where the settings of the server are, and the proxy's configuration or a part of it."""
    whole: str = ""
    """Where the whole configuration is; the part replaces the one of the same kind in it."""
    changes: tuple[tuple[str, str], ...] = ()
    """What the text says that one may write instead."""

    def configuration(self) -> str:
        """Return the configuration of the proxy."""
        language = self.kind.language
        text = block(self.heading, language)
        if self.whole:
            whole = f"\n{block(self.whole, language)}\n\n"
            start = whole.index("\n" + text.split("\n")[0]) + 1
            text = whole[:start] + text + whole[whole.index("\n\n", start) :]
        for old, new in self.changes:
            text = replaced(text, old, new)
        return text


ARRANGEMENTS = {
    "nginx": Arrangement(Nginx, "## nginx"),
    "nginx, unix socket": Arrangement(Nginx, "### nginx over a unix socket", "## nginx"),
    "HAProxy": Arrangement(HAProxy, "## HAProxy"),
    "HAProxy, PROXY v2": Arrangement(HAProxy, "### HAProxy with the PROXY protocol"),
    "HAProxy, PROXY v1": Arrangement(
        HAProxy, "### HAProxy with the PROXY protocol", changes=(("send-proxy-v2", "send-proxy"),)
    ),
    "HAProxy, unix socket": Arrangement(
        HAProxy, "### HAProxy over a unix socket", "### HAProxy with the PROXY protocol"
    ),
    "Caddy": Arrangement(Caddy, "## Caddy"),
    "Envoy": Arrangement(Envoy, "## Envoy"),
    "Envoy, unix socket": Arrangement(Envoy, "### Envoy over a unix socket", "## Envoy"),
}

KINDS = {arrangement.kind for arrangement in ARRANGEMENTS.values()}


class Behind(NamedTuple):
    """A server behind a proxy, both running."""

    kind: type[_Documented]
    live: Live
    port: int
    """Where the proxy listens, on 127.0.0.1."""
    peer: str
    """What the server sees as the other end of the proxy's connections."""


@contextmanager
def running(arrangement: Arrangement, directory: Path, **more: Any) -> Iterator[Behind]:
    """Run a server, with more settings than those of the page, and a proxy in front of it."""
    given = settings(arrangement.heading) | more
    over_unix = given["bind"] == (f"unix:{SOCKET}",)
    path = str(directory / "http.sock")
    given["bind"] = (f"unix:{path}",) if over_unix else ("127.0.0.1:0",)
    with serving(**given) as live:
        server = path if over_unix else f"127.0.0.1:{live.address[1]}"
        proxy = arrangement.kind(directory, arrangement.configuration(), server)
        with proxy.running():
            yield Behind(arrangement.kind, live, proxy.port, "unix" if over_unix else "127.0.0.1")
