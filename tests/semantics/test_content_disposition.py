"""Content-Disposition of responses: names that every client reads, and none that leads astray."""

from __future__ import annotations

import email.message
from email.utils import collapse_rfc2231_value

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.content_disposition import (
    LONGEST_NAME,
    content_disposition,
    safe_name,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "attachment"),
        ("文字", "attachment; filename=\"download\"; filename*=UTF-8''%E6%96%87%E5%AD%97"),
        ("plan.pdf", 'attachment; filename="plan.pdf"'),
        ("my plan (2).pdf", 'attachment; filename="my plan (2).pdf"'),
        (
            "naïve café.txt",
            "attachment; filename=\"naive cafe.txt\"; filename*=UTF-8''na%C3%AFve%20caf%C3%A9.txt",
        ),
        ("文.pdf", "attachment; filename=\"download.pdf\"; filename*=UTF-8''%E6%96%87.pdf"),
        ("né", "attachment; filename=\"ne\"; filename*=UTF-8''n%C3%A9"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ('a"b.txt', 'attachment; filename="a_b.txt"'),
        ("a\r\nSet-Cookie: x=1", 'attachment; filename="aSet-Cookie_ x=1"'),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ("a\\b", 'attachment; filename="a_b"'),
        ("...", 'attachment; filename="download"'),
        ("invoice\u202efdp.exe", 'attachment; filename="invoicefdp.exe"'),
    ],
)
def test_fields(name, value):
    """The name is in ASCII where it is, and else in both forms; never a path, never another field."""
    assert content_disposition("attachment", name) == value


def test_kind():
    """There are two kinds."""
    assert content_disposition("inline") == "inline"
    with pytest.raises(ValueError, match="not 'form-data'"):
        content_disposition("form-data")


def test_long_names_keep_their_extension():
    """A name is cut to what file systems take."""
    name = safe_name("é" * 400 + ".tar.gz")
    assert name.endswith(".gz")
    assert LONGEST_NAME - 1 <= len(name.encode()) <= LONGEST_NAME
    assert len(safe_name("a." + "x" * 400)) == LONGEST_NAME


@given(st.text(max_size=300))
def test_any_name(name):
    """Whatever the name, the field is one line of ASCII that the standard library reads back."""
    value = content_disposition("attachment", name)
    assert value.isascii()
    assert value.isprintable()
    message = email.message.Message()
    message["Content-Disposition"] = value
    assert message.get_content_disposition() == "attachment"
    if name:
        read = collapse_rfc2231_value(message.get_param("filename", "", "content-disposition"))
        assert "/" not in read
        if "filename*" in value:
            read = message.get_filename()
        assert read == safe_name(name) or "filename*" in value
        assert len(safe_name(name).encode()) <= LONGEST_NAME
