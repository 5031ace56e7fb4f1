"""The grammar of RFC 9110 and RFC 9112, as far as a server meets it: ABNF above the pattern it becomes.

Every pattern is for `fullmatch` and runs in linear time on any input: no two neighbouring parts of
a pattern can match the same byte, so there is nothing to back-track into; an IPv6 address, which has
such parts, has at most 45 bytes.
"""

from __future__ import annotations

import re
from typing import Final

# token = 1*tchar                                                        RFC 9110 section 5.6.2
# tchar = any of "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~"
#         / DIGIT / ALPHA
_TCHAR = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN: Final = re.compile(rf"{_TCHAR}+".encode())
TOKEN_TEXT: Final = re.compile(rf"{_TCHAR}+")

# field-value   = *field-content                                           RFC 9110 section 5.5
# field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
# field-vchar   = VCHAR / obs-text
# The white space around it is stripped before this is asked. Everything else that is below 0x20, and
# 0x7f, is refused: RFC 9110 demands it for CR, LF and NUL, and the others have no honest use.
FIELD_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
FIELD_VALUE_TEXT: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

# request-line = method SP request-target SP HTTP-version                  RFC 9112 section 3
# HTTP-version = HTTP-name "/" DIGIT "." DIGIT                             RFC 9112 section 2.3
# RFC 9112 lets a server accept other white space here. However, that can be read in two ways, so
# it is exactly one SP. The target is checked for its form in `head`; here it is any visible ASCII.
REQUEST_LINE: Final = re.compile(rf"({_TCHAR}+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])".encode())

# absolute-form = absolute-URI                                             RFC 9112 section 3.2.2
# Only http and https URIs name something on this server (RFC 9110 section 4.2).
ABSOLUTE_FORM: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(/[^?]*)?(\?.*)?")

# Host       = uri-host [ ":" port ]                                       RFC 9110 section 7.2
# uri-host   = IP-literal / IPv4address / reg-name                         RFC 3986 section 3.2.2
# IP-literal = "[" ( IPv6address / IPvFuture ) "]"
# reg-name   = *( unreserved / pct-encoded / sub-delims )
# However, an empty reg-name is refused, for http URIs must have a host (RFC 9110 section 4.2.1), and
# so is the comma, for it is what joins two Host fields into one. There is no IPvFuture.
#
# IPv6address =                            6( h16 ":" ) ls32
#             /                       "::" 5( h16 ":" ) ls32
#             / [               h16 ] "::" 4( h16 ":" ) ls32
#             / [ *1( h16 ":" ) h16 ] "::" 3( h16 ":" ) ls32
#             / [ *2( h16 ":" ) h16 ] "::" 2( h16 ":" ) ls32
#             / [ *3( h16 ":" ) h16 ] "::"    h16 ":"   ls32
#             / [ *4( h16 ":" ) h16 ] "::"              ls32
#             / [ *5( h16 ":" ) h16 ] "::"              h16
#             / [ *6( h16 ":" ) h16 ] "::"
_H16 = r"[0-9A-Fa-f]{1,4}"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LS32 = rf"(?:{_H16}:{_H16}|{_BYTE}(?:\.{_BYTE}){{3}})"
_IPV6 = "|".join(
    [
        rf"(?:{_H16}:){{6}}{_LS32}",
        rf"::(?:{_H16}:){{5}}{_LS32}",
        *(rf"(?:(?:{_H16}:){{0,{n}}}{_H16})?::(?:{_H16}:){{{4 - n}}}{_LS32}" for n in range(5)),
        rf"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        rf"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    ]
)
_REG_NAME_CHAR = r"[A-Za-z0-9\-._~!$&'()*+;=]"
HOST: Final = re.compile(
    rf"(?:(?=[^:]){_REG_NAME_CHAR}*(?:%[0-9A-Fa-f]{{2}}{_REG_NAME_CHAR}*)*|\[(?:{_IPV6})\])"
    r"(?::([0-9]{0,5}))?"
)

# Content-Length = 1*DIGIT                                                 RFC 9110 section 8.6
CONTENT_LENGTH: Final = re.compile(r"[0-9]+")

# chunk-size = 1*HEXDIG                                                    RFC 9112 section 7.1
# chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )   section 7.1.1
# chunk-ext-val = token / quoted-string                                    RFC 9110 section 5.6.4
# However, BWS ("bad" white space, which a recipient must parse) is refused around an extension, for
# "5 \r\n" and "5 ;a" are what request smuggling is made of, and nobody sends it.
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
CHUNK_LINE: Final = re.compile(
    rf"([0-9A-Fa-f]+)((?:;{_TCHAR}+(?:=(?:{_TCHAR}+|{_QUOTED}))?)*)".encode("latin-1")
)

# status-line = HTTP-version SP status-code SP [ reason-phrase ]           RFC 9112 section 4
# PEP 3333 hands over status-code and reason-phrase in one string.
STATUS: Final = re.compile(r"([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
