"""Pages from templates of Jinja (https://jinja.palletsprojects.com).

What a page needs of its request is there in every template: `url_for`, `static_url`, `csrf_token`,
`csrf_field`, `flashes`, `csp_nonce`, and `request`. Everything is escaped, but in templates of plain text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from breezeway.semantics.content_types import UNKNOWN, content_type
from breezeway.web.csrf import csrf_field, csrf_token
from breezeway.web.flash import flashes
from breezeway.web.response import HTML, Response
from breezeway.web.static import static_url

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from jinja2.runtime import Context

    from breezeway.web.request import Request

SUFFIXES: Final = (".jinja", ".jinja2", ".j2")
"""Of templates; the extension before says what comes out."""

UNESCAPED: Final = (".txt", ".md", ".csv")
"""Extensions of what is no markup, and not made part of any."""

NONCE_KEY: Final = "breezeway.csp_nonce"
"""Where `breezeway.middleware.Security` has the nonce of a request."""

STREAM_CHARACTERS: Final = 4096
"""Of a page that is sent while it is made; a template gives a few at a time."""

Directory = str | os.PathLike[str]


_all: Final[WeakSet[Templates]] = WeakSet()
_reload: bool = False
"""Whether all are read again when they change, those too that are still to be made."""


def reload_templates() -> None:
    """Have the templates of this process read again when they change, as `breezeway dev` does."""
    global _reload
    _reload = True
    for templates in _all:
        templates.environment.auto_reload = True


class Templates:
    """Templates of a directory, or of a package.

    `environment` is Jinja's, for filters, tests and globals of one's own.
    """

    def __init__(
        self,
        directory: Directory | Sequence[Directory] = (),
        *,
        package: str = "",
        debug: bool = False,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        globals: Mapping[str, Any] | None = None,
        context: Callable[[Request], Mapping[str, Any]] | None = None,
    ) -> None:
        """`directory` is one, or several, of which the first that has a template counts.

        `package` is the name of a package with a directory `templates`; `name:folder` has it elsewhere.
        With `debug` a name that is not there is an error in place of nothing, and templates are read
        again when they change, as they are under `breezeway dev` without it. `filters` and `globals` are
        further ones. `context` returns what all pages for a request have, such as who is logged in; what
        a page is given itself goes first.

        Raises:
            ValueError: Jinja is not installed, there is neither or no such directory.
        """
        try:
            import jinja2
        except ImportError:
            raise ValueError(
                "templates need Jinja2, which is not installed: pip install 'breezeway[templates]'"
            ) from None
        self.environment: Environment = jinja2.Environment(
            loader=_loader(directory, package),
            autoescape=_escapes,  # noqa: S701 - it escapes all but plain text
            auto_reload=debug or _reload,
            undefined=jinja2.StrictUndefined if debug else jinja2.Undefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals.update(_of_requests())
        self.environment.globals.update(globals or {})
        self.environment.filters.update(filters or {})
        self._context = context
        _all.add(self)

    # --- pages --------------------------------------------------------------------------------------

    def page(self, request: Request, name: str, /, **values: Any) -> Response:
        """Return a response with a template; its type is by the extension of the name.

        Raises:
            jinja2.TemplateError: there is no such template, or it is malformed.
        """
        return Response(self.render(name, request, **values), content_type=type_of(name))

    def fragment(self, request: Request, name: str, block: str, /, **values: Any) -> Response:
        """Return a response with one block of a template alone, for pages that replace parts of themselves.

        Nothing outside of the block is run: what it uses it imports itself.

        Raises:
            ValueError: the template has no such block.
        """
        return Response(self.block(name, block, request, **values), content_type=type_of(name))

    def stream(self, request: Request, name: str, /, **values: Any) -> Response:
        """Return a response that is sent while it is made, for pages that are long or late in parts.

        The head has gone before the template begins. So it can neither begin a session nor take messages
        out of it (`csrf_token`, `flashes`), and an error in it ends the response in its middle.
        """
        template = self._template(name)
        return Response(
            _streamed(template, self._given(request, values)), content_type=type_of(name)
        )

    # --- texts --------------------------------------------------------------------------------------

    def render(self, name: str, request: Request | None = None, /, **values: Any) -> str:
        """Return what a template makes; without a request, for a mail, it has no functions of one."""
        template = self._template(name)
        try:
            return template.render(self._given(request, values))
        except Exception as error:
            _tell_place(error)
            raise

    def block(self, name: str, block: str, request: Request | None = None, /, **values: Any) -> str:
        """Return what one block of a template makes.

        Raises:
            ValueError: the template has no such block.
        """
        template = self._template(name)
        function = template.blocks.get(block)
        if function is None:
            there = ", ".join(template.blocks) or "none"
            raise ValueError(f"the template {name} has no block {block!r}; it has {there}")
        context = template.new_context(self._given(request, values))
        try:
            return "".join(function(context))
        except Exception as error:
            _rewritten(self.environment, error)
            _tell_place(error)
            raise

    def _given(self, request: Request | None, values: dict[str, Any]) -> dict[str, Any]:
        if request is None:
            return values
        if isinstance(request, Mapping):
            raise TypeError("what a template is given has names: render(name, request, title=...)")
        common = {} if self._context is None else self._context(request)
        return {"request": request, **common, **values}

    def _template(self, name: str) -> Template:
        from jinja2 import TemplateError

        if not isinstance(name, str):
            raise TypeError(f"a template is called by its name, such as 'home.html', not {name!r}")
        try:
            return self.environment.get_template(name)
        except TemplateError as error:
            _tell_place(error)
            raise


def type_of(name: str) -> str:
    """Return the media type of what a template makes."""
    found = content_type(_without_suffix(name))
    return HTML if found == UNKNOWN else found


def _escapes(name: str | None) -> bool:
    return name is None or not _without_suffix(name).lower().endswith(UNESCAPED)


def _without_suffix(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension in SUFFIXES else name


def _loader(directory: Directory | Sequence[Directory], package: str) -> Any:
    import jinja2

    several = [directory] if isinstance(directory, str | os.PathLike) else [*directory]
    if package and not several:
        name, _, folder = package.partition(":")
        try:
            return jinja2.PackageLoader(name, folder or "templates")
        except (ImportError, ValueError) as error:
            raise ValueError(f"package {package!r} has no templates: {error}") from None
    if package or not several:
        raise ValueError("templates come from a directory, or else from a package")
    for each in several:
        if not os.path.isdir(each):
            path = os.path.abspath(each)
            raise ValueError(f"directory {os.fspath(each)!r} is not there: {path}")
    return jinja2.FileSystemLoader(several)


def _streamed(template: Template, values: dict[str, Any]) -> Iterator[str]:
    """Give a page in pieces that are worth a packet."""
    held: list[str] = []
    size = 0
    try:
        for text in template.generate(values):
            held.append(text)
            size += len(text)
            if size >= STREAM_CHARACTERS:
                yield "".join(held)
                held, size = [], 0
    except Exception as error:
        _tell_place(error)
        raise
    if held:
        yield "".join(held)


# --- what templates have of a request --------------------------------------------------------------------


def _of_requests() -> Iterable[tuple[str, Any]]:
    """Make the functions that are there in all templates."""
    from jinja2 import TemplateRuntimeError, pass_context

    def request_of(context: Context, name: str) -> Any:
        request = context.get("request")
        if request is None:
            raise TemplateRuntimeError(
                f"{name}() needs the request: give it to render(), and import a macro that uses it"
                " with {% import ... with context %}"
            )
        return request

    def bound(name: str, function: Callable[..., Any]) -> Any:
        def call(context: Context, /, *args: Any, **values: Any) -> Any:
            return function(request_of(context, name), *args, **values)

        return pass_context(call)

    functions: Mapping[str, Callable[..., Any]] = {
        "url_for": lambda request, name, /, **values: request.url_for(name, **values),
        "static_url": static_url,
        "csrf_token": csrf_token,
        "csrf_field": csrf_field,
        "flashes": flashes,
        "csp_nonce": csp_nonce,
    }
    return [(name, bound(name, function)) for name, function in functions.items()]


def csp_nonce(request: Request) -> str:
    """Return the nonce for scripts and styles within this page; empty if no policy asks for one."""
    nonce: str = request.environ.get(NONCE_KEY, "")
    return nonce


# --- errors ----------------------------------------------------------------------------------------------


def _rewritten(environment: Environment, error: Exception) -> None:
    """Put lines of the template into a traceback, as Jinja does for a whole one."""
    try:
        environment.handle_exception()
    except Exception as same:
        error.__traceback__ = same.__traceback__


def _tell_place(error: BaseException) -> None:
    """Note with an error the template and the line where it came up."""
    name, line = getattr(error, "name", None), getattr(error, "lineno", None)
    if line is None:
        name, line = _place(error.__traceback__)
    if name is not None and line is not None:
        note = f"in the template {name}, line {line}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)


def _place(trace: TracebackType | None) -> tuple[str | None, int | None]:
    """Return file and line of the innermost template in a traceback."""
    found: tuple[str | None, int | None] = None, None
    while trace is not None:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            found = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return found
