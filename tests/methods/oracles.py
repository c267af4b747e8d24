"""What every method must give: Captum and zennit, called as their documentation shows, or a plain loop of the published
algorithm where neither has it. Maps (y, x) for one class, on the networks of blocks.py and on EfficientNet-Lite0.

`CASES` names them; docs/methods.md and tests/methods/test_conformance.py are made from the same list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import blocks
import torch
import torch.nn.functional as F
from torch import nn

from bbilang.compiler.contract import bound
from bbilang.registry import registry

CLASS = 2
POSITIONS = tuple(name for name in blocks.BLOCKS if name not in ("linear", "attention"))
NO_SILU = tuple(name for name in blocks.BLOCKS if name != "silu")
EFFICIENTNET = "efficientnet_lite0"


@dataclass(frozen=True)
class Case:
    """One method with parameters, where it is compared (`at`: what stands before the pipe), with whom (`who`), on which
    blocks, and how. ``expected`` takes (network, picture (1, 3, y, x), class) and gives (y, x). ``refused``: block ->
    the code with which it is refused there. ``big``: on EfficientNet-Lite0 too, at `big_at`, with `big_method`."""

    method: str
    who: str
    expected: Callable
    at: str = "input.pixel"
    on: tuple[str, ...] = blocks.BLOCKS
    refused: dict[str, str] = field(default_factory=dict)
    tolerance: float = 1e-5
    big: bool = True

    @property
    def name(self):
        return self.method.partition("(")[0]

    def text(self, index, at=""):
        return f"{at or self.at} | attribute(output[{index}], method={self.method}) | present(heatmap)"


# --- networks as a peer's user has them -------------------------------------------------------------------------------


class Bounded(nn.ReLU):
    """ReLU6 as Captum takes it: it changes the backward of `nn.ReLU` and of nothing else."""

    def forward(self, x):
        return F.relu6(x)


class ZennitSum(nn.Module):
    """A sum that zennit sees: its own module, of branches stacked along a last axis."""

    def __init__(self):
        super().__init__()
        from zennit.layer import Sum

        self.sum = Sum(dim=-1)

    def forward(self, a, b):
        return self.sum(torch.stack([a, b], -1))


def replaced(module, kind, make):
    for name, child in module.named_children():
        if isinstance(child, kind):
            setattr(module, name, make())
        replaced(child, kind, make)
    return module


class Normalized(nn.Module):
    """The network behind its normalization: it takes pictures in [0, 1], as ours does."""

    def __init__(self, adapter, network):
        super().__init__()
        self.normalize, self.network = adapter.normalize, network

    def forward(self, x):
        return self.network(self.normalize(x))


def network_of(name):
    """A fresh network that takes pictures in [0, 1]; for the blocks that is the network itself."""
    if name != EFFICIENTNET:
        return blocks.block(name)
    import copy

    adapter = big_adapter()
    return Normalized(adapter, copy.deepcopy(adapter.module).requires_grad_(False)).eval()


@cache
def big_adapter():
    from bbilang.runtime.models.loading import load

    return load(EFFICIENTNET)


# --- oracles ----------------------------------------------------------------------------------------------------------


def captum(name, *at, change=None, **arguments):
    """A method of Captum at the input, summed over colours."""

    def expected(network, x, target):
        from captum import attr

        network = change(network) if change else network
        made = getattr(attr, name)(network, *at)
        return made.attribute(x.clone().requires_grad_(), target=target, **arguments).detach().sum(1)[0]

    return expected


def bounded(network):
    return replaced(network, nn.ReLU6, Bounded)


def grad_cam(network, x, target):
    from captum.attr import LayerAttribution, LayerGradCam

    attribution = LayerGradCam(network, layer_of(network)).attribute(
        x.clone().requires_grad_(), target=target, relu_attributions=True
    )
    return LayerAttribution.interpolate(attribution, tuple(x.shape[2:]), interpolate_mode="bilinear").detach()[0, 0]


def layer_of(network):
    return network.stem if hasattr(network, "stem") else network.network.get_submodule("stem")


def activation_and_gradient(network, module, x, target):
    captured = {}
    handle = module.register_forward_hook(lambda _m, _a, r: captured.setdefault("a", r.detach().requires_grad_()))
    score = network(x)[0, target]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, captured["a"])
    return captured["a"].detach()[0], gradient[0]


def grad_cam_pp(network, x, target):
    """pytorch-grad-cam's formula, channel by channel."""
    activation, gradient = activation_and_gradient(network, layer_of(network), x, target)
    total = torch.zeros(activation.shape[1:])
    for a, g in zip(activation, gradient, strict=True):
        share = torch.where(g != 0, g**2 / (2 * g**2 + a.sum() * g**3 + 1e-6), torch.zeros(()))
        total += (share * g.clamp_min(0)).sum() * a
    return F.interpolate(total.clamp_min(0)[None, None], x.shape[2:], mode="bilinear", align_corners=False)[0, 0]


