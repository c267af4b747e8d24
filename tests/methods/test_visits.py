"""Methods that visit other activations (noise, paths, competition, class activation maps), against plain loops, and
against Captum with the same noise and the same steps."""

from __future__ import annotations

import re

import blocks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import close_to

import bbilang
from bbilang.grammar.diagnostic import BbiError

CLASS = 2
SUBJECTS = ["relu6", "residual", "silu", "concatenation", "attention"]


def close(actual, expected, rtol=1e-5):
    """Equal, relative to the largest."""
    expected = np.asarray(expected)
    assert np.abs(expected).max() > 0
    close_to(actual, expected, dtype=np.float32, roundings=rtol / np.finfo(np.float32).eps)


def at_input(method, name, to=f"output[{CLASS}]", head="input.pixel", **options):
    return blocks.attributed(f"{head} | attribute({to}, method={method}) | present(heatmap)", name, **options)


def noise(shape, sample, *seeds):
    """What the file's seed, and the numbers of the samples around it, say."""
    state = np.random.SeedSequence([*seeds, sample]).generate_state(1, np.uint64)
    return torch.randn(shape, generator=torch.Generator().manual_seed(int(state[0] >> np.uint64(1))))


def noisy(x, samples, share, *seeds):
    reach = float(x.max() - x.min())
    return [x + share * reach * noise(x.shape, sample, *seeds) for sample in range(samples)]


def slope(network, x, index=CLASS):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(network(x[None])[0, index], x)[0]


def contribution(kind, network, x, index=CLASS):
    """One sample's, (channel, y, x)."""
    if kind == "gradient":
        return slope(network, x, index)
    if kind == "linear":
        return x * slope(network, x, index)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    total = sum(w / 2 * slope(network, x * (n + 1) / 2, index) for n, w in zip(nodes, weights, strict=True))
    return x * total


INNER = {"gradient": "gradient", "linear": "linear", "path": "integrated_gradients(n_steps=3)"}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("kind", INNER)
def test_means_and_variances_of_noisy_samples(name, kind):
    network, x = blocks.block(name), blocks.image()
    actual = torch.stack([contribution(kind, network, sample) for sample in noisy(x, 5, 0.2, 0)])
    given = f"of={INNER[kind]}, n_samples=5, noise=0.2"
    close(at_input(f"smoothgrad({given})", name), actual.mean(0).sum(0), 3e-5)
    close(at_input(f"vargrad({given})", name), actual.var(0, correction=0).sum(0), 1e-4)


def test_of_a_difference_the_variance_is_of_the_difference():
    network, x = blocks.block("relu6"), blocks.image()
    actual = torch.stack([slope(network, s, 4) - slope(network, s, 1) for s in noisy(x, 4, 0.15, 0)])
    for optimized in (True, False):
        method = "vargrad(n_samples=4)"
        close(
            at_input(method, "relu6", "output[4] - output[1]", optimized=optimized), actual.var(0, correction=0).sum(0)
        )


def test_noise_inside_noise():
    """The inner samples have their own noise for each of the outer ones."""
    network, x = blocks.block("residual"), blocks.image()
    outer = []
    for number, sample in enumerate(noisy(x, 3, 0.1, 7)):
        inner = torch.stack([slope(network, s) for s in noisy(sample, 4, 0.3, 7, number)])
        outer.append(inner.var(0, correction=0))
    text = (
        f"set seed 7\ninput.pixel | attribute(output[{CLASS}], method=smoothgrad(of=vargrad(n_samples=4, noise=0.3), "
        "n_samples=3, noise=0.1)) | present(heatmap)"
    )
    close(blocks.attributed(text, "residual"), torch.stack(outer).mean(0).sum(0), 1e-4)


def test_over_guided_backpropagation():
    attr = pytest.importorskip("captum.attr")
    network, x = blocks.block("residual"), blocks.image()
    with pytest.warns(UserWarning):
        own = attr.GuidedBackprop(network)
        actual = [own.attribute(s[None].requires_grad_(), target=CLASS)[0].detach() for s in noisy(x, 3, 0.15, 0)]
    actual = torch.stack(actual)
    for optimized in (True, False):
        close(at_input("smoothgrad(of=guided_backprop, n_samples=3)", "residual", optimized=optimized),
              actual.mean(0).sum(0))  # fmt: skip
    close(at_input("vargrad(of=guided_backprop, n_samples=3)", "residual"), actual.var(0, correction=0).sum(0), 1e-4)


