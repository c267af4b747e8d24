"""`between` against the network's own response to impulses, for networks whose steps are many."""

import pytest
import torch
from impulses import agree
from torch import nn

import bbilang
from bbilang.runtime.models.loading import load


@pytest.fixture(scope="module")
def lite():
    return load("efficientnet_lite0").with_preprocess(size=96, crop=96)


@pytest.mark.parametrize(
    ("earlier", "later", "expanded", "window"),
    [
        ("block5c.depthwise", "block5c.project", False, (1, 1)),
        ("block5b", "block5c.expand", False, (1, 1)),
        ("block4b.expand", "block4b.depthwise", False, (3, 3)),
        ("block3a.expand", "block3a.depthwise", False, (5, 5)),
        ("block5c.project", "block5c", False, (1, 1)),
        ("block4a", "block4b", True, (3, 3)),
        ("block3a", "block4a", True, (7, 7)),
    ],
)
def test_efficientnet(lite, earlier, later, expanded, window):
    found = agree(lite, earlier, later, expanded)
    assert tuple(found.kernel.shape[2:]) == window


class Block(nn.Module):
    """A residual block with a grouped, strided, dilated convolution and a shortcut of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 2, dilation=2, groups=4, bias=False), nn.BatchNorm2d(12))
        self.second = nn.Conv2d(12, 16, 3, padding=1)
        self.short = nn.Conv2d(8, 16, 1, 2)
        self.inner, self.act = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return self.act(self.second(self.inner(self.first(x))) + self.short(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block = Block()
        self.left, self.right = (
            nn.Conv2d(16, 4, 1),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(16, 6, 5, padding=2)),
        )
        self.join = nn.Identity()
        self.mix = nn.Conv2d(10, 10, 3, padding="same", dilation=2)
        self.fc = nn.Linear(10, 5)

    def forward(self, x):
        x = self.block(self.stem(x))
        x = self.mix(torch.cat([self.left(x), self.right(x)], 1))
        return self.fc(x.mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = Net().eval()
    norm = module.block.first[1]
    norm.running_mean.uniform_(-1, 1), norm.running_var.uniform_(0.5, 2), norm.weight.data.uniform_(-2, 2)
    return bbilang.adapt(module, input_size=(48, 48))


@pytest.mark.parametrize(
    ("earlier", "later", "expanded"),
    [
        ("stem", "block.first", False),
        ("block.first.0", "block.first.1", False),
        ("block.inner", "block.second", False),
        ("block.inner", "block", False),
        ("stem", "block", True),
        ("block", "mix", True),
        ("stem", "mix", True),
        ("left", "mix", False),
        ("right.1", "mix", False),
    ],
)
def test_grouped_strided_dilated_and_joined(net, earlier, later, expanded):
    agree(net, earlier, later, expanded)
