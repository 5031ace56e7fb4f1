"""What an annotation is to a request: its `Kind`, and what can be wrong with a value, a `Fault`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

MOST_FAULTS: Final = 100
"""That are told of one request: who repairs these asks again, and a client cannot make a long list."""

MOST_ATTEMPTS: Final = 100_000
"""Of matching objects with classes of a union that could all be meant: in one that has itself as a
member, their number doubles with each level."""


LONGEST_NAME: Final = 100
"""Characters of a member that are told, whose name the client has chosen."""

DEEPEST_POINTER: Final = 50
"""Members of a pointer that are told, the last ones."""

At: TypeAlias = "tuple[At, str | int] | str"
"""Where a value is: what it is in, and as which member. It becomes a JSON Pointer when something is wrong
there, which most of the time is not so; the whole is a pointer as it is, an empty one of a body."""


def pointer(at: At) -> str:
    """Write a place as a JSON Pointer (RFC 6901)."""
    names: list[str] = []
    while not isinstance(at, str) and len(names) < DEEPEST_POINTER:
        at, name = at
        names.append(str(name)[:LONGEST_NAME].replace("~", "~0").replace("/", "~1"))
    whole = at if isinstance(at, str) else ""
    return whole + "".join(f"/{name}" for name in reversed(names))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    `where` is `path`, `query`, `header`, `cookie`, `form` or `body`; `at` is the name there, for a body a
    JSON Pointer (RFC 6901); `says` is a clause such as `must be a whole number`.
    """

    where: str
    at: str
    says: str


class EnoughError(Exception):
    """There are as many faults as are told."""


class Faults(list[Fault]):
    """The faults of one request."""

    def __init__(self, attempts: list[int] | None = None) -> None:
        super().__init__()
        self.attempts = [MOST_ATTEMPTS] if attempts is None else attempts
        """How many are left, in a list that all of a request share."""

    def add(self, where: str, at: At, says: str) -> None:
        """Add one; raise EnoughError if it is the last."""
        self.append(Fault(where, pointer(at), says))
        if len(self) >= MOST_FAULTS:
            raise EnoughError


class Wrong(ValueError):
    """A value that cannot be; its text is a clause such as `must be a whole number`."""


FromText: TypeAlias = Callable[[str], Any]
"""Returns a value, or raises Wrong."""

FromJson: TypeAlias = Callable[[Any, At, Faults], Any]
"""Takes a value, where it is and the faults, to which it adds; returns a value."""


@dataclass(eq=False)
class Kind:
    """What values of an annotation are made of."""

    schema: Schema
    """JSON Schema 2020-12; where `$ref` is, the kind of an object stands in place of its name."""
    from_json: FromJson
    from_text: FromText | None = None
    """None if no single text can be one."""
    item: Kind | None = None
    """Of what a list, set or tuple is, so that a name which comes several times can be one."""
    collect: Callable[[list[Any]], Any] = list
    members: Mapping[str, Member] | None = None
    """Of a dataclass or TypedDict."""
    build: Callable[[dict[str, Any]], Any] = dict
    """Makes one of its members; raises ValueError."""
    title: str = ""
    """Of an object: the name of its class."""
    definition: Schema | None = None
    """Of an object: its own schema."""
    is_file: bool = False
    """Of a form: a file."""


@dataclass(frozen=True)
class Member:
    """A member of a dataclass or TypedDict."""

    kind: Kind
    is_required: bool
