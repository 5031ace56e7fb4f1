"""Where a request stands in a trace: the fields `traceparent` and `tracestate` of W3C Trace Context.

What is malformed is as if it were not there (section 3.2.2.2): a trace is for whoever looks for the
cause of something, and is no reason to refuse a request.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

SAMPLED: Final = 0x01
"""The flag of a caller that may have recorded the trace (section 3.2.2.5)."""

MOST_MEMBERS: Final = 32
"""Of a tracestate (section 3.3.1.1)."""

# version-format = trace-id "-" parent-id "-" trace-flags                  section 3.2.2
# trace-id = 32HEXDIGLC, parent-id = 16HEXDIGLC, not all zeroes; version ff is invalid
# A version that is not known begins like 00, and goes on after a dash if it does (section 3.2.4).
_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)

# list-member = key "=" value                                              section 3.3.1.3
# key         = lcalpha 0*255keychar / ( lcalpha / DIGIT ) 0*240keychar "@" lcalpha 0*13keychar
# value       = 0*255( 0x20 / nblk-chr ) nblk-chr; neither comma nor equals sign
_MEMBER: Final = re.compile(
    r"([a-z][a-z0-9_*/\-]{0,255}|[a-z0-9][a-z0-9_*/\-]{0,240}@[a-z][a-z0-9_*/\-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)


class TraceParent(NamedTuple):
    """Which trace a request belongs to, and who has called."""

    trace_id: str
    """32 digits, hexadecimal, in lower case."""

    parent_id: str
    """16 digits, those of the caller's span."""

    flags: int
    """Those that version 00 knows: `SAMPLED` or 0."""


def parse_traceparent(value: str) -> TraceParent | None:
    """Read a traceparent (section 3.2); None if it is malformed, as are two of them."""
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == "00" and more is not None:
        return None
    return TraceParent(trace_id, parent_id, int(flags, 16) & SAMPLED)


def parse_tracestate(value: str) -> str | None:
    """Read a tracestate, several fields joined with commas (section 3.3).

    Returns it without white space and empty members; None if it is malformed, has a key twice, more
    than 32 members, or none.
    """
    if value.count(",") >= 2 * MOST_MEMBERS:
        return None
    members = [member for part in value.split(",") if (member := part.strip(" \t"))]
    matches = [_MEMBER.fullmatch(member) for member in members]
    keys = {match[1] for match in matches if match is not None}
    if not 0 < len(keys) == len(members) <= MOST_MEMBERS:
        return None
    return ",".join(members)
