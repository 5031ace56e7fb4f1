"""Arguments of handlers: where each comes from, and what a request is told that lacks one."""

import json
import re
from dataclasses import dataclass, make_dataclass
from datetime import datetime
from functools import partial, wraps
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.web import App, Between, Body, Cookie, Form, Header, Length, Query, Request, Upload

from ..middleware.calling import Result, call, make_environ, run

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Note:
    title: Annotated[str, Length(1, 20)]
    stars: int = 0


@dataclass
class Picture:
    title: str
    file: Upload


class Login(TypedDict):
    user: str
    remember: bool


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(st.sampled_from(["title", "stars", "x"]), values, max_size=4)
    ),
    max_leaves=10,
)


def answer(handler: Any, path: str = "/", *args: Any, pattern: str = "/", **kwargs: Any) -> Result:
    """Send a request to an application of one handler."""
    app = App()
    method = args[0] if args else "GET"
    app.route(pattern, method, name="x")(handler)
    return call(app, path, *args, **kwargs)


def said(result: Result) -> Any:
    """Return the faults of a 422, or what a handler has returned."""
    value = json.loads(result.body)
    if result.code == 422:
        return [(fault["in"], fault["at"], fault["says"]) for fault in value["faults"]]
    assert result.code == 200, result
    return value


def test_query() -> None:
    """A name, several of a name, defaults, and other names there."""

    def handler(
        q: str, tag: list[str], most: int = 5, first: Annotated[bool, Query("from")] = False
    ) -> Any:
        return [q, tag, most, first]

    assert said(answer(handler, "/?q=a+b&tag=1&tag=2&from=on&unknown=1")) == [
        "a b",
        ["1", "2"],
        5,
        True,
    ]
    assert said(answer(handler, "/?tag=&most=x&from=2")) == [
        ("query", "q", "is missing"),
        ("query", "most", "must be a whole number"),
        ("query", "from", "must be true or false"),
    ]
    assert said(answer(handler, "/?q=")) == ["", [], 5, False]


def test_lists_have_constraints_of_their_own() -> None:
    """Of each value, and of how many there are."""

    def handler(n: Annotated[list[Annotated[int, Between(1)]], Length(1, 2)]) -> Any:
        return n

    assert said(answer(handler, "/?n=1&n=2")) == [1, 2]
    assert said(answer(handler, "/?n=0&n=2")) == [("query", "n", "must be at least 1")]
    assert said(answer(handler, "/?n=1&n=2&n=3")) == [
        ("query", "n", "must have a length of at most 2")
    ]
    assert said(answer(handler, "/")) == [("query", "n", "must have a length of at least 1")]


def test_fields_and_cookies() -> None:
    """A field by its name in any case, by the argument's with hyphens; a cookie."""

    def handler(
        user_agent: Annotated[str, Header()],
        token: Annotated[str, Header("X-Token")],
        seen: Annotated[int, Cookie()] = 0,
    ) -> Any:
        return [user_agent, token, seen]

    fields = {"User-Agent": "u", "x-token": "t", "Cookie": "seen=7"}
    assert said(answer(handler, fields=fields)) == ["u", "t", 7]
    assert said(answer(handler, fields={"Cookie": "seen=x"})) == [
        ("header", "User-Agent", "is missing"),
        ("header", "X-Token", "is missing"),
        ("cookie", "seen", "must be a whole number"),
    ]


def test_path() -> None:
    """Variables become what the converter makes, or what the annotation of a text says."""

    def handler(id: int, name: str, level: Annotated[int, Between(1, 3)]) -> Any:
        return [id, name, level]

    pattern = "/{id:int}/{name}/{level}"
    assert said(answer(handler, "/7/bob/2", pattern=pattern)) == [7, "bob", 2]
    assert said(answer(handler, "/7/bob/x", pattern=pattern)) == [
        ("path", "level", "must be a whole number")
    ]
    assert answer(handler, "/x/bob/2", pattern=pattern).code == 404
    assert said(answer(handler, "/7/bob/9", pattern="/{id:int}/{name}/{level:int}")) == [
        ("path", "level", "must be at most 3")
    ]


