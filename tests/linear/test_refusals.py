"""Layers between which there are no weights, as a page reports it: at `weights`, before a number is wrong."""

import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.linear.between import between


class Gate(nn.Module):
    """A squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.inner(x.mean((2, 3), keepdim=True)))


class Net(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.stem, self.middle, self.last = nn.Conv2d(3, 8, 3, padding=1), middle, nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.last(self.middle(self.stem(x)))


class Strides(nn.Module):
    """A sum of a path that goes to half the positions and back, which no one kernel describes."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(8, 8, 3, 2, 1), nn.ConvTranspose2d(8, 8, 2, 2)

    def forward(self, x):
        return x + self.up(self.down(x))


def refused(module, text="weights(stem, last, expanded=true) | top(4) | present(matrix)"):
    torch.manual_seed(0)
    with pytest.raises(BbiError) as caught:
        bbilang.run(text, model=module.eval(), input=torch.rand(3, 16, 16), cache=False)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("middle", "step"),
    [
        (Gate(), "sigmoid"),
        (nn.GroupNorm(2, 8), "middle"),
        (nn.InstanceNorm2d(8), "middle"),
        (nn.LayerNorm((8, 16, 16)), "middle"),
        (nn.Softmax(1), "middle"),
        (Strides(), "middle.up"),
    ],
)
def test_no_linear_map(middle, step):
    diagnostic = refused(Net(middle))
    assert diagnostic.code == "E545"
    assert diagnostic.message.startswith("between `stem` and `last`, `") and f"`{step}`" in diagnostic.message


def test_on_one_side_of_a_gate_weights_are_known():
    adapter = bbilang.adapt(Net(Gate()).eval(), input_size=(16, 16))
    assert between(adapter, "middle", "last").map.kernel.shape == (4, 8, 1, 1)


class Wide(nn.Module):
    """A depthwise convolution of many channels and offsets."""

    def __init__(self):
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 1024, 1), nn.Conv2d(1024, 1024, 9, padding=4, groups=1024)
        self.last = nn.Conv2d(1024, 4, 1)

    def forward(self, x):
        return self.last(self.deep(self.stem(x)))


def test_too_many_numbers():
    diagnostic = refused(Wide(), "weights(stem, deep) | top(4) | present(matrix)")
    assert diagnostic.code == "E546"
    assert f"from `stem` to `deep` are {1024 * 1024 * 81:,} numbers" in diagnostic.message
