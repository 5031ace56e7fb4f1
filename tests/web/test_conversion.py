"""From texts and JSON to types: every type, every fault, and no body that costs more than it weighs."""

import datetime
import decimal
import enum
import json
import re
import time
import uuid
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, Required, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.web import Between, Length, Matches
from breezeway.web.conversion import kind_of
from breezeway.web.kinds import MOST_FAULTS, EnoughError, Faults, Wrong


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Point:
    """A place on the plane."""

    x: int
    y: int = 0


@dataclass
class Tree:
    name: str
    below: "list[Tree]" = field(default_factory=list)


@dataclass
class Left:
    child: "Left | Right | None" = None


@dataclass
class Right:
    child: "Left | Right | None" = None


@dataclass
class Circle:
    kind: Literal["circle"]
    radius: float


@dataclass
class Square:
    kind: Literal["square"]
    radius: float


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("must be even")


class Film(TypedDict):
    title: Annotated[str, Length(1)]
    year: NotRequired[int]


class Texts(TypedDict):
    """As `from __future__ import annotations` makes all of them: texts, in which Python sees nothing."""

    title: "str"
    year: "NotRequired[int]"
    stars: "Annotated[NotRequired[int], Between(1)]"


class Fewer(Texts, total=False):
    made: "Required[int]"
    seen: "bool"


UserId = NewType("UserId", int)
UTC = datetime.UTC
NOON = datetime.datetime(2026, 11, 22, 12)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "", ""),
        (str, " a ", " a "),
        (int, "-7", -7),
        (int, "+7", 7),
        (float, "1.5", 1.5),
        (float, "1e3", 1000.0),
        (float, ".5", 0.5),
        (bool, "ON", True),
        (bool, "0", False),
        (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
        (uuid.UUID, "0" * 31 + "1", uuid.UUID(int=1)),
        (datetime.date, "2026-11-22", datetime.date(2026, 11, 22)),
        (datetime.time, "10:30", datetime.time(10, 30)),
        (
            datetime.datetime,
            "2026-11-22T10:00:00Z",
            datetime.datetime(2026, 11, 22, 10, tzinfo=UTC),
        ),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (Literal[True, "x"], "true", True),
        (Literal["a", None], "", None),
        (Literal["", None], "", ""),
        (Colour, "red", Colour.RED),
        (Level, "2", Level.HIGH),
        (UserId, "7", 7),
        (int | None, "7", 7),
        (int | None, "", None),
        (str | None, "", ""),
        (int | str, "7", 7),
        (int | str, "x", "x"),
        (Any, "x", "x"),
        (Annotated[int, Between(1, 3)], "3", 3),
        (Annotated[str, Matches("[a-z]+")], "abc", "abc"),
    ],
)
def test_of_text(annotation: Any, text: str, value: Any) -> None:
    """A text becomes a value of the type."""
    from_text = kind_of(annotation).from_text
    assert from_text is not None
    made = from_text(text)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "says"),
    [
        (int, "", "a whole number"),
        (int, "1.0", "a whole number"),
        (int, "1_0", "a whole number"),
        (int, " 1", "a whole number"),
        (int, "٣", "a whole number"),
        (int, "9" * 31, "a whole number"),
        (float, "nan", "a number"),
        (float, "inf", "a number"),
        (float, "1e999", "a number"),
        (float, "1_0", "a number"),
        (float, "", "a number"),
        (bool, "", "true or false"),
        (bool, "2", "true or false"),
        (decimal.Decimal, "NaN", "a decimal number"),
        (decimal.Decimal, "1e9999", "a decimal number"),
        (uuid.UUID, "x", "a UUID"),
        (uuid.UUID, " " + "0" * 31, "a UUID"),
        (uuid.UUID, "+" + "0" * 31, "a UUID"),
        (uuid.UUID, "\N{FULLWIDTH DIGIT ONE}" + "0" * 31, "a UUID"),
        (uuid.UUID, "0_0" + "0" * 29, "a UUID"),
        (uuid.UUID, "{" + "0" * 32 + "}", "a UUID"),
        (uuid.UUID, "0-" + "0" * 31, "a UUID"),
        (datetime.date, "2026-02-30", "a date"),
        (datetime.datetime, "yesterday", "a date and time"),
        (datetime.datetime, "2026-11-22\N{SNOWMAN}10:00", "a date and time"),
        (datetime.datetime, "2026-11-22x10:00", "a date and time"),
        (Literal["a", "b"], "c", "one of a, b"),
        (Literal["a", True, None], "None", "one of a, true, null"),
        (Colour, "RED", "one of red, blue"),
        (int | float, "x", "a whole number, or must be a number"),
        (Annotated[int, Between(1, 3)], "0", "at least 1"),
        (Annotated[int, Between(most=3)], "4", "at most 3"),
        (Annotated[str, Length(2, 3)], "a", "length of at least 2"),
        (Annotated[str, Length(2, 3)], "abcd", "length of at most 3"),
        (Annotated[str, Matches("[a-z]+")], "abc1", "match"),
        (Annotated[str, Matches("[a-z]+")], "abc\n", "match"),
        (
            Annotated[datetime.date, Between(datetime.date(2026, 1, 1))],
            "2025-12-31",
            "at least 2026",
        ),
        (Annotated[datetime.datetime, Between(NOON)], "2026-11-22T10:00Z", "no time zone"),
        (
            Annotated[datetime.datetime, Between(most=NOON.replace(tzinfo=UTC))],
            "2026-11-22",
            "have a time zone",
        ),
        (Annotated[datetime.time, Between(NOON.time())], "13:00Z", "no time zone"),
    ],
)
def test_of_text_that_cannot_be(annotation: Any, text: str, says: str) -> None:
    """What is no value is told in a clause."""
    from_text = kind_of(annotation).from_text
    assert from_text is not None
    with pytest.raises(Wrong, match=f"must .*{says}"):
        from_text(text)


