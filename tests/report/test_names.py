"""Paths become routes, and what programs call themselves becomes programs."""

import pytest

from breezeway.report.names import MOST_LETTERS, path_of, program_of, route_of

UUID = "2ca01a31-1b2c-4d3e-8f90-999fd2f00d5d"


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("*", "*"),
        ("/users/42", "/users/{}"),
        ("/users/42/", "/users/{}/"),
        ("/users/42/orders/7.json", "/users/{}/orders/{}.json"),
        ("/posts/2026-11-22", "/posts/{}"),
        (f"/orders/{UUID}/invoice.pdf", "/orders/{}/invoice.pdf"),
        (f"/orders/{UUID.upper()}", "/orders/{}"),
        ("/static/app.3f9a01bc.js", "/static/app.{}.js"),
        ("/static/app-dcbefebc.css", "/static/app-{}.css"),
        ("/commits/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commits/{}"),
        ("/reset/dXNlcjoxMjM0NTY3ODkwYWJj", "/reset/{}"),
        ("/api/v1/stock", "/api/v1/stock"),
        ("/api/1.0/stock", "/api/1.0/stock"),
        ("/a-post-from-2024-about-things", "/a-post-from-2024-about-things"),
        ("/caf%C3%A9/decade", "/caf%C3%A9/decade"),
        ("/a" * 9, "/a" * 8 + "/..."),
    ],
)
def test_routes(path, route):
    """Numbers, UUIDs, digests and tokens vary; words and versions do not."""
    assert route_of(path) == route


@pytest.mark.parametrize("path", ["/" + "a" * 8000, "/1" * 4000, "/" + "a-" * 4000, "/\ud800" * 99])
def test_a_route_has_a_bound(path):
    """Whatever the path is like."""
    assert len(route_of(path)) <= MOST_LETTERS


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a?b=/c", "/a"),
        ("/a;jsessionid=7?b", "/a"),
        ("http://shop.example:80/a/b?c", "/a/b"),
        ("http://shop.example", "/"),
        ("*", "*"),
        ("-", "-"),
    ],
)
def test_paths(target, path):
    """Of all forms of the request-target."""
    assert path_of(target) == path


@pytest.mark.parametrize(
    ("agent", "program"),
    [
        ("curl/8.5.0", "curl"),
        ("python-requests/2.31", "python-requests"),
        ("-", "-"),
        ("", "-"),
        (
            sample := "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 Chrome/119.0 Safari/537.36",
            "Chrome",
        ),
        (f"{sample} Edg/119.0", "Edge"),
        ("Mozilla/5.0 (X11; rv:109.0) Gecko/20100101 Firefox/119.0", "Firefox"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605 Version/17.1 Safari/604.1", "Safari"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        ("Mozilla/5.0", "Mozilla"),
        ("x" * 9000, "x" * (MOST_LETTERS - 3) + "..."),
    ],
)
def test_programs(agent, program):
    """Without versions; a browser that names others is itself."""
    assert program_of(agent) == program
