"""The OpenAPI document, held to the rules of OpenAPI 3.1; and the page that shows it."""

import base64
import datetime
import decimal
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from breezeway.middleware import Compress, RequestId, stack
from breezeway.web import (
    App,
    Between,
    Body,
    Cookie,
    Form,
    Group,
    Header,
    Length,
    Matches,
    Request,
    Response,
)
from breezeway.web.uploads import Upload

from ..middleware.calling import call

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@dataclass
class Tag:
    """A label, which has others below it."""

    name: Annotated[str, Matches("[a-z]+")]
    below: "list[Tag]" = field(default_factory=list)


@dataclass
class Note:
    title: Annotated[str, Length(1, 80)]
    tags: list[Tag] = field(default_factory=list)
    due: datetime.date | None = None


@dataclass
class Change:
    title: str
    due: datetime.date | None = None


class Hit(TypedDict):
    note: Note
    score: NotRequired[float]


@dataclass
class Odd:
    """Its members are called as keywords are."""

    enum: Note
    default: list[Note]
    properties: int = 0


def make() -> App:
    """Make an application with a route of every kind."""
    app = App()
    notes = Group("/notes", name="notes", description="All about notes.")

    @notes.get("/{id:int}")
    def show(id: Annotated[int, Between(1)], request: Request, full: bool = False) -> Note | None:
        """Show a note.

        With all of its tags.
        """

    @notes.post("/")
    def create(note: Note, dry: bool = False) -> tuple[Note, Literal[201]]: ...

    @notes.get("/")
    def search(
        q: str,
        tag: list[str] | None = None,
        most: Annotated[int, Between(1, 100)] = 20,
        token: Annotated[str, Header("X-Token")] = "",
        accept: Annotated[str, Header()] = "",
        seen: Annotated[int, Cookie()] = 0,
    ) -> list[Hit]: ...

    @notes.post("/{id:int}/files")
    def upload(id: int, file: Upload, title: Annotated[str, Form()] = "") -> dict[str, int]: ...

    @notes.put("/{id:int}")
    def edit(id: int, note: Annotated[Change, Form()], more: Annotated[str, Form()]) -> None: ...

    app.include(notes)
    app.get("/", name="home")(_home)
    app.get("/stream", name="stream")(_stream)
    app.post("/odd", name="odd")(_odd)
    app.get("/a/{x:int}", name="ax")(lambda x: None)
    app.get("/a/{y}", name="ay")(lambda y: None)
    app.post("/a/{y}.{kind}", name="dotted")(lambda **values: None)
    app.delete("/a/{y}", name="dy")(lambda y: None)
    app.route("/both", "GET", "POST", name="both")(lambda: Response())
    app.get("/hidden", name="hidden", openapi=False)(lambda: "")
    app.get("/told", name="told", openapi={"summary": "Ours", "deprecated": True})(lambda: "")
    host = Group(host="{tenant}.example")
    host.get("/of-host", name="host")(lambda: "")
    app.include(host)
    return app


def _home() -> str: ...  # type: ignore[empty-body]


def _stream() -> Iterator[str]: ...  # type: ignore[empty-body]


def _odd(
    odd: Annotated[Odd | None, Body()],
) -> bytes | tuple[str, int] | tuple[Odd, Literal[202], dict[str, str]] | Response:
    raise AssertionError


@pytest.fixture(scope="module")
def document() -> Any:
    """Return the document of that application, as a client reads it."""
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    found = make().openapi(
        "Notes",
        "1.0",
        description="All.",
        servers=["https://a.example"],
        security_schemes=schemes,
        security=[{"bearer": []}],
    )
    return json.loads(json.dumps(found))


# --- rules of the specification --------------------------------------------------------------------------


