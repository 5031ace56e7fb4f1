"""Write the parts of the documentation that are made from the code.

`docs/settings.md` is the reference of the settings, all of it; `docs/command-line.md` has the options
of the command line between two markers. Both come from the table of settings. `docs/metrics.md` has the
metrics between markers, and `docs/access-log.md` what its lines say, from their tables. Run
`python docs/generate.py` after a change of a table: `tests/test_docs.py` fails as long as a page is not
what this file would write.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from breezeway.config.kinds import AUTO, COUNT, DURATION, MODE, SIZE, SWITCH, WORKERS
from breezeway.config.setting import Setting
from breezeway.config.settings import TABLE
from breezeway.observe.access_json import MEMBERS
from breezeway.observe.access_options import ATOMS, LOOKUPS
from breezeway.observe.entry import OUTCOMES
from breezeway.observe.metrics import COUNTER, INFO, METRICS, Metric

HERE = Path(__file__).parent
BEGIN = "<!-- options: begin (written by docs/generate.py) -->\n"
END = "<!-- options: end -->\n"
METRICS_BEGIN = "<!-- metrics: begin (written by docs/generate.py) -->\n"
METRICS_END = "<!-- metrics: end -->\n"
WIDTH = 105
"""Columns of a line of text."""

TYPES = {
    COUNT: "whole number",
    DURATION: "duration",
    MODE: "octal mode",
    SIZE: "size",
    SWITCH: "true or false",
    WORKERS: f"whole number, or `{AUTO}`",
}
"""Kinds of values in words; all others are text."""

REFERENCE = """\
# Settings

<!-- Written by docs/generate.py from the table of settings. -->

