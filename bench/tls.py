"""TLS beside other servers: hello, 100 KB and handshakes; CPU time of the server for each request.

    python3 bench/tls.py [--seconds 3] [--rounds 3] [SERVER ...]

As in `run.py`: one worker process on a core of its own, wrk on the other; in each round all servers
have their turn, and a ratio is the median of the rounds' own. A request of the last scenario comes on
a connection of its own, and wrk resumes no session: it is one full handshake. wrk needs most of its
core for that, so that there the CPU time tells and the rate does not. Certificates are on P-256, as
those that are issued today are by default.
"""

from __future__ import annotations

import argparse
import json
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apps
import load
from server import HOST, Server, ServerError, free_port, pin_clients

HERE = Path(__file__).parent
BIN = HERE / ".env" / "bin"
THREADS = 16
KEEP_ALIVE = 75  # seconds
START_LIMIT = 20.0  # seconds
WARM_SECONDS = 1
RESULT = HERE / "results" / "tls.json"


class Scenario(NamedTuple):
    """What is asked for."""

    name: str
    app: str
    connections: int
    request: bytes


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
SCENARIOS = (
    Scenario("TLS hello", "apps:hello", 64, HEAD + b"\r\n"),
    Scenario("TLS 100 KB", "apps:large", 64, HEAD + b"\r\n"),
    Scenario("handshakes", "apps:hello", 32, HEAD + b"Connection: close\r\n\r\n"),
)


class Files(NamedTuple):
    """A certificate and its key."""

    certificate: str
    key: str


def breezeway(app: str, port: int, files: Files) -> list[str]:
    command = [str(BIN / "breezeway"), app, "--bind", f"{HOST}:{port}"]
    command += ["--threads", str(THREADS), "--no-access-log"]
    return [*command, "--certfile", files.certificate, "--keyfile", files.key]


def granian(app: str, port: int, files: Files) -> list[str]:
    return [
        *(str(BIN / "granian"), "--interface", "wsgi", "--host", HOST, "--port", str(port)),
        *("--workers", "1", "--runtime-threads", "1", "--blocking-threads", str(THREADS)),
        *("--http", "1", "--no-ws", "--log-level", "error", "--backpressure", "200"),
        *("--ssl-certificate", files.certificate, "--ssl-keyfile", files.key, app),
    ]


def gunicorn(app: str, port: int, files: Files) -> list[str]:
    return [
        *(str(BIN / "gunicorn"), "--bind", f"{HOST}:{port}", "--workers", "1"),
        *("--worker-class", "gthread", "--threads", str(THREADS), "--log-level", "error"),
        *("--keep-alive", str(KEEP_ALIVE), "--worker-connections", "200", "--no-control-socket"),
        *("--certfile", files.certificate, "--keyfile", files.key, app),
    ]


def cheroot(app: str, port: int, files: Files) -> list[str]:
    script = (
        "import sys, importlib\n"
        "from cheroot.wsgi import Server\n"
        "from cheroot.ssl.builtin import BuiltinSSLAdapter\n"
        "module, _, name = sys.argv[1].partition(':')\n"
        "app = getattr(importlib.import_module(module), name)\n"
        f"server = Server(({HOST!r}, int(sys.argv[2])), app, numthreads={THREADS},"
        f" request_queue_size=2048, timeout={KEEP_ALIVE})\n"
        "server.keep_alive_conn_limit = 200\n"
        "server.ssl_adapter = BuiltinSSLAdapter(sys.argv[3], sys.argv[4])\n"
        "server.start()\n"
    )
    return [str(BIN / "python"), "-c", script, app, str(port), *files]


def uwsgi(app: str, port: int, files: Files) -> list[str]:
    """Run it behind its own router: its other sockets for TLS have no keep-alive."""
    return [
        *(str(BIN / "uwsgi"), "--https", f"{HOST}:{port},{files.certificate},{files.key}"),
        *(f"--http-keepalive={KEEP_ALIVE}", "--module", app, "--need-app", "--master"),
        *("--single-interpreter", "--workers", "1", "--threads", str(THREADS)),
        *("--listen", "1024", "--disable-logging", "--die-on-term"),
    ]


def uwsgi_socket(app: str, port: int, files: Files) -> list[str]:
    """Run it without the router, which costs a second process for each request."""
    return [
        *(str(BIN / "uwsgi"), "--https-socket", f"{HOST}:{port},{files.certificate},{files.key}"),
        *("--module", app, "--need-app", "--master", "--add-header", "Connection: close"),
        *("--single-interpreter", "--workers", "1", "--threads", str(THREADS)),
        *("--listen", "1024", "--disable-logging", "--die-on-term"),
    ]


