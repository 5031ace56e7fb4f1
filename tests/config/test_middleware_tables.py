"""The tables [[middleware]]: what is read, where it stands, how mistakes are told."""

import pytest

from breezeway.config import settings_file, sources, view
from breezeway.errors import UsageError

TWO = """\
threads = 3

[[middleware]]
use = "Compress"
minimum = 1000

[[ middleware ]]  # the inner one
use = "shop:Own"
users = { ann = "x" }
"""


def tables(tmp_path, text, name="breezeway.toml"):
    """Read a file."""
    (tmp_path / name).write_text(text)
    return sources.resolve({}, {}, str(tmp_path)).middleware


def test_in_order_with_options(tmp_path):
    """The tables come in their order, each with its options and its line."""
    found = [(each.use, dict(each.options), each.place) for each in tables(tmp_path, TWO)]
    assert found == [
        ("Compress", {"minimum": 1000}, "breezeway.toml, line 3"),
        ("shop:Own", {"users": {"ann": "x"}}, "breezeway.toml, line 7"),
    ]


def test_in_the_project(tmp_path):
    """In pyproject.toml they stand below the table of the settings."""
    text = '[tool.breezeway]\nthreads = 3\n[[tool.breezeway.middleware]]\nuse = "Cors"\n'
    (found,) = tables(tmp_path, text, "pyproject.toml")
    assert (found.use, found.place) == ("Cors", "pyproject.toml, line 3")


def test_inline(tmp_path):
    """Tables written as a list of inline tables are read, too."""
    (found,) = tables(tmp_path, 'middleware = [{ use = "Cors" }]\n')
    assert (found.use, found.place) == ("Cors", "breezeway.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("middleware = 1", "breezeway.toml: middleware must be tables."),
        ("middleware = ['Cors']", "breezeway.toml: middleware must be tables."),
        ('[middleware]\nuse = "Cors"', "breezeway.toml: middleware must be tables."),
        ("x = 1\n[[middleware]]", "breezeway.toml, line 1: there is no setting 'x'."),
        ("\n[[middleware]]", "breezeway.toml, line 2: [[middleware]] says nothing that it uses."),
        ("[[middleware]]\nuse = 1", "breezeway.toml, line 1: [[middleware]] says nothing"),
    ],
)
def test_mistakes(tmp_path, text, message):
    """What is wrong is told with its place."""
    with pytest.raises(UsageError) as caught:
        tables(tmp_path, text)
    assert caught.value.message.startswith(message)


def test_view_reads_back(tmp_path):
    """`breezeway config` prints them so that they can be saved, but for what may be secret."""
    (tmp_path / "breezeway.toml").write_text(
        '[[middleware]]\nuse = "a:B"\nx = [1, "y", true, { "z-1" = 2.5 }]\nsecret = "hidden"\n'
    )
    resolved = sources.resolve({}, {}, str(tmp_path))
    printed = "\n".join(line for line, _ in view.as_toml(resolved))
    assert "hidden" not in printed + view.as_json(resolved)
    (tmp_path / "breezeway.toml").write_text(printed)
    (again,) = settings_file.find(None, str(tmp_path)).middleware()
    assert (again.use, dict(again.options)) == ("a:B", {"x": [1, "y", True, {"z-1": 2.5}]})
