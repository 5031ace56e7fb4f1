"""Content-Disposition of a part of a form, as today's and yesterday's clients write it."""

import time

import pytest

from breezeway.semantics.form_data import parse_disposition


@pytest.mark.parametrize(
    ("text", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ("form-data;name=a", "a", None),
        ('Form-Data ; NAME = "a" ; filename="b.txt";', "a", "b.txt"),
        ('form-data; filename="b.txt"; name="a"', "a", "b.txt"),
        ('form-data; name="a"; filename=""', "a", ""),
        ('form-data; name=""', "", None),
        ('form-data; name="a"; size=3; x="y"', "a", None),
        # today's browsers
        ('form-data; name="a%22b%0D%0Ac"', 'a"b\r\nc', None),
        ('form-data; name="100%25"', "100%25", None),
        ('form-data; name="a"; filename="é%22ö.txt"', "a", 'é"ö.txt'),
        (r'form-data; name="a"; filename="C:\dir\b.txt"', "a", r"C:\dir\b.txt"),
        ('form-data; name="a\\"; filename="b"', "a\\", "b"),
        ('form-data; name="a\\"', "a\\", None),
        ('form-data; name="a;b"; filename="c; name=d"', "a;b", "c; name=d"),
        # yesterday's
        (r'form-data; name="a\"b"; filename="c\\\"d"', 'a"b', 'c\\"d'),
        # programs that send filename*
        ("form-data; name=a; filename=b; filename*=UTF-8''%c3%a9.txt", "a", "é.txt"),
        ("form-data; name=a; filename*=utf-8'en'%e2%82%ac", "a", "€"),
    ],
)
def test_read(text, name, filename):
    """Name and filename."""
    assert parse_disposition(text) == (name, filename)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "attachment; name=a",
        "form-data",
        "form-data; filename=b",
        'form-data; name="a"; name="b"',
        'form-data; name="a"; filename=b; FILENAME=c',
        'form-data; name="a',
        "form-data; name=a b",
        "form-data; name=",
        'form-data name="a"',
        'form-data; name="a" x',
        'form-data; name="a";;x',
        "form-data; name=a; filename*=b",
        "form-data; name=a; filename*=iso-8859-1''%e9",
        "form-data; name=a; filename*=UTF-8''%e9",
        "form-data; name=a; filename*=UTF-8''%zz",
        "form-data; name*=UTF-8''a",
    ],
)
def test_malformed(text):
    """What is malformed, says something twice, or has no name."""
    with pytest.raises(ValueError, match="of a part"):
        parse_disposition(text)


@pytest.mark.parametrize(("begin", "end"), [('form-data; name="a"', ""), ("form-data", "!")])
@pytest.mark.parametrize(
    "piece", ['; a="', '; a="\\', "; a", '\\"', " ", ";", '; a=b"', '"; ', "; a=b"]
)
def test_is_quick(piece, begin, end):
    """A hostile text of eight times the length that is read takes a few milliseconds at most."""
    text = begin + piece * (8 * 4096 // len(piece)) + end
    began = time.perf_counter()
    try:
        parse_disposition(text)
    except ValueError:
        pass
    assert time.perf_counter() - began < 0.25