def cam(network, x, target):
    """The class's row of the last linear layer, times the maps that are averaged for it."""
    captured = {}
    handle = network.body.register_forward_hook(lambda _m, _a, r: captured.update(a=r.detach()[0]))
    network(x)
    handle.remove()
    return torch.einsum("c,cyx->yx", network.head.weight[target].detach(), captured["a"])


def noisy(variance):
    """Captum's Saliency for each of the noisy copies that ours draws, one at a time."""

    def expected(network, x, target):
        from captum.attr import Saliency

        kind, parameters = bound(registry(), ("smoothgrad", (("n_samples", 6),)), seed=(0,))
        samples = []
        for sample in range(6):
            copy = kind.noisy(parameters, sample, x).detach().requires_grad_()
            samples.append(Saliency(network).attribute(copy, target=target, abs=False).detach())
        every = torch.stack(samples)
        return (every.var(0, unbiased=False) if variance else every.mean(0)).sum(1)[0]

    return expected


def competitive(network, x, target):
    x = x.clone().requires_grad_()
    scores = network(x)[0]
    every = torch.stack([x * torch.autograd.grad(s, x, retain_graph=True)[0] for s in scores])
    own = every[target]
    wins = ((own > 0) & (own >= every.amax(0))) | ((own < 0) & (own <= every.amin(0)))
    return (own * wins).detach().sum(1)[0]