def schemas_in(value: Any) -> Iterator[Any]:
    """Go over all that is said of values."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "schema":
                yield each
            elif key == "schemas":
                yield from each.values()
            yield from schemas_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas_in(each)


def check_schema(schema: Any, components: dict[str, Any]) -> None:
    """Hold a schema to JSON Schema 2020-12, as far as we use it."""
    known = {"$ref", "title", "description", "type", "format", "enum", "anyOf", "items", "default"}
    known |= {"prefixItems", "properties", "required", "additionalProperties", "pattern"}
    known |= {"minimum", "maximum", "uniqueItems", "contentMediaType"}
    known |= {
        f"{bound}{what}" for bound in ("min", "max") for what in ("Length", "Items", "Properties")
    }
    assert {*schema} <= known
    if "$ref" in schema:
        place, _, name = schema["$ref"].rpartition("/")
        assert place == "#/components/schemas"
        assert name in components
    if "type" in schema:
        assert schema["type"] in {
            "string",
            "number",
            "integer",
            "boolean",
            "null",
            "array",
            "object",
        }
    if "pattern" in schema:
        re.compile(schema["pattern"])
    if "required" in schema:
        assert schema["required"]
        assert {*schema["required"]} <= {*schema["properties"]}
        assert len({*schema["required"]}) == len(schema["required"])
    for each in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        check_schema(each, components)
    for each in [*schema.get("prefixItems", []), schema.get("items")]:
        if each is not None:
            check_schema(each, components)
    if isinstance(schema.get("additionalProperties"), dict):
        check_schema(schema["additionalProperties"], components)


def test_document(document: Any) -> None:
    """The members are those that there are, and those that there have to be (section 4.8.1)."""
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "Notes", "version": "1.0", "description": "All."}
    assert document["servers"] == [{"url": "https://a.example"}]
    assert {*document} <= {"openapi", "info", "servers", "paths", "components", "security", "tags"}
    assert document["tags"] == [{"name": "notes", "description": "All about notes."}]
    assert document["security"] == [{"bearer": []}]
    for schema in schemas_in(document):
        check_schema(schema, document["components"]["schemas"])
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)


def test_paths(document: Any) -> None:
    """Each variable of a path has its parameter and the other way round; no two paths are the same."""
    shapes = [re.sub(r"\{[^}]*\}", "{}", path) for path in document["paths"]]
    assert len({*shapes}) == len(shapes)
    ids = []
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert ":" not in path
        assert {*item} <= METHODS
        for method, operation in item.items():
            ids.append(operation["operationId"])
            parameters = operation.get("parameters", [])
            in_path = [each["name"] for each in parameters if each["in"] == "path"]
            assert sorted(in_path) == sorted(re.findall(r"\{([^}]*)\}", path))
            assert all(each["required"] is True for each in parameters if each["in"] == "path")
            places = [(each["in"], each["name"].lower()) for each in parameters]
            assert len({*places}) == len(places)
            assert ("header", "accept") not in places
            assert operation["responses"]
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5](\d\d|XX)", status)
                assert response["description"]
            assert method not in ("get", "delete") or "requestBody" not in operation
            if "requestBody" in operation:
                assert operation["requestBody"]["content"]
    assert len({*ids}) == len(ids)


def test_by_the_validator(document: Any) -> None:
    """Somebody else's reading of the specification has nothing against it."""
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)


# --- what it says ----------------------------------------------------------------------------------------


