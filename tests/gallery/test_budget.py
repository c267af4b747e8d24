"""The sums on the gallery's pages: the cat's numbers by plain torch, and how many interfaces show a warning."""

from pathlib import Path

import numpy as np
import pytest
import torch
from closeness import within

import bbilang
from bbilang.runtime.inputs.load import picture_of
from bbilang.runtime.models.loading import load
from bbilang.runtime.view.states import elements, layered

SPECS = sorted(path.stem for path in (Path(__file__).parents[2] / "specs").glob("*.bbi"))
CUTS = ("block4a.expand", "block5a.expand", "block6a.expand")
PAGE = """
model efficientnet_lite0
input "sample:chelsea"
linear = [block4a.expand, block5a.expand, block6a.expand].channel | attribute(output["tiger cat"])
    | top(8, per=layer) | present(bars, facet=layer)
path = [block4a.expand, block5a.expand, block6a.expand].channel
    | attribute(output["tiger cat"], method=integrated_gradients(n_steps=64))
    | top(8, per=layer) | present(bars, facet=layer)
branch = block5c.expand.channel | attribute(output["tiger cat"]) | top(8) | present(bars)
exact = head.channel | attribute(output["tiger cat"]) | top(8) | present(bars)
"""


def test_at_most_a_tenth_of_the_interfaces_is_amber(compiled):
    """A warning on every interface would mean nothing."""
    marked = {
        (name, interface.title): [
            warning
            for element in interface.elements
            for part in layered(element)
            for warning in (part.legend.warnings if part.legend else ())
        ]
        for name in SPECS
        for interface in compiled(name).page.view.interfaces
    }
    amber = {interface: warnings for interface, warnings in marked.items() if warnings}
    assert len(amber) <= len(marked) / 10, amber


@pytest.fixture(scope="module")
def page():
    return bbilang.run(PAGE)


@pytest.fixture(scope="module")
def without():
    """The score of the tiger cat by plain torch, with a layer's result replaced by zeros."""
    adapter = load("efficientnet_lite0")
    picture = picture_of("sample:chelsea", "sample:chelsea", adapter).image
    assert picture is not None

    def score(layer=None):
        hooks = []
        if layer is not None:
            hook = lambda module, given, result: torch.zeros_like(result)  # noqa: E731
            hooks.append(adapter.module_of(layer).register_forward_hook(hook))
        try:
            with torch.no_grad():
                return float(adapter.module(adapter.normalize(picture[None]))[0, 282])
        finally:
            for handle in hooks:
                handle.remove()

    return score


def numbers(page, element, name):
    """A number of the budget, over layers where it has several."""
    return np.squeeze(page.results.budgets[element][name].data)


def test_the_cat(page):
    """Measured beforehand: linear attribution at cuts, integrated gradients there, and at the last layer, where linear
    attribution is exact."""
    rounded = "they were measured with two decimals"
    within(numbers(page, "linear", "score"), 9.17, absolute=0.006, because=rounded)
    within(numbers(page, "linear", "total"), [-0.27, -3.54, -2.50], absolute=0.006, because=rounded)
    within(numbers(page, "path", "total"), [10.03, 10.08, 10.09], absolute=0.006, because=rounded)
    within(numbers(page, "exact", "total"), 9.17, absolute=0.006, because=rounded)
    description = page.results.program.description
    assert {layer: description.place(layer) for layer in CUTS} == dict.fromkeys(CUTS, "cut")
    assert description.place("block5c.expand") == "branch"
    (shown,) = [e for e in elements(page.view) if e.id == "branch"]
    line, context = shown.panels[0].frames[0].budget.split("\n")
    assert line == "Shown +1.24; all channels −1.44; score 9.17; removing the layer +0.03"
    assert context == "block5c.expand is a side branch: removing it whole changes the score by +0.03 of 9.17."


def test_the_effects_are_those_of_hooks_by_hand(page, without):
    whole = without()
    for number, layer in enumerate(CUTS):
        effect = numbers(page, "linear", "removed")[number]
        within(effect, without(layer) - whole, absolute=1e-3, because="float32 through 60 layers")
    within(
        numbers(page, "branch", "removed"), without("block5c.expand") - whole, absolute=1e-3, because="the same"
    )  # fmt: skip
