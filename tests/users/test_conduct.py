"""Networks whose rows depend on each other, that are random or stateful, or define their own derivatives.

The right values are hand loops over plain autograd on one picture at a time.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from brings import brings
from closeness import close_to
from torch import nn

import bbilang
from bbilang.runtime import passes
from bbilang.runtime.featvis.engine import visualize
from bbilang.runtime.featvis.icon import Objective, Recipe

SIDE = 12


def pictures(count):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))


def values(text, model, given, **options):
    page = bbilang.run(f"e = {text}", model=model, input=given, cache=False, **options)
    return page.data("e").values


class Mixing(nn.Module):
    """A small network with something between its rows."""

    def __init__(self, mix):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.act, self.mix = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), mix
        self.second, self.head = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x):
        x = self.act(self.first(x))
        return self.head(self.mix(torch.tanh(self.second(x))).mean((2, 3)))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


MIXES = {
    "batch norm without running statistics": lambda: nn.BatchNorm2d(6, track_running_stats=False),
    "less the mean of the batch": lambda: Apply(lambda x: x - 0.5 * x.mean(0) + x.mean((2, 3), keepdim=True)),
    "sorted over the batch": lambda: Apply(lambda x: x.sort(0).values),
    "from the row before": lambda: Apply(lambda x: x + 0.5 * x.roll(1, 0)),
    "from the last row": lambda: Apply(lambda x: x * (1 + x[-1:])),
    "a sum along the batch": lambda: Apply(lambda x: x.cumsum(0)),
}


def alone(network, at):
    """d score 1 / d act, at an activation (1, 6, y, x) of the layer `act`."""
    at = at.detach().requires_grad_()
    hook = network.act.register_forward_hook(lambda module, given, result: at)
    try:
        score = network(pictures(1))[0, 1]
    finally:
        hook.remove()
    return torch.autograd.grad(score, at)[0]


@brings("Networks", "rows of a batch that depend on each other: batch norm without running statistics, `x - x.mean(0)`, a sort over the batch", "works: rows run one at a time")  # fmt: skip  # noqa: E501
@pytest.mark.parametrize("mix", MIXES)
def test_rows_that_depend_on_each_other_run_alone(mix):
    network, given = Mixing(MIXES[mix]()).eval(), pictures(2)
    plain, cells = [], []
    for x in given:
        base = network.act(network.first(x[None])).detach()
        plain.append((alone(network, base) * base).sum((0, 2, 3)))
        hidden = []
        for y, left in np.ndindex(2, 2):
            z = x.clone()
            z[:, 6 * y : 6 * y + 6, 6 * left : 6 * left + 6] = 0
            with torch.no_grad():
                hidden.append(network(x[None])[0, 1] - network(z[None])[0, 1])
        cells.append(torch.stack(hidden))
    close_to(values("act.channel | attribute(output[1]) | present(bars)", network, given), torch.stack(plain))
    method = "occlusion(window=6, stride=6, baselines=zero)"
    actual = values(f"input.pixel | attribute(output[1], method={method}) | present(heatmap)", network, given)
    close_to(actual[:, ::6, ::6].reshape(2, -1), torch.stack(cells), terms=1)


def test_paths_masks_tangents_relevance_and_trust_of_rows_that_depend_on_each_other():
    """Every mode of running the network, for two pictures in one batch, against each alone and as written."""
    network, given = Mixing(nn.BatchNorm2d(6, track_running_stats=False)).eval(), pictures(2)
    for text in (
        "act.channel | attribute(output[1], method=integrated_gradients(n_steps=4)) | present(bars)",
        "input.pixel | attribute(output[1], method=smoothgrad(n_samples=3)) | present(heatmap)",
        "act.spatial | attribute(output[1], method=rise(n_masks=8)) | present(heatmap)",
        "act.spatial | attribute(second.channel) | present(heatmap, facet=to.channel)",
        "act.channel | attribute(output.class) | present(matrix)",
        "act.channel | attribute(output[1]) | trust(path_dependence) | present(bars)",
    ):
        together = values(text, network, given)
        for row, x in enumerate(given):
            close_to(together[row], values(text, network, x), because="rows run alone")
            close_to(together[row], values(text, network, x, optimized=False), terms=np.abs(together[row]).max())


def test_relevance_of_several_pictures_one_at_a_time():
    class Flat(nn.Sequential):
        def forward(self, x):
            return super().forward(x.reshape(1, 3, SIDE, SIDE))  # a batch of one is written into it

    torch.manual_seed(0)
    network = Flat(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    given = pictures(2)
    for method in ("lrp", "guided_backprop", "deconvnet"):
        text = f"input.pixel | attribute(output[1], method={method}) | present(heatmap)"
        together = values(text, network, given)
        for row, x in enumerate(given):
            close_to(together[row], values(text, network, x))


@brings(
    "Networks",
    "a batch size of one that is fixed in the module or in an exported `.pt2`",
    "works: rows run one at a time",
)
def test_a_module_that_takes_one_row():
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.first(x.reshape(1, 3, SIDE, SIDE)).relu().mean((2, 3)).reshape(1, 4))

    network, given = One().eval(), pictures(2)
    text = "input.pixel | attribute(output[1], method=integrated_gradients(n_steps=2)) | present(heatmap)"
    actual = values(text, network, given)
    for row, x in enumerate(given):
        close_to(actual[row], values(text, network, x, optimized=False))
    exported = torch.export.export(network, (given[:1],)).module()
    close_to(values(text, exported, given), actual)


def test_icons_of_rows_that_depend_on_each_other_are_made_alone():
    """With a pull between the rows, icons made together would be of each other; alone, company changes nothing."""
    adapter = bbilang.adapt(Mixing(Apply(lambda x: x + 5 * x.roll(1, 0))).eval(), (SIDE, SIDE))
    recipe = Recipe(size=SIDE, steps=4, batch=2)
    both = visualize(adapter, [Objective("mix", 0), Objective("mix", 1)], recipe)
    (one,) = visualize(adapter, [Objective("mix", 1)], recipe)
    assert passes.behaviour_of(adapter).row_by_row
    assert np.array_equal(both[1].picture, one.picture)


@brings("Networks", "a network that is random in evaluation mode (functional dropout)", "works: one sample, determined by the seed, with a warning on the page")  # fmt: skip  # noqa: E501
def test_a_random_network_repeats_itself_and_the_page_says_so():
    class Random(Mixing):
        def forward(self, x):
            x = self.act(self.first(x))
            return self.head(F.dropout(self.second(x).mean((2, 3)), 0.5, training=True))

    network, given = bbilang.adapt(Random(nn.Identity()).eval(), (SIDE, SIDE)), pictures(2)
    text = "e = act.channel | attribute(output[1]) | present(bars)"
    before = torch.random.get_rng_state()
    pages = [bbilang.run(text, model=network, input=given, cache=False, settings={"seed": 3}) for _ in range(2)]
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's own draws go on as if nothing had run"
    actual, network = [page.data("e").values for page in pages], network.module
    assert np.array_equal(*actual)
    assert any("random" in warning and "seed 3" in warning for warning in pages[0].to_dict()["warnings"])
    for row, x in enumerate(given):  # by hand: the draw of seed 3 for one row
        base = network.act(network.first(x[None])).detach().requires_grad_()
        torch.manual_seed(3)
        score = network.head(F.dropout(network.second(base).mean((2, 3)), 0.5, training=True))[0, 1]
        close_to(actual[0][row], (torch.autograd.grad(score, base)[0] * base).sum((0, 2, 3)))
    others = {bbilang.run(text, model=network, input=given, cache=False, settings={"seed": s}).data("e").values.tobytes() for s in range(4)}  # fmt: skip  # noqa: E501
    assert len(others) > 1
    path = "e = input.pixel | attribute(output[1], method=integrated_gradients(n_steps=64)) | present(heatmap)"
    explained = bbilang.run(path, model=network, input=given[0], cache=False).data("e").values.sum()
    scores = []
    for x in (given[0], torch.zeros_like(given[0])):
        torch.manual_seed(0)
        scores.append(float(network(x[None])[0, 1].detach()))
    close_to(explained, scores[0] - scores[1], terms=abs(scores[0]) * 1e4, because="64 steps, not the integral")


def test_a_random_network_is_never_recalled_without_its_warning(tmp_path):
    from bbilang.runtime.cache.disk import Cache

    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.RReLU(), nn.Flatten(), nn.Linear(400, 3)).eval()
    network[2].register_forward_hook(lambda module, given, result: F.dropout(result, 0.5))
    for _ in range(2):
        page = bbilang.run("output.class | present(bars)", model=network, input=pictures(1)[0], cache=Cache(tmp_path))
        assert any("random" in warning for warning in page.to_dict()["warnings"])


@brings("Networks", "a network that keeps state between calls", "refused with E520")
def test_a_network_with_a_memory_is_refused():
    class Counting(Mixing):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x) * self.calls

    with pytest.raises(bbilang.BbiError) as caught:
        values("output.class | present(bars)", Counting(nn.Identity()).eval(), pictures(1)[0])
    assert [d.code for d in caught.value.diagnostics] == ["E520"]


def test_what_is_not_finite_is_not_taken_for_random():
    network = Mixing(Apply(lambda x: x / 0 - x / 0)).eval()
    with pytest.raises(bbilang.BbiError) as caught:
        values("output.class | present(bars)", network, pictures(1)[0])
    assert [d.code for d in caught.value.diagnostics] == ["E503"]


def test_usual_networks_run_as_they_did():
    network, given = Mixing(nn.BatchNorm2d(6)).eval(), pictures(2)
    text = "act.channel | attribute(output[1], method=integrated_gradients(n_steps=4)) | present(bars)"
    first, second = (bbilang.run(text, model=network, input=given, cache=False) for _ in range(2))
    assert not passes.behaviour_of(first.results.adapter).row_by_row
    assert first.results.passes.forwards == second.results.passes.forwards == 2  # and of the baseline
    assert second.results.passes.calls < 8, "rows of a batch run together"
    assert first.results.passes.probes > 0 == second.results.passes.probes, "looked at once"


class Reverse(torch.autograd.Function):
    """Ganin and Lempitsky, 2015: the identity, whose derivative is minus one."""

    @staticmethod
    def forward(context, x):
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        return -gradient


class Sign(torch.autograd.Function):
    """Bengio et al., 2013: a step with the derivative of the identity."""

    @staticmethod
    def forward(context, x):
        return x.sign()

    @staticmethod
    def backward(context, gradient):
        return gradient


@brings(
    "Networks", "custom autograd functions: gradient reversal, straight-through", "works: by autograd, in reverse mode"
)
@pytest.mark.parametrize("function", [Reverse, Sign])
@pytest.mark.parametrize("apply", ["called", "bound", "behind no_grad"])
def test_custom_autograd_functions_keep_their_own_derivatives(function, apply):
    bound = function.apply

    class Own(nn.Module):
        def forward(self, x):
            return bound(x) if apply != "called" else function.apply(x)

    class Frozen(Mixing):
        def forward(self, x):
            with torch.no_grad():
                x = self.first(x)
            return self.head(self.mix(self.second(self.act(x))).mean((2, 3)))

    torch.manual_seed(0)
    network = (Frozen if apply == "behind no_grad" else Mixing)(Own()).eval()
    network.head = nn.Linear(6, 60)
    x = pictures(1)[0]
    base = network.act(network.first(x[None])).detach()
    dark = network.act(network.first(torch.zeros_like(x)[None])).detach()
    want, path = torch.zeros(60, 6), torch.zeros(6)

    def scores(at):
        hook = network.act.register_forward_hook(lambda module, given, result: at)
        try:
            return network(x[None])[0]
        finally:
            hook.remove()

    at = base.clone().requires_grad_()
    for k, score in enumerate(scores(at)):
        want[k] = (torch.autograd.grad(score, at, retain_graph=True)[0] * base).sum((0, 2, 3))
    for step in range(1, 5):
        share = (step - 0.5) / 4
        at = (dark + share * (base - dark)).requires_grad_()
        path += (torch.autograd.grad(scores(at)[1], at)[0] * (base - dark)).sum((0, 2, 3)).detach() / 4
    close_to(values("act.channel | attribute(output.class) | present(matrix)", network, x), want.T)
    close_to(values("act.channel | attribute(output[1]) | present(bars)", network, x), want[1])
    every = values("act.channel | attribute(output.class) | present(matrix)", network, x, optimized=False)
    close_to(every, want.T)
    steps = "integrated_gradients(n_steps=4, quadrature=riemann_middle, baselines=zero)"
    text = f"act.channel | attribute(output[1], method={steps}) | present(bars)"
    close_to(values(text, network, x), path, terms=want.abs().max())
    close_to(values(text, network, x, optimized=False), path, terms=want.abs().max())
    assert np.abs(want.numpy()).max() > 0 and path.abs().max() > 0


def test_probes_are_told_of():
    from bbilang.compiler.explain.explain import Explanation

    network = Mixing(nn.Identity()).eval()
    text = "act.channel | attribute(output[1], method=integrated_gradients(n_steps=2)) | present(bars)"
    page = bbilang.run(text, model=network, input=pictures(1)[0], cache=False)
    count = page.results.passes.probes
    assert count > 0
    told = Explanation(page.plan, page.plan, tuple(page.results.timings), {}, count).text()
    assert f"Besides, {count} probes" in told
    assert "Besides" not in bbilang.explain(text, model=network, input=pictures(1)[0]).text()