def converted(annotation: Any, value: Any) -> tuple[Any, list[tuple[str, str]]]:
    """Return what becomes of a JSON value, and what is wrong."""
    faults = Faults()
    made = kind_of(annotation).from_json(value, "", faults)
    return made, [(fault.at, fault.says) for fault in faults]


@pytest.mark.parametrize(
    ("annotation", "value", "made"),
    [
        (int, 7, 7),
        (float, 7, 7.0),
        (None, None, None),
        (object, {"a": [1]}, {"a": [1]}),
        (list[int], [1, 2], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (set[int], [1, 1], {1}),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Point, {"x": 1}, Point(1)),
        (Film, {"title": "M"}, {"title": "M"}),
        (Texts, {"title": "M"}, {"title": "M"}),
        (Fewer, {"title": "M", "made": 1}, {"title": "M", "made": 1}),
        (Tree, {"name": "a", "below": [{"name": "b"}]}, Tree("a", [Tree("b")])),
        (Circle | Square, {"kind": "square", "radius": 1}, Square("square", 1.0)),
        (list[Point | None], [None, {"x": 1}], [None, Point(1)]),
        (Point | Even | dict[str, str], {"x": "1"}, {"x": "1"}),
        (Circle | Square | None, {"kind": "circle", "radius": 2}, Circle("circle", 2.0)),
        (decimal.Decimal, 0.1, decimal.Decimal("0.1")),
        (decimal.Decimal, "0.10", decimal.Decimal("0.10")),
        (datetime.date, "2026-11-22", datetime.date(2026, 11, 22)),
        (Level, 1, Level.LOW),
        (Annotated[list[int], Length(1)], [1], [1]),
        (Annotated[int | None, Between(1)], None, None),
    ],
)
def test_of_json(annotation: Any, value: Any, made: Any) -> None:
    """JSON becomes a value of the type."""
    assert converted(annotation, value) == (made, [])


@pytest.mark.parametrize(
    ("annotation", "value", "faults"),
    [
        (int, "7", [("", "must be a whole number")]),
        (int, True, [("", "must be a whole number")]),
        (int, 7.0, [("", "must be a whole number")]),
        (float, 10**400, [("", "must be a number")]),
        (str, None, [("", "must be a string")]),
        (bool, 1, [("", "must be true or false")]),
        (Literal[1], True, [("", "must be one of 1")]),
        (
            list[int],
            [1, "a", "b"],
            [("/1", "must be a whole number"), ("/2", "must be a whole number")],
        ),
        (list[int], {}, [("", "must be a list")]),
        (tuple[int, str], [1], [("", "must be a list of 2")]),
        (dict[str, int], {"a/b~c": "x"}, [("/a~1b~0c", "must be a whole number")]),
        (Point, {}, [("/x", "is missing")]),
        (Point, {"x": "a", "z": 1}, [("/x", "must be a whole number"), ("/z", "is not known")]),
        (Point, [], [("", "must be an object")]),
        (Tree, {"name": "a", "below": [{"name": 1}]}, [("/below/0/name", "must be a string")]),
        (Even, {"number": 1}, [("", "must be even")]),
        (Circle | Square, {"kind": "square", "radius": "x"}, [("/radius", "must be a number")]),
        (Film, {"title": ""}, [("/title", "must have a length of at least 1")]),
        (
            Fewer,
            {"stars": 0},
            [("/title", "is missing"), ("/stars", "must be at least 1"), ("/made", "is missing")],
        ),
        (Annotated[list[int], Length(1)], [], [("", "must have a length of at least 1")]),
        (set[Any], [[]], [("", "must be a list of different values")]),
        (decimal.Decimal, True, [("", "must be a decimal number")]),
        (int | str, [], [("", "must be a whole number, or must be a string")]),
        (Point | Even, [], [("", "must be an object")]),
    ],
)
def test_of_json_that_cannot_be(annotation: Any, value: Any, faults: list[tuple[str, str]]) -> None:
    """Every fault is told, with where it is."""
    assert converted(annotation, value) == (None, faults)


