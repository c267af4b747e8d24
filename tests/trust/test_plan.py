"""Planned passes of measures: as many as run, more where the plan gives a bound, and never fewer."""

from __future__ import annotations

import pytest
import slow
import tiny
from measured import findings

from bbilang.compiler.ir.serialize import from_json, to_json
from bbilang.compiler.plan.plan import plan
from bbilang.runtime.trust.registry import MEASURES

AGAIN = ["random_weights", "class_sensitivity", "input_sensitivity", "shift_invariance"]
METHODS = [
    "linear", "gradient", "integrated_gradients(n_steps=4)", "smoothgrad(n_samples=3)", "occlusion(window=2, stride=2)",
]  # fmt: skip
TARGETS = ["output", "output[2]", "output[1, 4]", "output[2] - output[3]", "output[2, score=probability]"]


def planned(one):
    steps = [step for step in one["plan"].steps if step.words.startswith("trust: ")]
    return sum(step.passes for step in steps), any(step.bound for step in steps)


def agree(one, inputs):
    said, bound = planned(one)
    counted = one["run"].shared.trust_passes.rows / inputs
    assert counted <= said and (bound or counted == said), (said, counted)
    return said


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize(
    "measure",
    [
        name
        for name, kind in MEASURES.items()
        if not (kind.input_only or kind.boxed or kind.of_influence) and name != "agreement"
    ],
)
def test_every_measure(measure, inputs, optimized):
    text = f"b.channel | attribute(output[2]) | top(3) | trust({measure}, n=3) | present(bars)"
    assert agree(findings(text, "residual", inputs, optimized), inputs) > 0


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("measure", AGAIN)
def test_every_way_to_an_attribution(measure, method, optimized):
    head = "b.spatial" if "occlusion" in method else "b.channel"
    text = f"{head} | attribute(output[2], method={method}) | top(3) | trust({measure}, n=3) | present(bars)"
    agree(findings(text, "joined", 1, optimized), 1)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "measure", ["path_dependence", "random_weights", "class_sensitivity", "deletion", "falsifiability"]
)
def test_every_target(measure, target, optimized):
    facet = ", facet=measure" if MEASURES[measure].of_atoms else ""
    shown = "matrix" if "," in target.replace(", score", "") else "bars"
    facet = facet if shown == "matrix" else ""
    text = f"b.channel | attribute({target}) | top(3) | trust({measure}, n=3) | present({shown}{facet})"
    agree(findings(text, "residual", 2, optimized), 2)


@pytest.mark.parametrize(
    "measure", sorted(name for name, kind in MEASURES.items() if not (kind.boxed or kind.of_influence))
)
def test_optimized_or_not_the_words_are_the_same(measure):
    head = "input.pixel" if MEASURES[measure].input_only else "b.channel"
    drawn = "bars"
    text = f"{head} | attribute(output[2]) | top(3) | trust({measure}, n=3) | present({drawn})"
    fast, plain = (findings(text, "residual", 1, optimized)["field"] for optimized in (True, False))
    slow.close(fast.values.data, plain.values.data, 1e-3)
    assert len(fast.trust) == len(plain.trust) == 1 and bool(fast.trust[0][4]) == bool(plain.trust[0][4])


def test_one_attribution_tested_twice_is_tested_once():
    """The bars and the curve of one measure share its passes; other atoms of the same attribution too."""
    line = "b.channel | attribute(output[2]) | {} trust(random_weights) | present({})"
    one = slow.run(line.format("top(3) |", "bars"), "residual")
    three = slow.run(
        "\n".join(line.format(*x) for x in (("top(3) |", "bars"), ("", "curve"), ("top(2) |", "bars"))), "residual"
    )
    assert three.trusted == one.trusted
    assert len([s for s, _ in three.timings if s.words.startswith("trust")]) == 1


def test_the_plan_as_json():
    program = tiny.check("b.channel | attribute(output) | trust([deletion, path_dependence], n=3) | present(curve)")
    again = from_json(to_json(program))
    assert plan(again) == plan(program)
    assert [r.finds for r in again.reruns] == ["trust", "trust", "removal"]