def test_json() -> None:
    """A dataclass is the body; every fault in it is told, beside those of the query."""

    def handler(note: Note, page: int) -> Any:
        return {"title": note.title, "page": page}

    assert said(answer(handler, "/?page=1", "POST", JSON, b'{"title":"a"}')) == {
        "title": "a",
        "page": 1,
    }
    assert said(answer(handler, "/", "POST", JSON, b'{"title":"","stars":"x","more":1}')) == [
        ("body", "/title", "must have a length of at least 1"),
        ("body", "/stars", "must be a whole number"),
        ("body", "/more", "is not known"),
        ("query", "page", "is missing"),
    ]
    assert answer(handler, "/?page=1", "POST", FORM, b"title=a").code == 415
    assert answer(handler, "/?page=1", "POST", JSON, b"{").code == 400


def test_json_of_any_kind() -> None:
    """`Body()` takes what would be of the query otherwise; a default stands for no body at all."""

    def handler(value: Annotated[int | str, Body()] = "none") -> Any:
        return [value]

    assert said(answer(handler, "/", "POST", JSON, b"7")) == [7]
    assert said(answer(handler, "/", "POST")) == ["none"]
    assert said(answer(lambda value: [value], "/?value=7", "POST")) == ["7"]


def test_json_that_is_nested_too_deeply() -> None:
    """Recursion ends in an answer."""

    def handler(value: dict[str, Any] | list[Any]) -> Any:
        return "taken"

    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    assert answer(handler, "/", "POST", JSON, deep).code in (200, 400, 422)


def test_many_faults() -> None:
    """A hundred faults are enough."""

    def handler(value: list[int]) -> Any: ...

    assert said(answer(lambda value: [value], "/?value=1")) == ["1"]

    def of_body(value: Annotated[list[int], Body()]) -> Any: ...

    body = json.dumps(["x"] * 5000).encode()
    assert len(said(answer(of_body, "/", "POST", JSON, body))) == 100


def test_form() -> None:
    """Single fields, or a class of them; fields that nobody asks for are left alone."""

    def single(user: Annotated[str, Form()], tag: Annotated[list[int], Form("tags")]) -> Any:
        return [user, tag]

    def whole(login: Annotated[Login, Form()]) -> Any:
        return login

    def note(note: Annotated[Note, Form()]) -> Any:
        return [note.title, note.stars]

    assert said(answer(single, "/", "POST", FORM, b"user=bob&tags=1&tags=2")) == ["bob", [1, 2]]
    assert said(answer(whole, "/", "POST", FORM, b"user=bob&remember=on&csrf_token=x")) == {
        "user": "bob",
        "remember": True,
    }
    assert said(answer(whole, "/", "POST", FORM, b"remember=x")) == [
        ("form", "user", "is missing"),
        ("form", "remember", "must be true or false"),
    ]
    assert said(answer(note, "/", "POST", FORM, b"title=a")) == ["a", 0]
    assert said(answer(note, "/", "POST", FORM, b"title=")) == [
        ("form", "title", "must have a length of at least 1")
    ]
    assert answer(note, "/", "POST", JSON, b"{}").code == 415


def test_request() -> None:
    """The request is an argument by its type, or by its name alone."""

    class Own(Request): ...

    assert said(answer(lambda request: [request.path])) == ["/"]

    def typed(asked: Request) -> Any:
        return [asked.method]

    assert said(answer(typed)) == ["GET"]


def test_callables_of_every_kind() -> None:
    """Methods, partial functions and objects that can be called are handlers as well."""

    class Handlers:
        def method(self, n: int) -> Any:
            return [n]

        def __call__(self, n: int) -> Any:
            return [n]

    def three(a: int, n: int) -> Any:
        return [a + n]

    assert said(answer(Handlers().method, "/?n=1")) == [1]
    assert said(answer(Handlers(), "/?n=1")) == [1]
    assert said(answer(partial(three, 1), "/?n=1")) == [2]
    assert said(answer(lambda **values: values, "/7", pattern="/{id:int}")) == {"id": 7}


