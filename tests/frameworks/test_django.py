"""Django on the live server: the admin, static files, uploads, streams, files.

Settings are configured here, the database is a file of SQLite; nothing of a project is needed.
"""

import hashlib
import html
import re
import types
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
import requests
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse

from tests.frameworks.conftest import Serve
from tests.frameworks.streamed import Streamed

BLOCK = bytes(range(256)) * 256
PASSWORD = "frameworks"

streamed = Streamed()


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    """Stream blocks."""
    return StreamingHttpResponse(streamed.blocks(), content_type="text/plain")


def file(_request: HttpRequest) -> FileResponse:
    """Send a file."""
    path = Path(settings.SENT_FILE)
    return FileResponse(path.open("rb"), as_attachment=True, filename="größe.bin")


def upload(request: HttpRequest) -> HttpResponse:
    """Describe the uploaded files."""
    described = [
        f"{name} {file.name} {type(file).__name__} {hashlib.sha256(file.read()).hexdigest()}"
        for name, file in request.FILES.items()
    ]
    return HttpResponse("\n".join([request.POST.get("note", ""), *described]))


def body(request: HttpRequest) -> HttpResponse:
    """Return the body."""
    return HttpResponse(request.body, content_type="application/octet-stream")


def address(request: HttpRequest) -> HttpResponse:
    """Tell what Django makes of the request."""
    return HttpResponse(f"{request.build_absolute_uri()} {request.META['REMOTE_ADDR']}")


def fail(_request: HttpRequest) -> HttpResponse:
    """Raise."""
    raise RuntimeError("as it was asked to")


def make_urls() -> types.ModuleType:
    """Return the URL configuration as Django wants it, a module."""
    from django.contrib import admin
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    urls = types.ModuleType("frameworks_urls")
    views = [stream, file, csrf_exempt(upload), csrf_exempt(body), address, fail]
    urls.urlpatterns = [path(f"{view.__name__}/", view) for view in views]
    urls.urlpatterns.append(path("admin/", admin.site.urls))
    return urls


def configure(directory: Path) -> None:
    """Set Django up, once for the process, with all its files in `directory`."""
    settings.configure(
        SECRET_KEY="frameworks",
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "db.sqlite"}
        },
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        # Hashing that takes long is a virtue elsewhere.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        STATIC_URL="static/",
        LOGGING_CONFIG=None,
        SENT_FILE=directory / "sent.bin",
    )
    django.setup()
    settings.ROOT_URLCONF = make_urls()
    (directory / "sent.bin").write_bytes(BLOCK * 20)


