"""Layers whose module returns a mapping, a record or nested tuples: the same numbers as at the module inside it."""

from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import Tensor, nn

import bbilang
from bbilang.runtime.passes import forward
from bbilang.runtime.passes.hooks import with_tensor

Pair = namedtuple("Pair", "size map")


@dataclass(frozen=True)
class Frozen:
    count: int
    map: Tensor


@dataclass
class Holder:
    inner: dict


class Opaque:
    def __init__(self, map):
        self.map = map


class Fixed(Mapping):
    """A mapping that gives what it was made with."""

    def __init__(self, value):
        self.value = value

    def __getitem__(self, key):
        return self.value

    def __iter__(self):
        return iter(["map"])

    def __len__(self):
        return 1


class Odd(tuple):
    """A tuple that is not made from its parts."""

    def __new__(cls, one, other):
        return super().__new__(cls, (one, other))


KINDS = {  # what makes the result of a map, and what reads the map from it
    "dict": (lambda v: {"map": v}, lambda r: r["map"]),
    "OrderedDict": (lambda v: OrderedDict(n=3, map=v), lambda r: r["map"]),
    "UserDict": (lambda v: UserDict(map=v), lambda r: r["map"]),
    "read-only mapping": (lambda v: MappingProxyType({"map": v}), lambda r: r["map"]),
    "named tuple": (lambda v: Pair(v.shape, v), lambda r: r.map),
    "list": (lambda v: [None, v], lambda r: r[1]),
    "frozen dataclass": (lambda v: Frozen(len(v), v), lambda r: r.map),
    "dataclass of a dict of tuples": (lambda v: Holder({"a": (None, (v, 1))}), lambda r: r.inner["a"][1][0]),
    "namespace": (lambda v: SimpleNamespace(map=v), lambda r: r.map),
    "tuple of a class with a constructor of its own": (lambda v: Odd(None, v), lambda r: r[1]),
    "torch's own": (lambda v: torch.return_types.max((v, v.long())), lambda r: r.values),
    "numbers after an index": (lambda v: (v.long(), {"map": v}), lambda r: r[1]["map"]),
    "the same tensor twice": (lambda v: {"states": (v, v), "last": v}, lambda r: r["states"][1]),
}
METHODS = ("linear", "integrated_gradients(n_steps=3)", "smoothgrad(n_samples=2)", "occlusion(window=2)", "lrp")


class Part(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.conv, self.wrap = nn.Conv2d(3, 4, 3), wrap

    def forward(self, x):
        return self.wrap(self.conv(x))


class Net(nn.Module):
    def __init__(self, wrap, read):
        super().__init__()
        self.part, self.read, self.after, self.fc = Part(wrap), read, nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        result = self.read(self.part(x)).relu()
        return self.fc(self.after(result).relu().mean((2, 3)))


def numbers(net, text):
    return bbilang.run(f"{text} | present(heatmap)", model=net, input=PICTURE, cache=False).data("element-1").values


torch.manual_seed(3)
PICTURE = torch.rand(3, 8, 8)


@brings("Networks", "a layer that returns a mapping, a record or nested tuples", "works: the tensor inside is replaced")
@pytest.mark.parametrize("kind", KINDS)
def test_at_the_record_as_at_the_module_inside(kind):
    net = Net(*KINDS[kind]).eval()
    actual, seen = None, {}
    handle = net.part.conv.register_forward_hook(lambda m, a, r: seen.update(at=r))
    (want,) = torch.autograd.grad(net(PICTURE[None])[0, 1], seen["at"])
    want = (want * seen["at"]).sum(1)[0].detach()
    handle.remove()
    for method in METHODS:
        actual = {
            layer: numbers(net, f'"{layer}".spatial | attribute(output[1], method={method})')
            for layer in ("part", "part.conv")
        }
        assert np.abs(actual["part"]).max() > 0, method
        close_to(actual["part"], actual["part.conv"], roundings=100)
        if method == "linear":
            close_to(actual["part"], want, roundings=100)


@brings("Networks", "a layer that returns its tensors inside a custom class", "refused with E502")
def test_what_cannot_be_seen_is_refused():
    net = Net(Opaque, lambda r: r.map).eval()
    with pytest.raises(bbilang.BbiError, match="gives no tensor but Opaque") as error:
        forward(bbilang.adapt(net, (8, 8)), PICTURE[None], ["part"])
    assert error.value.diagnostics[0].code == "E502"
    with pytest.raises(bbilang.BbiError, match="cannot be replaced"):
        with_tensor(Fixed(PICTURE), PICTURE + 1, "part")
    for layer in ("part.conv", "after"):  # beside it and above it everything works
        plain = numbers(net, f'"{layer}".spatial | attribute(output[1], method=linear)')
        path = numbers(net, f'"{layer}".spatial | attribute(output[1], method=integrated_gradients(n_steps=1))')
        assert np.abs(plain).max() > 0 and np.abs(path).max() > 0


class Named(nn.Module):
    """Scores by a layer that gives a record with an embedding before them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = Head()

    def forward(self, x):
        return self.head(self.body(x))


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return {"embedding": x, "logits": self.fc(x)}


@brings("Networks", "`output =` a layer that returns a record with `logits`", "works: the logits are the scores")
def test_the_scores_of_a_record():
    net = Named().eval()
    adapted = bbilang.adapt(net, (8, 8), output="head")
    assert adapted.description.classes == 3
    pixels = PICTURE[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(pixels)["logits"][0, 2], pixels)
    want = (slope * pixels).sum(1)[0].detach()
    for method in ("linear", "integrated_gradients(n_steps=1)"):
        actual = numbers(adapted, f"input.pixel | attribute(output[2], method={method})")
        assert np.abs(actual).max() > 0
        if method == "linear":
            close_to(actual, want, roundings=100)
