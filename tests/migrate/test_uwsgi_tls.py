"""uWSGI's TLS becomes certificates for all addresses, and addresses that redirect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Translate = Callable[..., tuple[dict[str, Any], str]]

ONE = {"bind": ("0.0.0.0:443",), "certfile": ("c",), "keyfile": ("k",)}
"""What `https = :443,c,k` becomes."""


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        (["https = :443,c,k"], ONE),
        (["https-socket = *:443,c,k,HIGH"], ONE),
        (["https2 = addr=:443,cert=c,key=k"], ONE),
        (["https2 = addr=:443,crt=c,key=k,ciphers=HIGH,spdy=1"], ONE),
        (["shared-socket = :443", "https = =0,c,k"], ONE),
        (
            ["https = :443,c,k,,a"],
            {**ONE, "ca_certs": "a", "client_certs": "optional"},
        ),
        (
            ["https = :443,c,k,HIGH,!a"],
            {**ONE, "ca_certs": "a", "client_certs": "required"},
        ),
        (
            ["https2 = addr=:443,cert=c,key=k,clientca=!a"],
            {**ONE, "ca_certs": "a", "client_certs": "required"},
        ),
        (
            ["https = :443,c,k,,a", "https-socket = :444,c,k,,!b"],
            {
                **ONE,
                "bind": ("0.0.0.0:443", "0.0.0.0:444"),
                "ca_certs": "a",
                "client_certs": "required",
            },
        ),
        (
            ["https = :443,c,k", "sni = b.example d,l", "sni = a.example c,k"],
            {**ONE, "certfile": ("c", "d"), "keyfile": ("k", "l")},
        ),
        (["https = :443,c,k", "http-to-https = :80"], {**ONE, "redirect_bind": ("0.0.0.0:80",)}),
        (
            ["https = :443,c,k", "http-to-https = :80,443", "http-to-https = :80"],
            {**ONE, "redirect_bind": ("0.0.0.0:80",)},
        ),
        (["https = :443,c,k", "http-to-https = :443"], ONE),
        (["https = :443,c,k", "http-to-https = /x"], ONE),
        (["http-to-https = :80"], {}),
        (
            ["https = :443,c,k", "http = :80", "socket = :81", "socket = /x"],
            {**ONE, "bind": ("0.0.0.0:443", "unix:/x")},
        ),
        (["https = :443,c"], {}),
        (["https = :443,,k"], {}),
        (["sni = a.example"], {}),
        (["https = @x,c,k"], {"certfile": ("c",), "keyfile": ("k",)}),
    ],
)
def test_translation(translate_ini: Translate, lines: list[str], settings: dict[str, Any]) -> None:
    """What comes out is loaded as settings that fit each other."""
    assert translate_ini(*lines)[0] == settings


@pytest.mark.parametrize(
    ("lines", "comment"),
    [
        (["https = :443,c"], "- https = :443,c: It has no certificate and key."),
        (["https = :443,c,k,HIGH"], "- ciphers = HIGH: The cipher suites are fixed"),
        (["https = :443,c,k", "http = :80"], "- http = :80: With a certificate every address"),
        (["https = :443,c,k", "https = :444,d,l"], "Every address has all of them"),
        (["https = :443,c,k,,!a"], "it was in HTTPS_DN and HTTPS_CC"),
        (["https = :443,c,k,,a", "https = :444,c,k"], "they were not all as strict as this"),
        (
            ["https = :443,c,k,,a", "https = :444,c,k,,b"],
            "- client_ca = b: Join it with a: there is one file for all.",
        ),
        (["http-to-https = :80"], "- http-to-https = :80: Without a certfile there is no TLS."),
        (["https = :443,c,k", "http-to-https = :443"], "It redirects from an address of its own"),
        (["https = :443,c,k", "http-to-https = :80,444"], "the first address that speaks TLS"),
        (["https-export-cert = true"], "the certificate is in SSL_CLIENT_CERT"),
        (["sni-regexp = x c,k"], "- sni-regexp = x c,k: Name the files in certfile and keyfile"),
    ],
)
def test_comments(translate_ini: Translate, lines: list[str], comment: str) -> None:
    """What is not quite the same is a comment."""
    assert comment in translate_ini(*lines)[1]


def test_what_is_used_needs_no_comment(translate_ini: Translate) -> None:
    """A shared socket that an address names; a plain unix socket that spoke HTTP."""
    lines = ["shared-socket = :443", "https = =0,c,k", "http-socket = /x"]
    text = translate_ini(*lines)[1]
    assert "shared-socket" not in text
    assert "uwsgi protocol" not in text