@pytest.mark.parametrize(
    ("pattern", "handler", "says"),
    [
        ("/{id}", lambda: None, "has no argument for id"),
        ("/", lambda a, /: None, "has to be one that has a name"),
        ("/", lambda *a: None, "has to be one that has a name.* functools.wraps"),
    ],
)
def test_handlers_that_cannot_be_called(pattern: str, handler: Any, says: str) -> None:
    """What could never be called is told when the route is added."""
    with pytest.raises(TypeError, match=says):
        App().get(pattern)(handler)


def test_handlers_of_other_kinds() -> None:
    """A handler is told by its name; what is no function, too."""

    class Asynchronous:
        async def __call__(self) -> Any:
            yield 1

    with pytest.raises(TypeError, match="Asynchronous is async"):
        App().get("/")(Asynchronous())
    with pytest.raises(TypeError, match="dict does not say which arguments it takes"):
        App().get("/", name="x")(dict)
    with pytest.raises(TypeError, match="the argument 'obj' of len: it has to be one"):
        App().get("/", name="x")(partial(len))


@pytest.mark.parametrize(
    ("annotation", "default", "says"),
    [
        (re.Pattern, ..., "neither text nor JSON becomes a value of type re.Pattern"),
        (Annotated[str, Header], ..., r"Header is a class: write Header\(\)"),
        (Annotated[str, Length], ..., r"Length is a class: write Length\(\)"),
        (Annotated[str, Header(), Cookie()], ..., r"of Header\(''\) and Cookie\(''\) at once"),
        (dict[str, Upload], ..., "a file is by itself, in a list, or a member of a class"),
        (tuple[Upload, int], ..., "a file is by itself, in a list, or a member of a class"),
        (Picture, ..., r"it has a file, and a file comes from a form: Annotated\[..., Form\(\)\]"),
        (str, Header("X-A"), r"no default: write Annotated\[..., Header\('X-A'\)\]"),
        (int, Between(1), r"no default: write Annotated\[..., Between\(1, None\)\]"),
    ],
)
def test_arguments_that_cannot_be(annotation: Any, default: Any, says: str) -> None:
    """An argument that cannot be filled is told, with its name and that of the handler."""

    def odd(value):  # type: ignore[no-untyped-def]
        raise AssertionError

    odd.__annotations__ = {"value": annotation}
    odd.__defaults__ = None if default is ... else (default,)
    with pytest.raises(TypeError, match=rf"^the argument 'value' of \S+odd: .*{says}"):
        App().get("/")(odd)


def test_classes_within_classes() -> None:
    """A type that is nested beyond what Python can follow is told as well."""
    kind = Note
    for _ in range(1000):
        kind = make_dataclass("Nested", [("within", kind)])

    def odd(value):  # type: ignore[no-untyped-def]
        raise AssertionError

    odd.__annotations__ = {"value": kind}
    with pytest.raises(TypeError, match=r"the argument 'value' of .*odd: .*nested too deeply"):
        App().get("/")(odd)


def test_places_that_exclude_each_other() -> None:
    """A variable of the path comes from nowhere else, and a body is JSON or a form."""

    def both(note: Note, name: Annotated[str, Form()]) -> None: ...

    def of_path(id: Annotated[str, Query()]) -> None: ...

    with pytest.raises(TypeError, match="both asks for a body that is JSON and a form at once"):
        App().post("/")(both)
    with pytest.raises(TypeError, match=r"'/\{id\}', and of Query\(''\) at once"):
        App().get("/{id}")(of_path)


@pytest.mark.parametrize("fields", [{}, JSON, {"Content-Type": "text/plain"}])
@pytest.mark.parametrize("length", ["0", ""])
def test_body_that_may_be_missing(fields: dict[str, str], length: str) -> None:
    """A body has its default where there is none: what the type or the length says makes none."""

    def handler(note: Note | None = None) -> Any:
        return [note]

    more = {"CONTENT_LENGTH": length, "wsgi.input_terminated": True}
    assert said(answer(handler, "/", "PUT", fields, b"", **more)) == [None]
    assert answer(handler, "/", "PUT", fields, b"x").code in (400, 415)


