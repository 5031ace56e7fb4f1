"""What stylesheets and scripts refer to, and what only looks so."""

from __future__ import annotations

import pytest

from breezeway.collect_references import references, replaced


def names(name: str, text: str) -> list[str]:
    """Return the names of the files that a text refers to."""
    return [reference.name for reference in references(name, text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a { b: url(x.png) }", ["css/x.png"]),
        ("a { b: url( 'x.png' ) }", ["css/x.png"]),
        ('a { b: URL("../img/x%20y.png?v=1#z") }', ["img/x y.png"]),
        ("@import 'base.css';", ["css/base.css"]),
        ('@import url("base.css") screen;', ["css/base.css"]),
        ("a{b:url(x.png),url(y.png)}", ["css/x.png", "css/y.png"]),
        ("/*# sourceMappingURL=site.css.map */", ["css/site.css.map"]),
        ("/* url(x.png) */", []),
        ("a::before { content: 'url(x.png)' }", []),
        ('a::before { content: "\\" url(x.png)" }', []),
        ("a { b: url(data:image/png;base64,AAAA) }", []),
        ("a { b: url(\"data:image/svg+xml;utf8,<svg xmlns='a'>\") }", []),
        ("a { b: url(/x.png) url(//host/x.png) url(https://host/x.png) url(#x) url() }", []),
        ("a { b: url(../../x.png) url(..) url(img/) }", []),
        ("a { b: url(x\\29.png) }", []),
        ("a { b: my-url(x.png) curl(x.png) }", []),
        ("a { b: url('x.png }", []),
        ("/* never closed url(x.png)", []),
    ],
)
def test_css(text: str, found: list[str]) -> None:
    """In CSS it is url(), @import and the source map, outside of comments and strings."""
    assert names("css/site.css", text) == found


@pytest.mark.parametrize(
    "text",
    [
        'import "./x.js"',
        "import './x.js';",
        'import a from "./x.js"',
        'import{a as b,c}from"./x.js"',
        'import * as a from "./x.js"',
        'import a, {b} from\n  "./x.js"',
        'import a from "./x.js" with {type: "json"}',
        'export * from "./x.js"',
        'export {a, b as c} from "./x.js"',
        'const a = await import("./x.js")',
        'import(/* webpackIgnore: true */ "./x.js")',
        'a = `${b}` + `${`${c}`}`; import("./x.js")',
        'a = `${import("./x.js")}`',
        'a = b / c / d; import "./x.js"',
        'a = /["\'`]/g; import "./x.js"',
        'a = [/[/"]/]; import "./x.js"',
        'return /"/.test(a) && import("./x.js")',
        '// "\nimport "./x.js"',
        '/* ` */ import "./x.js"',
        'import "../js/x.js"',
    ],
)
def test_modules(text: str) -> None:
    """In a script it is what names a module."""
    assert names("js/site.js", text) == ["js/x.js"]


@pytest.mark.parametrize(
    "text",
    [
        'import "x"',
        'import "/x.js"',
        'import "https://host/x.js"',
        '// import "./x.js"',
        '/* import "./x.js" */',
        "a = 'import \"./x.js\"'",
        'a = `import "./x.js"`',
        'a = "./x.js"',
        'export const a = "./x.js"',
        'export default "./x.js"',
        'import(a + "./x.js")',
        'import(a ? "./x.js" : b)',
        'a.import("./x.js")',
        'a = {import: "./x.js"}',
        'from("./x.js")',
        'a = "never closed\nimport "./x.js"',
        'import "./x.js"; a = `never closed',
        'import "./x.js"; (',
        'import "./x.js"; )',
        'import "./x.js"; a = /never closed',
        'import "./x.js"; a = `${never closed`',
        'import "./x\\u002ejs"',
    ],
)
def test_no_modules(text: str) -> None:
    """What names no module of the same place stays, and all does where strings are not certain."""
    assert names("js/site.js", text) == []


def test_map_of_a_script() -> None:
    """The last source map counts, also where the script cannot be read."""
    text = "a = `//# sourceMappingURL=a.map`\n//# sourceMappingURL=site.js.map\n"
    assert names("js/site.js", text) == ["js/site.js.map"]
    assert names("js/site.js", "(\n" + text) == ["js/site.js.map"]


def test_other_files() -> None:
    """Nothing is looked for in files of other kinds."""
    assert names("a.html", '<a href="url(x.png)">') == []


def test_deep() -> None:
    """A script that nests deeper than anybody writes is left alone."""
    text = 'import "./x.js";' + "`${" * 5000 + "}`" * 5000
    assert names("js/site.js", text) == []


def test_replaced() -> None:
    """The way to the file stays, and so does what follows its name."""
    text = "a{b:url(../img/x%20y.png?#z),url('none.png')} /* url(../img/x%20y.png) */"
    found = references("css/site.css", text)
    to = {"img/x y.png": "img/x y.1234.png"}
    assert replaced(text, found, to.get) == text.replace("x%20y.png?", "x%20y.1234.png?")
