"""Files are cut so that each line is in one piece, and what cannot be read is told in a sentence."""

import gzip
import io
import lzma
import os

import pytest

from breezeway.errors import UserError
from breezeway.report import reading, sources
from breezeway.report.reading import read
from breezeway.report.sources import Source
from breezeway.report.tally import Selection
from tests.report import sample

zstandard = pytest.importorskip("zstandard")


@pytest.fixture(scope="module")
def text():
    """Return a log of 200 requests."""
    return "".join(sample.lines(200))


def pieces(path, warn=pytest.fail):
    """Return the texts of all tasks of a file."""
    source = Source(str(path))
    try:
        return [task.text() for task in source.tasks(warn)]
    finally:
        source.close()


@pytest.mark.parametrize("size", [1, 2, 7, 50, 999, 10_000])
@pytest.mark.parametrize("end", ["\n", ""])
def test_each_line_is_in_one_piece(tmp_path, monkeypatch, size, end):
    """Wherever the cuts are."""
    wanted = "one\ntwo\n\nlonger than a piece is\n" * 4 + "last" + end
    monkeypatch.setattr(sources, "SLICE", size)
    monkeypatch.setattr(sources, "CHUNK", size)
    monkeypatch.setattr(sources, "COMPRESSED_CHUNK", size)
    file = tmp_path / "log"
    file.write_text(wanted)
    assert "".join(pieces(file)) == wanted
    file.write_bytes(gzip.compress(wanted.encode()))
    found = pieces(file)
    assert "".join(found) == wanted
    if size > 30:
        assert all(piece.endswith("\n") for piece in found[:-1])


def test_a_file_without_lines_takes_no_memory(tmp_path, monkeypatch):
    """What is too long for a line is read no further than that, once, and is not one cut short."""
    monkeypatch.setattr(sources, "SLICE", 1000)
    monkeypatch.setattr(sources, "LONGEST_LINE", 100)
    file = tmp_path / "log"
    file.write_bytes(b"x" * 5000 + b"\nlast\n")
    assert pieces(file) == ["x" * 1100 + "\n", "", "", "", "", "last\n"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, zstandard.compress])
def test_the_report_is_the_same_however_it_is_read(tmp_path, monkeypatch, text, compress):
    """Plain or compressed, in one piece or many."""
    file = tmp_path / "log"
    file.write_bytes(compress(text.encode()))
    monkeypatch.setattr(sources, "CHUNK", 4000)
    found = []
    for size in (1_000_000, 20_000):
        monkeypatch.setattr(sources, "SLICE", size)
        source, done = Source(str(file)), []
        tally = read([source], Selection(), done.append, pytest.fail, processes=1)
        source.close()
        assert sum(done) == source.size == file.stat().st_size
        rows = {name: (row.requests, row.bytes_out) for name, row in tally.routes.rows.items()}
        found.append((rows, tally.requests, tally.slowest.requests[0], tally.timeline.width))
    assert found[0] == found[1]
    assert found[0][1] == 200


def test_several_members(tmp_path, text):
    """Compressed files may be joined."""
    for compress in (gzip.compress, lzma.compress, zstandard.compress):
        file = tmp_path / "log"
        file.write_bytes(compress(text.encode()) + compress(b"one more\n"))
        assert "".join(pieces(file)) == text + "one more\n"


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.compress])
def test_a_damaged_file_is_read_until_there(tmp_path, compress):
    """And a warning tells of it: of one that is cut, and of one that goes on as something else."""
    text = "".join(sample.lines(2000))
    file = tmp_path / "log"
    whole = compress(text.encode())
    said = []
    file.write_bytes(whole[: len(whole) // 2])
    found = "".join(pieces(file, said.append))
    assert text.startswith(found)
    assert len(found) > len(text) // 4
    assert "it ends in the middle" in said.pop()
    file.write_bytes(whole + b"something else")
    assert "".join(pieces(file, said.append)) == text
    assert "damaged" in said.pop()
    file.write_bytes(whole + bytes(512))
    assert "".join(pieces(file)) == text


def test_a_bomb_is_decompressed_little_by_little(tmp_path, monkeypatch):
    """What was made of it is given away before there is much."""
    monkeypatch.setattr(sources, "SLICE", 1_000_000)
    file = tmp_path / "log"
    for compress in (gzip.compress, lzma.compress, zstandard.compress):
        file.write_bytes(compress(bytes(100_000_000)))
        source = Source(str(file))
        task = next(source.tasks(pytest.fail))
        assert len(task.data) <= 33_000_000
        source.close()


def test_a_byte_order_mark_hides_no_line(tmp_path, text):
    """Editors and shells of Windows put one before what they save."""
    file = tmp_path / "log"
    for compress in (bytes, gzip.compress):
        file.write_bytes(compress(b"\xef\xbb\xbf" + text.encode()))
        assert "".join(pieces(file)) == text


def test_standard_input(monkeypatch, text, tmp_path):
    """It may be compressed, too, for what it is shows in its first bytes."""
    for data in (text.encode(), gzip.compress(text.encode())):
        (tmp_path / "log").write_bytes(data)
        with open(tmp_path / "log") as file:
            monkeypatch.setattr("sys.stdin", file)
            assert "".join(pieces("-")) == text


def test_a_pipe(text):
    """It has no size, and need not be sought in."""
    ours, theirs = os.pipe()
    with open(theirs, "wb") as file:
        file.write(text.encode()[:30_000])
    assert "".join(pieces(f"/dev/fd/{ours}")) == text[:30_000]
    os.close(ours)


@pytest.mark.parametrize("name", ["", "nothing"])
def test_what_cannot_be_read_is_told(tmp_path, name):
    """A directory, and what is not there."""
    with pytest.raises(UserError, match=r"is a directory|No such file"):
        Source(str(tmp_path / name))


def test_zstd_needs_a_library(tmp_path, monkeypatch):
    """The sentence says which, and what else does."""
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    file = tmp_path / "log"
    file.write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(UserError, match="needs a library") as caught:
        pieces(file)
    assert "breezeway[zstd]" in caught.value.hint


class TestProcesses:
    def test_they_find_the_same(self, tmp_path, monkeypatch, text):
        """And what they cannot read, this one tells."""
        monkeypatch.setattr(sources, "SLICE", 9000)
        file = tmp_path / "log"
        file.write_text(text)
        found = []
        for processes in (1, 2):
            source = Source(str(file))
            tally = read([source], Selection(), lambda n: None, pytest.fail, processes=processes)
            source.close()
            found.append(
                (tally.requests, tally.bytes_out, tally.routes.rows["GET /"].durations.buckets)
            )
        assert found[0] == found[1]
        source = Source(str(file))
        source.close()
        file.unlink()
        with pytest.raises(UserError, match="No such file"):
            read([source], Selection(), lambda n: None, pytest.fail, processes=2)

    def test_one_that_dies_is_told(self):
        """There is no waiting for it."""

        class Dead(io.BytesIO):
            def recv(self):
                raise EOFError

            def send(self, task):
                raise BrokenPipeError

        with pytest.raises(UserError, match="has died"):
            reading._receive(Dead())
        with pytest.raises(UserError, match="has died"):
            reading._send(Dead(), None)
