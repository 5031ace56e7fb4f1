"""Settings of the way to the application: addresses, TLS, proxies in front, files."""

from __future__ import annotations

from dataclasses import dataclass

from breezeway.config import address, checks
from breezeway.config.kinds import (
    ADDRESS,
    COUNT,
    DIRECTORY,
    FILE,
    MODE,
    NETWORK,
    STATIC,
    SWITCH,
    TEXT,
    WORD,
)
from breezeway.config.setting import setting

LISTEN = "Where to listen"
APPLICATION = "The application"
TLS = "TLS"
PROXIES = "Behind proxies"
FILES = "Files"

FORWARDED_FIELDS = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Part of `Settings`."""

    bind: tuple[str, ...] = setting(
        ("127.0.0.1:8000",),
        ADDRESS,
        LISTEN,
        f"{address.FORMS}. May be given several times. Port 0 takes a free port.",
        repeatable=True,
        form=checks.bind,
    )
    unix_mode: int | None = setting(
        None,
        MODE,
        LISTEN,
        "Permissions of unix sockets, in octal, such as 660. Without it the umask decides.",
        least=0,
        most=0o777,
    )
    backlog: int = setting(
        2048,
        COUNT,
        LISTEN,
        "Connections that the kernel keeps waiting until they are accepted.",
        least=1,
        most=2**31 - 1,
    )

    app_dir: str = setting(
        ".", DIRECTORY, APPLICATION, "Where the application's module is looked for first."
    )
    root_path: str = setting(
        "",
        TEXT,
        APPLICATION,
        "Path under which the application is mounted, such as /shop; SCRIPT_NAME in the environ.",
        form=checks.root_path,
    )
    server_name: str | None = setting(
        None,
        TEXT,
        APPLICATION,
        "SERVER_NAME in the environ. Without it, the address of the listener.",
        form=checks.server_name,
    )

    certfile: tuple[str, ...] = setting(
        (),
        FILE,
        TLS,
        "Certificate with its chain, in PEM; every address but unix sockets then speaks TLS. May be"
        " given several times: clients choose by server name, the first is for those that name none.",
        repeatable=True,
        form=checks.file_names,
    )
    keyfile: tuple[str, ...] = setting(
        (),
        FILE,
        TLS,
        "Private key of the certificate, in PEM; one for each --certfile, in the same order. Without"
        " it, the key is in the certificate's file.",
        repeatable=True,
        form=checks.file_names,
    )
    keyfile_password: str | None = setting(
        None, TEXT, TLS, "Password of the private keys.", secret=True
    )
    ca_certs: str | None = setting(
        None,
        FILE,
        TLS,
        "Certificates, in PEM, of the authorities that clients' certificates must come from.",
        form=checks.file_name,
    )
    client_certs: str = setting(
        "none",
        WORD,
        TLS,
        "Whether clients show a certificate.",
        choices=("none", "optional", "required"),
    )
    redirect_bind: tuple[str, ...] = setting(
        (),
        ADDRESS,
        TLS,
        "Plain address, such as :80, that does nothing but redirect to https. May be given several"
        " times.",
        repeatable=True,
        form=checks.bind,
    )

    proxy_protocol: tuple[str, ...] = setting(
        (),
        NETWORK,
        PROXIES,
        "Network whose connections begin with a PROXY header, version 1 or 2, such as 10.0.0.0/8, or"
        " unix for unix sockets. May be given several times.",
        repeatable=True,
        form=checks.networks,
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        NETWORK,
        PROXIES,
        "Network of proxies whose Forwarded or X-Forwarded fields are believed, such as 10.0.0.0/8,"
        " unix for unix sockets, or * for all. May be given several times.",
        repeatable=True,
        form=checks.networks,
    )
    proxy_hops: int | None = setting(
        None,
        COUNT,
        PROXIES,
        "How many proxies there are one behind the other. Without it, as many as --trusted-proxies"
        " tells.",
        least=1,
    )
    trusted_headers: tuple[str, ...] = setting(
        FORWARDED_FIELDS,
        WORD,
        PROXIES,
        "Field that trusted proxies set; the others are removed. May be given several times.",
        repeatable=True,
        choices=FORWARDED_FIELDS,
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        TEXT,
        PROXIES,
        "Host that requests may ask for, such as example.org or *.example.org; others are answered"
        " with 421. May be given several times. Without it, any.",
        repeatable=True,
        form=checks.hosts,
    )

    static: tuple[str, ...] = setting(
        (),
        STATIC,
        FILES,
        "Directory whose files the server itself serves below a path. May be given several times.",
        repeatable=True,
        form=checks.static,
    )
    static_symlinks: bool = setting(
        False, SWITCH, FILES, "Follow symbolic links that lead out of a --static directory."
    )
    sendfile_root: str | None = setting(
        None,
        DIRECTORY,
        FILES,
        "Directory below which the application may name a file to send, in X-Sendfile.",
        form=checks.file_name,
    )