@pytest.fixture(scope="module")
def url(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a project with a fresh database and one administrator."""
    configure(tmp_path_factory.mktemp("django"))
    from django.contrib.auth.models import User
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("root", "root@example.org", PASSWORD)
    yield serve(StaticFilesHandler(get_wsgi_application()))
    connections.close_all()


def token_of(page: str) -> str:
    """Return the CSRF token of a form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


@pytest.fixture
def admin(url: str, client: requests.Session) -> requests.Session:
    """Return a client that has logged in to the admin through its form."""
    form = client.get(f"{url}/admin/", allow_redirects=True)
    assert form.url == f"{url}/admin/login/?next=/admin/"
    fields = {
        "csrfmiddlewaretoken": token_of(form.text),
        "username": "root",
        "password": PASSWORD,
        "next": "/admin/",
    }
    index = client.post(form.url, data=fields, headers={"Origin": url})
    assert (index.status_code, index.url) == (200, f"{url}/admin/")
    assert "Site administration" in index.text
    return client


def test_admin_refuses_wrong_password(url: str, client: requests.Session) -> None:
    """A wrong password leads back to the form."""
    form = client.get(f"{url}/admin/login/")
    fields = {"csrfmiddlewaretoken": token_of(form.text), "username": "root", "password": "x"}
    again = client.post(form.url, data=fields)
    assert again.status_code == 200
    assert "Please enter the correct username and password" in again.text


def test_admin_wants_token(url: str, client: requests.Session) -> None:
    """Without the CSRF token nobody gets in."""
    response = client.post(f"{url}/admin/login/", data={"username": "root", "password": PASSWORD})
    assert response.status_code == 403


def test_admin_adds_user(url: str, admin: requests.Session) -> None:
    """The admin's own forms work: a user is added, listed and changed."""
    form = admin.get(f"{url}/admin/auth/user/add/")
    fields = {
        "csrfmiddlewaretoken": token_of(form.text),
        "username": "jürgen",
        "usable_password": "true",
        "password1": "unguessable-1",
        "password2": "unguessable-1",
    }
    changed = admin.post(form.url, data=fields)
    assert changed.status_code == 200
    assert re.fullmatch(rf"{url}/admin/auth/user/\d+/change/", changed.url)
    assert "was added successfully" in changed.text
    assert "jürgen" in admin.get(f"{url}/admin/auth/user/").text


def test_admin_logs_out(url: str, admin: requests.Session) -> None:
    """After logging out the admin asks for a password again."""
    token = token_of(admin.get(f"{url}/admin/").text)
    admin.post(f"{url}/admin/logout/", data={"csrfmiddlewaretoken": token})
    assert admin.get(f"{url}/admin/").url.startswith(f"{url}/admin/login/")


def test_static_files(url: str, client: requests.Session) -> None:
    """The static files that the admin's pages name are there, and can be asked for by date."""
    page = client.get(f"{url}/admin/login/").text
    paths = re.findall(r'(?:href|src)="(/static/admin/[^"]+)"', page)
    assert len(paths) >= 3
    for path in paths:
        response = client.get(url + path)
        assert response.status_code == 200
        assert len(response.content) == int(response.headers["Content-Length"]) > 0
        since = {"If-Modified-Since": response.headers["Last-Modified"]}
        assert client.get(url + path, headers=since).status_code == 304
    assert client.get(f"{url}/static/admin/../secret").status_code == 404


@pytest.mark.parametrize(("blocks", "kind"), [(10, "InMemory"), (60, "Temporary")])
def test_upload(url: str, client: requests.Session, blocks: int, kind: str) -> None:
    """An upload arrives, small in memory and large in a file."""
    content = BLOCK * blocks
    files = {"f": ("ä.bin", content, "image/png")}
    response = client.post(f"{url}/upload/", data={"note": "grüß"}, files=files)
    digest = hashlib.sha256(content).hexdigest()
    assert response.text == f"grüß\nf ä.bin {kind}UploadedFile {digest}"


@pytest.mark.parametrize("chunked", [False, True])
def test_body(url: str, client: requests.Session, *, chunked: bool) -> None:
    """A body arrives whole, with a length and in chunks."""
    data = (BLOCK for _ in range(20)) if chunked else BLOCK * 20
    assert client.put(f"{url}/body/", data=data).content == BLOCK * 20


def test_stream(url: str) -> None:
    """Each block arrives before the next one is made."""
    streamed.check(f"{url}/stream/")


def test_file(url: str, client: requests.Session) -> None:
    """A file arrives whole, with its name, and HEAD tells its size."""
    response = client.get(f"{url}/file/")
    assert response.content == BLOCK * 20
    assert "gr%C3%B6%C3%9Fe.bin" in response.headers["Content-Disposition"]
    head = client.head(f"{url}/file/")
    assert (head.headers["Content-Length"], head.content) == (str(len(BLOCK) * 20), b"")


def test_address(url: str, client: requests.Session) -> None:
    """The address that Django builds is the one that was asked for; a foreign host is refused."""
    response = client.get(f"{url}/address/", params={"q": "ü"})
    assert response.text == f"{url}/address/?q=%C3%BC 127.0.0.1"
    foreign = client.get(f"{url}/address/", headers={"Host": "example.org"})
    assert foreign.status_code == 400


def test_errors(url: str, client: requests.Session) -> None:
    """Errors are answered by the framework, and the connection goes on."""
    assert client.get(f"{url}/nowhere/").status_code == 404
    failed = client.get(f"{url}/fail/")
    assert failed.status_code == 500
    assert "asked" not in failed.text
    assert client.get(f"{url}/address/").status_code == 200
