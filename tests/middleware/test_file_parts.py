"""The content of an open file, for any server."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from breezeway.middleware.file_parts import sent
from breezeway.semantics.ranges import Range

CONTENT = b"0123456789"


def uwsgi_sendfile(file: io.BytesIO, block_size: int) -> Iterable[bytes]:
    """Send a file as uWSGI does: from its beginning to its end, wherever it is."""
    return [file.getvalue()]


@pytest.mark.parametrize(("start", "first"), [(0, 0), (0, 4), (4, 0), (2, 2)])
def test_uwsgi(start: int, first: int) -> None:
    """What uWSGI sends is the part that was asked for, and no more than its Content-Length."""
    file = io.BytesIO(CONTENT)
    file.seek(start)
    size = len(CONTENT) - start
    blocks = sent(uwsgi_sendfile, file, [Range(first, size)], size, start)
    assert b"".join(blocks) == CONTENT[start + first :]
