"""For any text and cursor position the server answers without an exception, and every span lies in the text."""

import random
from pathlib import Path

import pytest

from bbilang.lsp import protocol as answers
from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.fixes import fixes
from bbilang.lsp.formatting import format_edits
from bbilang.lsp.hover import hover
from bbilang.lsp.names import definition_at, references
from bbilang.lsp.positions import PositionMap
from bbilang.lsp.semantic_tokens import KINDS, semantic_tokens
from bbilang.lsp.signature import signature_at

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.bbi"))
ODD = ["", " ", "\n", '"', "|", "| ", "a", "a.", ".", "..", "a..", "output[", 'output["', "[", "(", "x = ", "x = a |",
       "set ", "set f(", "model ", 'model "', "input ", 'input "', "interface", 'interface "x" {', "}", "layout ",
       "def f(x) = x |", "layout row(", "a:b.c", "a:", "🐈 = 3", "“x”", "\r\n| top(", "#", "x = # y\n  | ", "((((((",
       "-", "\ufeffbbi 1", "a = [b..c].", 'use "', "1.5e", 'output = "', "x | present(bars,", "x | at(hover(", "a = a",
       "=", 'dataset d = "', "top(8) | top(", "= =", "\x00", "\t|\t"]  # fmt: skip


def broken(text, dice):
    """The text cut off, with a hole, or with something odd in it."""
    position = dice.randrange(len(text) + 1)
    kind = dice.randrange(3)
    if kind == 0:
        return text[:position]
    if kind == 1:
        return text[:position] + text[position + dice.randrange(1, 60) :]
    return text[:position] + dice.choice(ODD) + text[position:]


def ask_everything(document, position):
    """Send every request at one position, and check each answer as an editor would."""
    text, places = document.text, PositionMap(document.source)
    here = places.position(position)
    assert places.offset(here) == position or "\r" in text
    choices, _, cursor = complete(document, position)
    start, end = cursor.replacement
    assert cursor.start <= start <= position <= end <= len(text)
    assert all(choice.label for choice in choices) and len(choices) <= 150
    answers.completion(document, places, position, True)
    if (said := hover(document, position)) is not None:
        words, start, end = said
        assert words.strip() and 0 <= start <= position <= end <= len(text) and "\n" not in text[start:end]
    if (signature := signature_at(document, position)) is not None:
        assert all(signature.label[a:b].strip() for a, b, _ in signature.parameters)
        assert signature.active is None or 0 <= signature.active < len(signature.parameters)
    if (definition := definition_at(document, position)) is not None:
        spans = references(document, definition)
        assert (definition.start, definition.end) in spans and spans == sorted(set(spans))
        assert {text[a:b] for a, b in spans} == {definition.name}


def ask_the_whole(document):
    text, places = document.text, PositionMap(document.source)
    for d in document.state.diagnostics[:4]:
        assert d.span is None or 0 <= d.span.start <= d.span.end <= len(text)
        for fix in fixes(document, d):
            assert 0 <= fix.start <= fix.end <= len(text) and text[fix.start : fix.end] != fix.text
    answers.symbols(document, places)
    numbers, line, column = semantic_tokens(document), 0, 0
    lines = text.split("\n")
    for down, on, length, kind, _ in zip(*[iter(numbers)] * 5, strict=True):
        line, column = line + down, on if down else column + on
        assert length > 0 and kind < len(KINDS) and column + length <= len(lines[line].encode("utf-16-le")) // 2
    if (edits := format_edits(document)) is not None:
        for a, b, new in reversed(edits):
            text = text[:a] + new + text[b:]
        document.update(text)
        assert format_edits(document) == [], "formatting again changes nothing"


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_every_position_of_every_spec(spec):
    dice = random.Random(spec.stem)
    text = spec.read_text(encoding="utf-8")
    document = Document(str(spec), text)
    for position in dice.sample(range(len(text) + 1), min(len(text), 40)):
        ask_everything(document, position)
    ask_the_whole(document)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_broken_texts(spec):
    dice = random.Random(spec.stem)
    original = spec.read_text(encoding="utf-8")
    document = Document(str(spec), original)
    for _ in range(6):
        text = broken(original, dice)
        document.update(text)
        for position in [dice.randrange(len(document.text) + 1) for _ in range(4)]:
            ask_everything(document, position)
        ask_the_whole(document)


def test_odd_texts():
    document = Document("<text>", "")
    for text in ODD:
        document.update(text)
        for position in range(len(document.text) + 1):
            ask_everything(document, position)
        ask_the_whole(document)


def test_every_beginning_of_a_text():
    """As it is typed: after every character there is an answer."""
    text = (ROOT / "specs" / "teaser.bbi").read_text(encoding="utf-8")
    document = Document("<text>", "")
    for end in range(0, len(text), 3):
        document.update(text[:end])
        ask_everything(document, end)
