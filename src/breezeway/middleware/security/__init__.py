"""`Security`: the response fields by which browsers defend a site."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.option_checks import flag, tables, whole
from breezeway.middleware.security import policies as policies
from breezeway.middleware.stack import unset
from breezeway.semantics.fields import Headers
from breezeway.semantics.path_prefixes import PathTable, tidied

NONCE_KEY: Final = "breezeway.csp_nonce"
"""Where the environ has the nonce, for `<script nonce="...">`; only if a policy asks for one."""

NONCE_BYTES: Final = 16
"""128 bits, which CSP Level 3 section 7.1 recommends at least."""

LEAST_PRELOAD_SECONDS: Final = 31_536_000
"""A year: who is in the preload list of browsers does not leave it sooner (hstspreload.org)."""

_CSP_FIELDS: Final = ("Content-Security-Policy", "Content-Security-Policy-Report-Only")

Policy = str | Mapping[str, str | Iterable[str]]


class Security:
    """Send the response fields by which browsers defend a site, where the application has not.

    What each is for: Strict-Transport-Security (RFC 6797) against who sits in between and offers http;
    Content-Security-Policy against scripts that somebody has smuggled into a page; X-Frame-Options (RFC
    7034) against clicks on a page in a hidden frame; X-Content-Type-Options against an upload that is
    taken for a script; Referrer-Policy against URLs told to others; Permissions-Policy against a camera
    used by what a page includes; COOP, COEP and CORP against reading across origins (Spectre).

    By default only what hardly breaks an application: X-Content-Type-Options, X-Frame-Options SAMEORIGIN
    and Referrer-Policy. The others depend on the site, and are off until they are said. A policy that a
    browser would silently ignore is refused at construction.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        hsts: int | None = None,
        hsts_subdomains: bool = False,
        hsts_preload: bool = False,
        csp: Policy | None = None,
        csp_report_only: Policy | None = None,
        frame_options: str | None = "SAMEORIGIN",
        referrer_policy: str | Iterable[str] | None = "strict-origin-when-cross-origin",
        permissions_policy: Policy | None = None,
        coop: str | None = None,
        coep: str | None = None,
        corp: str | None = None,
        nosniff: bool = True,
        override: bool = False,
        paths: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Take the policies; None, `""` or false leaves one out.

        `hsts`: seconds for which browsers come over https alone, told over https only; none by default,
        for it cannot be taken back: begin with 3600. 0 is sent, and ends it.
        `hsts_subdomains`, `hsts_preload`: whether that is for all names below, too, and may go into the
        list that browsers ship; false by default. The list wants a year and the names below.
        `csp`: Content-Security-Policy as a text, or a table of directives and their sources; none by
        default. `'nonce-{nonce}'` has a new nonce for each request, `environ["breezeway.csp_nonce"]`.
        `csp_report_only`: a policy that is only reported on, to try it out; none by default.
        `frame_options`: `DENY` or `SAMEORIGIN`, the default; frame-ancestors of a `csp` goes first.
        `referrer_policy`: `strict-origin-when-cross-origin` by default, or another one, or a list of
        which a browser takes the last that it knows.
        `permissions_policy`: a text `camera=(), usb=(self)` or a table; none by default.
        `coop`, `coep`, `corp`: Cross-Origin-Opener-Policy, -Embedder-Policy and -Resource-Policy; none
        by default.
        `nosniff`: whether X-Content-Type-Options is sent; true by default.
        `override`: whether these go in place of the application's own; by default its own count.
        `paths`: a table of these options for each prefix of the path; the longest prefix counts, and
        what its table does not name is as above. `//x` and `/y/../x` are under the rules of `/x`.

        Raises:
            ValueError: a value is not one of these, or a browser would ignore it.
        """
        self.application = application
        options: dict[str, Any] = {
            "hsts": hsts,
            "hsts_subdomains": hsts_subdomains,
            "hsts_preload": hsts_preload,
            "csp": csp,
            "csp_report_only": csp_report_only,
            "frame_options": frame_options,
            "referrer_policy": referrer_policy,
            "permissions_policy": permissions_policy,
            "coop": coop,
            "coep": coep,
            "corp": corp,
            "nosniff": nosniff,
            "override": override,
        }
        if _is_off(hsts) and (hsts_subdomains or hsts_preload):
            raise ValueError("hsts_subdomains and hsts_preload need hsts, a number of seconds")
        self._rule: Final = _Rule(options)
        rules = {prefix: _Rule(table) for prefix, table in tables("paths", paths, options)}
        self._paths: Final = PathTable(rules) if rules else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer, and add the fields."""
        rule = self._rule
        if self._paths is not None:
            rule = self._paths.get(tidied(environ.get("PATH_INFO", "")), rule)
        fields = rule.fields if environ["wsgi.url_scheme"] == "https" else rule.http_fields
        nonce = ""
        if rule.has_nonce:
            nonce = environ[NONCE_KEY] = secrets.token_urlsafe(NONCE_BYTES)

        def start(
            status: str, headers: Headers, exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            ours = _with_nonce(fields, nonce, status) if nonce else fields
            for name, _ in headers:
                if name.lower() in rule.names:
                    return start_response(status, rule.merged(headers, ours), exc_info)
            return start_response(status, [*headers, *ours], exc_info)

        return self.application(environ, start)


def _with_nonce(fields: Headers, nonce: str, status: str) -> Headers:
    """Put the nonce into the policies.

    A 304 has none of them: its fields replace those of the stored page (RFC 9111 section 4.3.4), whose
    scripts have the nonce of then.
    """
    is_stored = status.startswith("304")
    return [
        (name, value.replace(policies.NONCE, nonce))
        for name, value in fields
        if not (is_stored and policies.NONCE in value)
    ]


class _Rule:
    """The fields for one part of a site."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        for option in ("hsts_subdomains", "hsts_preload", "nosniff", "override"):
            flag(option, options[option])
        self.http_fields: Final = [*_fields(options)]
        self.fields: Final = [*_hsts(options), *self.http_fields]
        self.names: Final = frozenset(name.lower() for name, _ in self.fields)
        self.has_nonce: Final = any(policies.NONCE in value for _, value in self.fields)
        self._overrides: Final = options["override"]

    def merged(self, headers: Headers, ours: Headers) -> Headers:
        """Return the fields of both, those of a name from one of them."""
        if self._overrides:
            return [*(field for field in headers if field[0].lower() not in self.names), *ours]
        there = {name.lower() for name, _ in headers}
        return [*headers, *(field for field in ours if field[0].lower() not in there)]


def _fields(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for option, name in zip(("csp", "csp_report_only"), _CSP_FIELDS, strict=True):
        if options[option]:
            yield name, policies.content_security(option, options[option])
    if options["frame_options"]:
        yield "X-Frame-Options", policies.chosen("frame_options", options["frame_options"])
    if options["nosniff"]:
        yield "X-Content-Type-Options", "nosniff"
    if options["referrer_policy"]:
        yield "Referrer-Policy", policies.referrer(options["referrer_policy"])
    if options["permissions_policy"]:
        yield "Permissions-Policy", policies.permissions(options["permissions_policy"])
    for option, name in (("coop", "Opener"), ("coep", "Embedder"), ("corp", "Resource")):
        if options[option]:
            yield f"Cross-Origin-{name}-Policy", policies.chosen(option, options[option])


def _is_off(seconds: object) -> bool:
    """Tell whether HSTS is left out; 0 seconds is sent."""
    return seconds is None or seconds is False or seconds == ""


def _hsts(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    seconds, below = options["hsts"], options["hsts_subdomains"]
    if _is_off(seconds):
        return
    whole("hsts", seconds, 0, unit="seconds")
    if options["hsts_preload"] and not (below and seconds >= LEAST_PRELOAD_SECONDS):
        raise ValueError(
            f"hsts_preload needs hsts_subdomains and hsts of at least {LEAST_PRELOAD_SECONDS}"
        )
    value = f"max-age={seconds}"
    value += "; includeSubDomains" if below else ""
    yield "Strict-Transport-Security", value + ("; preload" if options["hsts_preload"] else "")
