"""The rules of the house that a machine can hold: who imports whom and what, sizes of files."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import breezeway

pytestmark = pytest.mark.once

PACKAGE = Path(breezeway.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

LONGEST_FILE = 500
"""Lines. A file that grows past it is two files."""

LONGEST_PIECE = 250
"""Lines of a file of middleware."""

LAYERS = ("supervisor", "worker", "gateway", "http1")
"""The server, from top to bottom; each part may import those below it."""

SERVICES = {"config", "observe", "semantics", "errors", "__version__", "beneath", "tracebacks"}
"""What every layer of the server may import beside the layers below it."""

EXCEPTIONS = {"supervisor": {"admin", "terminal"}}
"""What one layer may import in addition: the supervisor speaks to whoever started it, and forks the
process that serves the admin listener."""

LEAVES: dict[str, set[str]] = {
    "admin": {"config.address", "config.admin_checks", "observe", "semantics"},
    "config": {"http1.limits", "errors", "observe.access_options", "semantics", "suggest"},
    "observe": {"errors", "tracebacks"},
    "beneath": set(),
    "tracebacks": set(),
    "errors": set(),
    "terminal": {"errors"},
    "suggest": set(),
    "semantics": set(),
    "middleware": {"semantics", "beneath", "tracebacks"},
    "web": {"beneath", "middleware", "semantics"},
    "demo": set(),
}
"""All that the parts beside the layers may import; what is in no table here may import anything."""

EXTRAS = {
    "collect_writing": {"brotli", "zstandard"},
    "config.environment": {"dotenv"},
    "": {"prometheus_client"},
    "middleware.compress.codings": {"brotli", "zstandard"},
    "middleware.decompress.codings": {"brotli", "zstandard"},
    "middleware.opentelemetry": {"opentelemetry"},
    "observe.opentelemetry": {"opentelemetry"},
    "telemetry": {"opentelemetry"},
    "middleware.profiler.engine": {"pyinstrument"},
    "middleware.proxy": {"urllib3"},
    "middleware.proxy.response": {"urllib3"},
    "middleware.proxy.upstreams": {"urllib3"},
    "middleware.proxy.wire": {"urllib3"},
    "middleware.redis_link": {"redis"},
    "middleware.sessions.cookie": {"itsdangerous"},
    "middleware.sessions.redis": {"redis"},
    "observe.application_metrics": {"prometheus_client"},
    "observe.application_metrics_registry": {"prometheus_client"},
    "report.sources": {"zstandard"},
    "top.dialogs": {"rich", "textual"},
    "top.painting": {"rich"},
    "top.panels": {"rich", "textual"},
    "top.screen": {"rich", "textual"},
    "top.tables": {"rich"},
    "web.form_parser": {"multipart"},
    "web.forms": {"multipart"},
    "web.json_encoding": {"msgspec", "orjson"},
    "web.templates": {"jinja2"},
}
"""What a file may import, within a function or for its types, that is an extra of pyproject.toml;
`middleware.proxy.wire` and
`observe.application_metrics_registry` are themselves imported within a function."""

WITHOUT_IO = {"asyncio", "logging", "select", "selectors", "socket", "ssl", "threading", "time"}
"""What `http1` does without: no socket, no thread, no clock."""


def module_name(path: Path) -> str:
    """Name a file's module below breezeway: `http1.head`; a package is named like its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Name all that is imported anywhere in a file, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: 1 - node.level or None]
                base = ".".join([*above, base] if base else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_of(path: Path) -> list[str]:
    """Name all that a file of breezeway imports."""
    name = module_name(path)
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    tree = ast.parse(path.read_bytes(), filename=str(path))
    return sorted(set(imports(tree, f"breezeway.{package}".rstrip("."))))


def is_allowed(importer: str, imported: str) -> bool:
    """Tell whether module `importer` may import `imported`, both named below breezeway."""
    part, other = importer.partition(".")[0], imported.partition(".")[0]
    if part == other:
        return True
    if part in LAYERS:
        below = {*LAYERS[LAYERS.index(part) :], *SERVICES, *EXCEPTIONS.get(part, ())}
        return other in below
    if part in LEAVES:
        return any(f"{imported}.".startswith(f"{allowed}.") for allowed in LEAVES[part])
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestFile:
    def test_imports_go_one_way(self, path):
        """No file imports a part of breezeway that is above its own."""
        ours = [name for name in imports_of(path) if name.partition(".")[0] == "breezeway"]
        wrong = [
            name
            for name in ours
            if not is_allowed(module_name(path), name.removeprefix("breezeway").lstrip("."))
        ]
        assert not wrong

    def test_needs_the_standard_library_and_click_alone(self, path):
        """The core has one dependency; what others run in any server has none."""
        allowed = {*sys.stdlib_module_names, "breezeway"}
        if module_name(path).partition(".")[0] not in {"demo", "middleware", "semantics", "web"}:
            allowed.add("click")
        allowed |= EXTRAS.get(module_name(path), set())
        foreign = {name.partition(".")[0] for name in imports_of(path)} - allowed
        assert not foreign

    def test_is_not_too_long(self, path):
        """A file has a length that one can read."""
        is_piece = module_name(path).startswith("middleware")
        longest = LONGEST_PIECE if is_piece else LONGEST_FILE
        assert len(path.read_text().splitlines()) <= longest


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "http1").glob("*.py")), ids=lambda path: path.name
)
def test_protocol_is_sans_io(path):
    """The protocol layer has no socket, no thread and no clock."""
    assert not {name.partition(".")[0] for name in imports_of(path)} & WITHOUT_IO


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("worker.reactor", "gateway.environ", True),
        ("worker.reactor", "http1.head", True),
        ("worker.reactor", "config.settings", True),
        ("gateway.environ", "worker.reactor", False),
        ("http1.head", "gateway.environ", False),
        ("http1.response", "semantics.dates", True),
        ("worker.process", "cli", False),
        ("worker.process", "terminal", False),
        ("supervisor.service", "terminal", True),
        ("supervisor.child", "importer", False),
        ("worker.process", "supervisor", False),
        ("config.settings", "http1.limits", True),
        ("config.settings", "http1.limits.HEAD_BYTES", True),
        ("config.settings", "http1.head", False),
        ("config.settings", "http1", False),
        ("observe.logs", "worker", False),
        ("semantics.ranges", "http1.limits", False),
        ("middleware.cors", "semantics.dates", True),
        ("middleware.cors", "web.request", False),
        ("web.request", "gateway.input", False),
        ("web.app", "middleware.sessions", True),
        ("demo.application", "semantics.dates", False),
        ("demo.application", "demo.render", True),
        ("testing.server", "worker.process", True),
        ("cli", "worker.process", True),
    ],
)
def test_rules(importer, imported, allowed):
    """The rules are the ones of the house."""
    assert is_allowed(importer, imported) is allowed


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c", ["a.b", "c"]),
        ("def f():\n    from a import b as c", ["a.b"]),
        ("from . import x", ["breezeway.web.x"]),
        ("from .x import y", ["breezeway.web.x.y"]),
        ("from .. import worker", ["breezeway.worker"]),
        ("from ..worker.process import run", ["breezeway.worker.process.run"]),
    ],
)
def test_imports_are_found(source, names):
    """Imports are found at every depth and in every form."""
    assert list(imports(ast.parse(source), "breezeway.web")) == names
