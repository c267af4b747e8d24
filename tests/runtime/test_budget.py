"""The budget line: its numbers against plain torch with hooks, its words, and the passes that it takes."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to, within
from torch import nn

import bbilang
from bbilang.runtime.execution.results import Results
from bbilang.runtime.view.states import budget_of, elements

NUMBER = r"([+−]?\d+(?:\.\d+)?)"
PRINTED = 0.0051


def near(actual, expected, tolerance):
    within(actual, expected, absolute=tolerance, because="a line has two decimals")


class Residual(nn.Module):
    """`side` and `aside` are branches, together a cut of what reaches `join`; `a` and `b` are cuts."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.side, self.aside = nn.Conv2d(6, 4, 3, 1, 1), nn.Conv2d(6, 4, 1)
        self.b = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, len(tiny.LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        x = self.b(self.side(x) + self.aside(x))
        return self.head(torch.tanh(x).mean((2, 3)))


def model():
    return tiny.adapter(Residual)


def scores(layer: str | None = None, inputs: int = 1) -> np.ndarray:
    """Return (input, class) by plain torch; with a hook that zeroes a layer's result."""
    module = tiny.build(Residual).eval()
    if layer is not None:
        module.get_submodule(layer).register_forward_hook(lambda module, given, result: torch.zeros_like(result))
    with torch.no_grad():
        return module(tiny.images(inputs)).numpy()


def linear(layer: str, classes: dict[int, float], inputs: int = 1) -> np.ndarray:
    """(input, channel): activation x gradient of a weighted sum of scores, by autograd."""
    module, captured = tiny.build(Residual).eval(), []

    def hook(module, given, result):
        captured.append(result.detach().clone().requires_grad_())
        return captured[0] * 1

    module.get_submodule(layer).register_forward_hook(hook)
    out = module(tiny.images(inputs))
    (gradient,) = torch.autograd.grad(sum(weight * out[:, k].sum() for k, weight in classes.items()), captured[0])
    return (captured[0] * gradient).detach().sum((2, 3)).numpy()


def run(text: str, inputs: int = 1) -> Results:
    return tiny.run(text, inputs, model())


def budget_total(text: str) -> np.ndarray:
    return next(iter(run(text).budgets.values()))["total"].ordered(("input", "class")).data


def lines(results: Results, panel: int = 0) -> list[list[str]]:
    """The lines of every state of a text's last element."""
    view = tiny.view_of(results)
    element = list(elements(view))[-1]
    return [frame.budget.split("\n") for frame in element.panels[panel].frames]


def numbers(line: str, *words: str) -> list[float]:
    """The number after each of these words."""
    matches = [re.search(rf"{re.escape(word)} {NUMBER}", line, re.IGNORECASE) for word in words]
    assert all(matches), f"{words} in {line}"
    return [float(match[1].replace("−", "-")) for match in matches if match]


def test_one_line_in_one_unit():
    results = run("side.channel | attribute(output[2]) | top(2) | present(bars)")
    ((line, branch),) = lines(results)
    own, whole, without = linear("side", {2: 1})[0], scores()[0, 2], scores("side")[0, 2]
    shown = np.sort(own)[-2:].sum()
    have = numbers(line, "shown", "all channels", "score", "removing the layer")
    near(have, [shown, own.sum(), whole, without - whole], PRINTED)
    assert line.startswith("Shown") and line.count(";") == 3
    assert branch.startswith("side is a side branch: removing it whole changes the score by ")
    near(numbers(branch, "by", "of"), [without - whole, whole], PRINTED)


@pytest.mark.parametrize("layer", ["a", "side", "aside", "b"])
def test_removal_is_a_hook_by_hand(layer):
    for method in ("linear", "integrated_gradients(n_steps=3)"):
        results = run(f"{layer}.channel | attribute(output[0, 1, 2, 3, 4, 5], method={method}) | present(matrix)", 2)
        budget = next(iter(results.budgets.values()))
        removed = budget["removed"].ordered(("input", "layer", "class")).data[:, 0]
        close_to(removed, (scores(layer, 2) - scores(inputs=2))[:, :6], terms=np.abs(scores(inputs=2)).max())
    total = budget_total(f"{layer}.channel | attribute(output[0, 1, 2, 3, 4, 5]) | present(matrix)")
    close_to(total[0, 3], linear(layer, {3: 1})[0].sum(), terms=np.abs(linear(layer, {3: 1})).sum())


def test_differences_sums_and_several_classes():
    ((line, branch),) = lines(run("side.channel | attribute(output[2] - output[5]) | top(3) | present(bars)"))
    own = linear("side", {2: 1, 5: -1})[0]
    whole, without = (s[0, 2] - s[0, 5] for s in (scores(), scores("side")))
    have = numbers(line, "all channels", "difference", "removing the layer")
    near(have, [own.sum(), whole, without - whole], PRINTED)
    assert "the difference by" in branch
    ((line,),) = lines(run("b.channel | attribute(output[2] + output[5]) | top(3) | present(bars)"))
    near(numbers(line, "sum"), [scores()[0, [2, 5]].sum()], PRINTED)
    (both,) = lines(run("b.channel | attribute([output[2], output[5]]) | both(2, by=difference) | present(bars)"))
    assert [line.partition(":")[0] for line in both] == ["cat", "fox"]
    for line, index in zip(both, (2, 5), strict=True):
        near(numbers(line, "score"), [scores()[0, index]], PRINTED)


def test_it_follows_the_state_and_the_input():
    text = "k = pick(output[top(3)])\nb.channel | attribute(output[k]) | top(2) | present(bars)"
    for inputs in (1, 2):
        states = [line for (line,) in lines(run(text, inputs))]
        order = np.argsort(-scores(inputs=inputs), axis=1, kind="stable")[:, :3]
        best = np.take_along_axis(scores(inputs=inputs), order, 1).T.ravel()  # the menu's states are slowest
        near([numbers(line, "score")[0] for line in states], best, PRINTED)
        removed = np.take_along_axis(scores("b", inputs) - scores(inputs=inputs), order, 1).T.ravel()
        near([numbers(line, "removing the layer")[0] for line in states], removed, PRINTED)


def test_complete_methods_name_their_baseline():
    method = "integrated_gradients(n_steps=64)"
    ((line,),) = lines(run(f"b.channel | attribute(output[2], method={method}) | top(3) | present(bars)"))
    assert "(activation for a black picture) + contributions" in line and "= score" in line
    module = tiny.build(Residual).eval()
    black = {}
    handle = module.b.register_forward_hook(lambda module, given, result: black.setdefault("b", result.clone()))
    with torch.no_grad():
        module(torch.zeros(1, 3, tiny.SIZE, tiny.SIZE))
        handle.remove()
        module.b.register_forward_hook(lambda module, given, result: black["b"])
        start = float(module(tiny.images())[0, 2])
    have = numbers(line, "baseline", "contributions", "score")
    near(have, [start, scores()[0, 2] - start, scores()[0, 2]], 2 * PRINTED)
    assert abs(have[0] + have[1] - have[2]) < 0.011
    ((line,),) = lines(run(f"input.pixel | attribute(output[2], method={method}) | present(heatmap)"))
    assert "(a black picture) + contributions" in line and "; a black picture instead" in line


def test_a_complete_method_that_misses_is_amber_and_no_other():
    few = "b.channel | attribute(output[2], method=integrated_gradients(n_steps=1)) | top(3) | present(bars)"
    element = list(elements(tiny.view_of(run(few))))[-1]
    known = next(iter(run(few).budgets.values()))
    share = [float(known[n].data.ravel()[0]) for n in ("score", "baseline", "total")]
    missed = abs(share[2] - (share[0] - share[1])) / abs(share[0] - share[1])
    assert missed > 0.05, "the case shows something"
    (warning,) = element.legend.warnings
    assert warning.startswith("Integrated gradients promises") and "here they do not: take more steps" in warning
    assert not any(letter.isdigit() for letter in warning), "the line below has the number, and says it once"
    assert f"{100 * missed:.0f} % off" in element.panels[0].frames[0].budget
    for method in ("integrated_gradients(n_steps=256)", "linear", "gradient", "guided_backprop"):
        text = f"b.channel | attribute(output[2], method={method}) | top(3) | present(bars)"
        legend = list(elements(tiny.view_of(run(text))))[-1].legend
        assert legend.warnings == (), method
        assert any("recovers edges" in note for note in legend.notes) == (method == "guided_backprop")


def test_an_amber_mark_counts_the_choices_that_miss():
    attribution = "b.channel | attribute(output[k], method=integrated_gradients(n_steps=1)) | present(bars)"
    results = run(f"k = pick(output[top(6)])\n{attribution}")
    element = list(elements(tiny.view_of(results)))[-1]
    budget = next(iter(results.budgets.values()))
    score, start, total = (budget[n].data.ravel() for n in ("score", "baseline", "total"))
    missing = int((np.abs(total - (score - start)) > 0.05 * np.abs(score - start)).sum())
    off = sum("% off" in line for (line,) in lines(results))
    assert 0 < missing < 6 and off >= missing
    (warning,) = element.legend.warnings
    assert ("here they do not" if missing == 6 else f"in {missing} of 6 cases they do not") in warning


def test_what_relevance_lacks_is_named():
    for bias, words in (("true", "biases and stabilizers"), ("false", "stabilizers")):
        ((line,),) = lines(run(f"input.pixel | attribute(output[2], method=lrp(bias={bias})) | present(heatmap)"))
        total, whole = numbers(line, "all pixels", "score")
        near(whole, scores()[0, 2], PRINTED)
        assert (total < 0.95 * whole) == (bias == "true"), "here biases absorb, and nothing else does"
        assert (f"of score {whole:.2f} ({words} absorb the rest)" in line) == (bias == "true"), line


def test_layers_in_facets_each_alone_and_a_cut_together():
    results = run("[side, aside].channel | attribute(output[1]) | top(2, per=layer) | present(bars, facet=layer)")
    for number, layer in enumerate(("side", "aside")):
        ((line, kinds),) = lines(results, number)
        near(numbers(line, "removing the layer"), [scores(layer)[0, 1] - scores()[0, 1]], PRINTED)
        near(numbers(line, "all channels"), [linear(layer, {1: 1})[0].sum()], PRINTED)
        assert kinds.startswith(f"{layer} is a side branch") and kinds.endswith("Together these layers are a cut.")


def test_methods_in_facets_have_their_own():
    text = "b.neuron | attribute(output[2], method=[gradient, linear, integrated_gradients(n_steps=64)])"
    results = run(f"{text} | top(4, per=method) | present(bars, facet=method)")
    gradient, first, second = (lines(results, panel)[0][0] for panel in range(3))
    assert gradient == "", "gradients are no contributions, and the others tell the score"
    near(numbers(first, "all neurons"), [linear("b", {2: 1})[0].sum()], PRINTED)
    assert "baseline" in second.lower()


def test_a_flow_adds_up_to_all_channels():
    text = "late = b | factorize(nmf, 2)\nearly = a | factorize(nmf, 3)\n"
    text += "[early, late, output[2, 5]] | link() | present(sankey)"
    results = run(text)
    (both,) = lines(results)
    pair = next(iter(results.fields.values())).pairs[-1].values.ordered(("input", "group", "class")).data[0]
    assert [line.partition(":")[0] for line in both] == ["cat", "fox"]
    for line, k, given in zip(both, (2, 5), pair.sum(0), strict=True):
        own, whole, without = linear("b", {k: 1})[0].sum(), scores()[0, k], scores("b")[0, k]
        have = numbers(line, "groups", "left out by the factorization", "all channels", "score", "removing the layer")
        near(have, [given, own - given, own, whole, without - whole], PRINTED)
    ((offered,),) = lines(run(text.replace("output[2, 5]", "output[2, 5, score=probability]")))
    assert "log-odds of two classes" in offered and "groups" not in offered, "probabilities are no sums"


@pytest.mark.parametrize(
    "text",
    [
        "side.channel | attribute(b.channel[3]) | top(3) | present(bars)",
        "b.channel | activation | top(3) | present(bars)",
        "b.channel | gradient(output[2]) | top(3) | present(bars)",
        "output[top(3)] | present(bars)",
        "side.channel | attribute(output[2]) | relu | top(3) | present(bars)",
        "side.channel | attribute(output.class) | top(3) | present(matrix)",
    ],
)
def test_where_there_is_nothing_to_add_up(text):
    results = run(text)
    assert lines(results) == [[""]] * len(lines(results)) and results.removals == 0


def test_for_probabilities_log_odds_are_offered():
    """In place of a line, the target that has one; there it has it, and it is the log-odds."""
    text = "b.channel | attribute(output[2{}{}) | top(3) | present(bars)"
    probability = run(text.format(", score=probability", "]"))
    ((line,),) = lines(probability)
    assert "log-odds of two classes" in line and "output[a] - output[b]" in line and probability.removals == 0
    ((offered,),) = lines(run(text.format("] - output[5", "]")))
    shares = torch.softmax(torch.as_tensor(scores()), 1)[0]
    near(numbers(offered, "difference"), [float(torch.log(shares[2] / shares[5]))], PRINTED)


def test_methods_without_sums_say_the_score():
    text = "b.spatial | attribute(output[2], method=[gradient, occlusion(window=2)]) | present(heatmap, facet=method)"
    said = [lines(run(text), panel) for panel in range(2)]
    assert said[0] == said[1] and said[0][0][0].startswith("Score ")
    assert budget_of(list(elements(tiny.view_of(run(text))))[-1], 0).count("\n") == 0, "once for all panels"


@pytest.mark.parametrize(
    ("text", "beginnings"),
    [
        ("[b, side].spatial | attribute(output[2]) | present(heatmap, facet=layer)", ("b: all ", "side: all ")),
        ("b.spatial | attribute([output[1], output[2]]) | present(heatmap, facet=class)", ("bee: all ", "cat: all ")),
    ],
)
def test_where_panels_differ_their_labels_begin_the_lines(text, beginnings):
    (element,) = elements(tiny.view_of(run(text)))
    found = [panel.frames[0].budget for panel in element.panels]
    assert [line.startswith(start) for line, start in zip(found, beginnings, strict=True)] == [True, True], found


def test_groups_that_are_all_there():
    text = "g = b | factorize(nmf, 3)\ng | attribute(output[2]) | present(bars)"
    ((line,),) = lines(run(text))
    own = next(iter(run(text).budgets.values()))["total"]
    assert line.startswith("All groups")
    near(numbers(line, "all groups"), [float(np.squeeze(own.data))], PRINTED)


def test_groups_are_not_held_to_completeness():
    """What the factorization leaves out is not an error of the method: more steps would not reduce it."""
    path = "attribute(output[2], method=integrated_gradients(n_steps=64)) | present(bars)"
    text = f"g = b | factorize(nmf, 2)\ng | {path}"
    results = run(text)
    (element,) = elements(tiny.view_of(results))
    line = budget_of(element, 0)
    own = next(iter(results.fields.values())).values.data
    assert line.startswith("All groups") and "baseline" not in line.lower() and not element.legend.warnings
    near(numbers(line, "all groups"), [float(np.nansum(own))], PRINTED)
    layer = run(f"b.channel | {path}")
    assert "baseline" in budget_of(next(iter(elements(tiny.view_of(layer)))), 0).lower()


def test_a_curve_on_a_branch_says_that_removing_it_leaves_the_score():
    ((words,),) = lines(run("side.channel | attribute(output[2]) | trust(deletion) | present(curve)"))
    change = abs(scores("side") - scores())[0, 2] / abs(scores()[0, 2])
    assert words.startswith("side is a side branch: removing it whole " + ("leaves" if change < 0.05 else "changes"))
    ((words,),) = lines(run("b.channel | attribute(output[2]) | trust(deletion) | present(curve)"))
    assert words.startswith("Removing all of b ")


def test_one_run_for_all_that_compare_with_a_layer():
    text = (
        "k = pick(output[top(3)])\nside.channel | attribute(output[k]) | top(2) | present(bars)\n"
        "side.spatial | attribute([output[1], output[2]]) | present(heatmap, facet=class)\n"
        "b.neuron | attribute(output[2] - output[3]) | top(5) | present(bars)\n"
        "side.channel | attribute(output[2], method=integrated_gradients(n_steps=4)) | top(2) | present(bars)"
    )
    results = run(text, 2)
    removals = [rerun for rerun in results.program.reruns if rerun.is_removal]
    assert sorted(rerun.layer for rerun in removals) == ["b", "side"] and results.removals == 2
    assert results.passes.removals == 4 and results.passes.reruns and results.model_passes[0] == 2
    written = tiny.run(text, 1, model(), optimized=False)
    assert written.removals == 4, "as written, each element has its own"
    for name, budget in tiny.run(text, 1, model()).budgets.items():
        for key, value in budget.items():
            if value.data.dtype.kind == "f":
                expected = written.budgets[name][key].ordered(value.dims).data
                close_to(value.data, expected, terms=10, dtype=np.float32)


class Normed(nn.Module):
    """Divides by the layer's norm: at zero it gives no number."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Linear(4, len(tiny.LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x).mean((2, 3))
        return self.head(x / x.norm(dim=1, keepdim=True))


def test_a_layer_that_cannot_be_zero_is_left_out():
    results = tiny.run("a.channel | attribute(output[2]) | top(2) | present(bars)", 1, tiny.adapter(Normed))
    ((line,),) = lines(results)
    assert "removing" not in line and "all channels" in line


def test_what_the_cache_recalls(tmp_path):
    cache = bbilang.Cache(tmp_path) if hasattr(bbilang, "Cache") else tmp_path
    picture = (tiny.images()[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    text = "side.channel | attribute(output[2]) | top(2) | present(bars)"
    pages = [
        bbilang.run(f"# {title}\n{text}", model=tiny.build(Residual), input=picture, cache=cache,
                    input_size=tiny.SIZE)
        for title in ("one", "two")
    ]  # fmt: skip
    said = [budget_of(next(iter(elements(page.view))), 0) for page in pages]
    assert said[0] == said[1] and "removing the layer" in said[0]
    assert "with a layer removed" in pages[0].view.provenance.passes
    assert "removed" not in pages[1].view.provenance.passes, "nothing ran again"


def test_python_has_the_numbers(tmp_path):
    picture = (tiny.images()[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    text = "bars = side.channel | attribute(output[2]) | top(2) | present(bars)"
    page = bbilang.run(text, model=tiny.build(Residual), input=picture, input_size=tiny.SIZE, cache=tmp_path)
    budget = page.data("bars").budget
    assert {name: axes for name, (axes, _) in budget.items()} == {"score": (), "removed": (), "total": ()}
    line = budget_of(next(iter(elements(page.view))), 0).split("\n")[0]
    near(numbers(line, "all channels", "score"), [budget["total"][1], budget["score"][1]], PRINTED)
    made = page.save(tmp_path / "page.json").read_text("utf-8")
    assert "removing the layer" in made
