"""Opening a file below a directory: what is there, what leads out, and what is swapped meanwhile."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from breezeway.beneath import MOST_LINKS, OutsideError, open_beneath, reopen

INSIDE = b"inside"
OUTSIDE = b"outside"
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a directory with a file in it and one beside it."""
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "sub" / "deep" / "file").write_bytes(INSIDE)
    (root / "file").write_bytes(INSIDE)
    (tmp_path / "secret").write_bytes(OUTSIDE)
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "secret").write_bytes(OUTSIDE)
    return root


def content(root: Path, path: str, *, anywhere: bool = False) -> bytes:
    """Open, read and close."""
    file = open_beneath(str(root), path, anywhere=anywhere)
    try:
        return os.read(file.descriptor, 100)
    finally:
        file.close()


def refused(root: Path, path: str, *, anywhere: bool = False) -> int:
    """Return the error number."""
    try:
        content(root, path, anywhere=anywhere)
    except OSError as error:
        return error.errno or 0
    raise AssertionError(f"{path} was opened")


def test_plain(root: Path) -> None:
    """Files at every depth are opened, and nothing else stays open."""
    before = len(os.listdir("/proc/self/fd"))
    assert content(root, "file") == INSIDE
    assert content(root, "sub/deep/file") == INSIDE
    assert len(os.listdir("/proc/self/fd")) == before


def test_not_there(root: Path) -> None:
    """What is not there, a directory, and a file that is taken for one."""
    before = len(os.listdir("/proc/self/fd"))
    for path in ("nothing", "sub/nothing", "nothing/file", "sub", "sub/deep"):
        assert refused(root, path) == errno.ENOENT
    assert refused(root, "file/file") == errno.ENOTDIR
    assert refused(root, "x" * 300) == errno.ENAMETOOLONG
    assert refused(root / "nothing", "file") == errno.ENOENT
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("link", "file", "link"),
        ("link", "sub", "link/deep/file"),
        ("link", "./sub/./deep", "link/file"),
        ("link", "sub/deep/", "link/file"),
        ("sub/link", "../file", "sub/link"),
        ("sub/deep/link", "../../sub/deep/file", "sub/deep/link"),
        ("sub/link", "{root}/file", "sub/link"),
        ("sub/link", "{root}", "sub/link/sub/deep/file"),
        ("sub/link", "{real}/sub", "sub/link/deep/file"),
    ],
)
def test_links_within(root: Path, tmp_path: Path, link: str, target: str, path: str) -> None:
    """Links that stay within are followed, relative and absolute, by either name of the root."""
    named = tmp_path / "named"
    named.symlink_to(root)
    (root / link).symlink_to(target.format(root=named, real=root))
    assert content(named, path) == INSIDE


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("link", "../secret", "link"),
        ("link", "..", "link/secret"),
        ("link", "../root/file", "link"),
        ("link", "../root", "link/file"),
        ("sub/link", "../../secret", "sub/link"),
        ("link", "{outside}/secret", "link"),
        ("link", "{outside}", "link/secret"),
        ("link", "{root}ed/secret", "link"),
        ("link", "{root}/../secret", "link"),
        ("link", "/", "link/etc/passwd"),
        ("link", "/proc/self/root", "link/etc/passwd"),
        ("link", "/proc/self/cwd", "link/file"),
    ],
)
def test_links_out(root: Path, tmp_path: Path, link: str, target: str, path: str) -> None:
    """Links that lead out are refused, also if they come back in."""
    (root / link).symlink_to(target.format(root=root, outside=tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OutsideError):
        content(root, path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_links_anywhere(root: Path) -> None:
    """Where it is allowed, a link may lead anywhere; it still has to be a regular file."""
    (root / "link").symlink_to("../secret")
    (root / "directory").symlink_to("..")
    (root / "device").symlink_to("/dev/zero")
    assert content(root, "link", anywhere=True) == OUTSIDE
    assert content(root, "directory/secret", anywhere=True) == OUTSIDE
    assert refused(root, "directory", anywhere=True) == errno.ENOENT
    assert refused(root, "device", anywhere=True) == errno.ENOENT


def test_links_without_end(root: Path) -> None:
    """Links in a circle and very long chains are refused."""
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    (root / "self").symlink_to("self/self")
    assert refused(root, "one") == errno.ELOOP
    assert refused(root, "self/x") == errno.ELOOP
    for number in range(MOST_LINKS + 1):
        (root / f"link{number}").symlink_to(f"link{number + 1}" if number < MOST_LINKS else "file")
    assert refused(root, "link0") == errno.ELOOP
    assert content(root, "link1") == INSIDE


def test_dangling(root: Path) -> None:
    """A link to nothing is not there."""
    (root / "link").symlink_to("nothing")
    assert refused(root, "link") == errno.ENOENT


def test_what_is_no_regular_file(root: Path) -> None:
    """A pipe nobody writes to, a socket: not there, at once."""
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    for path in ("pipe", "link", "socket"):
        assert refused(root, path) == errno.ENOENT
        assert refused(root, path, anywhere=True) == errno.ENOENT


def test_permissions() -> None:
    """A file that may not be read; a directory that may be passed but not be listed."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        root.chmod(0o755)
        (root / "sub").mkdir()
        (root / "sub" / "file").write_bytes(INSIDE)
        (root / "file").write_bytes(INSIDE)
        (root / "file").chmod(0)
        (root / "sub").chmod(0o311)
        user = os.geteuid()
        if not user:  # root may read everything
            os.seteuid(NOBODY)
        try:
            assert refused(root, "file") == errno.EACCES
            assert content(root, "sub/file") == INSIDE
        finally:
            os.seteuid(user)
            (root / "sub").chmod(0o755)


def test_swaps(root: Path, tmp_path: Path) -> None:
    """While a directory and a file are swapped for links that lead out, nothing of outside comes."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(OUTSIDE)
    stop = threading.Event()

    def swap() -> None:
        names = [str(root / "sub"), str(root / "sub-away"), str(root / "sub-link")]
        files = [str(root / "file"), str(root / "file-away"), str(root / "file-link")]
        os.symlink("..", names[2])
        os.symlink("../secret", files[2])
        while not stop.is_set():
            for place, away, link in (names, files):
                os.rename(place, away)
                os.rename(link, place)
                os.rename(place, link)
                os.rename(away, place)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: set[bytes | int] = set()
    try:
        for _ in range(3000):
            for path in ("sub/deep/file", "file"):
                try:
                    seen.add(content(root, path))
                except OSError as error:
                    seen.add(error.errno or 0)
    finally:
        stop.set()
        swapping.join()
    assert INSIDE in seen
    assert OUTSIDE not in seen
    assert len(seen) > 1, "nothing was swapped at the right moment"


def test_reopen(tmp_path: Path) -> None:
    """What was opened before is opened again, however it is called; anything else is not."""
    path = tmp_path / "a"
    path.write_bytes(b"a")
    file = open_beneath(str(tmp_path), "a")
    file.close()
    path.rename(tmp_path / "b")
    assert reopen(str(path), file.status) is None
    path.write_bytes(b"a")
    assert reopen(str(path), file.status) is None
    path.unlink()
    path.symlink_to("b")
    assert reopen(str(path), file.status) is None
    again = reopen(str(tmp_path / "b"), file.status)
    assert again is not None
    again.close()
    assert reopen("x" * 5000, file.status) is None
