"""Who the client is behind proxies: each rule of docs/proxies.md, and any text at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.semantics.environ_keys import UNBELIEVED
from breezeway.semantics.forwarded import (
    MOST_ELEMENTS,
    ForwardedError,
    Trust,
    parse_forwarded,
    settle,
)

PEER = "10.0.0.1"
INSIDE = Trust(["10.0.0.0/8", "2001:db8::/32", "unix"])

NAMES = {
    "forwarded": "HTTP_FORWARDED",
    "for": "HTTP_X_FORWARDED_FOR",
    "proto": "HTTP_X_FORWARDED_PROTO",
    "host": "HTTP_X_FORWARDED_HOST",
    "port": "HTTP_X_FORWARDED_PORT",
    "prefix": "HTTP_X_FORWARDED_PREFIX",
}


def environ(peer: str = PEER, **fields: str) -> dict[str, Any]:
    """Make the environ of a request that a peer has sent with fields of proxies."""
    return {
        "REMOTE_ADDR": peer,
        "REMOTE_PORT": "40000" if peer else "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SCRIPT_NAME": "",
        "HTTP_HOST": "example.org",
        "wsgi.url_scheme": "http",
        **{NAMES[name]: value for name, value in fields.items()},
    }


def settled(trust: Trust = INSIDE, peer: str = PEER, **fields: str) -> dict[str, Any]:
    """Return what is different in the environ after the fields have had their effect."""
    before, after = environ(peer), environ(peer, **fields)
    settle(after, trust)
    assert before.keys() <= after.keys()
    return {key: value for key, value in after.items() if before.get(key) != value}


def client(trust: Trust = INSIDE, peer: str = PEER, **fields: str) -> tuple[str, str]:
    """Return REMOTE_ADDR and REMOTE_PORT."""
    after = environ(peer, **fields)
    settle(after, trust)
    return after["REMOTE_ADDR"], after["REMOTE_PORT"]


def refused(**fields: str) -> bool:
    """Tell whether a trusted peer's fields are refused, and leave the environ as it was."""
    before = environ(**fields)
    after = dict(before)
    try:
        settle(after, INSIDE)
    except ForwardedError:
        return after == before
    return False


