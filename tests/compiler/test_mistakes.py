"""The checker's messages. `python tests/compiler/test_mistakes.py` regenerates the golden file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "grammar"))

import cases

from bbilang.compiler.check.check import Options, check_recovering
from bbilang.compiler.codes import CODES
from bbilang.grammar.diagnostic import Diagnostic, render
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.registry import registry

FILE = str(Path(__file__).parent / "mistakes.txt")
CASES = cases.read(FILE)


def diagnostics_of(text: str) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a text about InceptionV1 and a picture of a dog, unless it says otherwise."""
    model = None if "model " in text.split("interface")[0] else "inceptionv1"
    inputs = None if text.startswith("# without --input") else ("dog.jpeg",)
    return check_recovering(parse(Source(text, "page.bbi")), registry(), Options(model=model, inputs=inputs))[1]


def messages(text: str) -> str:
    return render(diagnostics_of(text), Source(text, "page.bbi"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_mistake(case: cases.Case) -> None:
    assert messages(case.text) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_every_message_says_where_and_what(case: cases.Case) -> None:
    for diagnostic in diagnostics_of(case.text):
        if diagnostic.code not in ("E301", "E420"):  # about the whole file
            assert diagnostic.span is not None and case.text[diagnostic.span.start : diagnostic.span.end].strip()
        assert not diagnostic.message.endswith(".") and not diagnostic.message[0].isupper()


def test_codes_have_a_case() -> None:
    """Each code of the checker is shown by a mistake, and each mistake has a code that is documented."""
    shown = {diagnostic.code for case in CASES for diagnostic in diagnostics_of(case.text)}
    elsewhere = {"E207", "E247", "E235", "E237", "E238", "E239", "E241", "E242", "E243"}
    elsewhere |= {"E313", "E314", "E315"}  # of texts that programs write: tests/users/test_expansion.py
    elsewhere |= {"E298", "E339", "E364"}  # of running and of completing texts with holes: tests/complete
    elsewhere |= {"E282", "E283", "E284", "E365", "E366"}  # of networks with tokens and heads: tests/heads
    elsewhere |= {"E344"}  # of weights that a caller gives for checkpoints: tests/matching/test_checkpoints.py
    elsewhere |= {"E363"}  # of models that a caller gives: tests/api/test_given_models.py
    elsewhere |= {"E348"}  # of thousands of examples: tests/matching
    elsewhere |= {"E345"}  # of boxes in maps of scores: tests/users/test_maps.py
    elsewhere |= {"E244", "E380", "E381", "E382", "E435"}  # of what a caller allows: tests/api/test_limits.py
    elsewhere |= {"E263", "E264"}  # of what files hold: tests/datasets/test_refusals.py
    models = {code for code in shown if code.startswith("E4")}  # the registry's own
    assert shown - models <= set(CODES)
    assert set(CODES) - shown - elsewhere == set()


if __name__ == "__main__":
    cases.write(FILE, [replace(case, expected=messages(case.text)) for case in CASES])
