"""One target under atheris, which keeps inputs that reach something new and changes them further.

    python -m tests.fuzz.by_coverage TARGET SECONDS

It begins with the corpus, and with what earlier runs have found, in build/fuzz.
"""

from __future__ import annotations

import hashlib
import logging
import sys

import atheris

with atheris.instrument_imports(include=["breezeway"]):
    from . import targets

from .__main__ import FOUND
from .nearly import SPECIAL
from .single_faults import single_faults
from .strategies import CORPUS

LONGEST = 2000
"""Bytes of an input."""

LONGEST_RUN_SECONDS = 10
"""An input that takes longer hangs."""


def main() -> None:
    """Fuzz; the exit status is 0 when nothing was found."""
    name, seconds = sys.argv[1:3]
    logging.disable(logging.ERROR)
    seeds = FOUND / f"{name}-seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for data in _first_inputs(name):
        (seeds / hashlib.sha1(data).hexdigest()).write_bytes(data)
    words = FOUND / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in SPECIAL))
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_RUN_SECONDS}",
        f"-max_len={LONGEST}",
        f"-dict={words}",
        f"-artifact_prefix={FOUND / name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    with targets.TARGETS[name].opened() as opened:
        atheris.Setup([sys.argv[0], *options, str(seeds)], opened.check)
        atheris.Fuzz()


def _first_inputs(name: str) -> list[bytes]:
    target = targets.TARGETS[name]
    written = [data for seed in target.seeds for data in single_faults(target.write, seed)[::10]]
    return written if name == "chunks" else [*CORPUS, *written]


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
