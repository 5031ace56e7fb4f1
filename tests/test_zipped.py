"""Breezeway in a zip archive, as `python -m zipapp` makes it: files that are no modules are found there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

SCRIPT = """
from pathlib import Path

import breezeway
from breezeway.admin.files import FILES, File
from breezeway.cli import cli
from breezeway.demo.routes import application
from breezeway.errors import UserError
from breezeway.middleware import Debugger
from breezeway.supervisor import failure_page
from breezeway.testing import Client
from breezeway.top import screen
from breezeway.web import App

assert "breezeway.zip" in breezeway.__file__, breezeway.__file__
demo = Client(application)
for path in ("/", "/demo.css", "/download/hello.py"):
    assert demo.get(path).status == 200, path
for name, media_type in FILES.values():
    File(name, media_type)
assert Client(failure_page.application(UserError("It failed."))).get("/").status == 500
broken = Client(Debugger(lambda environ, start_response: 1 / 0))
assert "ZeroDivisionError" in broken.get("/", headers={"Accept": "text/html"}).text
assert screen.Top.CSS
app = App()
app.describe("Shop", "1")
assert Client(app).get("/docs").status == 200
line = '127.0.0.1 - - [22/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"'
Path("access.log").write_text(line)
cli.main(["report", "access.log", "--html", "report.html"], standalone_mode=False)
assert "<style>" in Path("report.html").read_text()
cli.main(["new", "shop"], standalone_mode=False)
assert Path("shop/shop/templates/home.html").is_file()
assert Path("shop/.gitignore").is_file()
"""


def test_files_of_the_package(tmp_path: Path) -> None:
    """Pages, styles and templates come out of the archive."""
    archive = tmp_path / "breezeway.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in SOURCE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                made.write(path, path.relative_to(SOURCE))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
