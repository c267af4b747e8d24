"""What a page reports of trust: results and their meaning below the picture, warnings above it, in every format."""

from __future__ import annotations

import pytest
import slow
import tiny
from measured import Same, findings, planted
from torch import nn

from bbilang.compiler.ir.program import walk
from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime.page.html import render
from bbilang.runtime.recall.codec import decode, encode
from bbilang.runtime.trust.registry import MEASURES
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.build import view

CURVES = [name for name, kind in MEASURES.items() if kind.curve]


def page(text, model):
    results = slow.run(text, model) if isinstance(model, str) else tiny.run(text, model=model)
    return view(results, registry(), tiny.PROVENANCE)


@pytest.mark.parametrize("measure", CURVES)
def test_a_curve_without_a_title(measure):
    head = "input.pixel" if MEASURES[measure].input_only else "b.channel"
    shown = page(f"{head} | attribute(output) | trust({measure}) | present(curve)", "residual")
    (element,) = shown.interfaces[0].elements
    assert element.title and element.legend.trust[0].title == MEASURES[measure].title
    frame = element.panels[0].frames[0]
    assert len(frame.series) == 2 and len(frame.atoms) >= 5 and min(frame.atoms) >= 0
    assert all(value is not None for slot in frame.values for value in slot)


def test_a_warning_is_on_the_element():
    shown = page("a.spatial | attribute(output) | trust(class_sensitivity) | present(heatmap)", planted(Same))
    (element,) = shown.interfaces[0].elements
    (warning,) = element.legend.warnings
    html = render(shown, registry().styles)
    assert 'class="warning distrust" role="note"' in html and warning.split("(")[0] in html
    assert html.index("warning distrust") < html.index('data-chart="element-1"')
    assert warning[:40] in str(specification(shown, (), registry().styles)).replace("\\n", " ").replace("', '", " ")


def test_no_warning_no_mark():
    shown = page("b.channel | attribute(output) | trust(completeness) | present(bars)", "residual")
    assert 'class="warning distrust"' not in render(shown, registry().styles)