def nginx(app: str, port: int, files: Files) -> list[str]:
    """Run no application, only nginx, with the same answer from its settings or a file.

    It is C, on the OpenSSL that Python has, too: a hint at what the library itself takes.
    """
    home = Path(files.certificate).parent
    (home / "large").write_bytes(apps.LARGE)
    answer = {
        "apps:hello": f'return 200 "{apps.HELLO.decode().strip()}\\n"',
        "apps:large": "try_files /large =404",
    }
    settings = f"""
        daemon off; worker_processes 1; pid {home}/nginx.pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; default_type text/plain; root {home}; open_file_cache max=10;
            client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
            fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
            keepalive_requests 100000000; ssl_session_tickets on;
            server {{
                listen {HOST}:{port} ssl backlog=2048;
                ssl_certificate {files.certificate}; ssl_certificate_key {files.key};
                ssl_protocols TLSv1.2 TLSv1.3;
                location / {{ {answer[app]}; }}
            }}
        }}
    """
    (home / "nginx.conf").write_text(settings)
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(home / "nginx.conf")]


SERVERS: dict[str, Callable[[str, int, Files], list[str]]] = {
    each.__name__: each
    for each in (breezeway, granian, gunicorn, cheroot, uwsgi, uwsgi_socket, nginx)
}


def make_certificate(directory: str) -> Files:
    """Have openssl make one."""
    files = Files(f"{directory}/cert.pem", f"{directory}/key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", files.key, "-out", files.certificate]
    subprocess.run(command, check=True, capture_output=True)
    return files


def wait_for(server: Server, port: int) -> str:
    """Wait until it answers over TLS; return the cipher."""
    import socket

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    ends = time.monotonic() + START_LIMIT
    while time.monotonic() < ends:
        try:
            with (
                socket.create_connection((HOST, port), 5) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as client,
            ):
                client.sendall(HEAD + b"Connection: close\r\n\r\n")
                if client.recv(100).startswith(b"HTTP/1.1 200"):
                    cipher = client.cipher()
                    return f"{cipher[1]} {cipher[0]}" if cipher else ""
        except OSError:
            time.sleep(0.02)
    raise ServerError(f"no answer: {server.last_words()}")


class Measured(NamedTuple):
    """One measurement: requests in a second, microseconds of CPU for each, what went wrong."""

    rate: float
    cpu: float
    errors: int
    cipher: str


def measure(name: str, scenario: Scenario, files: Files, seconds: int) -> Measured:
    """Start a server, load it, stop it."""
    port = free_port()
    with Server(SERVERS[name](scenario.app, port, files), port) as server:
        cipher = wait_for(server, port)
        run(port, scenario, WARM_SECONDS)
        before = server.cpu()
        found = run(port, scenario, seconds)
        used = server.cpu().since(before)
    cpu = used.exact * 1e6 / max(1, found.requests)
    return Measured(
        found.requests / found.seconds, cpu, found.socket_errors + found.bad_status, cipher
    )


def run(port: int, scenario: Scenario, seconds: int) -> load.Load:
    """Run wrk."""
    return load.run(port, scenario.request, scenario.connections, seconds, scheme="https")


def show(scenario: Scenario, results: dict[str, list[Measured]]) -> None:
    """Print the table of a scenario."""
    print(f"\n{scenario.name}: {scenario.connections} connections\n")
    print("| server | requests/s | CPU us | ours in rate | ours in CPU | errors | cipher |")
    print("|---|---|---|---|---|---|---|")
    ours = results.get("breezeway", [])
    for name, rounds in results.items():
        rate = statistics.median(each.rate for each in rounds)
        cpu = statistics.median(each.cpu for each in rounds)
        ratios = ["", ""]
        if ours and name != "breezeway":
            pairs = list(zip(ours, rounds, strict=False))
            ratios[0] = f"{statistics.median(a.rate / b.rate for a, b in pairs):.2f}"
            ratios[1] = f"{statistics.median(b.cpu / a.cpu for a, b in pairs):.2f}"
        errors = sum(each.errors for each in rounds)
        print(
            f"| {name} | {rate:,.0f} | {cpu:.1f} | {ratios[0]} | {ratios[1]} | {errors}"
            f" | {rounds[0].cipher} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=", ".join(SERVERS))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scenario", action="append", help="part of its name")
    arguments = parser.parse_args()
    names = arguments.servers or list(SERVERS)
    pin_clients()
    everything = {}
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # for nginx, whose worker is somebody else
        files = make_certificate(directory)
        for scenario in SCENARIOS:
            if arguments.scenario and not any(part in scenario.name for part in arguments.scenario):
                continue
            results: dict[str, list[Measured]] = {}
            for _ in range(arguments.rounds):
                for name in names:
                    try:
                        found = measure(name, scenario, files, arguments.seconds)
                    except (ServerError, load.LoadError) as error:
                        print(f"{name}: {error}", file=sys.stderr)
                    else:
                        results.setdefault(name, []).append(found)
            show(scenario, results)
            everything[scenario.name] = results
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
