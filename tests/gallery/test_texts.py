"""The gallery's texts check without diagnostics, are formatted, and check without loading torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import bbilang

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.bbi"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_checks_and_is_formatted(path):
    from bbilang.grammar.format import format_file

    text = path.read_text("utf-8")
    file = bbilang.parse(text)
    assert format_file(file) == text
    assert bbilang.check(file).warnings == ()


def test_bbi_check_of_the_gallery():
    done = subprocess.run(
        [sys.executable, "-m", "bbilang.cli", "check", str(ROOT / "specs")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
