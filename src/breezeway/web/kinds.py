"""What an annotation is to a request: its `Kind`, and what can be wrong with a value, a `Fault`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

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


class Fault(NamedTuple):
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


class Kind:
    """What values of an annotation are made of.

    `schema` is JSON Schema 2020-12; where `$ref` is, the kind of an object stands in place of its name.
    `from_text` is None if no single text can be one. `item` is what a list, set or tuple has in it, so that
    a name which comes several times can be one, and `collect` makes it of them. `members` are those of a
    dataclass or TypedDict, and `build` makes one of its members, or raises ValueError. `is_file` is a file
    of a form.
    """

    def __init__(
        self,
        schema: Schema,
        from_json: FromJson,
        from_text: FromText | None = None,
        *,
        item: Kind | None = None,
        collect: Callable[[list[Any]], Any] = list,
        members: Mapping[str, Member] | None = None,
        build: Callable[[dict[str, Any]], Any] = dict,
        is_file: bool = False,
    ) -> None:
        self.schema = schema
        self.from_json = from_json
        self.from_text = from_text
        self.item = item
        self.collect = collect
        self.members = members
        self.build = build
        self.is_file = is_file
        self.title = ""
        """Of an object: the name of its class."""
        self.definition: Schema | None = None
        """Of an object: its own schema."""


class Member(NamedTuple):
    """A member of a dataclass or TypedDict."""

    kind: Kind
    is_required: bool
    default: Any = None
    """What it is if it is not there, where that is one value; for OpenAPI."""
