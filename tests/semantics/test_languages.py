"""Lookup of languages (RFC 4647 section 3.4)."""

import pytest

from breezeway.semantics.languages import MOST_SUBTAGS, choose_language


@pytest.mark.parametrize(
    ("field", "offered", "chosen"),
    [
        ("de", ["en", "de"], "de"),
        ("de-CH, en;q=0.5", ["en", "de"], "de"),
        ("zh-Hant-CN-x-private1-private2", ["zh", "zh-Hant"], "zh-Hant"),
        ("zh-Hant-CN-x-private1", ["zh-Hant-CN-x", "zh"], "zh"),
        ("DE-ch", ["de-CH"], "de-CH"),
        ("de", ["de-CH"], None),
        ("de-AT", ["de-CH"], None),
        ("fr;q=0.5, en;q=0.9", ["fr", "en"], "en"),
        ("fr, en", ["en", "fr"], "fr"),
        ("*", ["en"], None),
        ("*, de;q=0.1", ["en", "de"], "de"),
        ("en;q=0", ["en"], None),
        ("de-CH;q=0", ["de"], None),
        ("zh-Hant-CN-x-private1", ["zh-Hant-CN", "zh"], "zh-Hant-CN"),
        ("de ; q=0.999 ,\ten ; q=1.000", ["de", "en"], "en"),
        ("abcdefgh-12345678", ["abcdefgh-12345678"], "abcdefgh-12345678"),
        ("abcdefghi, de-123456789, en", ["abcdefghi", "de-123456789", "de", "en"], "en"),
        ("de;q=0.1234, en;q=1.0000, fr;q=1.1", ["de", "en", "fr"], None),
        ("en-GB, en;q=0, de;q=0.1", ["en", "de"], "de"),
        ("en;q=2, de", ["en", "de"], "de"),
        ("e_n, de", ["de"], "de"),
        ("", ["de"], None),
        (None, ["de"], None),
        (",".join(["xx"] * 70 + ["de"]), ["de"], None),
        ("de" + "-a1" * (MOST_SUBTAGS - 1), ["de"], "de"),
        ("de" + "-a1" * MOST_SUBTAGS + ", en", ["de", "en"], "en"),
    ],
)
def test_lookup(field, offered, chosen):
    """The longest beginning of the heaviest range."""
    assert choose_language(field, offered) == chosen
