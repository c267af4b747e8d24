"""Beginners' mistakes and their messages. `python tests/grammar/test_mistakes.py` regenerates the golden file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cases

from bbilang.grammar.diagnostic import render
from bbilang.grammar.parse import parse_recovering
from bbilang.grammar.source import Source

FILE = "mistakes.txt"


def messages(text: str) -> str:
    file, diagnostics = parse_recovering(Source(text, "page.bbi"))
    return render(diagnostics, file.source)


@pytest.mark.parametrize("case", cases.read(FILE), ids=lambda case: case.title)
def test_mistake(case: cases.Case) -> None:
    assert messages(case.text) == case.expected


if __name__ == "__main__":
    cases.write(FILE, [replace(case, expected=messages(case.text)) for case in cases.read(FILE)])