def test_operation(document: Any) -> None:
    """Names, docstrings, parameters with their bounds and defaults, and results."""
    show = document["paths"]["/notes/{id}"]["get"]
    assert (show["operationId"], show["tags"]) == ("notes.show", ["notes"])
    assert (show["summary"], show["description"]) == ("Show a note", "With all of its tags.")
    assert show["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
        {"name": "full", "in": "query", "schema": {"type": "boolean", "default": False}},
    ]
    assert [*show["responses"]] == ["200", "204", "422"]
    search = document["paths"]["/notes/"]["get"]
    most = next(each for each in search["parameters"] if each["name"] == "most")
    assert most["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert {each["in"] for each in search["parameters"]} == {"query", "header", "cookie"}


def test_bodies(document: Any) -> None:
    """JSON, forms, and forms with files."""
    paths = document["paths"]
    assert paths["/notes/"]["post"]["requestBody"] == {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}},
        "required": True,
    }
    files = paths["/notes/{id}/files"]["post"]["requestBody"]["content"]
    assert [*files] == ["multipart/form-data"]
    form = files["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["contentMediaType"] == "application/octet-stream"
    assert form["required"] == ["file"]
    edited = paths["/notes/{id}"]["put"]["requestBody"]["content"]
    assert [*edited] == ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert [*edited["multipart/form-data"]["schema"]["properties"]] == ["title", "due", "more"]


def test_results(document: Any) -> None:
    """What a handler returns says status and type."""
    paths = document["paths"]
    assert [*paths["/notes/"]["post"]["responses"]] == ["201", "422"]
    assert [*paths["/notes/{id}"]["put"]["responses"]] == ["204", "422"]
    assert [*paths["/"]["get"]["responses"]["200"]["content"]] == ["text/html"]
    assert [*paths["/stream"]["get"]["responses"]["200"]["content"]] == ["text/plain"]
    assert [*paths["/odd"]["post"]["responses"]] == ["200", "202", "2XX", "422"]


def test_components(document: Any) -> None:
    """Each class is one component, itself a member of itself; what is wrong has one as well."""
    schemas = document["components"]["schemas"]
    assert sorted(schemas) == ["Hit", "Note", "Odd", "Problem", "Tag"]
    assert schemas["Tag"]["properties"]["below"]["items"] == {"$ref": "#/components/schemas/Tag"}
    assert schemas["Tag"]["description"] == "A label, which has others below it."
    assert schemas["Tag"]["properties"]["name"]["pattern"] == "^(?:[a-z]+)$"
    assert schemas["Note"]["required"] == ["title"]
    assert schemas["Hit"]["required"] == ["note"]
    assert schemas["Odd"]["properties"]["enum"] == {"$ref": "#/components/schemas/Note"}


def test_components_of_the_same_name() -> None:
    """Two classes of one name have two components, and ours keeps its own."""

    def problem() -> Any:
        @dataclass
        class Problem:
            what: str

        return Problem

    one, two = problem(), problem()

    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = one

    def other(value: Any) -> None: ...

    other.__annotations__["value"] = two
    app = App()
    app.post("/1")(handler)
    app.post("/2")(other)
    schemas = app.openapi("x", "1")["components"]["schemas"]
    assert sorted(schemas) == ["Problem", "Problem2", "Problem3"]
    assert "faults" in schemas["Problem"]["properties"]


def test_paths_that_openapi_takes_for_the_same(document: Any) -> None:
    """They share an entry; of two with one method the first is told."""
    item = document["paths"]["/a/{x}"]
    assert [*item] == ["get", "delete"]
    assert item["get"]["operationId"] == "ax"
    assert [each["name"] for each in item["delete"]["parameters"]] == ["x"]
    assert "/a/{y}.{kind}" in document["paths"]


def test_routes_say_more(document: Any) -> None:
    """A route may be left out, or say members of its own; a host is a server."""
    paths = document["paths"]
    assert "/hidden" not in paths
    assert (paths["/told"]["get"]["summary"], paths["/told"]["get"]["deprecated"]) == ("Ours", True)
    assert [paths["/both"][each]["operationId"] for each in ("get", "post")] == [
        "both",
        "both_post",
    ]
    assert paths["/of-host"]["get"]["servers"] == [
        {"url": "//{tenant}.example", "variables": {"tenant": {"default": "tenant"}}}
    ]


def test_defaults_of_members() -> None:
    """They are there where they are one value, in components and in forms."""

    @dataclass
    class Item:
        name: str
        price: decimal.Decimal = decimal.Decimal("1.5")
        tag: Tag = field(default_factory=lambda: Tag("x"))
        most: float = float("inf")
        due: datetime.date | None = None
        kind: Literal["a", "b"] = "b"

    @dataclass
    class Sent:
        number: int = 5

    def save(item: Item) -> None: ...
    def send(item: Annotated[Sent, Form()]) -> None: ...

    app = App()
    app.post("/")(save)
    app.post("/form")(send)
    told = app.openapi("x", "1")
    properties = told["components"]["schemas"]["Item"]["properties"]
    defaults = {name: schema.get("default") for name, schema in properties.items()}
    assert defaults == {
        **dict.fromkeys(["name", "tag", "most", "due"]),
        "price": "1.5",
        "kind": "b",
    }
    assert properties["tag"] == {"$ref": "#/components/schemas/Tag"}
    (form, *_) = told["paths"]["/form"]["post"]["requestBody"]["content"].values()
    assert form["schema"]["properties"]["number"] == {"type": "integer", "default": 5}


def test_partial_functions() -> None:
    """They are called what their functions are."""

    def list_all(kind: str, most: int = 5) -> None:
        """List them."""

    app = App()
    app.get("/")(partial(list_all, kind="a"))
    told = app.openapi("x", "1")["paths"]["/"]["get"]
    assert (told["summary"], told["operationId"]) == ("List them", "list_all")
    assert app.url_for("list_all", most=1) == "/?most=1"


def test_mounted_applications() -> None:
    """They are there below their prefixes, also behind middleware; hosts are servers."""
    outer, api, v2, shop, deep = App(), App(), App(), App(), App()
    films = Group("/films", name="films", description="All films.")
    films.get("/{id:int}", name="film")(lambda id: "")
    films.get("/{id}/more", name="more")(lambda id: "")
    api.include(films)
    api.get("/", name="start")(lambda: "")
    api.get("/v2/old", name="old")(lambda: "")
    api.describe("Inner", "1")
    v2.get("/new", name="new")(lambda: "")
    deep.get("/x", name="x")(lambda: "")
    deep.mount("/again", outer)  # which would never end
    shop.mount("/deep", deep)
    shop.get("/buy", name="start")(lambda: "")
    of_host = Group(host="{lang}.shop.example")
    of_host.get("/hello", name="hello")(lambda: "")
    shop.include(of_host)
    outer.get("/api/films/{x:int}", name="own")(lambda x: "")
    outer.mount("/api", stack(api, RequestId(), Compress()))
    outer.mount("/api/v2", v2.answer)
    outer.mount("", shop, host="shop.example")
    outer.mount("/foreign", lambda environ, start_response: [])
    found = outer.openapi("x", "1")
    assert [*found["paths"]] == [
        "/api/films/{x}",
        "/api/v2/new",
        "/api/",
        "/api/films/{id}/more",
        "/buy",
        "/hello",
        "/deep/x",
    ]
    named = {path: item["get"]["operationId"] for path, item in found["paths"].items()}
    assert (named["/api/films/{x}"], named["/api/"], named["/buy"]) == ("own", "start", "start_get")
    assert found["tags"] == [{"name": "films", "description": "All films."}]
    servers = {path: item["get"].get("servers") for path, item in found["paths"].items()}
    assert servers["/api/"] is None
    assert servers["/buy"] == servers["/deep/x"] == [{"url": "//shop.example"}]
    assert servers["/hello"][0]["url"] == "//{lang}.shop.example"


def test_served_with_what_is_mounted_later() -> None:
    """The document is made anew when a mounted application has another route."""
    app, inner = App(), App()
    app.describe("x", "1")
    app.mount("/in", inner)
    assert json.loads(call(app, "/openapi.json").body)["paths"] == {}
    inner.get("/a")(lambda: "")
    assert [*json.loads(call(app, "/openapi.json").body)["paths"]] == ["/in/a"]


# --- serving it ------------------------------------------------------------------------------------------


def test_served() -> None:
    """The document says where it is served, and is not sent to who has it."""
    app = make()
    app.describe("Notes", "1.0")
    result = call(app, "/openapi.json", SCRIPT_NAME="/api")
    document = json.loads(result.body)
    assert document["servers"] == [{"url": "/api"}]
    assert "/openapi.json" not in document["paths"]
    assert "/docs" not in document["paths"]
    assert result["content-type"] == "application/json"
    again = call(app, "/openapi.json", fields={"If-None-Match": result["etag"]}, SCRIPT_NAME="/api")
    assert again.code == 304


def test_page() -> None:
    """The page has all within it, and its policy lets nothing else run or be loaded."""
    app = App()
    app.describe("<Notes>", "1.0", page="/read")
    result = call(app, "/read", SCRIPT_NAME="/a\xe4")
    page = result.body.decode()
    assert "<title>&lt;Notes&gt;</title>" in page
    assert 'data-document="/a%E4/openapi.json"' in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    policy = result["content-security-policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "innerHTML" not in page
    assert not re.search(r"<[^>]* (?:on\w+|style)=", page)


def test_no_page() -> None:
    """The document alone, elsewhere."""
    app = App()
    app.describe("x", "1", document="/api.json", page="")
    assert call(app, "/api.json").code == 200
    assert call(app, "/docs").code == 404


def test_lists_that_may_be_empty() -> None:
    """A list without a default is empty if nothing is there, unless its length says otherwise."""
    app = App()

    @app.get("/")
    def search(tag: list[str], one: Annotated[list[int], Length(1)], n: int) -> None: ...

    parameters = app.openapi("A", "1")["paths"]["/"]["get"]["parameters"]
    assert [each["name"] for each in parameters if each.get("required")] == ["one", "n"]
    assert "default" not in parameters[0]["schema"]
