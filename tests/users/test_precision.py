"""Modules of half, double and mixed precision: the numbers of autograd in the module's own dtype."""

import copy

import numpy as np
import pytest
import torch
from brings import brings
from torch import nn

import bbilang

torch.manual_seed(0)
PICTURE = torch.rand(3, 10, 10)
NET = nn.Sequential(
    nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Conv2d(6, 6, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
    nn.Flatten(), nn.Linear(6, 9),
).eval()  # fmt: skip
SCORE = float(NET(PICTURE[None]).detach().abs().max())
TYPES = {"float16": 0.01, "bfloat16": 0.1, "float64": 1e-5}  # how far its rounding may move a sum
TEXTS = (
    "input.pixel | attribute(output[1], method=integrated_gradients(n_steps=3)) | present(heatmap)",
    'input.pixel | attribute("3".channel[2]) | present(heatmap)',
    '"3".spatial | attribute(output[1], method=occlusion(window=2)) | present(heatmap)',
    '"3".channel | attribute(output.class) | present(matrix)',
    '"0".channel | attribute("3".channel) | present(matrix)',
    '"3".channel | attribute(output[1]) | trust(random_weights) | present(bars)',
)


class Mixed(nn.Module):
    """Its first parameter is of another type than its convolutions, and its head of a third."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.conv, self.head = nn.Conv2d(3, 6, 3).half(), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.conv(x).float().tanh().mean((2, 3))) * self.scale.float()


def values(text, model):
    return bbilang.run(text, model=model, input=PICTURE, cache=False).data("element-1").values


@brings("Networks", "float16, bfloat16 and float64 modules", "works: results are float32")
@pytest.mark.parametrize("name", TYPES)
def test_at_the_input_as_autograd_in_the_module_s_type(name):
    net = copy.deepcopy(NET).to(getattr(torch, name))
    pixels = PICTURE[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(pixels.to(getattr(torch, name)))[0, 1], pixels)
    want = (slope * pixels).detach().float().sum(1)[0].numpy()
    have = values("input.pixel | attribute(output[1]) | present(heatmap)", net)
    assert have.dtype == np.float32
    assert np.abs(have - want).max() <= 1e-6 * np.abs(want).max()


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_methods_and_hidden_targets_are_near_those_of_float32(name, text):
    have, want = values(text, copy.deepcopy(NET).to(getattr(torch, name))), values(text, NET)
    assert have.dtype == np.float32
    if "trust" not in text:
        rounding = 4 * torch.finfo(getattr(torch, name)).eps * SCORE
        assert np.abs(have - want).max() <= TYPES[name] * np.abs(want).max() + rounding * ("occlusion" in text)


@brings("Networks", "a module with parameters of several dtypes", "works: pictures are cast to the dtype of its input")
@pytest.mark.parametrize("layer", ["input.pixel", "conv.spatial"])
def test_several_types(layer):
    torch.manual_seed(1)
    net = Mixed().eval()
    plain = copy.deepcopy(net).float()
    for method in ("linear", "integrated_gradients(n_steps=3)", "occlusion(window=2)"):
        text = f"{layer} | attribute(output[1], method={method}) | present(heatmap)"
        have, want = values(text, net), values(text, plain)
        assert np.abs(want).max() > 0
        assert np.abs(have - want).max() <= TYPES["float16"] * np.abs(want).max(), method


@brings("Networks", "icons of a float16 module", "works")
@pytest.mark.parametrize("name", TYPES)
def test_icons(name):
    page = bbilang.run(
        '"3".channel | attribute(output[1]) | top(1) | present(featvis)',
        model=copy.deepcopy(NET).to(getattr(torch, name)), input=PICTURE, cache=False, draft=True,
        settings={"featvis.steps": 4, "featvis.size": 16},
    )  # fmt: skip
    assert "data:image/" in page.html() and page.data("element-1").values[0] > 0
