"""Several methods in one `attribute`: the numbers of each alone, one plan for all, each drawn on its own scale."""

from __future__ import annotations

from dataclasses import replace

import blocks
import numpy as np
import pytest
import tiny
from closeness import close_to

import bbilang
from bbilang.registry import registry
from bbilang.runtime.view.provenance import provenance_of

LIST = ("linear", "gradient", "integrated_gradients(n_steps=4)", "integrated_gradients(n_steps=8)", "smooth_pool")
ALL = f"[{', '.join(LIST)}]"


@pytest.mark.parametrize("optimized", [True, False])
def test_each_of_a_list_is_what_it_is_alone(optimized):
    text = "stem.spatial | attribute(output[top(3)], method={}) | present({})"
    together = blocks.attributed(
        text.format(ALL, "heatmap, facet=method").replace("[top(3)]", ""), "max_pool", True, 0, "method", "y", "x",
        optimized=optimized,
    )  # fmt: skip
    for method, actual in zip(LIST, together, strict=True):
        alone = blocks.attributed(text.format(method, "heatmap").replace("[top(3)]", ""), "max_pool")
        close_to(actual, alone)
    assert len({actual.tobytes() for actual in together}) == len(LIST)


def shown(text):
    results = tiny.run(text)
    return tiny.view_of(results).interfaces[0].elements[0], results


def test_labels_scales_and_the_legend():
    text = f"a.channel | attribute(output, method={ALL.replace(', smooth_pool', '')}) | present(bars, facet=method)"
    element, results = shown(text)
    labels = [panel.key for panel in element.panels]
    assert labels == [*LIST[:2], "integrated_gradients(n_steps=4)", "integrated_gradients(n_steps=8)"]
    assert [panel.label for panel in element.panels] == [
        "Linear", "Gradient", "Integrated gradients (n_steps=4)", "Integrated gradients (n_steps=8)",
    ]  # fmt: skip
    raw = results.fields["element-1"].values.ordered(("input", "method", "channel")).data[0]
    for panel, numbers in zip(element.panels, raw, strict=True):
        drawn = np.array([row[0] for row in panel.frames[0].values])
        assert np.abs(drawn).max() == 1
        close_to(drawn * np.abs(numbers).max(), numbers)
    assert element.legend.scope == "scaled separately for each method"
    assert element.legend.unit == "share of the method's maximum"
    assert any(f"Linear {np.abs(raw[0]).max():.3g}" in note for note in element.legend.notes)
    made = dict(provenance_of(replace(results, adapter=tiny.adapter()), registry()).settings)["attribution"]
    assert made == ", ".join(["linear (activation x gradient)", *labels[1:]])


def test_one_scale_where_that_is_asked_for():
    text = (
        "a.channel | attribute(output, method=[linear, gradient]) | normalize(scope={}) | present(bars, facet=method)"
    )
    element, _ = shown(text.format("global"))
    largest = [max(abs(row[0]) for row in panel.frames[0].values) for panel in element.panels]
    assert max(largest) == 1 and min(largest) < 1 and element.legend.scope == "the largest magnitude of all is 1"
    element, _ = shown(text.format("method"))
    assert all(max(abs(row[0]) for row in panel.frames[0].values) == 1 for panel in element.panels)
    assert not element.legend.notes


@pytest.mark.parametrize(
    ("rest", "code", "words"),
    [
        ("| top(3) | present(bars, facet=method)", "E231", "normalize(scope=method)"),
        ("| mean(method) | present(bars)", "E231", "normalize(scope=method)"),
        ("| present(bars)", "E303", "facet=method"),
        ("| top(3, per=method) | attribute(output) | present(bars)", "E231", "per=method"),
    ],
)
def test_methods_of_different_units_are_not_compared(rest, code, words):
    error = tiny.refused(lambda: tiny.check(f"a.channel | attribute(output, method=[linear, gradient]) {rest}"))
    assert [d.code for d in error.diagnostics] == [code] and words in tiny.messages(error)


def test_what_a_list_may_hold():
    for method, code in (
        ("[linear, [gradient, linear]]", "E219"),
        ("[linear, gradcam]", "E219"),
        ("[linear, 3]", "E219"),
    ):
        error = tiny.refused(lambda m=method: tiny.check(f"a.channel | attribute(output, method={m}) | present(bars)"))
        assert code in {d.code for d in error.diagnostics}
    chain = (
        "a.channel | attribute(b.channel[2] -> output, method=[linear, integrated_gradients])"
        "| present(bars, facet=method)"
    )
    assert "E238" in {d.code for d in tiny.refused(lambda: tiny.check(chain)).diagnostics}
    allowed = (
        "a.channel | attribute(output, method=[linear, gradient]) | top(2, per=method) | present(bars, facet=method)"
    )
    assert tiny.values(allowed, "method", "channel").shape == (2, 2)
    again = "a.channel | attribute(output, method=[linear, gradient]) | attribute(output) | present(bars)"
    np.testing.assert_array_equal(
        tiny.values(again, "channel"), tiny.values("a.channel | attribute(output) | present(bars)", "channel")
    )
    setting = "set attribute(method=[linear, gradient])\na.channel | attribute(output) | present(bars, facet=method)"
    assert tiny.values(setting, "method", "channel").shape == (2, 6)


FIVE = "[linear, gradient, integrated_gradients(n_steps=6), smooth_pool, grad_cam]"
LAYERS, CLASSES, STEPS = ("block3b", "block5c", "block6c"), 10, 6


def test_five_methods_three_layers_and_ten_classes_are_one_plan():
    """The union of what each needs, counted by hand: one forward of the picture, one of the baseline, one for each rule
    of derivatives; one backward for each class and rule; one rerun for each step and layer, for all classes."""
    lines = [
        f"{layer}.spatial | attribute(output[top({CLASSES})], method={FIVE}) | mean(class) | present(heatmap, "
        "facet=method)"
        for layer in LAYERS
    ]
    program = bbilang.check(bbilang.parse("\n".join(lines)), model="efficientnet_lite0", input="sample:chelsea")
    plan = bbilang.plan(bbilang.optimize(program))
    assert plan.total("forward")[0] == 1 + 1 + 1  # the picture, the baseline, smooth_pool's derivatives
    assert plan.total("backward")[0] == CLASSES * 2  # plain derivatives, and smooth_pool's
    assert plan.total("reruns")[0] == len(LAYERS) * (STEPS + 1)  # and one for the score at the baseline
    assert plan.total("tangents")[0] == 0
    written = bbilang.plan(program)
    assert written.total("backward")[0] == CLASSES * len(LAYERS) * 4
    backwards = [step for step in plan.steps if step.kind == "backward"]
    assert len(backwards) == 2 and all(len(step.requested_by) == len(LAYERS) for step in backwards)