@pytest.mark.parametrize("kind", ["smoothgrad", "vargrad"])
@pytest.mark.parametrize("name", blocks.BLOCKS)
def test_noise_as_captum(kind, name, monkeypatch):
    """Captum's `NoiseTunnel` given the same noise."""
    attr = pytest.importorskip("captum.attr")
    network, x = blocks.block(name), blocks.image()
    reach = float(x.max() - x.min())
    same = torch.stack([0.15 * reach * noise(x.shape, sample, 0) for sample in range(6)])
    monkeypatch.setattr(torch, "normal", lambda mean, std: same)
    tunnel = attr.NoiseTunnel(attr.InputXGradient(network))
    expected = tunnel.attribute(x[None], nt_type=kind, nt_samples=6, stdevs=1.0, target=CLASS)
    monkeypatch.undo()
    actual = at_input(f"{kind}(of=input_x_gradient, n_samples=6)", name)
    close(actual, expected.detach().sum(1)[0], 1e-5 if kind == "smoothgrad" else 1e-4)  # it subtracts squares


def test_at_a_hidden_layer_the_noise_is_the_layers():
    network = blocks.block("concatenation")
    stem = network.stem(blocks.image()[None])[0]

    def above(x):
        return network.head(network.flat(network.pool(network.body(x))))

    actual = torch.stack([slope(above, s) * s for s in noisy(stem, 4, 0.15, 0)]).mean(0)
    text = "stem.channel | attribute(output[2], method=smoothgrad(of=linear, n_samples=4)) | present(bars)"
    close(blocks.attributed(text, "concatenation"), actual.sum((1, 2)))


def test_chunks_and_company_do_not_change_it(monkeypatch):
    """Rows in batches of one, of three, of all; alone, and with other classes and pictures."""
    from bbilang.runtime.attribution import path_methods
    from bbilang.runtime.passes import above_gradients as rerun

    method = "vargrad(of=integrated_gradients(n_steps=3), n_samples=4)"
    whole = at_input(method, "relu6")
    for rows, block in ((1, 5), (3, 256), (64, 7)):
        monkeypatch.setattr(rerun, "MAX_CHUNK", {"cpu": rows})
        monkeypatch.setattr(path_methods, "ROWS", block)
        close(at_input(method, "relu6"), whole)
    monkeypatch.undo()
    text = f"input.pixel | attribute([output[0], output[{CLASS}]], method={method}) | present(heatmap, facet=class)"
    close(blocks.attributed(text, "relu6", True, 0, "class", "y", "x")[1], whole)


def test_pictures_do_not_disturb_each_other():
    model = blocks.adapter("relu6")
    pictures = torch.stack([blocks.image(seed) for seed in range(3)])
    text = "input.pixel | attribute(output[2], method=smoothgrad(n_samples=3)) | present(heatmap)"
    together = bbilang.run(text, model=model, input=list(pictures), cache=False).data("element-1")
    own = together.values if together.axes[0] == "input" else np.moveaxis(together.values, -1, 0)
    for number in range(3):
        close(own[number], blocks_alone(text, model, pictures[number]))


def blocks_alone(text, model, image):
    return bbilang.run(text, model=model, input=image, cache=False).data("element-1").values


def test_a_seed_is_repeated_and_another_is_another():
    text = "set seed {}\ninput.pixel | attribute(output[2], method=smoothgrad(n_samples=2)) | present(heatmap)"
    one, again, other = (blocks.attributed(text.format(seed), "relu6") for seed in (1, 1, 2))
    assert np.array_equal(one, again) and np.abs(one - other).max() > 1e-3 * np.abs(one).max()


# --- paths ------------------------------------------------------------------------------------------------------------

RULES = ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["relu6", "silu", "attention"])
def test_quadratures_as_captum(rule, name):
    attr = pytest.importorskip("captum.attr")
    network, x = blocks.block(name), blocks.image()[None]
    own = attr.IntegratedGradients(network)
    expected = own.attribute(x, torch.zeros_like(x), target=CLASS, n_steps=7, method=rule)
    actual = at_input(f"integrated_gradients(n_steps=7, quadrature={rule})", name)
    close(actual, expected.detach().sum(1)[0])


