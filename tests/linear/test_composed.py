"""`between` against weights composed by hand: loops over offsets, and matrices of linear layers."""

import pytest
import torch
from impulses import agree
from torch import nn
from torchvision.models import resnet18

import bbilang
from bbilang.runtime.linear.between import between
from bbilang.runtime.linear.linear_map import MEAN, WHOLE


@pytest.fixture(scope="module")
def resnet():
    """A ResNet with batch norms that scale, as trained ones do."""
    torch.manual_seed(1)
    module = resnet18(weights=None).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-1, 1), norm.running_var.uniform_(0.5, 2), norm.weight.data.uniform_(-2, 2)
    return bbilang.adapt(module, input_size=(64, 64))


def folded(conv, norm):
    return conv.weight.double() * (norm.weight / torch.sqrt(norm.running_var + norm.eps)).double()[:, None, None, None]


def composed(first, second):
    """Return the kernel of two convolutions in a row, of stride 1: a sum over pairs of offsets."""
    size = [a + b - 1 for a, b in zip(first.shape[2:], second.shape[2:], strict=True)]
    result = torch.zeros(second.shape[0], first.shape[1], *size, dtype=torch.float64)
    for y1 in range(first.shape[2]):
        for x1 in range(first.shape[3]):
            for y2 in range(second.shape[2]):
                for x2 in range(second.shape[3]):
                    result[:, :, y1 + y2, x1 + x2] += second[:, :, y2, x2] @ first[:, :, y1, x1]
    return result


def test_a_residual_block_is_its_convolutions_and_the_identity(resnet):
    block = resnet.module.layer1[1]
    with torch.no_grad():
        expected = composed(folded(block.conv1, block.bn1), folded(block.conv2, block.bn2))
        expected[:, :, 2, 2] += torch.eye(64, dtype=torch.float64)
    found = between(resnet, "layer1.0", "layer1.1", expanded=True)
    assert found.map.start == (-2, -2) and found.map.stride == (1, 1)
    torch.testing.assert_close(found.map.kernel, expected)
    assert (found.skipped, found.last, found.paths) == (("ReLU",), "ReLU", 2)


@pytest.mark.parametrize(
    ("earlier", "later", "expanded"),
    [
        ("layer1.0", "layer1.1.conv1", False),
        ("layer2.0.conv1", "layer2.0.bn1", False),
        ("layer1", "layer2.0", True),  # a shortcut with a stride and a convolution of its own
        ("layer1", "layer2", True),
        ("bn1", "layer1.0", True),  # past a max pool
    ],
)
def test_resnet_against_impulses(resnet, earlier, later, expanded):
    agree(resnet, earlier, later, expanded)


def test_a_max_pool_is_said_to_be_averaged(resnet):
    found = between(resnet, "bn1", "layer1.0.conv1", expanded=True)
    assert found.averaged and found.skipped == ("ReLU",)


def test_a_classifier_behind_a_mean(resnet):
    found = between(resnet, "layer4", "fc").map
    assert found.reads == MEAN
    torch.testing.assert_close(found.kernel[:, :, 0, 0], resnet.module.fc.weight.double())


class Convolved(nn.Module):
    """A classifier that is a convolution of 1 x 1 behind a mean that keeps its axes."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 1)

    def forward(self, x):
        return self.last(self.conv(x).mean((2, 3), keepdim=True)).flatten(1)


def test_a_convolution_behind_a_mean():
    adapter = bbilang.adapt(Convolved().eval(), input_size=(6, 8))
    found = between(adapter, "conv", "last").map
    assert found.reads == MEAN
    torch.testing.assert_close(found.kernel, adapter.module.last.weight.double())


class Flat(nn.Module):
    """Linear layers behind a convolution whose positions are joined with its channels."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.flat = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten()
        self.first, self.act, self.second = nn.Linear(4 * 6 * 8, 7), nn.ReLU(), nn.Linear(7, 5)

    def forward(self, x):
        return self.second(self.act(self.first(self.flat(self.relu(self.conv(x))))))


def test_linear_layers_behind_a_flattening():
    torch.manual_seed(2)
    adapter = bbilang.adapt(Flat().eval(), input_size=(6, 8))
    first, second = (layer.weight.double() for layer in (adapter.module.first, adapter.module.second))
    alone = between(adapter, "relu", "first").map
    assert alone.reads == WHOLE
    torch.testing.assert_close(alone.kernel, first.reshape(7, 4, 6, 8))
    torch.testing.assert_close(between(adapter, "first", "second", expanded=True).map.kernel[..., 0, 0], second)
    both = between(adapter, "relu", "second", expanded=True)
    torch.testing.assert_close(both.map.kernel, (second @ first).reshape(5, 4, 6, 8))
    assert both.skipped == ("ReLU",)