def test_form_that_may_be_missing() -> None:
    """A whole form has a default like a whole body: for a request without content."""

    def handler(note: Annotated[Note | None, Form()] = None) -> Any:
        return [note]

    assert said(answer(handler, "/", "POST")) == [None]
    sent = answer(handler, "/", "POST", FORM, b"title=a")
    assert said(sent) == [{"title": "a", "stars": 0}]
    assert said(answer(handler, "/", "POST", FORM)) == [("form", "title", "is missing")]
    assert said(answer(handler, "/", "POST", {"Content-Type": "text/plain"})) == [None]


def test_bounds_of_times_with_and_without_zone() -> None:
    """No time that a client sends is compared with a bound that it has no order with."""

    def handler(at: Annotated[datetime, Between(datetime(2026, 1, 1))]) -> Any:
        return [str(at)]

    assert said(answer(handler, "/?at=2026-01-01T10:00")) == ["2026-01-01 10:00:00"]
    assert said(answer(handler, "/?at=2026-01-01T10:00Z")) == [
        ("query", "at", "must have no time zone")
    ]


def test_annotations_that_cannot_be() -> None:
    """So is an annotation that no request can fill, or that says another thing than the path."""

    def odd(value: complex) -> None: ...

    def two(a: Note, b: Note) -> None: ...

    def other(id: str) -> None: ...

    def unknown(value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def header(value: Annotated[Note, Header()]) -> None: ...

    def nested(value: Annotated["Holder", Form()]) -> None: ...

    for pattern, handler, says in [
        ("/", odd, "complex"),
        ("/", two, "more than one argument for the body"),
        ("/{id:int}", other, "is of type int, not str"),
        ("/", unknown, "Nowhere"),
        ("/", header, "one text"),
        ("/", nested, "one text"),
    ]:
        with pytest.raises(TypeError, match=says):
            App().post(pattern, name="x")(handler)


@dataclass
class Holder:
    note: Note


LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)
PIECES = st.lists(
    st.sampled_from(["q", "n", "note", "=", "&", "%", "%C3", "+", "1", "x", "[", '"', ";", "\xff"]),
    max_size=15,
).map("".join)


@given(
    query=LATIN | PIECES,
    cookies=LATIN | PIECES,
    body=st.binary(max_size=60)
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | PIECES.map(lambda text: text.encode("latin-1")),
    content_type=st.sampled_from([*JSON.values(), *FORM.values(), "", "text/plain", "a;b=c"]),
)
def test_no_request_makes_it_fail(query: str, cookies: str, body: bytes, content_type: str) -> None:
    """Whatever is sent is answered, and not with a 500."""
    app = App()

    @app.post("/json")
    def of_json(
        note: Note | list[int],
        q: float = 0,
        n: list[int] | None = None,
        c: Annotated[int, Cookie()] = 0,
    ) -> Any:
        return ""

    @app.post("/form")
    def of_form(login: Annotated[Login, Form()], n: Annotated[list[float], Form()]) -> Any:
        return ""

    for path in ("/json", "/form"):
        environ = make_environ(
            path, "POST", {"Content-Type": content_type, "Cookie": cookies}, body
        )
        environ["QUERY_STRING"] = query
        assert run(app, environ).code in (200, 400, 413, 415, 422)


class Shop:
    """Handlers that are methods."""

    def show(self, request: Request, number: int = 1) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
        """Answer."""
        return {"number": number}


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_results_that_only_type_checkers_know(is_wrapped: bool) -> None:
    """What a handler returns may be imported for type checkers alone; what it takes may not."""

    def show(request: Request, number: int = 1) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
        return {"number": number}

    @wraps(show)
    def around(*args: Any, **values: Any) -> Any:
        return show(*args, **values)

    def lacks(number: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    app = App()
    app.get("/f", name="f")(around if is_wrapped else show)
    app.get("/m", name="m")(Shop().show)
    for path in ("/f", "/m"):
        assert json.loads(call(app, f"{path}?number=5").body) == {"number": 5}
    assert app.openapi("x", "1")["paths"]["/f"]["get"]["responses"]["200"] == {"description": "OK"}
    with pytest.raises(TypeError, match=r"'Nowhere' is not defined; .* type checkers alone"):
        app.get("/l")(lacks)
