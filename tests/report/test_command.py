"""`breezeway report`, from the command line to what it prints."""

import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from breezeway import cli
from breezeway.report import page, text, wording
from tests.examples.browser import browser
from tests.report import sample

EVIL = "\x1b[2J\x9b\u202e</title><script>alert(1)</script><img src=x onerror=1>\"'&"
"""What a client could send for somebody else's terminal or browser."""


@pytest.fixture
def log(tmp_path):
    """Return a file with 300 requests within an hour."""
    file = tmp_path / "access.json"
    file.write_text("".join(sample.lines(300)))
    return file


@pytest.fixture
def run(capsys):
    """Return what runs the command, and returns its exit status and what it has printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["report", *map(str, arguments)])
        return (caught.value.code, *capsys.readouterr())

    return run


class Page(HTMLParser):
    """The elements of a page, their attributes and its text."""

    VOID = frozenset({"meta", "link"})

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.text, self._open = [], [], [], []
        self.feed(source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_terminal_gets_text(run, log):
    """Every part of the report is in it."""
    status, out, err = run(log)
    assert (status, err) == (0, "")
    assert out.startswith(f"{log}\n300 requests in 59 min 52 s: 2026-11-25T10:00:00Z to")
    for title in ("Traffic", "Time", "Status", "How responses ended", "Routes", "Slowest requests",
                  "Errors", "Clients", "Programs"):  # fmt: skip
        assert re.search(rf"^{title}", out, re.MULTILINE)
    assert re.search(r"GET /products/{} +\d+", out)
    assert re.search(r"^  requests +[▁▂▃▄▅▆▇█]{50,}", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 140


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(run, log, monkeypatch, width):
    """What matters least is left out; names are cut last."""
    monkeypatch.setenv("COLUMNS", str(width))
    out = run(log)[1]
    assert [line for line in out.splitlines()[1:] if len(line) > width] == []
    assert re.search(r"^  GET /products/{} +\d+", out, re.MULTILINE)
    assert re.search(r"^  waiting for a thread +\d", out, re.MULTILINE)
    columns = re.search("^  ROUTE +(.*)", out, re.MULTILINE)[1].split()
    assert {"REQUESTS", "TIME", "P99", "5XX"} <= {*columns}
    assert ("BYTES" in columns) is (width == 120)


def test_programs_get_json(run, log):
    """Its numbers are those of the log."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    found = json.loads(run(log, "--json")[1])
    assert found["requests"] == len(lines)
    for name in ("bytes_in", "bytes_out"):
        assert found[name] == sum(line[name] for line in lines)
    for name in ("duration", "queue", "application", "sending", "first_byte"):
        every = sorted(line[f"{name}_us"] / 1e6 for line in lines)
        assert found[name]["count"] == 300
        assert found[name]["seconds"] == pytest.approx(sum(every))
        assert found[name]["most"] == pytest.approx(every[-1])
        # Quantiles are within 2 %, and a microsecond is the least bucket.
        assert found[name]["quantiles"]["0.9"] == pytest.approx(every[269], rel=0.02, abs=1e-6)
    assert {each["status"]: each["requests"] for each in found["statuses"]} == {
        status: sum(line["status"] == status for line in lines)
        for status in {line["status"] for line in lines}
    }
    assert sum(each["requests"] for each in found["outcomes"]) == 300
    for name in ("routes", "clients", "programs"):
        assert sum(row["requests"] for row in found[name]["rows"]) == 300
    parts = found["timeline"]["parts"]
    assert sum(part["requests"] for part in parts) == 300
    assert sum(sum(part["heat"].values()) for part in parts) == 300
    durations = [each["duration"] for each in found["slowest"]]
    assert durations == sorted((line["duration_us"] / 1e6 for line in lines), reverse=True)[:50]


def test_a_browser_gets_one_page(run, log, tmp_path):
    """It is whole in itself; everything that is drawn has a name."""
    status, out, err = run(log, "--html", tmp_path / "report.html")
    assert (status, out) == (0, "")
    assert "Wrote" in err
    source = (tmp_path / "report.html").read_text()
    page = Page(source)
    assert not {"script", "img", "iframe", "object"}.intersection(page.tags)
    links = [value for _, name, value in page.attributes if name in ("href", "src")]
    anchors = {value for _, name, value in page.attributes if name == "id"}
    assert all(link == "data:," or link[1:] in anchors for link in links)
    assert "url(" not in source
    assert "@import" not in source
    named = [name for tag, name, _ in page.attributes if tag == "svg" and name == "aria-label"]
    assert len(named) == page.tags.count("svg") > 4
    assert ("html", "lang", "en") in page.attributes
    assert run(log, "--html", "-")[1] == source


def test_the_combined_format(run, tmp_path):
    """What it does not say is not in the report."""
    file = tmp_path / "access.log"
    file.write_text("".join(sample.lines(50, form="combined")).replace("ms\n", "\n"))
    status, out, _ = run(file)
    assert status == 0
    assert not re.search("^(Time|Slowest|How)", out, re.MULTILINE)
    assert "those with the most requests" in out
    source = run(file, "--html", "-")[1]
    assert 'id="slowest"' not in source
    Page(source)


def test_what_a_line_does_not_say(run, tmp_path):
    """Counts nowhere, as 0 at most."""
    file = tmp_path / "access.json"
    file.write_text(
        '{"time":"2026-11-25T10:00:00Z","method":"GET","target":"/","status":200}\n' * 9
    )
    found = json.loads(run(file, "--json")[1])
    tables = [*(found[name]["rows"] for name in ("routes", "clients")), found["timeline"]["parts"]]
    assert [row["bytes_out"] for rows in tables for row in rows] == [0, 0, 0]
    assert found["bytes_out"] == found["bytes_in"] == 0


