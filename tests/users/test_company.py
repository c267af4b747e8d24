"""Numbers of one input never depend on the page's other inputs, and `set seed` governs everything random."""

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang

METHODS = {
    "noise baseline": "a.channel | attribute(output[1], method=integrated_gradients(baselines=noise, n_steps=3))",
    "smoothgrad": "a.channel | attribute(output[1], method=smoothgrad)",
    "vargrad": "a.channel | attribute(output[1], method=vargrad)",
    "occlusion": "a.spatial | attribute(output[1], method=occlusion(window=3, baselines=noise))",
    "rise": "a.spatial | attribute(output[1], method=rise(n_masks=20, cells=3))",
}
MEASURES = ("input_sensitivity", "falsifiability", "deletion", "infidelity", "path_dependence", "class_sensitivity",
            "road")  # fmt: skip


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(torch.tanh(self.a(x)).square().mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    return Net()


@pytest.fixture(scope="module")
def pictures():
    return list(torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1)))


def values(text, net, given, seed=0):
    page = bbilang.run(text, model=net, input=given, settings={"seed": seed}, cache=False)
    return page.data("element-1").values


@brings("Methods", "noise baselines, noise and masks for several pictures", "works: as for each picture alone")
@pytest.mark.parametrize("name", METHODS)
def test_random_methods_in_company(net, pictures, name):
    style = "heatmap" if ".spatial" in METHODS[name] else "bars"
    text = f"{METHODS[name]} | present({style})"
    together = values(text, net, pictures)
    for one, picture in enumerate(pictures):
        alone = values(text, net, [picture])
        close_to(together[one], alone.reshape(together[one].shape), roundings=4096, because="other batches")


@brings("Methods", "measures of trust for several pictures", "works: as for each picture alone")
@pytest.mark.parametrize("measure", MEASURES)
def test_random_measures_in_company(net, pictures, measure):
    measured = {}
    for name, given in {"both": pictures, 0: pictures[:1], 1: pictures[1:]}.items():
        measured[name] = findings(net, given, measure)
    for one in (0, 1):
        for key, (axis, both) in measured["both"].items():
            alone = measured[one][key][1]
            close_to(np.take(both, [one], axis), alone, dtype=np.float32, roundings=8192, because="other batches")


def findings(net, given, measure):
    """Return a measure's findings by name: (the axis of the inputs, numbers)."""
    axes = {
        "largest": 0, "max_sensitivity": 0, "alone": 0, "together": 0, "random": 0, "area": 0, "infidelity": 0,
        "spread": 0, "correlation": 1, "gain": 0, "scores": 0,
    }  # fmt: skip
    from bbilang.runtime.execution.context import Run

    seen = []
    before = Run.__init__

    def remember(self, *args, **named):
        before(self, *args, **named)
        seen.append(self)

    Run.__init__ = remember
    try:
        atoms = (
            "input.pixel | attribute(output[1])" if measure == "road" else "a.channel | attribute(output[1]) | top(2)"
        )
        text = f"{atoms} | trust({measure})"
        style = "curve" if measure in ("deletion", "road") else "bars"
        bbilang.run(f"{text} | present({style})", model=net, input=given, cache=False)
    finally:
        Run.__init__ = before
    ((measured,),) = (results.values() for results in seen[0].shared.trust_results.values())
    expected = {
        key: (axes[key] + (measure == "deletion" and key == "scores"), value)
        for key, value in measured.values.items()
        if key in axes
    }
    assert expected
    return expected


@brings("Methods", "`set seed` with noise baselines, noise or random masks", "works: it determines all random numbers")
@pytest.mark.parametrize("name", METHODS)
def test_the_seed_governs_all(net, pictures, name):
    style = "heatmap" if ".spatial" in METHODS[name] else "bars"
    text = f"{METHODS[name]} | present({style})"
    first, again, other = (values(text, net, pictures[:1], seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_noise_baseline_is_one_picture_drawn_from_the_seed(net, pictures):
    """Integrated gradients of a linear function of the pixels are pixel x weight, from the baseline to the picture."""

    class Sums(nn.Module):
        def forward(self, x):
            return torch.stack([x.flatten(1).sum(1), -x.flatten(1).sum(1)], 1)

    text = (
        "input.pixel | attribute(output[0], method=integrated_gradients(baselines=noise, n_steps=2)) | present(heatmap)"
    )
    actual = values(text, Sums(), pictures, seed=5)
    noise = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(5))
    close_to(actual, torch.stack(pictures).sub(noise).sum(1), terms=6)