class Rectified(nn.Module):
    """A network of which every method has a rule."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU())
        self.head = nn.Linear(4, len(tiny.LABELS))

    def forward(self, x):
        return self.head(self.a(x).mean((2, 3)))


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
@pytest.mark.parametrize("written", ["{}", "smoothgrad(of={}, n_samples=2)"])
def test_methods_that_ignore_the_class_are_marked_unasked(method, written):
    line = f"input.pixel | attribute(output, method={written.format(method)}) | present(heatmap)"
    (element,) = page(line, planted(Rectified)).interfaces[0].elements
    assert f"`{method}`: {registry().methods[method].insensitive.removesuffix('.')}" in element.legend.notes
    assert not element.legend.warnings, "what is known of a method is no alarm"


def test_linear_is_not_marked():
    shown = page("input.pixel | attribute(output) | present(heatmap)", "joined")
    assert shown.interfaces[0].elements[0].legend.warnings == ()


def test_bars_count_whiskers_and_bars():
    text = "b.channel | attribute(output) | top(3) | trust([path_dependence, falsifiability], n=2) | present(bars)"
    (element,) = page(text, "residual").interfaces[0].elements
    frame = element.panels[0].frames[0]
    assert frame.series == ("attribution", "± path dependence", "fall without it")
    assert element.options["whiskers"] == [1]
    low, high = element.legend.domain
    ends = [own + sign * off for own, off, _ in frame.values for sign in (-1, 1)]
    assert low <= min(ends) * 0.999 + 1e-6 and max(ends) <= high * 1.001 + 1e-6


def test_findings_survive_the_cache():
    """A record of the cache restores the same field: trust notes, curves and all."""
    field = findings("b.channel | attribute(output) | trust([deletion, path_dependence], n=2) | present(table)")[
        "field"
    ]
    again = decode(encode(field))
    assert again.trust == field.trust and list(again.curves) == ["deletion"]
    assert (again.curves["deletion"].values.data == field.curves["deletion"].values.data).all()
    assert (again.values.data == field.values.data).all()


WRONG = {
    "b.channel | activation | trust(deletion) | present(bars)": ("E238", "attributions"),
    "b.channel | attribute(d.channel[1]) | trust(deletion) | present(bars)": ("E238", "attributions to classes"),
    "[a, b].channel | attribute(output) | top(3) | trust(deletion) | present(bars)": ("E238", "one layer"),
    "b.channel | attribute(output) | abs | trust(deletion) | present(bars)": ("E238", "arithmetic"),
    "b.channel | attribute(output) | trust(road) | present(bars)": ("E238", "input only"),
    "b.neuron | attribute(output) | sum(channel) | trust(deletion) | present(heatmap)": ("E238", "arithmetic"),
    "b.neuron | attribute(output) | at(hover(b.spatial)) | trust(deletion) | present(bars)": ("E238", "at"),
    "b.neuron | attribute(output) | trust(falsifiability) | present(heatmap, facet=channel)": ("E238", "takes every"),
    "b.channel | attribute(output) | trust(path_dependence) | trust(input_sensitivity) | present(bars)": (
        "E238",
        "list",
    ),
    "b.channel | attribute(output) | trust([deletion, insertion]) | present(curve)": ("E304", "one measure"),
    "b.channel | attribute(output) | trust(path_dependence) | top(2) | present(bars)": ("E231", "before `trust"),
    "b.whole | attribute(output) | trust(deletion) | present(table)": ("E238", "whole layer is one"),
    "b.channel[1] | attribute(output) | trust(deletion) | present(bars)": ("E238", "all atoms"),
    "b.channel | attribute(output) | trust(deletions) | present(bars)": ("", "deletion"),
    "b.channel | attribute(output) | trust(path_dependence, n=1) | present(bars)": ("E214", "n"),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_measured_is_said(text):
    code, words = WRONG[text]
    with pytest.raises(BbiError) as caught:
        tiny.check(text, 1, slow.adapter("residual"))
    first = caught.value.diagnostics[0]
    assert first.code.startswith(code) and words in f"{first.message} {first.help}" and first.span


KEEPS = [("deletion", "top(2)"), ("deletion", "sort"), ("path_dependence", "filter(value > -9)")]


@pytest.mark.parametrize("measure, after", KEEPS)
def test_later_stages_keep_the_findings(measure, after):
    text = f"b.channel | attribute(output) | trust({measure}, n=2) | {after} | present(table)"
    assert list(slow.run(text, "residual").fields.values())[-1].trust


def test_a_state_is_chosen_after_the_test():
    text = "p = pick(output[top(3)])\nb.channel | attribute(output[p]) | top(3) | trust(completeness) | present(bars)"
    field = list(slow.run(text, "residual").fields.values())[-1]
    assert "on average" in field.trust[0][1] and field.values.sizes["p"] == 3


@pytest.mark.parametrize(
    "measure",
    sorted(name for name, kind in MEASURES.items() if not (kind.input_only or kind.boxed or kind.of_influence)),
)
@pytest.mark.parametrize("atom", ["channel", "spatial", "neuron"])
def test_every_atom(measure, atom):
    if MEASURES[measure].of_shown and atom != "channel":
        pytest.skip("takes shown atoms out, and these are many")
    style = "matrix" if atom == "channel" and MEASURES[measure].of_atoms else "table"
    text = f"b.{atom} | attribute(output[2]) | {{}}trust({measure}, n=2) | present({style})"
    text = text.format("" if atom == "channel" else "top(5) | ")
    try:
        program = tiny.check(text, 1, slow.adapter("residual"))
    except BbiError as error:
        assert all(d.code in ("E304", "E303") for d in error.diagnostics)
        return
    assert any(n.op == "trust" for n in walk(*(e.node for e in program.elements)))
    results = slow.run(text, "residual")
    assert list(results.fields.values())[-1].trust