def test_nothing_in_a_line_gets_through(run, tmp_path):
    """To a terminal as a control character, or to a browser as an element."""
    known = {"time": "2026-11-25T10:00:00Z", "status": 500, "duration_us": 9}
    names = ("method", "target", "client", "user_agent", "outcome")
    file = tmp_path / "access.json"
    evil = json.dumps(known | dict.fromkeys(names, f"/{EVIL}�"))
    file.write_text(f"{evil}\n{EVIL}\n")
    for out in (run(file)[1], run(file, "--json")[1], source := run(file, "--html", "-")[1]):
        assert "script" in out
        assert all(each.isprintable() or each == "\n" for each in out.split("<style>")[0])
        assert all(each.isprintable() or each == "\n" for each in out)
    page = Page(source)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_selection(run, log):
    """By time and by path; what was left out is told."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    options = ("--since", "2026-11-25T10:10", "--until", "2026-11-25T11:30+01:00")
    found = json.loads(run(log, "--json", *options)[1])
    within = ["2026-11-25T10:10" <= line["time"] < "2026-11-25T10:30" for line in lines]
    assert (found["requests"], found["left_out"]) == (sum(within), 300 - sum(within))
    found = json.loads(run(log, "--json", "--path", "/orders/")[1])
    paths = [re.match(r"/orders($|/)", line["target"]) for line in lines]
    assert found["requests"] == sum(map(bool, paths))
    assert "were left out" in run(log, "--path", "/orders")[1]
    status, _, err = run(log, "--since", "1h", "--until", "30m")
    assert status == 1
    assert "none of the 300 requests" in err


def test_lines_that_cannot_be_read_are_told(run, log):
    """One that is not whole yet, and those that the server has dropped, are something else."""
    with open(log, "a") as file:
        file.write('broken\n\n{"a":1}\n# 4 lines dropped\n{"dropped":3}\n{"time":"20')
    out = run(log)[1]
    assert "2 lines could not be read, the first: broken" in out
    assert "The last line is not whole" in out
    assert "7 lines were dropped" in out
    assert out.split("\n")[1].startswith("300 requests")


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "it is empty"), ("\n\n", "it is empty"), ("no log\n" * 9, "is one of an access log")],
)
def test_files_that_are_no_log(run, tmp_path, content, message):
    """There is a sentence, and no report."""
    file = tmp_path / "file"
    file.write_text(content)
    status, out, err = run(file)
    assert (status, out) == (1, "")
    assert message in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--since", "noon"], "is no time"),
        (["--path", "orders"], "must begin with a slash"),
        (["--html", "-", "--json"], "both write to standard output"),
        (["--html", "{tmp}/none/report.html"], "there is no directory"),
        (["--html", "{tmp}"], "is a directory"),
        ([], "directory"),
    ],
)
def test_mistakes(run, tmp_path, options, message):
    """They are told before anything is read."""
    status, out, err = run(tmp_path, *(each.format(tmp=tmp_path) for each in options))
    assert status in (1, 2)
    assert out == ""
    assert message in err


def test_a_log_is_not_written_over(run, log):
    """By whatever name the page is to have it."""
    before = log.read_bytes()
    page = log.with_name("page.html")
    page.symlink_to(log)
    status, _, err = run(log, "--html", page)
    assert status == 1
    assert "is a log to report on" in err
    assert log.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(run, log):
    """The system's own words say so."""
    log.chmod(0)
    assert "Permission denied" in run(log)[2]


def test_ctrl_c_is_clean(tmp_path):
    """It ends at once, without a traceback, with the status of a shell."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "breezeway", "report", str(pipe)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process, open(pipe, "w"):  # returns when the other end is open, too
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() in ("", "Aborted!")


def test_a_narrow_terminal_cuts_names():
    """And keeps their columns."""
    rows = [{"name": "x" * 200, "value": "7"}, {"name": "y", "value": "1,000"}]
    lines = text._table("NAME", [("VALUE", lambda row: row["value"])], rows, 40)
    assert lines[1].endswith("...      7")
    assert len(lines[1]) == len(lines[2]) <= 40


def test_all_others_have_their_share_of_the_time(run, tmp_path, monkeypatch):
    """It can be added up; quantiles cannot."""
    monkeypatch.setattr(wording, "OTHER", "the rest")
    for module in (text, page):
        monkeypatch.setattr(module, "ROWS", 1)
    file = tmp_path / "log"
    file.write_text(
        "".join(
            f'{{"time":"2026-11-25T10:00:00Z","method":"GET","target":"/{letter}","status":200,'
            f'"duration_us":{duration}}}\n'
            for letter, duration in zip("abc", (5000, 4000, 1000), strict=True)
        )
    )
    assert re.search(r"the rest +2 +50 % +- +- +- +- +-", run(file)[1])
    row = run(file, "--html", "-")[1].partition(">the rest</th>")[2].partition("</tr>")[0]
    assert re.findall("<td>([^<]*)", row)[:7] == ["2", "50 %", "-", "-", "-", "-", ""]


@pytest.mark.once
def test_the_page_fits_a_phone(run, log, tmp_path):
    """Nothing but tables scrolls sideways, however long the times at a chart are."""
    run(log, "--since", "2026-11-25T10:00:00", "--until", "2026-11-25T10:01:30",
        "--html", tmp_path / "report.html")  # fmt: skip
    with browser() as running:
        shown = running.new_page(viewport={"width": 360, "height": 740})
        shown.goto((tmp_path / "report.html").as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") == 360
