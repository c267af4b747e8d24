"""After many edits, the server's state equals what `bbi check` reports for the text."""

import random
from pathlib import Path

import pytest

from bbilang.cli.request import SOME_PICTURE
from bbilang.compiler.check_text import names_its_input
from bbilang.grammar.format import format_file
from bbilang.grammar.parse import parse_recovering
from bbilang.grammar.source import Source
from bbilang.lsp.document import Document
from bbilang.lsp.formatting import format_edits, formatted_text
from bbilang.lsp.incremental_check import statements_of
from bbilang.lsp.logical_lines import Lines
from bbilang.pipeline import Pipeline, Request

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.bbi"))
PIECES = ["|", "(", ")", "[", "]", '"', "=", ",", "\n", " ", "#", "x", "8", ".", "{", "}", "top(3)", "hover(", "photo",
          "| present(bars)\n", "block5c.expand", "output[a]", "a = b\n", "layout row(", "\n    | ", 'interface "x" {\n',
          "“", ";", "def f(x) = x", "set seed 3\n", "// why"]  # fmt: skip


def said(text, name):
    source = Source(text, name)
    given = None if names_its_input(source) else SOME_PICTURE
    return Pipeline(Request(source, input=given)).checked[1]


def mutated(text, dice):
    """The text with one edit, such as a reader makes: something typed, some of it deleted, a line moved."""
    position = dice.randrange(len(text) + 1)
    kind = dice.randrange(4)
    if kind == 0:
        return text[:position] + dice.choice(PIECES) + text[position:]
    if kind == 1:
        return text[:position] + text[position + dice.randrange(1, 12) :]
    lines = text.split("\n")
    a, b = dice.randrange(len(lines)), dice.randrange(len(lines))
    if kind == 2:
        lines.insert(b, lines.pop(a))
    else:
        lines.insert(b, lines[a])
    return "\n".join(lines)


def plain(statements):
    return [(type(s).__name__, s.span, s) for s in statements]


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_lines_are_those_of_the_parser(spec):
    """After every edit: the same statements at the same positions, and the same syntax errors."""
    dice = random.Random(spec.stem)
    original = text = spec.read_text(encoding="utf-8")
    lines = Lines.of(text)
    for _ in range(60):
        text = original if dice.random() < 0.3 else mutated(text, dice)
        lines = lines.edited(text)
        file, syntax = parse_recovering(Source(text))
        assert lines.diagnostics() == syntax
        assert plain(statements_of(lines)) == plain(file.statements)
        assert lines.comments == file.comments
        assert [c.span for c in lines.comments] == [c.span for c in file.comments]


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_the_formatter_writes_what_bbi_fmt_writes(spec):
    """After every edit, comments and blank lines among them, while statements are remembered from text to text."""
    dice = random.Random(spec.stem)
    original = text = spec.read_text(encoding="utf-8")
    document = Document(str(spec), text)
    compared = 0
    for _ in range(80):
        lines = (original if dice.random() < 0.3 else document.text).split("\n")
        number = dice.randrange(len(lines))
        kind = dice.randrange(4)
        if kind == 0:
            lines.insert(number, dice.choice(["", "# alone", "    # further in", "  ", *lines]))
        elif kind == 1:
            lines[number] += dice.choice(["  # at the end", "   ", "# x"])
        elif kind == 2 and "#" not in lines[number]:
            lines[number] = lines[number].replace(" | ", "\n  # in between\n  |  ", 1)
        else:
            lines[number] = lines[number].replace(", ", " ,", 1)
        document.update("\n".join(lines))
        file, syntax = parse_recovering(Source(document.text))
        if syntax:
            assert format_edits(document) is None
            continue
        compared += 1
        assert formatted_text(document) == format_file(file)
    assert compared > 20


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_diagnostics_are_those_of_the_checker(spec):
    """Codes, spans, messages and help all agree while statements are reused from text to text."""
    dice = random.Random(spec.stem)
    original = text = spec.read_text(encoding="utf-8")
    document = Document(str(spec), text)
    for _ in range(12):
        text = original if dice.random() < 0.4 else mutated(text, dice)
        document.update(text)
        assert document.state.diagnostics == said(text, str(spec))
    document.update(original)
    assert document.state.diagnostics == said(original, str(spec)) == ()


def test_what_did_not_change_is_not_read_again():
    lines = [f"e{n} = block5c.expand.channel[{n}] | attribute(output.class) | top(5, along=class)" for n in range(40)]
    text = "\n".join([*lines, *(f"e{n} | present(bars)" for n in range(40))]) + "\n"
    document = Document("<text>", text)
    assert document.state.diagnostics == () and document.statement_cache.misses == 80
    document.update(text.replace("channel[7]", "channel[507]"))
    assert document.state.diagnostics == ()
    assert document.statement_cache.misses == 82, "the line itself, and the one that shows it"
    document.update("\n\n# a comment\n" + document.text)
    assert document.state.diagnostics == () and document.statement_cache.misses == 82
    document.update(document.text.replace("e9 = block5c.expand", "e9 = block5x.expand"))
    (error,) = document.state.diagnostics
    assert error.code == "E204" and document.statement_cache.misses == 84
    document.update(document.text + "set seed 3\n")  # what all statements depend on
    assert document.state.diagnostics[0].code == "E204" and document.statement_cache.misses == 84 + 80
