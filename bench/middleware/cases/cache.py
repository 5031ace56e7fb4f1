"""Cache: a response that is not to be stored, and hits, beside Django's cache middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from case import Application, Case

from breezeway.middleware import Cache

PAGE = b"<!doctype html><title>Page</title>" + b"<p>Some words of a page</p>" * 300


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with a page that may be stored for an hour."""
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(PAGE))),
            ("Cache-Control", "public, max-age=3600"),
            ("Vary", "Accept-Language"),
            ("ETag", '"8f14e45f"'),
        ],
    )
    return [PAGE]


def _django(cached: bool) -> Application:
    """Return an application of Django, with or without its cache in front."""
    from django.conf import settings

    cache = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    if not settings.configured:
        import django

        settings.configure(
            ALLOWED_HOSTS=["*"],
            CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
            ROOT_URLCONF=__name__,
            USE_I18N=False,
        )
        django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    settings.MIDDLEWARE = cache if cached else []
    return WSGIHandler()


def _django_page(request: Any) -> Any:
    from django.http import HttpResponse

    response = HttpResponse(PAGE, headers={"Cache-Control": "public, max-age=3600"})
    response["Vary"] = "Accept-Language"
    return response


def __getattr__(name: str) -> Any:
    if name == "urlpatterns":
        from django.urls import path

        return [path("", _django_page)]
    raise AttributeError(name)


def cases() -> list[Case]:
    """Return the cases."""

    def peer(application: Application) -> Application:
        return _django(cached=True)

    bare = _django(cached=False)
    django = "Django's, in memory"
    return [
        Case("cache", "idle", Cache),
        Case("cache", "not to be stored, POST", Cache, environ={"REQUEST_METHOD": "POST"}),
        Case("cache", "hit", Cache, django, peer, page, bare),
        Case(
            "cache",
            "hit, 304",
            Cache,
            application=page,
            environ={"HTTP_IF_NONE_MATCH": '"8f14e45f"'},
            expect="",
        ),
    ]
