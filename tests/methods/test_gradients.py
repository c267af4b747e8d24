"""Methods of one gradient, against slow twins that go module by module, and against Captum on every building block."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError

RULED = ["deconvnet", "guided_backprop"]
PLAIN = ["gradient", "input_x_gradient", *RULED]
RECTIFIED = [name for name in blocks.BLOCKS if name != "silu"]
CLASS = 2


def at_input(method, name, to=f"output[{CLASS}]", **options):
    return blocks.attributed(f"input.pixel | attribute({to}, method={method}) | present(heatmap)", name, **options)


def close(actual, expected, rtol=1e-5):
    """Equal, relative to the largest."""
    expected = np.asarray(expected)
    assert np.abs(expected).max() > 0
    close_to(actual, expected, dtype=np.float32, roundings=rtol / np.finfo(np.float32).eps)


class Bounded(nn.ReLU):
    """ReLU6 as Captum takes it: it changes the backward of `nn.ReLU` and of nothing else."""

    def forward(self, x):
        return F.relu6(x)


def bounded(module):
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU6):
            setattr(module, name, Bounded())
        bounded(child)
    return module


def oracle(method, network, x, target):
    attr = pytest.importorskip("captum.attr")
    if method in RULED:
        made = {"deconvnet": attr.Deconvolution, "guided_backprop": attr.GuidedBackprop}[method](bounded(network))
        return made.attribute(x, target=target)
    if method == "gradient":
        return attr.Saliency(network).attribute(x, target=target, abs=False)
    return attr.InputXGradient(network).attribute(x, target=target)


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already")
@pytest.mark.parametrize(
    "method, name", [(m, b) for m in PLAIN for b in blocks.BLOCKS if m not in RULED or b != "silu"]
)
def test_as_captum(method, name):
    x = blocks.image()[None].requires_grad_()
    expected = oracle(method, blocks.block(name), x, CLASS).detach().sum(1)[0]
    close(at_input(method, name), expected)


def step_back(module, x, signal, kind):
    """A signal (that of a module's result) one module down, by the method's rule."""
    if isinstance(module, nn.ReLU | nn.ReLU6):
        high = 6 if isinstance(module, nn.ReLU6) else np.inf
        active = (x > 0) & (x < high)
        return {
            "gradient": signal * active,
            "guided_backprop": signal.clamp_min(0) * active,
            "deconvnet": signal.clamp_min(0),
        }[kind]
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(module(x), x, signal)[0]


@pytest.mark.parametrize("kind", ["gradient", *RULED])
@pytest.mark.parametrize("name", ["relu6", "max_pool", "batch_norm"])
@pytest.mark.parametrize("to, weights", [
    ("output[2]", {2: 1.0}), ("output[2] - output[4]", {2: 1.0, 4: -1.0}),
    ("output[0] + output[3] - output[2]", {0: 1.0, 3: 1.0, 2: -1.0}),
])  # fmt: skip
def test_module_by_module(kind, name, to, weights):
    """Also of differences: the rules are not linear in the target, so a difference is one signal from the top."""
    network = blocks.block(name)
    modules = [*network.stem, *network.body, network.pool, network.flat, network.head]
    values = [blocks.image()[None]]
    for module in modules:
        values.append(module(values[-1]))
    signal = torch.zeros_like(values[-1])
    for index, weight in weights.items():
        signal[0, index] = weight
    for module, x in zip(reversed(modules), reversed(values[:-1]), strict=True):
        signal = step_back(module, x, signal, kind)
    for optimized in (True, False):
        close(at_input(kind, name, to, optimized=optimized), signal.sum(1)[0])


@pytest.mark.parametrize("method", RULED)
def test_at_a_hidden_layer_and_to_its_atoms(method):
    """From a channel of `body` down to `stem`, and from a list of classes."""
    network = blocks.block("relu6")
    stem = network.stem(blocks.image()[None])
    one, two, three, four = network.body
    a, b, c = one(stem), two(one(stem)), three(two(one(stem)))
    signal = torch.zeros_like(c)
    signal[:, 3] = 1
    for module, x in ((four, c), (three, b), (two, a), (one, stem)):
        signal = step_back(module, x, signal, method)
    actual = blocks.attributed(f"stem.channel | attribute(body.channel[3], method={method}) | present(bars)", "relu6")
    close(actual, signal.sum((2, 3))[0])
    lists = blocks.attributed(
        f"stem.channel | attribute([output[1], output[3] - output[1]], method={method}) | present(matrix)", "relu6",
        True, 0, "class", "channel",
    )  # fmt: skip
    for number, to in enumerate(("output[1]", "output[3] - output[1]")):
        text = f"stem.channel | attribute({to}, method={method}) | present(bars)"
        close(lists[number], blocks.attributed(text, "relu6"))


@pytest.mark.parametrize("method", RULED)
def test_a_smooth_rectifier_is_refused(method):
    with pytest.raises(BbiError) as caught:
        at_input(method, "silu")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E515" and "SiLU" in diagnostic.message and diagnostic.span is not None


class Odd(nn.Module):
    """Rectifiers in all spellings, in place too; what was changed in place is read again."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        x = self.stem(x)
        y = x * 1.5 - 0.2
        torch.relu_(y)
        z = F.hardtanh(x * 8, 0, 6)
        parts = [
            y,
            z,
            F.relu(x - 0.1, inplace=True),
            x.clamp(min=0),
            (x * 2).clamp(0, 1),
            nn.ReLU6(inplace=True)(x * 9),
        ]
        return self.head(torch.cat(parts, 1).mean((2, 3)))


class Plain(Odd):
    """The same with modules."""

    def forward(self, x):
        x = self.stem(x)
        relu = nn.ReLU()
        bound = _Bound(1.0)
        parts = [relu(x * 1.5 - 0.2), _Bound(6.0)(x * 8), relu(x - 0.1), relu(x), bound(x * 2), _Bound(6.0)(x * 9)]
        return self.head(torch.cat(parts, 1).mean((2, 3)))


class _Bound(nn.ReLU):
    def __init__(self, high):
        super().__init__()
        self.high = high

    def forward(self, x):
        return x.clamp(0, self.high)


@pytest.mark.parametrize("method", RULED)
def test_every_spelling_of_a_rectifier(method):
    from bbilang.runtime.relevance.rectifiers import Rectifiers

    torch.manual_seed(0)
    odd, plain = Odd().requires_grad_(False), Plain().requires_grad_(False)
    plain.load_state_dict(odd.state_dict())
    seed, gradients = torch.randn(1, 5), []
    for network in (odd, plain):
        x = blocks.image()[None].requires_grad_()
        with Rectifiers(method):
            y = network(x)
        gradients.append(torch.autograd.grad(y, x, seed)[0])
        close_to(y, network(x))
    assert gradients[0].abs().max() > 0
    close_to(*gradients)


@pytest.mark.parametrize("method", RULED)
def test_methods_that_ignore_the_class_say_so(method):
    from bbilang.registry import registry

    assert "20" in registry().methods[method].insensitive


# --- class activation maps --------------------------------------------------------------------------------------------


def maps_and_gradient(name, layer, weights):
    """A layer's activation and the gradient of a weighted sum of scores there, (channel, y, x)."""
    network = blocks.block(name)
    captured = {}
    module = network.get_submodule(layer)
    handle = module.register_forward_hook(lambda _m, _a, r: captured.setdefault("a", r.detach().requires_grad_()))
    scores = network(blocks.image()[None])[0]
    handle.remove()
    (gradient,) = torch.autograd.grad(sum(w * scores[i] for i, w in weights.items()), captured["a"])
    return captured["a"].detach()[0], gradient[0]


def slow_cam(activation, gradient, method):
    """Channel by channel, position by position."""
    channels, height, width = activation.shape
    total = torch.zeros(height, width)
    for k in range(channels):
        weight = 0.0
        for y, x in np.ndindex(height, width):
            g = float(gradient[k, y, x])
            if method == "grad_cam":
                weight += g / (height * width)
            elif g != 0:
                share = g**2 / (2 * g**2 + float(activation[k].sum()) * g**3 + 1e-6)
                weight += share * max(g, 0.0)
        total += weight * activation[k]
    return total.clamp_min(0)


CAMS = ["grad_cam", "grad_cam_pp"]
MAPPED = [name for name in blocks.BLOCKS if name not in ("linear", "attention")]


@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("weights", [{3: 1.0}, {3: 1.0, 0: -1.0}])
def test_cams_at_their_layer(method, name, weights):
    to = "output[3]" if len(weights) == 1 else "output[3] - output[0]"
    expected = slow_cam(*maps_and_gradient(name, "stem", weights), method)
    for optimized in (True, False):
        text = f"stem.spatial | attribute({to}, method={method}) | present(heatmap)"
        actual = blocks.attributed(text, name, optimized=optimized)
        close_to(actual, expected)


@pytest.mark.parametrize("method", CAMS)
def test_cams_at_the_input_are_resized(method):
    """From the last layer with positions, or from one that is named; corners of the resized map are the map's own."""
    for layer, argument in (("body", ""), ("stem", "(layer=stem)")):
        small = slow_cam(*maps_and_gradient("residual", layer, {1: 1.0}), method)
        expected = F.interpolate(small[None, None], (12, 12), mode="bilinear", align_corners=False)[0, 0]
        actual = at_input(method + argument, "residual", "output[1]")
        close_to(actual, expected)
        close_to(actual[0, 0], float(small[0, 0]))


@pytest.mark.parametrize("name", MAPPED)
def test_grad_cam_as_captum(name):
    attr = pytest.importorskip("captum.attr")
    network = blocks.block(name)
    own = attr.LayerGradCam(network, network.stem)
    actual = own.attribute(blocks.image()[None].requires_grad_(), target=CLASS, relu_attributions=True)
    resized = attr.LayerAttribution.interpolate(actual, (12, 12), interpolate_mode="bilinear").detach()[0, 0]
    if resized.max() == 0:
        assert at_input("grad_cam(layer=stem)", name).max() == 0
    else:
        close(at_input("grad_cam(layer=stem)", name), resized)


@pytest.mark.parametrize("text, words", [
    ("stem.channel | attribute(output, method=grad_cam) | present(bars)", "is of positions"),
    ("input.pixel | attribute(stem.channel[1], method=grad_cam(layer=body)) | present(heatmap)", "not below"),
    ("input.pixel | attribute(output, method=grad_cam(layer=head)) | present(heatmap)", "has no positions"),
])  # fmt: skip
def test_where_cams_are_not_defined(text, words):
    with pytest.raises(BbiError) as caught:
        blocks.attributed(text, "residual")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E238" and words in diagnostic.message


def test_each_later_channel_to_its_own_scale():
    """Maps of the input attributed to the channels that the reader points at: the largest of each is 1."""
    text = (
        "known = body.channel | attribute(output) | top(3)\nicons = known | present(bars)\n"
        "input.pixel | attribute(known, method={}) | at(hover(icons)) {} | present(heatmap)"
    )
    plain = blocks.attributed(text.format("gradient", ""), "residual")
    actual = blocks.attributed(text.format("gradient", "| normalize(scope=channel)"), "residual")
    assert plain.shape == (3, 12, 12)
    close(actual, plain / np.abs(plain).max((1, 2), keepdims=True))


def test_what_is_never_negative_has_a_scale_from_zero():
    model = blocks.adapter("residual")
    for method, signed in (("grad_cam", False), ("grad_cam_pp", False), ("vargrad", False), ("gradient", True)):
        text = f"input.pixel | attribute(output[1], method={method}) | present(heatmap)"
        program = bbilang.check(bbilang.parse(text), model=model, input=blocks.image())
        assert program.elements[0].node.type.signed is signed