class TestWhichHop:
    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("10.6.6.6, 192.0.2.1, 10.0.0.3, 10.0.0.2", "192.0.2.1"),
            ("192.0.2.1,10.0.0.2", "192.0.2.1"),
            ("192.0.2.1\t, 2001:db8::7", "192.0.2.1"),
            ("10.0.0.9", "10.0.0.9"),
            ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
            ("192.0.2.1, unix:", "192.0.2.1"),
        ],
    )
    def test_nearest_that_is_not_trusted(self, value: str, found: str) -> None:
        """The list is walked from the right; what stands left of the client is not believed."""
        assert client(**{"for": value}) == (found, "")

    @pytest.mark.parametrize(
        ("hops", "value", "found"),
        [
            (1, "6.6.6.6, 10.0.0.3, 10.0.0.2", "10.0.0.2"),
            (2, "6.6.6.6, 10.0.0.3, 10.0.0.2", "10.0.0.3"),
            (3, "6.6.6.6, 10.0.0.3, 10.0.0.2", "6.6.6.6"),
            (4, "6.6.6.6, 10.0.0.3, 10.0.0.2", "6.6.6.6"),
            (3, "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            (2, "192.0.2.1", "192.0.2.1"),
        ],
    )
    def test_at_most_so_many_hops(self, hops: int, value: str, found: str) -> None:
        """No more addresses are taken off than there are proxies, trusted or not."""
        trust = Trust(["10.0.0.0/8"], hops)
        assert client(trust, **{"for": value})[0] == found

    def test_star_without_hops_believes_the_peer_alone(self) -> None:
        """The addresses in the list could be anything then: the nearest is the client."""
        assert client(Trust(["*"]), "203.0.113.9", **{"for": "6.6.6.6, 7.7.7.7"})[0] == "7.7.7.7"

    def test_star_with_hops_believes_so_many(self) -> None:
        """With a number of proxies, their addresses need not be known."""
        value = "6.6.6.6, 192.0.2.1, 7.7.7.7"
        assert client(Trust(["*"], 2), "203.0.113.9", **{"for": value})[0] == "192.0.2.1"

    def test_star_with_networks_walks_those(self) -> None:
        """Beside the star, networks say which hops are proxies."""
        trust = Trust(["*", "10.0.0.0/8"])
        assert client(trust, "", **{"for": "6.6.6.6, 192.0.2.1, 10.0.0.2"})[0] == "192.0.2.1"

    def test_unix_peer(self) -> None:
        """A unix socket is trusted if it is listed."""
        assert client(Trust(["unix"]), "", **{"for": "192.0.2.1"}) == ("192.0.2.1", "")
        assert client(Trust(["10.0.0.0/8"]), "", **{"for": "192.0.2.1"}) == ("", "")

    def test_forwarded_is_walked_the_same_way(self) -> None:
        """The hops of the standard field are counted as those of the other."""
        value = 'for=6.6.6.6;proto=http, for="[2001:db9::1]:99";proto=https;host=a, For=10.0.0.2;Proto=http'
        assert settled(forwarded=value) == {
            "REMOTE_ADDR": "2001:db9::1",
            "REMOTE_PORT": "99",
            "wsgi.url_scheme": "https",
            "HTTPS": "on",
            "HTTP_HOST": "a",
            "SERVER_NAME": "a",
            "SERVER_PORT": "443",
        }

    @pytest.mark.parametrize(
        ("addresses", "scheme"),
        [
            ("192.0.2.1", "http"),
            ("192.0.2.1, 10.0.0.2", "https"),
            ("192.0.2.1, 10.0.0.3, 10.0.0.2", "http"),
        ],
    )
    def test_other_lists_are_counted_from_the_right(self, addresses: str, scheme: str) -> None:
        """Of the scheme that one counts which stands as far from the right as the client."""
        fields = {"for": addresses, "proto": "http, https, http"}
        after = environ(**fields)
        settle(after, INSIDE)
        assert after["wsgi.url_scheme"] == scheme

    def test_shorter_list_counts_to_its_left_end(self) -> None:
        """A proxy that overwrites leaves one value, whatever comes before it."""
        fields = {"for": "192.0.2.1, 10.0.0.3, 10.0.0.2", "proto": "https"}
        assert settled(**fields)["wsgi.url_scheme"] == "https"

    def test_without_addresses_the_nearest_value_counts(self) -> None:
        """With a number of hops, the one so far from the right."""
        assert settled(host="a, b")["HTTP_HOST"] == "b"
        assert settled(Trust(["10.0.0.0/8"], 2), host="z, a, b")["HTTP_HOST"] == "a"


class TestUntrusted:
    @pytest.mark.parametrize("peer", ["192.0.2.9", "", "fe80::1%eth0"])
    def test_everything_is_removed(self, peer: str) -> None:
        """From anybody else nothing is believed, nothing is refused, and a mark alone is left."""
        fields = dict.fromkeys(NAMES, "\0 nonsense")
        assert settled(Trust(["10.0.0.0/8"]), peer, **fields) == {UNBELIEVED: True}
        assert settled(Trust(["10.0.0.0/8"]), peer) == {}

    def test_other_fields_of_the_family_are_removed_too(self) -> None:
        """Also those that nobody here reads, from whomever they come."""
        for peer in (PEER, "192.0.2.9"):
            after = environ(peer)
            for name in ("X_FORWARDED_SERVER", "X_FORWARDED_SSL", "X_REAL_IP"):
                after[f"HTTP_{name}"] = "1"
            settle(after, INSIDE)
            assert (after.pop(UNBELIEVED, None) is None) is (peer == PEER)
            assert after == environ(peer)


class TestEffects:
    def test_scheme(self) -> None:
        """The scheme is the client's, and so is the port that belongs to it."""
        assert settled(proto="HTTPS") == {
            "wsgi.url_scheme": "https",
            "HTTPS": "on",
            "SERVER_PORT": "443",
        }

    def test_scheme_http_over_tls(self) -> None:
        """A proxy that speaks TLS to the server may have a client that does not."""
        after = environ(proto="http") | {"wsgi.url_scheme": "https", "HTTPS": "on"}
        settle(after, INSIDE)
        assert (after["wsgi.url_scheme"], after["SERVER_PORT"]) == ("http", "80")
        assert "HTTPS" not in after

    @pytest.mark.parametrize(
        ("fields", "host", "name", "port"),
        [
            ({"host": "a.example"}, "a.example", "a.example", "80"),
            ({"host": "A.example:81"}, "A.example:81", "a.example", "81"),
            ({"host": "a.example", "proto": "https"}, "a.example", "a.example", "443"),
            ({"host": "a.example", "port": "8443"}, "a.example:8443", "a.example", "8443"),
            ({"host": "a.example:81", "port": "82"}, "a.example:81", "a.example", "82"),
            ({"host": "[::1]", "port": "82"}, "[::1]:82", "[::1]", "82"),
            ({"host": "[::1]:81"}, "[::1]:81", "[::1]", "81"),
            ({"port": "80"}, "example.org", "127.0.0.1", "80"),
            ({"port": "443", "proto": "https"}, "example.org", "127.0.0.1", "443"),
            ({"port": "0443"}, "example.org:443", "127.0.0.1", "443"),
        ],
    )
    def test_host_and_port(self, fields: dict[str, str], host: str, name: str, port: str) -> None:
        """A port within the host is the client's; one beside it is added where the URL needs it."""
        after = environ(**fields)
        settle(after, INSIDE)
        found = after["HTTP_HOST"], after["SERVER_NAME"], after["SERVER_PORT"]
        assert found == (host, name, port)

    @pytest.mark.parametrize(
        ("prefix", "root", "script"),
        [
            ("/app", "", "/app"),
            ("/app/", "", "/app"),
            ("/", "", ""),
            ("/a/b-c~d", "", "/a/b-c~d"),
            ("/app", "/root", "/app/root"),
            ("/outer, /inner", "", "/inner"),
            ("/..a/b..", "", "/..a/b.."),
        ],
    )
    def test_prefix(self, prefix: str, root: str, script: str) -> None:
        """The prefix that a proxy has taken off comes before what is SCRIPT_NAME already."""
        after = environ(prefix=prefix) | {"SCRIPT_NAME": root}
        settle(after, INSIDE)
        assert after["SCRIPT_NAME"] == script

    def test_empty_field_is_none(self) -> None:
        """A field without a value is as if it were not there."""
        assert settled(**dict.fromkeys(NAMES, "")) == {}

    def test_again(self) -> None:
        """What has had its effect is gone: a second look changes nothing."""
        after = environ(**{"for": "192.0.2.1", "proto": "https", "prefix": "/a", "port": "99"})
        settle(after, INSIDE)
        once = dict(after)
        settle(after, Trust(["*"], 9))
        assert after == once


class TestAddresses:
    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("192.0.2.1", ("192.0.2.1", "")),
            ("192.0.2.1:99", ("192.0.2.1", "99")),
            ("2001:DB9:0::1", ("2001:db9::1", "")),
            ("[2001:db9::1]", ("2001:db9::1", "")),
            ("[2001:db9::1]:99", ("2001:db9::1", "99")),
            ("::ffff:192.0.2.1", ("192.0.2.1", "")),
            ("192.0.2.1:_hidden", ("192.0.2.1", "")),
            ("unknown", (PEER, "40000")),
            ("Unknown", (PEER, "40000")),
            ("_hidden", (PEER, "40000")),
            ("192.0.2.1, _hidden", (PEER, "40000")),
            ("_hidden, 10.0.0.2:5", ("10.0.0.2", "5")),
            ("6.6.6.6, unknown, 10.0.0.2", ("10.0.0.2", "")),
            ("<junk>, 192.0.2.1", ("192.0.2.1", "")),
            (",,192.0.2.1", ("192.0.2.1", "")),
        ],
    )
    def test_for(self, value: str, found: tuple[str, str]) -> None:
        """An address is read; a client without one goes by the proxy that says so."""
        assert client(**{"for": value}) == found

    @pytest.mark.parametrize(
        "value",
        [
            *("192.0.2", "192.0.2.256", "192.0.2.01", "0x7f.0.0.1", "1234", "192.0.2.1/32"),
            *("192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:-1"),
            *("[192.0.2.1]", "[2001:db9::1", "2001:db9::1]", "[2001:db9::1]:0", "[::1]x", "[]"),
            *("1::2::3", "fe80::1%eth0", "[fe80::1%25eth0]", ":::", "2001:db9::1:99999"),
            *('"192.0.2.1"', '"[2001:db9::1]:99"', "example.org", "_", "-", "_a b", "unknown x"),
            *("192.0.2.1,", ",", "192.0.2.1, , 10.0.0.2", "192.0.2.1 10.0.0.2", "192.0.2.1;"),
            "192.0.2.1, " * MOST_ELEMENTS + "10.0.0.2",
        ],
    )
    def test_malformed_for(self, value: str) -> None:
        """What a trusted proxy has written is an address, or refused."""
        assert refused(**{"for": value})

    def test_long_list(self) -> None:
        """The longest list is read to its end."""
        value = "192.0.2.1" + ", 10.0.0.2" * (MOST_ELEMENTS - 1)
        assert client(**{"for": value})[0] == "192.0.2.1"


