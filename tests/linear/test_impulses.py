"""`between` against the network's own response to impulses: its modules, with nonlinearities replaced by the identity.

An impulse in one channel at one position, minus the response to zeros, gives the weights at each offset.
"""

import copy

import pytest
import torch
from torch import nn

import bbilang
from bbilang.runtime.linear.between import between
from bbilang.runtime.models.loading import load

SKIPPED = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU)


def linear_copy(module):
    """Return a copy in float64 whose nonlinearities are the identity and whose max pools are average pools."""
    module = copy.deepcopy(module).double().eval()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SKIPPED):
                setattr(parent, name, nn.Identity())
            elif type(child) is nn.MaxPool2d:
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    return module


def responses(adapter, earlier, later, impulses):
    """Return the later layer's response (impulse, channel, ...) to impulses (channel, y, x) in the earlier layer."""
    module = linear_copy(adapter.module)
    paths = {name: adapter.description.by_name[name].module for name in (earlier, later)}
    layer = adapter.description.by_name[earlier]
    stack = torch.zeros(len(impulses) + 1, *layer.shape, dtype=torch.float64)
    for row, at in enumerate(impulses):
        stack[(row, *at)] = 1.0
    seen = []
    submodules = dict(module.named_modules())
    submodules[paths[earlier]].register_forward_hook(lambda *_: stack)
    submodules[paths[later]].register_forward_hook(lambda m, i, result: seen.append(result))
    with torch.no_grad():
        module(torch.zeros(len(stack), *adapter.description.input.shape, dtype=torch.float64))
    return (seen[-1] - seen[-1][-1:])[:-1]


def agree(adapter, earlier, later, expanded=False, channels=(0, 3), to_positions=((0, 0), (1, 1))):
    """Compare the map at outputs around the middle of the layer with the response to impulses."""
    found = between(adapter, earlier, later, expanded).map
    layer, end = adapter.description.by_name[earlier], adapter.description.by_name[later]
    middle = [size // 2 // step for size, step in zip(layer.shape[1:], found.stride, strict=True)]
    kernel, (sy, sx) = found.kernel, found.stride
    deep, wide = kernel.shape[2:]
    impulses, expected = [], []
    for channel in channels:
        for py, px in to_positions:
            p = middle[0] + py, middle[1] + px
            for ky in {0, deep // 2, deep - 1}:
                for kx in {0, wide // 2, wide - 1}:
                    y, x = p[0] * sy + found.start[0] + ky, p[1] * sx + found.start[1] + kx
                    if 0 <= y < layer.shape[1] and 0 <= x < layer.shape[2]:
                        impulses.append((channel, y, x))
                        expected.append((p, kernel[:, channel, ky, kx]))
    result = responses(adapter, earlier, later, impulses)
    assert len(impulses) >= 4
    assert result.shape[1] == kernel.shape[0] == end.shape[0]
    scale = kernel.abs().max()
    for row, (p, weights) in zip(result, expected, strict=True):
        torch.testing.assert_close(row[:, p[0], p[1]] / scale, weights / scale, atol=1e-5, rtol=0)
    return found


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
