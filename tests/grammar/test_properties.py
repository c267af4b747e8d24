"""Properties of every tree and every text."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import trees

from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, render
from bbilang.grammar.format import format_file
from bbilang.grammar.parse import CODES, parse, parse_recovering
from bbilang.grammar.serialize import from_json, to_json
from bbilang.grammar.walk import walk

quick = settings(
    max_examples=100, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip


@quick
@given(trees.files)
def test_a_formatted_tree_reads_back(file: ast.File) -> None:
    text = format_file(file)
    read = parse(text)
    assert read == file
    assert format_file(read) == text


@quick
@given(trees.files)
def test_the_json_form_reads_back(file: ast.File) -> None:
    read = parse(format_file(file))
    again = from_json(json.loads(json.dumps(to_json(read))))
    assert again == read
    assert [node.span for node in walk(again)] == [node.span for node in walk(read)]


@quick
@given(trees.values)
def test_spans_cover_the_text_of_their_node(value: ast.Expression) -> None:
    text = format_file(ast.File((ast.Bind(ast.Name("x"), value),)))
    for node in walk(parse(text)):
        if isinstance(node, ast.Expression) and not isinstance(node, ast.Range):
            covered = text[node.span.start : node.span.end]
            if isinstance(node, ast.Call) and not node.arguments and not covered.endswith(")"):
                assert covered == node.name  # a stage without parentheses
            else:
                assert parse(f"x = ({covered}\n)").statements[0].value == node


def scattered(text: str, comments: list[tuple[int, bool]]) -> str:
    """Insert comments wherever one is allowed: before statements, stages and items, and after statements."""
    places = []
    for node in walk(parse(text)):
        if isinstance(node, ast.Pipe):
            places += [text.rindex("|", 0, stage.span.start) for stage in node.stages]
        elif isinstance(node, ast.Call | ast.Index | ast.Set):
            places += [argument.span.start for argument in node.arguments]
        elif isinstance(node, ast.List):
            places += [item.span.start for item in node.items]
        elif isinstance(node, ast.Statement):
            places += [node.span.start, node.span.end]
    chosen = {places[position % len(places)]: alone for position, alone in comments if places}
    for number, (at, alone) in enumerate(sorted(chosen.items(), reverse=True)):
        text = text[:at] + (f"\n# c{number}\n" if alone else f" # c{number}\n") + text[at:]
    return text


@quick
@given(trees.files, st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=5))
def test_comments_stay_in_order(file: ast.File, comments: list[tuple[int, bool]]) -> None:
    read = parse(scattered(format_file(file), comments)) if file.statements else file
    formatted = format_file(read)
    again = parse(formatted)
    assert again == read
    assert [comment.text for comment in again.comments] == [comment.text for comment in read.comments]
    assert format_file(again) == formatted


SNIPPETS = ["mixed4d.channel", "|", "||", " | ", "(", ")", "[", "]", "{", "}", "interface ", '"', "“", "”", "'", "#",
            "\n", "\r\n", "\r", "\t", ";", ",", "=", "==", "->", "..", ".", ":", "not ", "and ", "set ", "model ",
            "output", "def f(", "bbi 1", "bbi 2", "3", "-", "1e999", "8x", "\\", "\\u", "!", "@", "\u00a0", "\u200b",
            "\ufeff", "true", " from ", "top(8)", "x = ", '"a\\', "→", "\x00", "é", "²"]  # fmt: skip


def only_diagnostics(text: str) -> None:
    file, diagnostics = parse_recovering(text)
    assert file.source is not None
    for diagnostic in diagnostics:
        assert diagnostic.code in CODES
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(file.source.text)
    assert render(diagnostics, file.source) or not diagnostics
    if not diagnostics:
        formatted = format_file(file)
        assert parse(formatted) == file
        assert format_file(parse(formatted)) == formatted
        assert [c.text for c in parse(formatted).comments] == [c.text for c in file.comments]


@settings(quick, max_examples=250)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=25).map("".join))
def test_almost_valid_text_gives_only_diagnostics(text: str) -> None:
    only_diagnostics(text)


@quick
@given(st.text(max_size=60))
def test_any_text_gives_only_diagnostics(text: str) -> None:
    only_diagnostics(text)


@quick
@given(trees.files, st.data())
def test_a_text_with_a_character_changed_gives_only_diagnostics(file: ast.File, data: st.DataObject) -> None:
    text = format_file(file)
    position = data.draw(st.integers(0, len(text)))
    only_diagnostics(text[:position] + data.draw(st.sampled_from(["", *SNIPPETS])) + text[position + 1 :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "span", "value", "name", "statements", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@quick
@given(trees.files, json_values, st.data())
def test_malformed_trees_give_only_diagnostics(file: ast.File, value: object, data: st.DataObject) -> None:
    form = to_json(file)
    at: object = form
    while True:
        children = list(at.items() if isinstance(at, dict) else enumerate(at))
        if not children:
            break
        key, child = data.draw(st.sampled_from(children))
        if not isinstance(child, dict | list) or not child or data.draw(st.booleans()):
            at[key] = value
            break
        at = child
    try:
        read = from_json(form)
    except BbiError as error:
        assert all(diagnostic.code in CODES for diagnostic in error.diagnostics)
    else:
        assert parse(format_file(read)) == read
