"""Origins: which Origin fields an operator's patterns let in, and which look like it only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.origins import Origins


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        (
            "https://example.org",
            ["https://example.org"],
            [
                "http://example.org",
                "https://example.org:443",
                "https://example.org:8443",
                "https://example.org.",
                "https://example.org/",
                "https://EXAMPLE.org",
                "https://example.org.evil.test",
                "https://evil.test/https://example.org",
                "https://example.org@evil.test",
                "https://evil.test#https://example.org",
                "https://a.example.org",
                "https://exampleXorg",
                "https://example.org\n",
                "https://example.org, https://example.org",
                " https://example.org",
                "null",
                "",
                "*",
            ],
        ),
        ("HTTPS://Example.ORG:443", ["https://example.org"], ["https://example.org:443"]),
        ("http://example.org:80", ["http://example.org"], ["http://example.org:80"]),
        (
            "http://localhost:8000",
            ["http://localhost:8000"],
            ["http://localhost", "http://localhost:80"],
        ),
        (
            "https://*.example.org",
            ["https://a.example.org", "https://a.b.example.org", "https://x--y.example.org"],
            [
                "https://example.org",
                "https://.example.org",
                "https://a..example.org",
                "https://aexample.org",
                "https://a.example.org:8443",
                "https://a.example.org.evil.test",
                "https://evil.test/a.example.org",
                "https://evil.test\\.example.org",
                "https://evil.test`.example.org",
                "https://evil.test:80.example.org",
                "https://user@a.example.org",
                "https://evil.test?.example.org",
                "https://a_%.example.org",
                "https://-a.example.org",
                "https://a-.example.org",
                "https://A.example.org",
                "https://a.exampleXorg",
                "https://a.example.org\n",
                "http://a.example.org",
                f"https://{'a' * 64}.example.org",
                f"https://{'a.' * 300}example.org",
            ],
        ),
        (
            "https://*.example.org:8443",
            ["https://a.example.org:8443"],
            ["https://a.example.org", "https://a.example.org:443", "https://a.example.org:84430"],
        ),
        (
            "http://localhost:*",
            ["http://localhost", "http://localhost:3000", "http://localhost:65535"],
            [
                "http://localhost:",
                "http://localhost:0",
                "http://localhost:x",
                "http://localhost.:1",
            ],
        ),
        (
            "http://*.localhost:*",
            ["http://a.localhost", "http://a.b.localhost:81"],
            ["http://localhost", "http://localhost:81"],
        ),
        ("http://[::1]:8000", ["http://[::1]:8000"], ["http://[::1]", "http://[::2]:8000"]),
        ("null", ["null"], ["NULL", "", "https://null"]),
        ("capacitor://localhost", ["capacitor://localhost"], ["http://localhost"]),
        ("chrome-extension://abcdef", ["chrome-extension://abcdef"], ["chrome-extension://abc"]),
    ],
)
def test_patterns(pattern: str, inside: list[str], outside: list[str]) -> None:
    """A pattern lets in what it says, as a browser writes it, and nothing that contains it."""
    origins = Origins([pattern])
    assert [origin for origin in inside if origin not in origins] == []
    assert [origin for origin in outside if origin in origins] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "*",
        "example.org",
        "//example.org",
        "https://",
        "https://example.org/",
        "https://example.org/path",
        "https://example.org?q",
        "https://user@example.org",
        "https://*",
        "https://*.",
        "https://*.com",
        "https://a.*.example.org",
        "https://*example.org",
        "https://example.*",
        "https://*.[::1]",
        "https://*.[::ffff:192.0.2.1]",
        "https://exämple.org",
        "https://example.org:0",
        "https://example.org:65536",
        "https://example.org:81:*",
        "https://example.org\n",
        "1https://example.org",
        "NULL",
        "https://(.*)",
    ],
)
def test_malformed(pattern: str) -> None:
    """What is no origin is told so, with the text that was given."""
    with pytest.raises(ValueError, match=r"origin|top-level") as caught:
        Origins([pattern])
    assert repr(pattern) in str(caught.value)


def test_several_patterns() -> None:
    """Each of them counts, and what is between them does not."""
    origins = Origins(["http://localhost:*", "https://*.example.org", "https://*.lan", "null"])
    inside = ["http://localhost:1", "https://a.example.org", "https://a.lan", "null"]
    assert [origin for origin in inside if origin not in origins] == []
    assert "http://localhost:1https://a.example.org" not in origins


def test_one_text_is_no_list() -> None:
    """A text alone would be taken for a list of its characters."""
    with pytest.raises(ValueError, match="origins are a list of texts, not 'https://a'"):
        Origins("https://a")


@given(st.text(alphabet="htps:/.-*@#?\\ aexmplorg\n\x00é0189", max_size=60))
def test_nobody_gets_in_by_a_trick(text: str) -> None:
    """Whatever is let in ends with the name that was meant, and has nothing but labels in front."""
    origins = Origins(["https://*.example.org"])
    for origin in (text, f"https://{text}.example.org", f"https://a.example.org{text}"):
        if origin in origins:
            labels = origin.removeprefix("https://").removesuffix(".example.org")
            assert origin == f"https://{labels}.example.org"
            assert all(label.replace("-", "a").isalnum() for label in labels.split("."))
            assert labels.isascii()


@given(st.text(max_size=80))
def test_any_text_is_a_pattern_or_told(text: str) -> None:
    """No pattern fails in another way, and what is read lets in what was meant, or nothing else."""
    try:
        origins = Origins([text])
    except ValueError:
        return
    assert text.lower() in origins or "*" in text or ":" in text
