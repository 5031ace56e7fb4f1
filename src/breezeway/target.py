"""The text that names an application, taken apart; nothing is imported here.

MODULE:NAME           an attribute, dots allowed: `shop.wsgi:site.application`
MODULE:make_app(...)  what a factory returns; its arguments are literals
MODULE                its `application`, else its `app`
"""

from __future__ import annotations

import ast
import os
import shlex
from dataclasses import dataclass
from typing import Any

from breezeway.errors import UsageError


@dataclass(frozen=True, slots=True)
class Target:
    """A target, taken apart: `attribute` may be empty; `call` is a factory's arguments."""

    module: str
    attribute: str
    call: tuple[tuple[Any, ...], dict[str, Any]] | None = None


def parse(text: str) -> Target:
    """Read a target; raise `UsageError` if it is none of the forms."""
    module, colon, expression = text.partition(":")
    if module.endswith(".py") or "/" in module:
        directory, name = os.path.split(module.rstrip("/"))
        name = name.removesuffix(".py")
        plain = name.isidentifier()
        package = os.path.basename(directory)
        while package.isidentifier() and os.path.isfile(os.path.join(directory, "__init__.py")):
            name, directory = f"{package}.{name}", os.path.dirname(directory)
            package = os.path.basename(directory)
        where = f" --app-dir {shlex.quote(directory)}" if directory else ""
        raise UsageError(
            f"{text!r} is a path; the application is named as MODULE:NAME.",
            f"Try: {name}{colon}{expression}{where}" if plain else "",
        )
    wrong = UsageError(
        f"{text!r} does not name an application.",
        "Write MODULE:NAME, MODULE:make_app() or MODULE, such as shop.wsgi:application.",
    )
    if not all(part.isidentifier() for part in module.split(".")) or (colon and not expression):
        raise wrong
    if not expression:
        return Target(module, "")
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise wrong from None
    call = None
    if isinstance(node, ast.Call):
        call = _arguments(text, node)
        node = node.func
    attribute = ast.unparse(node)
    if not all(part.isidentifier() for part in attribute.split(".")):
        raise wrong
    return Target(module, attribute, call)


def _arguments(text: str, node: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        positional = tuple(ast.literal_eval(argument) for argument in node.args)
        # The argument of `**` has no name, and there is none in a target.
        named = {str(item.arg): ast.literal_eval(item.value) for item in node.keywords}
    except (TypeError, ValueError):
        raise UsageError(
            f"the arguments in {text!r} are not all literals.",
            "Write strings, numbers, True, False, None, or lists and dicts of them.",
        ) from None
    return positional, named
