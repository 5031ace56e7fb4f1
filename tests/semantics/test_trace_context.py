"""W3C Trace Context: what is read, and what is as if it were not there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.trace_context import parse_traceparent, parse_tracestate

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (GOOD, 1),
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-03", 1),
        (f"00-{TRACE}-{PARENT}-fe", 0),
        (f"01-{TRACE}-{PARENT}-01", 1),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", 1),
        (f"cc-{TRACE}-{PARENT}-01-", 1),
        (f"fe-{TRACE}-{PARENT}-01", 1),
    ],
)
def test_traceparent(value: str, flags: int) -> None:
    """Version 00 is read, and a later one as far as it is like 00 (section 3.2.4)."""
    assert parse_traceparent(value) == (TRACE, PARENT, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        GOOD.upper(),
        f"{GOOD}-",
        f"{GOOD}-more",
        f"{GOOD}0",
        GOOD[:-1],
        f"cc-{TRACE}-{PARENT}-01.what",
        f"cc-{TRACE}-{PARENT}-0",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT}0-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0x",
        f"00 {TRACE}-{PARENT}-01",
        f" {GOOD}",
        f"{GOOD}\n",
        f"{GOOD},{GOOD}",
        "\u0660\u0660-" + GOOD[3:],
    ],
)
def test_traceparent_malformed(value: str) -> None:
    """What is malformed in any place is no traceparent."""
    assert parse_traceparent(value) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("foo=1", "foo=1"),
        ("foo=1,bar=2", "foo=1,bar=2"),
        ("foo=1 \t, \tbar=2,", "foo=1,bar=2"),
        ("foo= 1", "foo= 1"),
        (",,foo=1,,", "foo=1"),
        ("a*/_-0=!~", "a*/_-0=!~"),
        ("0tenant@sys=1", "0tenant@sys=1"),
        (f"{'t' * 241}@{'v' * 14}=1", f"{'t' * 241}@{'v' * 14}=1"),
        (f"{'z' * 256}={'v' * 256}", f"{'z' * 256}={'v' * 256}"),
        (",".join(f"k{i}=1" for i in range(32)), ",".join(f"k{i}=1" for i in range(32))),
    ],
)
def test_tracestate(value: str, read: str) -> None:
    """A list is read in its order, without what has no meaning."""
    assert parse_tracestate(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        " ",
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "0foo=1",
        "foo@0bar=1",
        "foo=1,foo=2",
        "foo=1,foo=1",
        "foo=bar=baz",
        "foo=1,bar",
        "foo=\x00",
        "foo=é",
        "foo=1\nbar=2",
        f"{'t' * 242}@v=1",
        f"t@{'v' * 15}=1",
        f"{'z' * 257}=1",
        f"foo={'v' * 257}",
        ",".join(f"k{i}=1" for i in range(33)),
        "," * 100 + "foo=1",
    ],
)
def test_tracestate_malformed(value: str) -> None:
    """One malformed member makes the whole of it worth nothing (section 3.3.1)."""
    assert parse_tracestate(value) is None


@given(
    st.text(alphabet="0123456789abcdefABCDEFg- \n", max_size=70)
    | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?", fullmatch=True)
)
def test_what_is_read_can_be_sent(value: str) -> None:
    """What was read makes a traceparent of version 00 that is read the same."""
    found = parse_traceparent(value)
    if found is not None:
        assert re.fullmatch(r"[0-9a-f]{32}", found.trace_id)
        sent = f"00-{found.trace_id}-{found.parent_id}-{found.flags:02x}"
        assert parse_traceparent(sent) == found


@given(st.text(alphabet="abz019@=_-*/, \tA.\n", max_size=80))
def test_state_is_stable(value: str) -> None:
    """What was read is read the same again."""
    found = parse_tracestate(value)
    if found is not None:
        assert parse_tracestate(found) == found
