"""Policies for browsers, checked before one goes out: what they cannot read, they silently ignore."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from breezeway.middleware.option_checks import texts

NONCE: Final = "{nonce}"
"""What stands in a policy for the nonce of the request, as in `'nonce-{nonce}'`."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SOURCE_LISTS: Final = _words("""
    base-uri child-src connect-src default-src fenced-frame-src font-src form-action frame-ancestors
    frame-src img-src manifest-src media-src object-src script-src script-src-attr script-src-elem
    style-src style-src-attr style-src-elem worker-src
""")

_DIRECTIVES: Final = _SOURCE_LISTS | _words("""
    block-all-mixed-content plugin-types report-to report-uri require-trusted-types-for sandbox
    trusted-types upgrade-insecure-requests webrtc
""")
"""Those of Content Security Policy Level 3 and its extensions; browsers have dropped two of them."""

_WITHOUT_VALUE: Final = _words("block-all-mixed-content upgrade-insecure-requests")

# keyword-source, nonce-source, hash-source                                CSP Level 3 section 2.3.1
_KEYWORDS: Final = _words("""
    inline-speculation-rules none report-sample report-sha256 report-sha384 report-sha512 self
    strict-dynamic trusted-types-eval unsafe-allow-redirects unsafe-eval unsafe-hashes unsafe-inline
    unsafe-webtransport-hashes wasm-unsafe-eval
""")
_NONCE_OR_HASH: Final = re.compile(
    r"nonce-(?:\{nonce\}|[A-Za-z0-9+/\-_]+={0,2})"
    r"|(?:url-|eval-)?sha(?:256|384|512)-[A-Za-z0-9+/\-_]+={0,2}"
)

_REFERRER: Final = _words("""
    no-referrer no-referrer-when-downgrade origin origin-when-cross-origin same-origin strict-origin
    strict-origin-when-cross-origin unsafe-url
""")

_CHOICES: Final = {
    "frame_options": _words("DENY SAMEORIGIN"),
    "coop": _words("noopener-allow-popups same-origin same-origin-allow-popups unsafe-none"),
    "coep": _words("credentialless require-corp unsafe-none"),
    "corp": _words("cross-origin same-origin same-site"),
}

# A member of the dictionary (RFC 8941 section 3.2): a feature, and its inner list or one item
_FEATURE: Final = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_ALLOWED: Final = re.compile(r'\*|self|src|"[!#-\[\]-~]+"')
_MEMBER: Final = re.compile(
    rf"({_FEATURE.pattern})=(?:\(([^()]*)\)|([^()\s,]+))(?:;report-to=[\w\-]+)?"
)


def content_security(option: str, policy: str | Mapping[str, str | Iterable[str]]) -> str:
    """Return a Content-Security-Policy; a table of directives becomes its text.

    Raises:
        ValueError: a browser would ignore a part of it, or take it for something else.
    """
    text = policy if isinstance(policy, str) else ""
    if isinstance(policy, Mapping):
        parts = [
            f"{name} {' '.join(texts(option, value))}".strip() for name, value in policy.items()
        ]
        if any(";" in part for part in parts):
            raise ValueError(f"{option}: in a table, each directive stands by itself: no semicolon")
        text = "; ".join(parts)
    elif not text:
        raise ValueError(f"{option} is a text or a table, not {policy!r}")
    _plain(option, text)
    if "," in text:
        raise ValueError(f"{option}: a comma would begin another policy")
    seen: set[str] = set()
    for part in text.split(";"):
        name, _, value = part.strip().partition(" ")
        if name:
            _directive(option, name.lower(), value.split(), seen)
    if not seen:
        raise ValueError(f"{option}: the policy is empty")
    return text.strip()


def _directive(option: str, name: str, values: list[str], seen: set[str]) -> None:
    if name not in _DIRECTIVES:
        close = get_close_matches(name, _DIRECTIVES, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"{option}: {name!r} is no directive{hint}")
    if name in seen:
        raise ValueError(f"{option}: {name} is there twice; browsers take the first alone")
    seen.add(name)
    for value in values:
        if value.lower() in _DIRECTIVES:
            raise ValueError(f"{option}: a semicolon is missing before {value}")
    if name in _WITHOUT_VALUE and values:
        raise ValueError(f"{option}: {name} takes no value")
    if name in _SOURCE_LISTS:
        for value in values:
            _source(option, name, value)
        if "'none'" in map(str.lower, values) and len(values) > 1:
            raise ValueError(f"{option}: {name} has 'none' beside others, which cancel it")


def _source(option: str, name: str, source: str) -> None:
    bare = source.strip("'")
    is_keyword = bare.lower() in _KEYWORDS or _NONCE_OR_HASH.fullmatch(bare) is not None
    if is_keyword and source != f"'{bare}'":
        raise ValueError(f"{option}: {source} in {name} needs its quotes: '{bare}'")
    if not is_keyword and "'" in source:
        raise ValueError(f"{option}: {source} in {name} is no keyword, nonce or hash")
    if not is_keyword and NONCE in source:
        raise ValueError(f"{option}: the nonce stands as 'nonce-{NONCE}'")


def permissions(policy: str | Mapping[str, str | Iterable[str]]) -> str:
    """Return a Permissions-Policy; a table `{camera = ["self"], usb = []}` becomes its text.

    Raises:
        ValueError: it is none, perhaps the older Feature-Policy.
    """
    option = "permissions_policy"
    text = policy if isinstance(policy, str) else ""
    if isinstance(policy, Mapping):
        text = ", ".join(f"{name}={_allowlist(value)}" for name, value in policy.items())
    elif not text:
        raise ValueError(f"{option} is a text or a table, not {policy!r}")
    _plain(option, text)
    seen = set()
    for part in text.split(","):
        match = _MEMBER.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{option}: {part.strip()!r} is not like camera=() or usb=(self)")
        name, inner, item = match.groups()
        if name in seen:
            raise ValueError(f"{option}: {name} is there twice")
        seen.add(name)
        for allowed in [item] if inner is None else inner.split():
            if _ALLOWED.fullmatch(allowed) is None:
                raise ValueError(
                    f'{option}: {allowed} is not self, *, or an origin in quotes "..."'
                )
    return text.strip()


def _allowlist(value: str | Iterable[str]) -> str:
    values = texts("permissions_policy", value)
    if values == ["*"]:
        return "*"
    named = [
        each if each in ("self", "src", "*") or each.startswith('"') else f'"{each}"'
        for each in values
    ]
    return f"({' '.join(named)})"


def referrer(policy: str | Iterable[str]) -> str:
    """Return a Referrer-Policy; of a list, browsers take the last that they know.

    Raises:
        ValueError: one is none.
    """
    names = [name.strip() for name in ",".join(texts("referrer_policy", policy)).split(",")]
    for name in names:
        if name not in _REFERRER:
            raise ValueError(f"referrer_policy: {name!r} is none of {', '.join(sorted(_REFERRER))}")
    return ", ".join(names)


def chosen(option: str, value: str) -> str:
    """Return the value of an option that is one of few.

    Raises:
        ValueError: it is none of them.
    """
    if not isinstance(value, str) or value not in _CHOICES[option]:
        raise ValueError(f"{option} is one of {', '.join(sorted(_CHOICES[option]))}, not {value!r}")
    return value


def _plain(option: str, text: str) -> None:
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{option}: a policy is one line of ASCII, without line ends or tabs")
