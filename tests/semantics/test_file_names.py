"""Names of files are made such that they can be one anywhere."""

import os
import random

import pytest

from breezeway.semantics.file_names import LONGEST_BYTES, safe_file_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Été 2026.jpg", "Été 2026.jpg"),
        ("E\u0301te\u0301.jpg", "Été.jpg"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\x\a.txt", "a.txt"),
        ("a/b\\c.txt", "c.txt"),
        ("/", "file"),
        ("..", "file"),
        ("...", "file"),
        ("", "file"),
        (" . . ", "file"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("a.txt.", "a.txt"),
        ("a.txt \u00a0", "a.txt"),
        ("a\x00b\r\n\tc.txt", "abc.txt"),
        ("a:b.txt", "a_b.txt"),
        ('a<b>"c|d?e*.txt', "a_b__c_d_e_.txt"),
        ("annexe\u202etxt.exe", "annexetxt.exe"),
        ("a\u200bb\ufeff.txt", "ab.txt"),
        ("a \u2003 b.txt", "a b.txt"),
        ("a\u2028b\u2029c.txt", "a b c.txt"),
        ("a\ue000b.txt", "ab.txt"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("Com1.tar.gz", "_Com1.tar.gz"),
        ("nul .txt", "_nul .txt"),
        ("console.txt", "console.txt"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("é" * 300, "é" * 100),
        ("a." + "b" * 300, "a." + "b" * 198),
        ("\ud800a.txt", "a.txt"),
    ],
)
def test_made_safe(text, name):
    """What can be kept is kept."""
    assert safe_file_name(text) == name


def test_any_text(tmp_path):
    """Of whatever is put in, what comes out is a file in its directory, and stays what it is."""
    chance = random.Random(6)
    letters = [
        *"./\\: ~-\x00\x1f\"'aZ9éß€\u0301\u202e\u200d\u3000\U0001f600",
        "CON",
        "..",
        "%2f",
        "x" * 90,
    ]
    for _ in range(2000):
        name = safe_file_name("".join(chance.choices(letters, k=chance.randrange(12))))
        assert name
        assert len(name.encode()) <= LONGEST_BYTES + 1
        assert safe_file_name(name) == name
        assert os.path.dirname(os.path.normpath(tmp_path / name)) == str(tmp_path)
