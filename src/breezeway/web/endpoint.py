"""`Endpoint`: a route that is ready to answer; and what answers when a handler or hook has failed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from breezeway.web.binding import Argument, bind, read
from breezeway.web.errors import HTTPError
from breezeway.web.failures import default_answer
from breezeway.web.group import Group, Route, place
from breezeway.web.limits import Limits
from breezeway.web.pattern import Pattern
from breezeway.web.request import Request
from breezeway.web.response import Response, copied
from breezeway.web.results import to_response

THROW_ERRORS: Final = "x-wsgiorg.throw_errors"
"""True in the environ where unexpected exceptions shall be raised, and not answered."""

log = logging.getLogger("breezeway.web")

Hook = Callable[..., Any]


class Hooks(NamedTuple):
    """What is called around a handler: outer groups first, and last on the way back."""

    before: tuple[Hook, ...]
    after: tuple[Hook, ...]
    teardown: tuple[Hook, ...]

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Hooks | None:
        """Collect those of groups; None if there are none at all."""
        back = [*reversed(groups)]
        found = cls(
            tuple(hook for group in groups for hook in group.before_hooks),
            tuple(hook for group in back for hook in group.after_hooks),
            tuple(hook for group in back for hook in group.teardown_hooks),
        )
        return found if any(found) else None

    def tear_down(self, request: Request) -> None:
        """Call those for the end, all of them, whatever they raise."""
        for hook in self.teardown:
            try:
                hook(request)
            except Exception:
                log.exception("a teardown hook of %s %.200r failed", request.method, request.path)


UNPREPARED: Final = Hooks((), (), ())
"""Of an endpoint whose hooks have not been looked for yet."""


class Endpoint:
    """What answers requests that have one path and method in common."""

    __slots__ = (
        "arguments",
        "groups",
        "handler",
        "hooks",
        "limits",
        "names",
        "pattern",
        "readers",
        "route",
        "text",
    )

    def __init__(self, route: Route, pattern: Pattern) -> None:
        """Look at the handler; raise TypeError if its arguments cannot be filled."""
        self.route = route
        self.pattern = pattern
        self.text = pattern.text
        self.names = pattern.names
        self.groups = route.groups
        self.handler = route.handler
        self.limits: Limits | None = route.limits
        self.arguments: list[Argument] = bind(route.handler, pattern)
        self.readers = tuple((each.name, each.reader) for each in self.arguments)
        self.hooks: Hooks | None = UNPREPARED

    def run(self, request: Request, values: tuple[Any, ...]) -> Any:
        """Call the handler."""
        return self.handler(**read(self.readers, request, values))


class Fallback:
    """What answers where no route does."""

    __slots__ = ("groups", "hooks", "run", "text")

    route: Final = None
    limits: Final = None
    names: Final = ()

    def __init__(
        self,
        run: Callable[[Request, tuple[Any, ...]], Any],
        groups: tuple[Group, ...],
        hooks: Hooks | None,
        text: str = "",
    ) -> None:
        self.run = run
        self.groups = groups
        self.hooks = hooks
        self.text = text


def answer_error(request: Request, error: Exception, groups: Sequence[Group]) -> Any:
    """Return what answers for an exception; raise it if nobody does.

    The innermost group is asked first: for the status of an HTTPError, for the class of the exception
    and for those that it comes of. What its handler raises is for the groups around, and so is an error
    for which it returns None: one that only takes note of it must not make a success of it. An HTTPError
    that nobody takes has an answer of its own. What else nobody takes is for the 500, unless the environ
    asks for such errors themselves, as debuggers do.
    """
    for group in reversed(groups):
        handler = _handler(group.error_handlers, error)
        if handler is not None:
            answer, error = _asked(handler, request, error)
            if answer is not None:
                return answer
    _tell_route(request, error)
    if not isinstance(error, HTTPError) and not request.environ.get(THROW_ERRORS):
        for group in reversed(groups):
            handler = group.error_handlers.get(500)
            if handler is not None:
                log.error("%s %.200r failed", request.method, request.path, exc_info=error)
                answer, error = _asked(handler, request, error)
                if answer is not None:
                    return answer
    if isinstance(error, HTTPError):
        return default_answer(request, error)
    raise error


def _asked(handler: Hook, request: Request, error: Exception) -> tuple[Any, Exception]:
    """Return what a handler answers, or None; and the error that is left then."""
    try:
        result = handler(request, error)
        return (None if result is None else _answered(error, result)), error
    except Exception as another:
        return None, another


def _tell_route(request: Request, error: Exception) -> None:
    """Note with an error which route it is of, where that is not in its traceback.

    What a handler has returned is looked at when it is over: a value that cannot be JSON, for example.
    """
    if request.route is None or isinstance(error, HTTPError):
        return
    handler = request.route.handler
    code = getattr(inspect.unwrap(handler), "__code__", None)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return
        trace = trace.tb_next
    error.add_note(f"for the route of {place(handler)}")


def _handler(handlers: Mapping[Any, Hook], error: Exception) -> Hook | None:
    if not handlers:
        return None
    if isinstance(error, HTTPError) and error.code in handlers:
        return handlers[error.code]
    return next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)


def _answered(error: Exception, result: Any) -> Any:
    """Give an answer that says nothing of its status that of the error, and the fields of the error."""
    response = to_response(result)
    if isinstance(response, Response):
        if response is result:  # which others may have as well
            response = copied(response)
        says_status = type(result) is tuple and any(type(each) is int for each in result[1:])
        if response.status == 200 and not says_status:
            response.status = error.code if isinstance(error, HTTPError) else 500
        for name, value in error.headers if isinstance(error, HTTPError) else ():
            response.headers.setdefault(name, value)
    return response
