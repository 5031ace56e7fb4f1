"""breezeway collect: fingerprints, variants and a manifest, and nothing half done."""

from __future__ import annotations

import base64
import fcntl
import gzip
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from breezeway import cli, collect_writing
from breezeway.middleware import Static
from breezeway.middleware.static.manifest import NAME
from breezeway.semantics.fingerprints import is_fingerprinted

from .middleware.calling import Counted, call

DEADLINE_SECONDS = 20.0
CSS = "body { color: teal; background: url(../img/a.png) }\n" * 20
CHUNK = "chunk-0d1f84e2a7.js"


class Collected:
    """What a run has done."""

    def __init__(self, source: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.source = source
        self.target = target
        self.capsys = capsys

    def run(self, *arguments: str, sources: tuple[Path, ...] = ()) -> tuple[int, str, str]:
        """Run the command; return its exit status and what it prints."""
        places = [str(place) for place in (*(sources or (self.source,)), self.target)]
        with pytest.raises(SystemExit) as caught:
            cli.main(["collect", *arguments, *places])
        assert isinstance(caught.value.code, int)
        return caught.value.code, *self.capsys.readouterr()

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a source file."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    @property
    def files(self) -> dict[str, Any]:
        """What the manifest says of the files."""
        found: dict[str, Any] = json.loads((self.target / NAME).read_text())["files"]
        return found

    def name(self, name: str) -> str:
        """Return the fingerprinted name."""
        found: str = self.files[name]["name"]
        return found

    def text(self, name: str) -> str:
        """Return the text of the fingerprinted file."""
        return (self.target / self.name(name)).read_text()

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return inode and time of modification of all files."""
        return {
            str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in self.target.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def collected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Collected:
    """Make a small site."""
    made = Collected(tmp_path / "source", tmp_path / "target", capsys)
    made.write("css/site.css", CSS)
    made.write("img/a.png", b"\x89PNG" * 100)
    made.write("js/a.js", 'import "./b.js"; export const a = 1\n')
    made.write("js/b.js", 'import {a} from "./a.js"\n//# sourceMappingURL=b.js.map\n')
    made.write("js/b.js.map", "{}")
    made.write(CHUNK, 'import "./js/a.js"')
    made.write(".well-known/security.txt", "mail")
    made.write(".env", "SECRET=1")
    made.write("LICENSE", "free")
    return made


def test_names(collected: Collected) -> None:
    """Every file has its own name and one with a fingerprint that everybody recognises."""
    status, out, error = collected.run()
    assert (status, error) == (0, "")
    assert "Collected 8 files" in out
    for name in ("css/site.css", "img/a.png", "js/a.js", "js/b.js"):
        new = collected.name(name)
        stem, _, extension = name.rpartition(".")
        assert re.fullmatch(rf"{stem}\.[0-9a-f]{{12}}\.{extension}", new)
        assert is_fingerprinted(new.rpartition("/")[2])
        assert (collected.target / name).read_bytes() == (collected.source / name).read_bytes()
    assert re.fullmatch(r"LICENSE\.[0-9a-f]{12}", collected.name("LICENSE"))
    assert collected.name(CHUNK) == CHUNK
    assert collected.name(".well-known/security.txt") == ".well-known/security.txt"
    assert ".env" not in collected.files
    assert not (collected.target / ".env").exists()


def test_references(collected: Collected) -> None:
    """References have fingerprints, also in circles; a bundle of another tool stays as it is."""
    collected.run()
    image = collected.name("img/a.png").removeprefix("img/")
    assert collected.text("css/site.css") == CSS.replace("a.png", image)
    a, b = (collected.name(f"js/{name}.js").removeprefix("js/") for name in "ab")
    assert f'"./{b}"' in collected.text("js/a.js")
    assert f'"./{a}"' in collected.text("js/b.js")
    assert collected.name("js/b.js.map").removeprefix("js/") in collected.text("js/b.js")
    assert collected.text(CHUNK) == 'import "./js/a.js"'


def test_name_follows_what_is_referred_to(collected: Collected) -> None:
    """A name changes when anything does that the file leads to, and only then."""
    collected.run()
    before = {name: each["name"] for name, each in collected.files.items()}
    collected.write("img/a.png", b"\x89PNG another")
    collected.run()
    changed = {name for name, each in collected.files.items() if each["name"] != before[name]}
    assert changed == {"img/a.png", "css/site.css"}
    collected.write("js/b.js.map", '{"version": 3}')
    before = {name: each["name"] for name, each in collected.files.items()}
    collected.run()
    changed = {name for name, each in collected.files.items() if each["name"] != before[name]}
    assert changed == {"js/a.js", "js/b.js", "js/b.js.map"}


def test_manifest(collected: Collected) -> None:
    """The manifest has size, integrity and variants of the fingerprinted file."""
    collected.run()
    for entry in collected.files.values():
        path = collected.target / entry["name"]
        digest = base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
        assert entry["integrity"] == f"sha384-{digest}"
        assert entry["size"] == path.stat().st_size


def test_variants(collected: Collected) -> None:
    """Variants are there where they are smaller, of both names, and hold the same."""
    collected.write("small.txt", "abc")
    collected.run()
    for name in ("css/site.css", collected.name("css/site.css")):
        path = collected.target / name
        content = path.read_bytes()
        assert gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes()) == content
        assert brotli.decompress(path.with_name(f"{path.name}.br").read_bytes()) == content
        packed = path.with_name(f"{path.name}.zst").read_bytes()
        assert zstandard.ZstdDecompressor().decompress(packed) == content
    assert {*collected.files["css/site.css"]["encodings"]} == {"br", "gzip", "zstd"}
    for name in ("small.txt", "img/a.png"):
        assert collected.files[name]["encodings"] == {}
        assert not (collected.target / f"{name}.gz").exists()


def test_again(collected: Collected) -> None:
    """A second run writes nothing."""
    collected.run()
    before = collected.snapshot()
    status, out, _ = collected.run("--jobs", "1")
    assert status == 0
    assert ": 0 written" in out
    assert collected.snapshot() == before


def test_mends(collected: Collected) -> None:
    """What was removed, cut off or replaced by a link since is written again."""
    collected.run()
    name = collected.name("css/site.css")
    sound = (collected.target / name).read_bytes()
    outside = collected.source.parent / "outside"
    outside.write_bytes(b"mine")
    for spoil in (
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"x" * path.stat().st_size),
        lambda path: path.with_name(f"{path.name}.br").unlink(),
        lambda path: path.with_name(f"{path.name}.gz").write_bytes(b""),
        lambda path: (path.unlink(), path.symlink_to(outside)),
    ):
        spoil(collected.target / name)
        assert ": 1 written" in collected.run()[1]
        assert (collected.target / name).read_bytes() == sound
        assert gzip.decompress((collected.target / f"{name}.gz").read_bytes()) == sound
    assert outside.read_bytes() == b"mine"


def test_no_stale_variants(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant that is not made any more does not stay beside another content."""
    collected.run()
    without = {"gzip": collect_writing.codings()["gzip"]}
    monkeypatch.setattr(collect_writing, "codings", lambda: without)
    collected.write("css/site.css", CSS + "/* more */")
    collected.run()
    assert (collected.target / "css/site.css.gz").exists()
    assert not (collected.target / "css/site.css.br").exists()
    collected.write("css/site.css", "a{}")
    collected.run()
    assert not (collected.target / "css/site.css.gz").exists()


def test_prune(collected: Collected) -> None:
    """Earlier versions stay for pages that still name them, until --prune; files of others always do."""
    collected.run()
    before = collected.name("css/site.css")
    (collected.source / "img/a.png").unlink()
    collected.write("css/site.css", "a { color: red }\n" * 20)
    collected.run()
    assert (collected.target / before).exists()
    (collected.target / "mine.txt").write_text("mine")
    status, out, _ = collected.run("--prune")
    assert status == 0
    assert "3 removed" in out
    assert not (collected.target / before).exists()
    assert not (collected.target / f"{before}.gz").exists()
    assert not (collected.target / "img").exists()
    assert (collected.target / "mine.txt").exists()
    assert "removed" not in collected.run("--prune")[1]


def test_prune_interrupted(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a run that removes files is killed, all that the manifest names is there."""
    collected.run()
    collected.write("css/site.css", "a { color: red }\n" * 20)
    prune = collect_writing.Target.prune

    def prune_and_die(*args: Any) -> int:
        prune(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(collect_writing.Target, "prune", prune_and_die)
    assert collected.run("--prune")[0] == 130
    assert all((collected.target / each["name"]).exists() for each in collected.files.values())
    assert "color: red" in collected.text("css/site.css")
    monkeypatch.undo()
    assert collected.run("--prune")[0] == 0
    outputs = json.loads((collected.target / NAME).read_text())["outputs"]
    assert all((collected.target / name).exists() for name in outputs)


def test_prune_keeps_to_the_target(collected: Collected) -> None:
    """A manifest that names files elsewhere removes none."""
    collected.run()
    manifest = json.loads((collected.target / NAME).read_text())
    manifest["outputs"]["../source/LICENSE"] = {"size": 4, "encodings": {}}
    (collected.target / NAME).write_text(json.dumps(manifest))
    collected.run("--prune")
    assert (collected.source / "LICENSE").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"outputs": []}', '{"outputs": {"a": 5}}'])
def test_broken_manifest(collected: Collected, text: str) -> None:
    """A manifest that cannot be read is made anew."""
    collected.run()
    (collected.target / NAME).write_text(text)
    assert collected.run("--prune")[0] == 0
    assert collected.name("css/site.css")


def test_several_sources(collected: Collected, tmp_path: Path) -> None:
    """The first source that has a file counts."""
    other = tmp_path / "other"
    (other / "css").mkdir(parents=True)
    (other / "css" / "site.css").write_text("other")
    (other / "more.txt").write_text("more")
    collected.run(sources=(collected.source, other))
    assert (collected.target / "css/site.css").read_text() == CSS
    assert "more.txt" in collected.files


def test_exclude(collected: Collected) -> None:
    """Patterns leave files out, by name or path."""
    collected.run("--exclude", "*.map", "--exclude", "img/*")
    assert not {"js/b.js.map", "img/a.png"} & {*collected.files}
    assert collected.text("css/site.css") == CSS


def test_variants_in_the_source(collected: Collected) -> None:
    """A variant of the source is made anew; an archive of the same kind of name is a file."""
    collected.write("css/site.css.gz", b"old")
    collected.write("all.tar", b"tar")
    collected.write("all.tar.gz", b"archive")
    collected.run()
    assert gzip.decompress((collected.target / "css/site.css.gz").read_bytes()) == CSS.encode()
    assert (collected.target / "all.tar.gz").read_bytes() == b"archive"


def test_odd_files(collected: Collected) -> None:
    """Pipes are left out, links to files are read, odd names and bytes do no harm."""
    os.mkfifo(collected.source / "pipe")
    (collected.source / "link.png").symlink_to("img/a.png")
    (collected.source / "nowhere").symlink_to("none")
    collected.write("ä b.css", b"\xff url(img/a.png)")
    collected.write("empty.css", "")
    collected.write("c.css", 'a { b: url("%C3%A4%20b.css") }')
    (collected.source / os.fsdecode(b"\xff.txt")).write_text("x")
    assert collected.run()[0] == 0
    assert {"link.png", "ä b.css", "empty.css"} <= {*collected.files}
    assert collected.run()[1].count(": 0 written") == 1
    new = collected.name("ä b.css").removeprefix("ä b")
    assert collected.text("c.css") == f'a {{ b: url("%C3%A4%20b{new}") }}'


def test_missing_references_are_told(collected: Collected) -> None:
    """What is referred to and not there is told, and stays as it is."""
    collected.write("css/bad.css", "a { b: url(gone.png) }\n/*# sourceMappingURL=bad.css.map */")
    status, _, error = collected.run()
    assert status == 0
    assert error == "css/bad.css refers to css/gone.png, which is not there.\n"


def test_times(collected: Collected) -> None:
    """A copy has its source's time of modification, as have its variants."""
    os.utime(collected.source / "LICENSE", ns=(10**18, 10**18))
    os.utime(collected.source / "css/site.css", ns=(10**18, 10**18))
    collected.run()
    for name in ("LICENSE", collected.name("LICENSE"), "css/site.css", "css/site.css.gz"):
        assert (collected.target / name).stat().st_mtime_ns == 10**18
        assert (collected.target / name).stat().st_mode & 0o777 == 0o644


def test_is_served(collected: Collected) -> None:
    """Static serves what was collected, fingerprinted names for ever."""
    collected.run()
    static = Static(Counted(b"application"), directory=collected.target)
    url = static.url("css/site.css")
    assert url == f"/static/{collected.name('css/site.css')}"
    result = call(static, url, fields={"Accept-Encoding": "br, gzip"})
    assert result["content-encoding"] == "br"
    assert "immutable" in (result["cache-control"] or "")
    assert brotli.decompress(result.body).decode() == collected.text("css/site.css")
    assert "immutable" in (call(static, static.url("LICENSE"))["cache-control"] or "")


def test_wrong_use(collected: Collected) -> None:
    """Places that cannot be are told in a sentence, and nothing is made."""
    for sources, words in (
        ((collected.source / "none",), "is no directory"),
        ((collected.target.parent,), "must not lie within one another"),
    ):
        status, _, error = collected.run(sources=sources)
        assert status == 2
        assert words in error
        assert not collected.target.exists()
    collected.target.write_text("a file")
    status, _, error = collected.run()
    assert status == 1
    assert "cannot write" in error


def test_one_at_a_time(collected: Collected) -> None:
    """A second run on the same target is refused while the first is at work."""
    collected.run()
    descriptor = os.open(collected.target, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        status, _, error = collected.run()
    finally:
        os.close(descriptor)
    assert status == 1
    assert "another collect is at work" in error


def test_source_that_changes(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes between reading and writing is told, and not written."""
    from breezeway import collect

    name = collect._Run.name

    def then_change(run: Any) -> None:
        name(run)
        collected.write("LICENSE", "changed")

    monkeypatch.setattr(collect._Run, "name", then_change)
    status, _, error = collected.run()
    assert status == 1
    assert "has changed while it was collected" in error
    assert not [*collected.target.rglob("LICENSE*")]
    assert not [*collected.target.rglob(".collect-*")]


def test_disk_full(collected: Collected) -> None:
    """Where there is no room, it is told, and no half file is left."""
    collected.write("large.bin", os.urandom(300_000))
    command = [sys.executable, "-m", "breezeway", "collect", collected.source, collected.target]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*collected.target.rglob("large*")]
    assert not [*collected.target.rglob(".collect-*")]
    assert not (collected.target / NAME).exists()


def test_interrupted(collected: Collected) -> None:
    """Ctrl-C ends it soon; what is there is whole, and a later run finishes it."""
    text = "".join(f"a{number} {{ color: #{number:06x} }}\n" for number in range(100_000))
    for number in range(6):
        collected.write(f"large/{number}.css", f"/* {number} */\n{text}")
    command = [sys.executable, "-m", "breezeway", "collect", collected.source, collected.target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not [*collected.target.rglob("large/*.css")]:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    assert b"Traceback" not in error
    assert not [*collected.target.rglob(".collect-*")]
    assert not (collected.target / NAME).exists()
    for path in collected.target.rglob("large/?.css"):
        assert path.read_bytes() == (collected.source / "large" / path.name).read_bytes()


def test_killed(collected: Collected) -> None:
    """What a run that was killed has left is removed by the next."""
    collected.target.joinpath("css").mkdir(parents=True)
    left = collected.target / "css" / ".collect-abc"
    left.write_text("half")
    collected.run()
    assert not left.exists()


def test_bar_on_a_terminal(collected: Collected) -> None:
    """On a terminal a bar shows how far it is."""
    import pty

    main, other = pty.openpty()
    command = [sys.executable, "-m", "breezeway", "collect", collected.source, collected.target]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=other)
    os.close(other)
    shown = b""
    try:
        while block := os.read(main, 4096):
            shown += block
    except OSError:
        pass  # the other end is closed
    os.close(main)
    assert process.wait(DEADLINE_SECONDS) == 0
    assert b"Writing" in shown
    assert b"100%" in shown


def test_is_in_the_help() -> None:
    """The help of the whole names it."""
    command = [sys.executable, "-m", "breezeway", "--help"]
    assert "collect" in subprocess.run(command, capture_output=True, text=True).stdout