@pytest.mark.parametrize("name", blocks.BLOCKS)
def test_integrated_gradients_as_captum(name):
    attr = pytest.importorskip("captum.attr")
    network, x = blocks.block(name), blocks.image()[None]
    expected = attr.LayerIntegratedGradients(network, network.stem).attribute(
        x, torch.zeros_like(x), target=CLASS, n_steps=9
    )
    text = f"stem.channel | attribute(output[{CLASS}], method=integrated_gradients(n_steps=9)) | present(bars)"
    close(blocks.attributed(text, name), expected.detach().sum((2, 3))[0])


def noted(text, name, optimized=True):
    model = blocks.adapter(name)
    program = bbilang.check(bbilang.parse(text), model=model, input=blocks.image())
    program = bbilang.optimize(program) if optimized else program
    results = bbilang.execute(bbilang.plan(program), model=model, input=blocks.image(), cache=False)
    (element,) = program.elements
    return results, results.fields[element.id]


@pytest.mark.parametrize("name", ["relu6", "max_pool", "silu"])
@pytest.mark.parametrize("tolerance", [0.05, 0.002])
def test_refined_until_complete(name, tolerance):
    """As many steps as it takes, class by class; never a step more than the plan allows; the same as written."""
    network, x = blocks.block(name), blocks.image()
    difference = (network(x[None]) - network(torch.zeros_like(x)[None]))[0]
    text = (
        "input.pixel | attribute([output[0], output[2], output[4]], method=integrated_gradients(n_steps=auto, "
        f"tolerance={tolerance})) | present(heatmap, facet=class)"
    )
    results, field = noted(text, name)
    actual, missed = field.values.ordered(("input", "class", "y", "x")).data[0], False
    for number, index in enumerate((0, 2, 4)):
        steps = 8  # what it should have taken, by a loop
        while True:
            nodes, weights = np.polynomial.legendre.leggauss(steps)
            total = sum(w / 2 * slope(network, x * (n + 1) / 2, index) for n, w in zip(nodes, weights, strict=True)) * x
            error = abs(float(total.sum() - difference[index])) / abs(float(difference[index]))
            if error <= tolerance or steps == 512:
                break
            steps *= 2
        missed |= error > tolerance
        close(actual[number], total.sum(0), 1e-4)
    (note,) = field.notes
    assert "completeness" in note and missed == (f"tolerance of {100 * tolerance:g} % was not reached" in note)
    plan = bbilang.plan(bbilang.optimize(results.program))
    (step,) = (s for s in plan.steps if s.kind == "reruns" and not s.words.startswith("removal"))
    assert step.bound and results.reruns <= step.passes and "up to" in step.words
    if tolerance < 0.05:
        return
    _, plain = noted(text, name, optimized=False)
    close(actual, plain.values.ordered(("input", "class", "y", "x")).data[0])


def test_the_error_that_the_legend_tells_is_the_error():
    """Two steps at a hidden layer, around which a sum goes."""
    network, x = blocks.block("residual"), blocks.image()
    ends = [network.stem(picture[None]) for picture in (torch.zeros_like(x), x)]
    scores = [network.head(network.flat(network.pool(network.body(end))))[0, CLASS] for end in ends]
    difference = float(scores[1] - scores[0])
    text = f"stem.channel | attribute(output[{CLASS}], method=integrated_gradients(n_steps=2)) | present(bars)"
    for optimized in (True, False):
        results, field = noted(text, "residual", optimized)
        share = 100 * abs(float(field.values.data.sum()) - difference) / abs(difference)
        (note,) = field.notes
        shown = float(re.search(r"to within ([\d.]+)\s%", note)[1])
        assert shown == pytest.approx(share, abs=0.051, rel=0.1) and note.endswith("(2 steps)")
    assert results.reruns == 0  # as written, everything runs from the picture