@pytest.mark.parametrize(
    "annotation",
    [
        bytes,
        complex,
        dict[int, str],
        object(),
        list[bytes],
        Annotated[int, Length(1)],
        Annotated[str, Between(1)],
        Annotated[int, Matches("a")],
        Annotated[bool, Between(0)],
        enum.Enum("Odd", {"A": (1, 2)}),
    ],
)
def test_types_without_a_kind(annotation: Any) -> None:
    """What no request can say is told when a route is added."""
    with pytest.raises(TypeError):
        kind_of(annotation)


@dataclass
class Needy:
    a: int
    scale: InitVar[int]


@dataclass
class Content:
    inner: "list[Inner]"


@dataclass
class Inner:
    raw: bytes


@dataclass
class Unclosed:
    a: "list["  # noqa: F722


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (bytes, "neither text nor JSON becomes a value of type bytes"),
        (Needy, "Needy is made with 'scale', which is none of its members"),
        (
            Content,
            "'inner' of Content: 'raw' of Inner: neither text nor JSON",
        ),
        (Unclosed, "an annotation of Unclosed cannot be evaluated: SyntaxError: "),
    ],
)
def test_what_has_no_kind_is_told(annotation: Any, says: str) -> None:
    """The whole way to it is named."""
    with pytest.raises(TypeError, match=f"^{re.escape(says)}"):
        kind_of(annotation)


@pytest.mark.parametrize(
    "make",
    [lambda: Between(), lambda: Between(2, 1), lambda: Length(-1), lambda: Length(2, 1)],
)
def test_constraints_are_checked(make: Any) -> None:
    """A constraint that nothing meets is none."""
    with pytest.raises(ValueError, match=r"nothing|needs"):
        make()


NAMES = ["x", "name", "below", "kind", "child"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(
            st.sampled_from(["x", "name", "below", "kind", "child"]), values, max_size=4
        )
    ),
    max_leaves=20,
)
TYPES = [
    int,
    Point,
    Tree,
    Film,
    Even,
    Circle | Square,
    Left | Right,
    list[Point | int],
    dict[str, Tree],
    set[str],
    tuple[int, str],
    decimal.Decimal,
    Colour,
]


@given(st.sampled_from(TYPES), JSON)
def test_any_json_is_made_or_told(annotation: Any, value: Any) -> None:
    """No value leads to anything but a result or faults."""
    made, faults = converted(annotation, json.loads(json.dumps(value)))
    assert made is None or not faults


def test_faults_are_bounded() -> None:
    """A long list of wrong values does not make a long answer."""
    faults = Faults()
    with pytest.raises(EnoughError):
        kind_of(list[int]).from_json(["x"] * 100_000, "", faults)
    assert len(faults) == MOST_FAULTS


def test_unions_of_the_same_are_bounded() -> None:
    """Classes that only differ in name would be tried twice on each level: two to the sixty."""
    value: Any = {"x": 1}
    for _ in range(60):
        value = {"child": value}
    before = time.monotonic()
    with pytest.raises(EnoughError, match="too many things"):
        kind_of(Left | Right).from_json(value, "", Faults())
    assert time.monotonic() - before < 10


def test_a_class_has_one_kind() -> None:
    """Each class is one component, whoever refers to it."""
    assert kind_of(Tree) is kind_of(Tree)
    kind = kind_of(Tree)
    assert kind.definition is not None
    assert kind.definition["properties"]["below"]["items"]["$ref"] is kind


def test_names_that_are_not_there() -> None:
    """An annotation that names nothing is told with its class, and each time."""

    @dataclass
    class Odd:
        member: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    for _ in range(2):
        with pytest.raises(TypeError, match=r"Odd names what is not there: .*top of a module"):
            kind_of(Odd)


def test_long_names_cost_nothing() -> None:
    """Where a fault is becomes a text only when it is told, and not a long one."""
    value = {"n" * 500_000: ["x"] * 200 + [1] * 200_000}
    faults = Faults()
    with pytest.raises(EnoughError):
        kind_of(dict[str, list[int]]).from_json(value, "", faults)
    assert all(len(fault.at) < 200 for fault in faults)
    before = time.monotonic()
    kind_of(dict[str, list[int]]).from_json({"n" * 500_000: [1] * 200_000}, "", Faults())
    assert time.monotonic() - before < 5