class TestValues:
    @pytest.mark.parametrize("value", ["ftp", "wss", "https:", "https https", "on", "http,"])
    def test_malformed_proto(self, value: str) -> None:
        """A scheme is http or https."""
        assert refused(proto=value)
        assert refused(forwarded=f'for=192.0.2.1;proto="{value}"')

    @pytest.mark.parametrize(
        "value",
        [
            *("a@example.org", "example.org/x", "http://example.org", "example.org:0", "a,"),
            *("example.org:65536", "example.org:", "::1", "[::1", "a b", "a%2eb", ".", "[::g]"),
            *("ex\u00e4mple.org", "a\\b", "a:80:80"),
        ],
    )
    def test_malformed_host(self, value: str) -> None:
        """A host is a name or an address, with a port or without."""
        assert refused(host=value)
        quoted = value.replace("\\", "\\\\")
        assert refused(forwarded=f'for=192.0.2.1;host="{quoted}"')

    @pytest.mark.parametrize(
        "value", ["0", "65536", "-1", "+1", "1e3", "\u0661", "80 80", "", " ,"]
    )
    def test_malformed_port(self, value: str) -> None:
        """A port is a number from 1 to 65535."""
        assert refused(port=value) is bool(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("app", "//app", "/a//b", "/a//", "/../a", "/a/..", "/a/./b", "/.", "/a%2fb", "/a?b"),
            *("/a#b", "/a b", "/a\\b", "http://a/b", "/caf\u00e9", "/a\tb", "/a\0", "*"),
        ],
    )
    def test_malformed_prefix(self, value: str) -> None:
        """A prefix is the plain beginning of a path."""
        assert refused(prefix=value)