# --- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, steps, besides", [
    ("smoothgrad(n_samples=3)", 3, 0), ("vargrad(of=integrated_gradients(n_steps=4), n_samples=3)", 12, 0),
    ("integrated_gradients(n_steps=4)", 4, 1), ("competitive_input_x_gradient", 1, 0),
])  # fmt: skip
def test_planned_and_counted_passes(method, steps, besides):
    text = f"stem.spatial | attribute([output[1], output[3]], method={method}) | present(heatmap, facet=class)"
    results, _ = noted(text, "relu6")
    plan = bbilang.plan(bbilang.optimize(results.program))
    assert plan.total("reruns")[0] - results.removals == steps + besides == results.reruns
    assert results.removals == 1, "the layer at zero, for the budget line"
    classes = blocks.CLASSES if "competitive" in method else 2
    assert results.passes.backward_rows == steps * classes
    assert results.model_passes[0] == plan.total("forward")[0]
    assert f"{steps} step" in next(step.words for step in plan.steps if step.kind == "reruns")


# --- competition ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", blocks.BLOCKS)
@pytest.mark.parametrize("index", range(2))
def test_competition_entry_by_entry(name, index):
    network, x = blocks.block(name), blocks.image()
    claims = [x * slope(network, x, number) for number in range(blocks.CLASSES)]
    expected = torch.zeros_like(x)
    for position in np.ndindex(x.shape):
        own, others = float(claims[index][position]), [float(claim[position]) for claim in claims]
        if (own > 0 and own >= max(others)) or (own < 0 and own <= min(others)):
            expected[position] = own
    for optimized in (True, False):
        close(at_input("competitive_input_x_gradient", name, f"output[{index}]", optimized=optimized), expected.sum(0))


def test_fewer_rivals():
    """The two highest scores and the class itself."""
    network, x = blocks.block("relu6"), blocks.image()
    rivals = {*network(x[None])[0].argsort(descending=True)[:2].tolist(), CLASS}
    claims = torch.stack([x * slope(network, x, number) for number in rivals])
    own = x * slope(network, x)
    expected = own * (((own > 0) & (own >= claims.amax(0))) | ((own < 0) & (own <= claims.amin(0))))
    close(at_input("competitive_input_x_gradient(rivals=2)", "relu6"), expected.sum(0))


# --- class activation maps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["convolution", "relu6", "residual", "concatenation"])
@pytest.mark.parametrize("to, weights", [("output[3]", {3: 1.0}), ("output[3] - output[1]", {3: 1.0, 1: -1.0})])
def test_cam_by_the_weights_of_the_head(name, to, weights):
    network = blocks.block(name)
    maps = network.body(network.stem(blocks.image()[None]))[0]
    row = sum(weight * network.head.weight[index] for index, weight in weights.items())
    small = torch.einsum("c,cyx->yx", row, maps)
    close(at_input("cam", name, to, "body.spatial"), small)
    expected = F.interpolate(small[None, None], (12, 12), mode="bilinear", align_corners=False)[0, 0]
    for optimized in (True, False):
        close(at_input("cam", name, to, optimized=optimized), expected)
    bias = sum(weight * network.head.bias[index] for index, weight in weights.items())
    score = sum(weight * network(blocks.image()[None])[0, index] for index, weight in weights.items())
    close_to(float(small.mean() + bias), float(score), terms=float(small.abs().mean() + abs(bias)))


def test_cam_where_there_is_none():
    with pytest.raises(BbiError) as caught:
        at_input("cam(layer=stem)", "relu6")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E515" and "stem" in diagnostic.message and diagnostic.span is not None


@pytest.mark.parametrize("method, words", [
    ("smoothgrad(of=grad_cam)", "no method of gradients"), ("vargrad(of=rise)", "no method of gradients"),
    ("smoothgrad(of=competitive_input_x_gradient)", "no method of gradients"),
    ("smoothgrad(of=integrated_gradients(n_steps=auto))", "needs a number of steps"),
    ("integrated_gradients(n_steps=automatic)", "whole number or `auto`"),
])  # fmt: skip
def test_what_cannot_be_inside(method, words):
    with pytest.raises(BbiError) as caught:
        at_input(method, "relu6")
    assert words in caught.value.diagnostics[0].message


@pytest.mark.parametrize("to", ["output[1] - output[2]", "stem.channel[2]"])
def test_a_competition_is_among_classes(to):
    with pytest.raises(BbiError) as caught:
        at_input("competitive_input_x_gradient", "relu6", to)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E238" and "among classes" in diagnostic.message