def occlusion(network, x, target):
    from captum.attr import Occlusion

    side = x.shape[2] // 3
    attribution = Occlusion(network).attribute(
        x, (3, side, side), (3, side // 2, side // 2), baselines=mean_of(network, x), target=target
    )
    return attribution.detach()[0, 0]  # Captum spreads a window's difference over colours; ours is the position's


def mean_of(network, x):
    """The picture in [0, 1] that normalizes to 0."""
    if not isinstance(network, Normalized):
        return torch.zeros_like(x)
    zero, one = network.normalize(torch.zeros_like(x)), network.normalize(torch.ones_like(x))
    return (-zero / (one - zero)).clamp(0, 1)


def rise(network, x, target):
    """The published loop: masked pictures one at a time, the score times the mask."""
    kind, parameters = bound(registry(), ("rise", (("n_masks", 12), ("cells", 4))))
    masks, mean = kind.mask(parameters, 0, 12, tuple(x.shape[2:]), 0), mean_of(network, x)
    total = torch.zeros(x.shape[2:])
    with torch.no_grad():
        for mask in masks:
            total += network(x * mask + mean * (1 - mask))[0, target] * mask
    return total / 12 / 0.5


def zennit(composite, start="score", **arguments):
    """A composite of zennit, with batch norms merged and sums as its own module."""

    def expected(network, x, target):
        from zennit import composites
        from zennit.attribution import Gradient
        from zennit.canonizers import SequentialMergeBatchNorm

        replaced(network, blocks.Sum, ZennitSum)
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        given = {key: value(x) if callable(value) else value for key, value in arguments.items()}
        made = getattr(composites, composite)(canonizers=[SequentialMergeBatchNorm()], **given)

        def begin(scores):
            one = torch.zeros_like(scores)
            one[0, target] = scores.detach()[0, target] if start == "score" else 1
            return one

        with Gradient(model=network, composite=made, attr_output=begin) as attributor:
            _, relevance = attributor(x)
        return relevance.detach().sum(1)[0]

    return expected


def excitation(network, x, target):
    """zennit's composite without biases, as the paper has none, and with activations that pass: else a ReLU6 that
    clips would stop everything."""
    from zennit.rules import Pass
    from zennit.types import Activation

    own = {"zero_params": ["bias"], "stabilizer": 1e-12, "layer_map": [(Activation, Pass())]}
    return zennit("ExcitationBackprop", start="one", **own)(network, x, target)


BOX = {"low": torch.zeros_like, "high": torch.ones_like}
RECTIFIED = ("linear", "convolution", "max_pool", "relu6", "concatenation")  # no linear layer or sum reads below 0
LRP = tuple(name for name in blocks.BLOCKS if name != "attention")
_OCCLUDED = "occlusion(window=4, stride=2)"

CASES = {
    case.method: case
    for case in (
        Case("linear", "Captum", captum("InputXGradient")),
        Case("gradient", "Captum", captum("Saliency", abs=False)),
        Case("input_x_gradient", "Captum", captum("InputXGradient")),
        Case("integrated_gradients(n_steps=8)", "Captum", captum("IntegratedGradients", n_steps=8)),
        Case("smoothgrad(n_samples=6)", "Captum", noisy(False)),
        Case("vargrad(n_samples=6)", "Captum", noisy(True), tolerance=5e-5),
        Case("deconvnet", "Captum", captum("Deconvolution", change=bounded), on=NO_SILU, refused={"silu": "E515"}),
        Case("guided_backprop", "Captum", captum("GuidedBackprop", change=bounded), on=NO_SILU,
             refused={"silu": "E515"}),
        Case("grad_cam(layer=stem)", "Captum", grad_cam),
        Case("grad_cam_pp(layer=stem)", "plain loop", grad_cam_pp),
        Case("cam", "plain loop", cam, at="body.spatial", on=POSITIONS,
             refused={"linear": "E209", "attention": "E209"}, big=False),
        Case("competitive_input_x_gradient", "plain loop", competitive, big=False),
        Case(_OCCLUDED, "Captum", occlusion),
        Case("rise(n_masks=12, cells=4)", "plain loop", rise),
        Case('lrp(composite="epsilon_plus")', "zennit", zennit("EpsilonPlus"), on=LRP, big=False),
        Case('lrp(composite="epsilon_plus_flat")', "zennit", zennit("EpsilonPlusFlat"), on=LRP, big=False),
        Case('lrp(composite="epsilon_gamma_box")', "zennit", zennit("EpsilonGammaBox", **BOX), on=LRP, big=False),
        Case('lrp(composite="epsilon_alpha2_beta1")', "zennit", zennit("EpsilonAlpha2Beta1"), on=LRP, big=False),
        Case('lrp(composite="epsilon_alpha2_beta1_flat")', "zennit", zennit("EpsilonAlpha2Beta1Flat"), on=LRP,
             big=False),
        Case("excitation_backprop", "zennit", excitation, on=RECTIFIED, big=False),
    )
}  # fmt: skip


def difference(actual, expected):
    """The largest, of the largest value."""
    expected = torch.as_tensor(expected).double()
    largest = float(expected.abs().max())
    return float((torch.as_tensor(actual).double() - expected).abs().max()) / max(largest, 1e-30)


def error(case, name):
    """How far ours is from the oracle on a block, of the largest value."""
    actual = blocks.attributed(case.text(CLASS), name)
    return difference(actual, case.expected(network_of(name), blocks.image()[None], CLASS))


def photograph(side):
    """(3, side, side) in [0, 1]: the cat of scikit-image."""
    from skimage import data

    image = torch.from_numpy(data.chelsea()[:, 75:375].copy()).permute(2, 0, 1).float() / 255
    return F.interpolate(image[None], (side, side), mode="area")[0]


TIGER_CAT = 282


def big_text(case, image):
    """The case for EfficientNet-Lite0 and its tiger cat, with windows that fit."""
    side = image.shape[1] // 3
    return case.text(TIGER_CAT).replace(_OCCLUDED, f"occlusion(window={side}, stride={side // 2})")


def big(case, image):
    """(ours, the oracle's) on EfficientNet-Lite0 for its tiger cat, (y, x)."""
    import bbilang

    model = big_adapter().with_preprocess(crop=image.shape[1])
    program = bbilang.check(bbilang.parse(big_text(case, image)), model=model, input=image)
    results = bbilang.execute(bbilang.plan(bbilang.optimize(program)), model=model, input=image, cache=False)
    actual = results.fields[program.elements[0].id].values.ordered(("input", "y", "x")).data[0]
    return torch.as_tensor(actual), case.expected(network_of(EFFICIENTNET), image[None], TIGER_CAT)