Every setting of Breezeway. Its name is the key in `breezeway.toml`, and the keyword of `breezeway.serve`.
[Sources of settings](command-line.md#sources-of-settings) says which source wins; `breezeway config` prints
the settings in force and where each comes from.

- A **size** is in bytes, and takes `k`, `M`, `G` or `KiB`, `MiB`, `GiB`, all powers of 1024: `"10MiB"`.
- A **duration** is in seconds, and takes `ms`, `s`, `m`, `h`: `"30s"`.
- A **list** is a list in TOML; the flag is given several times; in the variable the items have commas
  between them.
- **true or false** is a flag with and without `no-`: `--preload`, `--no-preload`.
- Without a **default** the setting is off, or does what its description says.

Three names are not settings. The key `application`, or the variable `BREEZEWAY_APPLICATION`, is what
`breezeway` serves without an argument. The variable `BREEZEWAY_CONFIG`, or the flag `--config`, is
the path of the file. Tables `[[middleware]]` in the file are
[put around the application](middleware/index.md#without-touching-code); the table `[logging]` is for
[Python's logging](logs.md#logging-of-the-application).
"""


def options() -> str:
    """Return the options, under the headings of their groups, as Markdown."""
    return _by_groups(_option)


def _by_groups(entry: Callable[[Setting], str], level: str = "###") -> str:
    parts = []
    for group, rows in groupby(TABLE, lambda row: row.group):
        parts.append(f"{level} {group}\n")
        parts.extend(entry(row) for row in rows)
    return "\n".join(parts)


def _option(row: Setting) -> str:
    """Describe one option: its flag, what it does, its default, what it can be."""
    facts = [f"Default: {_default(row)}."]
    if row.choices:
        facts.append(f"One of {_choices(row)}.")
    if row.repeatable:
        facts.append("Repeatable.")
    if row.least:
        facts.append(f"At least `{row.kind.show(row.least)}`.")
    last = "\n".join(textwrap.wrap(" ".join(facts), WIDTH))
    return f"**`{_flag(row)}`**<br>\n{_doc(row)}<br>\n{last}\n"


def _entry(row: Setting) -> str:
    """Describe one setting for the reference: all that the table says about it."""
    facts = {
        "type": _type(row),
        "unit": row.kind.unit,
        "default": _default(row),
        "flag": f"`{_flag(row)}`".replace("|", "\\|"),  # a bar would end the cell
        "variable": f"`{row.env}`",
        "since": row.since,
    }
    lines = [f"| {name} | {fact} |" for name, fact in facts.items() if fact]
    return "\n".join([f"### {row.name}\n", f"{_doc(row)}\n", "| | |", "|---|---|", *lines, ""])


def _type(row: Setting) -> str:
    what = TYPES.get(row.kind, "text")
    if row.repeatable:
        what = f"list of {what}"
    if row.choices:
        what += f", one of {_choices(row)}"
    if row.least:
        what += f", at least `{row.kind.show(row.least)}`"
    if row.most:
        what += f", at most `{row.kind.show(row.most)}`"
    return what


def _doc(row: Setting) -> str:
    return "\n".join(textwrap.wrap(row.doc, WIDTH))


def _choices(row: Setting) -> str:
    return ", ".join(f"`{each}`" for each in row.choices)


def _flag(row: Setting) -> str:
    if row.kind is SWITCH:
        return f"{row.flag}` / `--no-{row.flag.removeprefix('--')}"
    return f"{row.flag} {row.kind.name}"


def _default(row: Setting) -> str:
    if row.default in (None, "", ()):
        return "none"
    values = row.default if row.repeatable else (row.default,)
    return ", ".join(f"`{row.kind.show(value)}`" for value in values)


def _metric(metric: Metric) -> str:
    """Describe one metric, as a row of a table."""
    suffix = {COUNTER: "_total", INFO: "_info"}.get(metric.kind, "")
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    cells = (f"`{metric.name}{suffix}`", metric.kind, labels, metric.unit, metric.help)
    return f"| {' | '.join(cells)} |"


def _table(head: str, rows: dict[str, str]) -> str:
    lines = [f"| {head} | |", "|---|---|"]
    lines += [f"| `{name}` | {what[0].upper()}{what[1:]}. |" for name, what in rows.items()]
    return "\n".join(lines) + "\n"


def _note(name: str, end: str = "begin (written by docs/generate.py)") -> str:
    return f"<!-- {name}: {end} -->\n"


def access_log(text: str) -> str:
    """Return the page `text` with the members, outcomes and atoms brought up to date."""
    lookups = {f"{{name}}{letter}": what for letter, what in LOOKUPS.items()}
    atoms = {f"%({name})s": what for name, what in {**ATOMS, **lookups}.items()}
    tables = {
        "members": _table("Member", MEMBERS),
        "outcomes": _table("Outcome", OUTCOME_MEANINGS),
        "atoms": _table("Atom", atoms),
    }
    assert tuple(OUTCOME_MEANINGS) == OUTCOMES
    for name, table in tables.items():
        text = _between(text, _note(name), table, _note(name, "end"))
    return text


def _between(text: str, begin: str, made: str, end: str) -> str:
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{made}\n{end}{after}"


def metrics(text: str) -> str:
    """Return the page `text` with the metrics brought up to date."""
    rows = ["| metric | type | labels | unit | what it is |", "|---|---|---|---|---|"]
    rows += [_metric(metric) for metric in METRICS]
    return _between(text, METRICS_BEGIN, "\n".join(rows) + "\n", METRICS_END)


def command_line(text: str) -> str:
    """Return the page `text` with the options brought up to date."""
    return _between(text, BEGIN, options(), END)


def settings(text: str) -> str:
    """Return the reference of the settings, whatever the page `text` was."""
    return REFERENCE + "\n" + _by_groups(_entry, "##")


OUTCOME_MEANINGS = {
    "complete": "the system has taken the whole response; what the client has read of it nobody knows",
    "left": "the client has left in the middle of its body or of the response",
    "aborted": (
        "the server has broken the response off, because the application failed in its middle or was at"
        " its deadline, or a file became shorter while it was sent, or its disk failed"
    ),
    "timeout": "the client was dropped, because it did not read in time",
}

PAGES: dict[Path, Callable[[str], str]] = {
    HERE / "access-log.md": access_log,
    HERE / "command-line.md": command_line,
    HERE / "metrics.md": metrics,
    HERE / "settings.md": settings,
}
"""Each page, and the function that makes what it should be of what it is."""

if __name__ == "__main__":
    for path, page in PAGES.items():
        path.write_text(page(path.read_text(encoding="utf-8") if path.exists() else ""), "utf-8")
