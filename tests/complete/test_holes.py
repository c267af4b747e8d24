"""Holes in a text: where they may stand, what `check` says, what an editor offers where one stands."""

from __future__ import annotations

import pytest

from bbilang.compiler.check.holes.search import Search
from bbilang.compiler.check.holes.written import written
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.holes import holes
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.hover import hover
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry

HEAD = 'input "sample:chelsea"\n'
LAYER = "block5c.expand"


def checked(text: str):
    return Pipeline(Request(Source(HEAD + text))).checked


def offered(text: str, hole: int = 0) -> list[str]:
    """What an editor offers at a hole of a text, which it would replace as a whole."""
    offsets = [i for i, letter in enumerate(HEAD + text) if letter == "?"]
    document = Document("page.bbi", HEAD + text)
    choices, _, cursor = complete(document, offsets[hole] + 1)
    start, end = cursor.replacement
    assert (HEAD + text)[start:end] in ("?", "?*")
    return [choice.insert or choice.label for choice in choices]


def test_every_kind_of_hole_is_found_where_it_stands():
    text = "x = ?.? | ?* | ? | top(?)\n[a, ?].? | present(?, facet=?)\ninput.?\noutput.?"
    found = [(hole.kind, hole.span.start) for hole in holes(parse(text))]
    kinds = ["layer", "atom", "rest", "operation", "argument", "layer", "atom", "argument", "argument", "atom", "atom"]
    assert [kind for kind, _ in found] == kinds
    assert [offset for _, offset in found] == [i for i, letter in enumerate(text) if letter == "?"]


def test_a_text_with_holes_is_checked_and_not_run():
    text = f"x = {LAYER}.? | attribute(output) | top(3)\nx | present(bars)\n{LAYER}.channel | ? | present(featvis)"
    program, diagnostics = checked(text)
    assert program is None and diagnostics == ()
    with pytest.raises(BbiError) as refused:
        _ = Pipeline(Request(Source(HEAD + text))).program
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "E298" and "`bbi complete`" in diagnostic.help
    assert (HEAD + text)[diagnostic.span.start] == "?"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (f"{LAYER}.? | present(curve)", ["E337"]),  # no atom has an axis that a curve could run along
        (f"{LAYER}.channel | top(?) | present(bars)", []),
        (f"{LAYER}.channel | top(?) | present(brs)", ["E337"]),
        ("blok.channel | ? | present(bars)", ["E201"]),  # what stands before the hole is wrong by itself
        (f"x = {LAYER}.?\nx = {LAYER}.channel", ["E221"]),
        (f"x = {LAYER}.channel\nx | ? | present(bars)", []),  # `x` is used
        (f"x = {LAYER}.channel | ?\nx | sum(y) | present(bars)", []),  # nothing is known of what uses an open name
        (f"x = {LAYER}.channel | ?\nx | tpo(8) | present(bars)", ["E210"]),
        (f'interface "a" {{\n    {LAYER}.channel | ? | present(bars)\n}}', []),
    ],
)
def test_check_says_what_cannot_be_filled(text, codes):
    assert [d.code for d in checked(text)[1]] == codes


def test_an_editor_offers_what_fits_the_rest_of_the_line():
    assert offered(f"{LAYER}.? | attribute(output) | present(heatmap)") == ["spatial"]
    assert offered(f"{LAYER}.channel | attribute(output) | top(?) | present(featvis)") == ["8", "3", "20"]
    assert set(offered(f"{LAYER}.channel | top(8) | present(?)")) >= {"featvis", "bars", "table"}
    assert "heatmap" not in offered(f"{LAYER}.channel | top(8) | present(?)")
    assert "sum(channel)" in offered(f"{LAYER}.neuron | ? | present(heatmap)")
    assert "top(8)" not in offered(f"{LAYER}.neuron | ? | present(heatmap)")
    rests = offered("output[top(5)] | ?* | present(bars)")
    assert "top(8)" in rests and "normalize | top(8)" in rests and "top(8) | top(8)" not in rests
    layers = offered("?.spatial | present(heatmap)")
    assert LAYER in layers and "input" not in layers, "an input has pixels"
    words = offered(f"{LAYER}.channel | attribute(output, method=?) | present(bars)")
    assert "smoothgrad" in words and "meaningful_perturbation" not in words, "which is of positions"


def test_an_editor_offers_names_of_the_text():
    text = f"cell = hover({LAYER}.spatial)\n{LAYER}.neuron | at(?) | top(4) | present(featvis)"
    assert offered(text) == ["cell"]


def test_what_fills_a_hole_is_written():
    text = f"{LAYER}.? | attribute(output) | ? | top(?) | present(bars)"
    document = Document("page.bbi", HEAD + text)
    (statement,) = parse(text).statements
    found = {
        tuple(written(hole, statement, filled) for hole in holes(statement))
        for filled in Search(document.resolver_at(len(HEAD))).statement(statement)
    }
    assert ("channel", "relu", "3") in found and ("spatial", "abs", "8") in found
    assert ("channel", "top(8)", "3") not in found, "of two in a row the smaller counts, as in `activation | top(3)`"


def test_a_plug_in_is_found_by_what_it_declares():
    """Nothing that stands at a hole comes from a list of names."""
    known = registry()
    names = {choice.partition("(")[0] for choice in offered(f"{LAYER}.channel | ? | present(bars)")}
    able = {name for name, each in known.operations.items() if not each.head and not each.draws}
    assert names <= able and {"top", "bottom", "sort", "normalize", "activation"} <= names


def test_hover_and_highlighting_stand_holes():
    document = Document("page.bbi", f"{HEAD}{LAYER}.? | ?* | present(?)")
    for offset in range(len(document.text)):
        hover(document, offset)
