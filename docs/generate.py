"""Write the parts of the documentation that are made from the code.

`docs/command-line.md` has the options of the command line between two markers; they come from the
table of settings. Run `python docs/generate.py` after a change of the table: `tests/test_docs.py`
fails as long as the page is not what this file would write.
"""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path

from breezeway.config.kinds import SWITCH
from breezeway.config.setting import Setting
from breezeway.config.settings import TABLE

PAGE = Path(__file__).parent / "command-line.md"
BEGIN = "<!-- options: begin (written by docs/generate.py) -->\n"
WIDTH = 105
"""Columns of a line of text."""

END = "<!-- options: end -->\n"


def options() -> str:
    """Return the options, under the headings of their groups, as Markdown."""
    parts = []
    for group, rows in groupby(TABLE, lambda row: row.group):
        parts.append(f"### {group}\n")
        parts.extend(_entry(row) for row in rows)
    return "\n".join(parts)


def _entry(row: Setting) -> str:
    """Describe one option: its flag, what it does, its default, what it can be."""
    facts = [f"Default: {_default(row)}."]
    if row.choices:
        facts.append(f"One of {', '.join(f'`{each}`' for each in row.choices)}.")
    if row.repeatable:
        facts.append("Repeatable.")
    if row.least:
        facts.append(f"At least `{row.kind.show(row.least)}`.")
    doc = "\n".join(textwrap.wrap(row.doc, WIDTH))
    return f"**`{_flag(row)}`**<br>\n{doc}<br>\n{' '.join(facts)}\n"


def _flag(row: Setting) -> str:
    if row.kind is SWITCH:
        return f"{row.flag}` / `--no-{row.flag.removeprefix('--')}"
    return f"{row.flag} {row.kind.name}"


def _default(row: Setting) -> str:
    if row.default in (None, "", ()):
        return "none"
    values = row.default if row.repeatable else (row.default,)
    return ", ".join(f"`{row.kind.show(value)}`" for value in values)


def page(text: str) -> str:
    """Return the page `text` with the options brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + options() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
