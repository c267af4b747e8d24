"""Perturbation methods: passes and FLOPs as planned and as torch counts them, memory, interruptions, wrong input."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import slow
import tiny
import torch
from bounds import adapter, between
from closeness import close_to
from slow import last
from test_costs import executed, planned

from bbilang.compiler.plan.plan import plan
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.passes import above_gradients as rerun
from bbilang.runtime.passes import above_values as scores

MANY = "1, 5, 9"


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("layer, method, count", [
    ("b", "occlusion(window=2, stride=1)", 9), ("a", "rise(n_masks=11, cells=3)", 11), ("input", "rise(n_masks=7)", 7),
    ("input", "occlusion(window=20, stride=12)", 4),
])  # fmt: skip
@pytest.mark.parametrize("classes", ["2", MANY])
def test_masks_run_the_network_above_once_each(layer, method, count, classes, inputs):
    """One forward from the layer on for each mask, whatever the number of classes; and one to it for the baseline."""
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    facet = ", facet=class" if classes == MANY else ""
    steps = planned(f"{head} | attribute(output[{classes}], method={method}) | present(heatmap{facet})", inputs)
    results, total = executed(steps, inputs)
    above, below = between(layer, "head"), between("input", layer)
    budget = 1  # one row more: the layer at zero
    assert results.removals == budget
    assert steps.total("reruns") == (count + budget, inputs * (count + budget) * above)
    assert not any(step.bound for step in steps.steps)
    assert total == inputs * (between("input", "head") + below + (count + budget) * above)
    assert results.reruns == count and results.model_passes == (1 + (layer != "input"), 0)
    assert (results.passes.backwards, results.passes.rerun_rows) == (0, inputs * count)


def test_equal_masks_are_run_once():
    """Classes, differences, lists and both elements: one step."""
    rise = "b.spatial | attribute({}, method=rise(n_masks=9, cells=3)) | present(heatmap{})"
    text = "\n".join(rise.format(*some) for some in (
        ("output[2]", ""), ("output[5] - output[2]", ""), ("[output[1], output[5]]", ", facet=class"),
    ))  # fmt: skip
    steps = planned(text, 1)
    results, _ = executed(steps, 1)
    assert steps.total("reruns")[0] - results.removals == results.reruns == 9
    assert results.removals == 1
    alone = last(executed(planned(rise.format("output[5] - output[2]", ""), 1), 1)[0], "y", "x")
    close_to(list(results.fields.values())[1].values.ordered(("input", "y", "x")).data, alone)


@pytest.mark.parametrize("classes, rows", [("output[2]", 1), ("[output[1], output[5], output[9]]", 3),
                                           ("output[1] - output[5]", 1)])  # fmt: skip
@pytest.mark.parametrize("method", ["meaningful_perturbation(steps=4)", "extremal_perturbation(steps=4)"])
def test_learned_masks_run_once_a_step_for_each_target(method, classes, rows):
    """There and back for every target at each step; a difference is one target."""
    facet = ", facet=class" if rows > 1 else ""
    steps = planned(f"input.pixel | attribute({classes}, method={method}) | present(heatmap{facet})", 2)
    results, _ = executed(steps, 2)
    whole = between("input", "head")
    assert steps.total("reruns") == (4 * rows + 1, 2 * 4 * rows * 2 * whole + 2 * whole)  # and the layer at zero
    assert results.reruns == 4 * rows and results.passes.backward_rows == 2 * 4 * rows


def test_as_written_every_target_runs_every_mask():
    text = "b.spatial | attribute(output[1, 5, 9], method=rise(n_masks=6, cells=3)) | present(heatmap, facet=class)"
    steps = plan(tiny.check(text, 1, adapter()))
    assert steps.total("reruns") == (18 + 1, (18 + 1) * between("input", "head"))  # and the layer at zero
    results, _ = executed(steps, 1)
    asked = sum(step.passes for step in steps.steps if step.kind == "forward")
    assert results.model_passes == (asked + 18, 0)
    actual, want = last(results, "class", "y", "x"), last(executed(planned(text, 1), 1)[0], "class", "y", "x")
    assert np.abs(actual - want).max() < 1e-4 * np.abs(want).max()


@pytest.mark.parametrize("method", ["rise(n_masks=40, cells=3)", "occlusion(window=9, stride=3)"])
def test_too_large_a_chunk_is_halved(method, monkeypatch):
    text = f"input.pixel | attribute([output[2], output[5]], method={method}) | present(heatmap, facet=class)"
    want = last(slow.run(text, "residual", 3), "class", "y", "x")
    seen = []

    class Small:
        """Out of memory for more than five rows."""

        def __init__(self, upper):
            self.upper = upper

        def __call__(self, activations, rows):
            seen.append(len(activations))
            if len(activations) > 5:
                raise torch.OutOfMemoryError("out of memory")
            return self.upper(activations, rows)

    def small(upper, *rest, **named):
        upper.run = Small(upper.run)
        return value_chunks(upper, *rest, **named)

    value_chunks = scores.value_chunks
    monkeypatch.setattr(scores, "value_chunks", small)
    actual = last(slow.run(text, "residual", 3), "class", "y", "x")
    assert max(seen) > 5 and max(seen[-5:]) <= 5
    assert np.abs(actual - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("method", ["meaningful_perturbation(steps=3)", "extremal_perturbation(steps=3)"])
def test_a_mask_is_the_same_in_any_company(method, monkeypatch):
    text = f"input.pixel | attribute({{}}, method={method}) | present(heatmap{{}})"
    many = last(slow.run(text.format("[output[2], output[5]]", ", facet=class"), "residual", 2), "class", "y", "x")
    monkeypatch.setitem(rerun.MAX_CHUNK, "cpu", 1)
    for position, number in enumerate((2, 5)):
        alone = last(slow.run(text.format(f"output[{number}]", ""), "residual", 2), "y", "x")
        assert np.abs(many[:, position] - alone).max() < 1e-4


@pytest.mark.parametrize("method", ["rise(n_masks=9)", "occlusion(window=8)", "meaningful_perturbation(steps=9)",
                                    "extremal_perturbation(steps=9)"])  # fmt: skip
def test_an_interruption_gives_the_model_back(method, monkeypatch):
    from bbilang.runtime.execution.context import Run

    def interrupted(self, words, done, total):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "report_progress", interrupted)
    module = slow.adapter("residual").module
    before = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in m.__dict__)
              for m in module.modules()], [p.requires_grad for p in module.parameters()]  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        slow.run(f"input.pixel | attribute(output[2], method={method}) | present(heatmap)", "residual")
    assert before == ([(m.training, len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in m.__dict__)
                       for m in module.modules()], [p.requires_grad for p in module.parameters()])  # fmt: skip


@pytest.mark.parametrize("text, code, words", [
    ("input.pixel | attribute(output, method=occlusion(window=33)) | present(heatmap)", "E245", "32 x 32"),
    ("b.spatial | attribute(output, method=occlusion(window=9)) | present(heatmap)", "E245", "8 x 8"),
    ("b.spatial | attribute(output, method=occlusion(window=3, stride=4)) | present(heatmap)", "E245", "gaps"),
    ("b.spatial | attribute(output, method=rise(cells=9)) | present(heatmap)", "E245", "8 x 8"),
    ("b.channel | attribute(output, method=rise) | present(bars)", "E238", "b.spatial"),
    ("input.pixel | attribute(output, method=meaningful_perturbation(cells=40)) | present(heatmap)", "E245", "32 x"),
    ("input.pixel | attribute(output, method=extremal_perturbation(step=40)) | present(heatmap)", "E245", "32 x 32"),
    ("b.spatial | attribute(output, method=extremal_perturbation) | present(heatmap)", "E238", "input only"),
    ("input.pixel | attribute(output, method=rise(p=0)) | present(heatmap)", "E214", "0.01"),
    ("input.pixel | attribute(output, method=occlusion(baselines=grey)) | present(heatmap)", "E215", "mean"),
])  # fmt: skip
def test_what_cannot_be(text, code, words):
    with pytest.raises(BbiError) as caught:
        tiny.check(text, 1, slow.adapter("residual"))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code and diagnostic.span is not None
    assert words in diagnostic.message + (diagnostic.help or "")


@pytest.mark.parametrize(
    "method", ["rise(n_masks=70, cells=4)", "occlusion(window=8)", "extremal_perturbation(steps=5)"]
)
def test_long_work_says_how_far_it_is(method, capsys):
    import bbilang
    from bbilang.cli.progress_bar import ProgressBar
    from bbilang.runtime.events import Event

    events: list[Event] = []
    text = f"input.pixel | attribute(output[2], method={method}) | present(heatmap)"
    bbilang.run(text, model=slow.adapter("residual"), input=tiny.images(1)[0], cache=False, progress=events.append)
    work = [event for event in events if event.kind == "work"]
    shares = [event.done / event.total for event in work]
    assert shares == sorted(shares) and shares[-1] == 1 and len({event.words for event in work}) == 1
    assert method.partition("(")[0] in work[0].words and all(event.seconds >= 0 for event in work)
    with ProgressBar() as watch:
        watch._reported_at = -100.0
        watch(work[-1])
    assert f"{work[-1].words}: 100%" in capsys.readouterr().err


def test_the_guides_examples_are_right():
    import bbilang

    text = (Path(__file__).parents[2] / "docs" / "perturbation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bbi\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        assert bbilang.check(bbilang.parse(block), input="sample:chelsea").elements


def test_learning_too_many_masks_at_once_is_halved(monkeypatch):
    from bbilang.runtime.methods.extremal_perturbation import ExtremalPerturbation

    text = "input.pixel | attribute([output[2], output[5]], method=extremal_perturbation(steps=3))"
    text += " | present(heatmap, facet=class)"
    want = last(slow.run(text, "residual", 2), "class", "y", "x")
    learn, seen = ExtremalPerturbation.learn, []

    def small(self, parameters, task):
        seen.append(len(task.pictures))
        if seen[-1] > 1:
            raise MemoryError
        return learn(self, parameters, task)

    monkeypatch.setattr(ExtremalPerturbation, "learn", small)
    actual = last(slow.run(text, "residual", 2), "class", "y", "x")
    assert seen == [4, 2, 1, 1, 1, 1] and np.abs(actual - want).max() < 1e-4


def test_maps_come_from_the_cache(tmp_path):
    import bbilang
    from bbilang.runtime.cache.disk import Cache

    text = "input.pixel | attribute(output[2], method=rise(n_masks={}, cells=4)) | present(heatmap)"
    cache, ran = Cache(tmp_path), []
    for count in (12, 12, 13):
        page = bbilang.run(
            text.format(count), model="efficientnet_lite0", weights="random", input="sample:chelsea", cache=cache,
            settings={"preprocess.size": 32, "preprocess.crop": 32},
        )  # fmt: skip
        ran.append(page.results.passes.rerun_rows if page.results.passes else 0)
    assert ran == [12, 0, 13]