class TestForwarded:
    @pytest.mark.parametrize(
        ("value", "elements"),
        [
            ("for=192.0.2.1", [{"for": "192.0.2.1"}]),
            ("For=a;by=b;HOST=c", [{"for": "a", "by": "b", "host": "c"}]),
            ("for=a, for=b,for=c", [{"for": "a"}, {"for": "b"}, {"for": "c"}]),
            ('for="[::1]:80"; proto=http', [{"for": "[::1]:80", "proto": "http"}]),
            ('for="a, b;c\\"d\\\\"', [{"for": 'a, b;c"d\\'}]),
            ("for=a;;secret=x;", [{"for": "a", "secret": "x"}]),
            ('for=""', [{"for": ""}]),
            ("for=_gazonk", [{"for": "_gazonk"}]),
        ],
    )
    def test_elements(self, value: str, elements: list[dict[str, str]]) -> None:
        """The grammar of RFC 7239, with its quoted strings."""
        assert parse_forwarded(value) == elements

    @pytest.mark.parametrize(
        "value",
        [
            *("for", "for=", "=a", "for =a", "for= a", "for=a b", "for=a:80", "for=[::1]"),
            *('for="a', 'for="a\\', 'for=a"b"', 'for="a"b', "for=a;for=b", "for=a;FOR=a"),
            *(
                ",",
                "for=a,",
                ",for=a",
                "for=a,,for=b",
                ";",
                "for=a\n;by=b",
                'for="\0"',
                "f\u00e4r=a",
            ),
            "for=a," * MOST_ELEMENTS + "for=a",
        ],
    )
    def test_malformed(self, value: str) -> None:
        """What is not in the grammar is refused as a whole, whatever it is about."""
        assert refused(forwarded=value)
        with pytest.raises(ForwardedError, match=r"^Forwarded "):
            parse_forwarded(value)

    @pytest.mark.parametrize(
        "value",
        [
            *('for="2001:db9::1"', 'for="[2001:db9::1"', "for=192.0.2.256", 'for="192.0.2.1:0"'),
            *('for="unix:"', 'for=""', "for=example.org", 'for="192.0.2.1:65536"', 'for=" "'),
        ],
    )
    def test_malformed_node(self, value: str) -> None:
        """A node is an address, in brackets if it is IPv6, `unknown`, or begins with `_`."""
        assert refused(forwarded=value)

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ('for="192.0.2.1:99"', ("192.0.2.1", "99")),
            ('for="192.0.2.1:_p"', ("192.0.2.1", "")),
            ('for="[2001:db9::1]"', ("2001:db9::1", "")),
            ("for=unknown", (PEER, "40000")),
            ('for="unknown:80"', (PEER, "40000")),
            ("for=_hidden", (PEER, "40000")),
            ("proto=http", (PEER, "40000")),
            ("for=192.0.2.1, proto=http", (PEER, "40000")),
        ],
    )
    def test_client(self, value: str, found: tuple[str, str]) -> None:
        """A client without an address goes by the proxy that says so."""
        assert client(forwarded=value) == found

    @pytest.mark.parametrize(
        ("forwarded", "fields"),
        [
            ("for=192.0.2.1", {"for": "192.0.2.1"}),
            ("for=192.0.2.1;proto=https", {"for": "192.0.2.1", "proto": "HTTPS"}),
            ("for=192.0.2.1;host=A", {"for": "192.0.2.1", "host": "a"}),
            ('for="192.0.2.1:9"', {"for": "192.0.2.1"}),
            (
                "for=192.0.2.1;host=a",
                {"for": "192.0.2.1", "host": "a", "port": "81", "prefix": "/p"},
            ),
            ("for=192.0.2.1", {"prefix": "/p"}),
            ("for=_a", {"for": "unknown"}),
        ],
    )
    def test_agreement(self, forwarded: str, fields: dict[str, str]) -> None:
        """Both families may come if they say the same."""
        before = client(**fields) if "for" in fields else ("192.0.2.1", "")
        assert client(forwarded=forwarded, **fields)[0] == before[0]

    @pytest.mark.parametrize(
        ("forwarded", "fields"),
        [
            ("for=6.6.6.6", {"for": "192.0.2.1"}),
            ("for=192.0.2.1;proto=https", {"for": "192.0.2.1", "proto": "http"}),
            ("for=192.0.2.1;proto=https", {"for": "192.0.2.1"}),
            ("for=192.0.2.1", {"for": "192.0.2.1", "proto": "http"}),
            ("for=192.0.2.1;host=a", {"for": "192.0.2.1", "host": "b"}),
            ("for=192.0.2.1;host=a", {"for": "192.0.2.1"}),
            ("proto=https", {"for": "192.0.2.1"}),
            ("for=192.0.2.1", {"proto": "http"}),
            ("for=192.0.2.1", {"host": "a"}),
        ],
    )
    def test_contradiction(self, forwarded: str, fields: dict[str, str]) -> None:
        """What one family says and the other does not is a client's attempt."""
        assert refused(forwarded=forwarded, **fields)


