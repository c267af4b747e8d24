"""The axioms as numbers: how far a method is from each on a network and a picture, 0 where it holds.

`breach(axiom, methods, seed)` gives one number a method: relative to its own largest contribution, or to the score. All
methods of a call run as one plan (`method=[...]`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import bbilang
from bbilang.runtime.models.adapt import adapt

SIDE, CLASSES = 8, 3
TEXTS = {  # a method -> how it is written here: fewer steps, masks and samples than its defaults, and windows that fit
    "smoothgrad": "smoothgrad(n_samples=4)",
    "vargrad": "vargrad(n_samples=4)",
    "integrated_gradients": "integrated_gradients(n_steps=200)",
    "occlusion": "occlusion(window=3, stride=2)",
    "rise": "rise(n_masks=9, cells=4)",
    "meaningful_perturbation": "meaningful_perturbation(steps=12, cells=4, blur=2, jitter=1)",
    "extremal_perturbation": "extremal_perturbation(steps=6, step=2, sigma=2, area=0.3)",
}


class Net(nn.Module):
    """Two convolutions with ReLUs, the mean over positions, scores: every method is defined for it.

    ``size``: of the kernels, 1 for a function of the bag of pixels. ``pool``: an average pool of 2 x 2 at the end, so
    that the last layer with positions has a quarter of them. ``norm``: a batch norm after the first convolution.
    ``dead``: the last two columns are cut off.
    """

    def __init__(self, size=3, pool=False, norm=False, bias=True, dead=False, silu=False):
        super().__init__()
        self.dead = dead
        self.one = nn.Conv2d(3, 4, size, padding=size // 2, bias=bias)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.first = nn.SiLU() if silu else nn.ReLU()
        self.pool = nn.AvgPool2d(2) if pool else nn.Identity()
        self.two = nn.Conv2d(4, 5, size, padding=size // 2, bias=bias)
        self.last = nn.SiLU() if silu else nn.ReLU()
        self.mean, self.flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.head = nn.Linear(5, CLASSES, bias=bias)

    def forward(self, x):
        x = x[..., : SIDE - 2] if self.dead else x
        x = self.first(self.norm(self.one(x)))
        return self.head(self.flat(self.mean(self.pool(self.last(self.two(x))))))


def made(seed, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net(**options).eval()
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan = module.weight[0].numel()
                nn.init.normal_(module.weight, 0.5 / fan**0.5, 1.2 / fan**0.5)
                if module.bias is not None:
                    nn.init.normal_(module.bias, 0.05, 0.2)
            elif isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.data.uniform_(0.6, 1.5)
                module.bias.data.uniform_(-0.1, 0.2)
    return net.requires_grad_(False)


def picture(seed):
    return torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1


def contributions(net, image, methods, target=0, at="input.pixel"):
    """method -> (y, x)."""
    if not methods:
        return {}
    model = adapt(net, (SIDE, SIDE), labels=[f"class {number}" for number in range(CLASSES)], name="axiom")
    words = [TEXTS.get(method, method) for method in methods]
    text = f"{at} | attribute(output[{target}], method=[{', '.join(words)}]) | present(heatmap, facet=method)"
    program = bbilang.check(bbilang.parse(text), model=model, input=image)
    results = bbilang.execute(bbilang.plan(bbilang.optimize(program)), model=model, input=image, cache=False)
    values = results.fields[program.elements[0].id].values.ordered(("input", "method", "y", "x")).data[0]
    return dict(zip(methods, values.astype(np.float64), strict=True))


def score(net, image, target=0):
    return float(net(image[None])[0, target])


def relative(difference, *maps):
    largest = max(float(np.abs(m).max()) for m in maps)
    return float(np.abs(difference).max()) / largest if largest > 0 else 0.0


# --- one function an axiom: (methods, seed) -> method -> how far it is from it ----------------------------------------


def sensitivity_a(methods, seed, sign=1, steep=10.0, zero=False):
    """One pixel differs from black, and beyond the kink of a saturated unit, at 1 / ``steep`` of its value, nothing
    changes any more. 0 where the pixel gets a contribution, 1 where it gets none. ``sign``: of the score's
    change. ``zero``: the score of the picture is 0."""
    net, image = made(seed, size=1), torch.zeros(3, SIDE, SIDE)
    net.one.weight.fill_(-steep / 3)
    net.one.bias.fill_(1.0)
    net.two.weight.abs_()
    net.two.bias.zero_()
    net.head.weight.copy_(-sign * net.head.weight.abs())
    net.head.bias.zero_()
    y, x = seed % SIDE, (seed // SIDE) % SIDE
    image[:, y, x] = 1
    if zero:
        net.head.bias[0] -= net(image[None])[0, 0]
    assert abs(score(net, image) - score(net, 0 * image)) > 1e-3
    return {method: float(abs(shares[y, x]) < 1e-6) for method, shares in contributions(net, image, methods).items()}


def sensitivity_b(methods, seed):
    """The score does not see the last two columns."""
    shares = contributions(made(seed, dead=True), picture(seed), methods)
    return {method: relative(m[:, SIDE - 2 :], m) for method, m in shares.items()}


def implementation_invariance(methods, seed):
    """Before and after the batch norm is folded into the convolution before it."""
    net, folded = made(seed, norm=True), made(seed, norm=True)
    scale = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
    folded.one.weight.copy_(net.one.weight * scale.view(-1, 1, 1, 1))
    folded.one.bias.copy_((net.one.bias - net.norm.running_mean) * scale + net.norm.bias)
    folded.norm = nn.Identity()
    image = picture(seed)
    a, b = (contributions(each, image, methods) for each in (net, folded))
    return {method: relative(a[method] - b[method], a[method], b[method]) for method in methods}


def completeness(methods, seed):
    """Against the score of a black picture."""
    net, image = made(seed), picture(seed)
    gained = score(net, image) - score(net, 0 * image)
    scale = max(abs(gained), 1e-3)
    return {m: abs(float(shares.sum()) - gained) / scale for m, shares in contributions(net, image, methods).items()}


def linearity(methods, seed):
    """Class 2 is 2 x class 0 - 3 x class 1."""
    net, image = made(seed), picture(seed)
    for parameter in (net.head.weight, net.head.bias):
        parameter[2] = 2 * parameter[0] - 3 * parameter[1]
    f, g, both = (contributions(net, image, methods, target) for target in range(3))
    return {m: relative(both[m] - (2 * f[m] - 3 * g[m]), both[m], 2 * f[m], 3 * g[m]) for m in methods}


def symmetry(methods, seed):
    """A function of the bag of pixels, of which two, in different cells of the pool, are equal."""
    net, image = made(seed, size=1, pool=True), picture(seed)
    image[:, 1, 2] = image[:, 6, 5]
    shares = contributions(net, image, methods)
    return {method: relative(m[1, 2] - m[6, 5], m) for method, m in shares.items()}


def conservation(methods, seed, silu=True, hidden=True):
    """At the input and, ``hidden``, at both activations of a network without biases, beside the score (for the chances
    of excitation backprop, 1). ``silu``: activations that are not homogeneous."""
    net, image = made(seed, bias=False, silu=silu), picture(seed)
    total, layers = score(net, image), ("input.pixel", *(("first.spatial", "last.spatial") if hidden else ()))
    shares = [contributions(net, image, methods, at=at) for at in layers]
    breach = {}
    for method in methods:
        expected = 1.0 if "excitation" in method else total
        breach[method] = max(abs(float(each[method].sum()) - expected) for each in shares) / max(abs(expected), 1e-3)
    return breach
