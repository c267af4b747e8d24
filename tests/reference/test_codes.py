"""Every code is documented, every documented code is raised, and its examples do what the reference says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bbilang.compiler import codes as compiler_codes
from bbilang.grammar import codes as grammar_codes
from bbilang.reference.error_pages import CODES, GROUPS, checked, mistakes
from bbilang.reference.pages import GOLDEN
from bbilang.runtime import codes as runtime_codes

ROOT = Path(__file__).parents[2]
TABLES = {ROOT / "grammar" / "codes.py", *(ROOT / "compiler" / "codes").glob("*.py"), ROOT / "runtime" / "codes.py"}
SOURCES = [
    path
    for folder in ("grammar", "compiler", "runtime", "bbilang")
    for path in sorted((ROOT / folder).glob("**/*.py"))
    if path not in TABLES and path.name != "codebook.py" and path.is_relative_to(ROOT / folder)
]


def raised() -> dict[str, str]:
    """Return every code that occurs in the sources as a literal or as a constant of the grammar -> the file."""
    raised_in: dict[str, str] = {}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for code in re.findall(r'"([EW]\d{3})"(?!:)', text):
            raised_in[code] = path.name
        for name in re.findall(r"\bcodes\.([A-Z_]+)\b", text):
            if name != "CODES":
                raised_in[getattr(grammar_codes, name)] = path.name
    return raised_in


def test_every_code_has_an_entry() -> None:
    missing = {code: file for code, file in raised().items() if code not in CODES}
    assert not missing, "give these an entry in grammar/codes.py, compiler/codes/ or runtime/codes/"


def test_every_entry_is_raised() -> None:
    assert sorted(set(CODES) - set(raised())) == []


def test_no_code_stands_in_two_tables() -> None:
    tables = [grammar_codes.CODES, compiler_codes.CODES, runtime_codes.CODES]
    assert sum(map(len, tables)) == len(CODES)
    groups = [code for _, codes in GROUPS for code in codes]
    assert sorted(groups) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_entry_teaches(code: str) -> None:
    entry = CODES[code]
    assert entry.title and entry.title[-1] not in ".!" and len(entry.title) < 90
    assert entry.why.endswith((".", "?", "`")) and 40 < len(entry.why) < 260, "one or two sentences"
    assert entry.wrong.strip() != entry.right.strip()
    assert entry.needs or not entry.wrong.startswith(("$ ", ">>> "))


TEXTS = [code for code, entry in CODES.items() if not entry.needs]


@pytest.mark.parametrize("code", TEXTS)
def test_the_wrong_example_gives_the_code_and_nothing_else(code: str) -> None:
    _, diagnostics, source = checked(CODES[code].wrong, CODES[code].files)
    assert {d.code for d in diagnostics} == {code}, [f"{d.code}: {d.message}" for d in diagnostics]
    severity = "warning" if code[0] == "W" else "error"
    assert all(d.severity == severity and str(Path(d.message)) for d in diagnostics)
    assert all(d.span is None or d.span.end <= len(source.text) for d in diagnostics)


@pytest.mark.parametrize("code", [c for c, e in CODES.items() if not e.right.startswith(("$ ", ">>> "))])
def test_the_right_example_is_right(code: str) -> None:
    _, diagnostics, _ = checked(CODES[code].right, CODES[code].files)
    assert not diagnostics


def test_every_golden_mistake_has_a_row() -> None:
    mistaken = list(mistakes(GOLDEN))
    assert len({mistake.title for mistake in mistaken}) >= 60
    assert {mistake.code for mistake in mistaken} <= set(CODES)