PIECES = st.sampled_from(
    [
        *("for=", "proto=", "host=", "by=", "https", "http", "192.0.2.1", "10.0.0.2", ":", ":80"),
        *(
            ",",
            ";",
            " ",
            '"',
            "\\",
            "[",
            "]",
            "::1",
            "_a",
            "unknown",
            "/a",
            "/..",
            "%",
            "a.b",
            "\0",
        ),
    ]
)
VALUES = st.lists(PIECES, max_size=8).map("".join) | st.text(
    st.characters(max_codepoint=255), max_size=12
)
TRUSTS = st.sampled_from(
    [INSIDE, Trust(["*"]), Trust(["*"], 2), Trust([]), Trust(["10.0.0.0/8"], 1)]
)


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(list(NAMES)), VALUES), TRUSTS)
def test_any_fields(fields: dict[str, str], trust: Trust) -> None:
    """Any values are refused, or leave an environ that is whole and that they cannot change again."""
    before = environ(**fields)
    after = dict(before)
    try:
        trusted = settle(after, trust)
    except ForwardedError:
        assert trust.has_peer(PEER)
        assert after == before
        return
    assert not after.keys() & set(NAMES.values())
    assert (UNBELIEVED in after) is (not trusted and any(fields.values()))
    after.pop(UNBELIEVED, None)
    assert after.keys() - environ().keys() <= {"HTTPS"}
    assert trusted or after == environ()
    assert after["wsgi.url_scheme"] in ("http", "https")
    assert (after["wsgi.url_scheme"] == "https") is ("HTTPS" in after)
    assert 0 < int(after["SERVER_PORT"]) < 65536
    assert not set(after["HTTP_HOST"]) & set(' ,/@"\0')
    once = dict(after)
    settle(after, trust)
    assert after == once


@given(
    st.lists(st.dictionaries(st.sampled_from(["for", "by", "x"]), VALUES, min_size=1), min_size=1)
)
def test_written_elements_are_read(elements: list[dict[str, str]]) -> None:
    """What is written as quoted strings is read as it was, whatever stands in it."""

    def quoted(text: str) -> str:
        kept = "".join(char for char in text if char == "\t" or char.isprintable())
        return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def plain(text: str) -> str:
        return "".join(char for char in text if char == "\t" or char.isprintable())

    written = ", ".join(
        ";".join(f"{name}={quoted(value)}" for name, value in each.items()) for each in elements
    )
    expected = [{name: plain(value) for name, value in each.items()} for each in elements]
    assert parse_forwarded(written) == expected
