"""The formatter's output. `python tests/grammar/test_format.py` regenerates the golden file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cases

from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.format import WIDTH, format_expression, format_file
from bbilang.grammar.parse import parse

FILE = "formats.txt"
SPECS = sorted((Path(__file__).parent / "specs").glob("*.bbi"))


@pytest.mark.parametrize("case", cases.read(FILE), ids=lambda case: case.title)
def test_form(case: cases.Case) -> None:
    assert format_file(parse(case.text)).rstrip("\n") == case.expected
    assert format_file(parse(case.expected)).rstrip("\n") == case.expected
    assert parse(case.expected) == parse(case.text)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs(path: Path) -> None:
    file = parse(path.read_text(encoding="utf-8"))
    text = format_file(file)
    again = parse(text)
    assert again == file
    assert format_file(again) == text
    assert [comment.text for comment in again.comments] == [comment.text for comment in file.comments]
    assert all(len(line) <= WIDTH or '"' in line or "model" in line for line in text.splitlines())


def test_a_tree_that_a_program_made() -> None:
    show = ast.Show(ast.Pipe(ast.Path("input"), (ast.Call("present", (ast.Argument(ast.Path("image")),)),)))
    file = ast.File((ast.Version(1), ast.Interface(ast.String("t"), (show, show)), show, show))
    assert format_file(file) == (
        'bbi 1\n\ninterface "t" {\n    input | present(image)\n    input | present(image)\n}\n\n'
        "input | present(image)\ninput | present(image)\n"
    )


def test_a_statement_added_to_a_file_that_was_read() -> None:
    file = parse("# one\na = 1  # first\n\n# two\nb = 2  # second\n")
    added = replace(file, statements=(file.statements[0], ast.Bind(ast.Name("c"), ast.Number(3)), file.statements[1]))
    assert format_file(added) == "# one\na = 1  # first\nc = 3\n# two\nb = 2  # second\n"


def test_nothing() -> None:
    assert format_file(ast.File(())) == ""
    assert format_file(parse("\n\n# only a comment\n\n")) == "# only a comment\n"


def test_expressions_for_messages() -> None:
    assert format_expression(parse("x = f(a,\n b) | top(3) | relu").statements[0].value) == "f(a, b) | top(3) | relu"


def test_too_deep() -> None:
    value: ast.Expression = ast.Path("a")
    for _ in range(5_000):
        value = ast.Unary("-", value)
    with pytest.raises(BbiError, match="E102"):
        format_file(ast.File((ast.Show(value),)))


if __name__ == "__main__":
    cases.write(FILE, [replace(c, expected=format_file(parse(c.text)).rstrip("\n")) for c in cases.read(FILE)])
