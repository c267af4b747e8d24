"""Weight matching recovers the permutation of permuted, rescaled copies, which it does not know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from permuted import Unknown, permuted
from torch import nn
from torch.nn import functional

import bbilang
from bbilang.runtime.matching.groups import Symmetries
from bbilang.runtime.matching.trace import channels_of


@pytest.mark.parametrize(
    ("name", "groups", "channels"),
    [
        # ResNet-20: nine inner groups, the first stage with its shortcuts, and what each later stage adds to it
        ("resnet20", [16] * 4 + [32, 16, 32, 32, 64, 32, 64, 64], 400),
        ("squeezenet", None, 2944),  # the stem and three groups of each of eight modules, which are concatenated
        ("efficientnet_lite0", None, 11024),  # a group for each stage's residual stream, and one for each expansion
        ("sample:marks", [8, 12, 16], 36),
    ],
)
def test_every_channel_of_a_permuted_copy_is_found(network, name, groups, channels):
    adapter = network(name)
    made = permuted(adapter)
    assert made.difference < 1e-4, "the copy computes the same"
    sizes = [len(group) for group in made.symmetries.groups]
    assert sum(sizes) == channels and (groups is None or sizes == groups)
    found = made.matched()
    every = np.concatenate(made.symmetries.groups)
    excused = found.dead[every] | found.twins[every]
    assert excused.mean() < 0.01
    assert (found.partner[every] == made.partner[every])[~excused].all()
    cosine = found.cosine[every][~excused]
    assert np.nanmean(cosine) > 0.999 and np.nanmin(cosine) > 0.9  # of weights near zero, rounding shows
    assert np.nanmean(found.others[every]) < 0.5, "which says that the match is none of chance"
    assert (found.next[every] < found.cosine[every] - 1e-6)[~excused].all(), "no other one is as alike"
    assert (found.next[every] >= found.others[every] - 1e-6)[~excused].all(), "which are some of those"


def test_noise_moves_nothing(network):
    made = permuted(network("resnet20"), seed=1, noise=0.05)
    found, every = made.matched(), np.concatenate(made.symmetries.groups)
    assert (found.partner[every] == made.partner[every]).mean() > 0.99
    assert 0.9 < np.nanmean(found.cosine[every]) < 0.9999


class Mixed(nn.Module):
    """A gate, a grouped and a depthwise convolution, a concatenation with one of its parts, a split, a flattening."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12)
        self.grouped = nn.Conv2d(12, 12, 3, 1, 1, groups=3)
        self.depthwise = nn.Conv2d(12, 12, 3, 1, 1, groups=12)
        self.squeeze, self.excite = nn.Conv2d(12, 5, 1), nn.Conv2d(5, 12, 1)
        self.left, self.right = nn.Conv2d(12, 6, 1), nn.Conv2d(12, 7, 1)
        self.mix = nn.Conv2d(19, 14, 1)
        self.first, self.second = nn.Linear(7 * 16, 9), nn.Linear(9, 4)

    def forward(self, x):
        x = functional.relu(self.norm(self.stem(x)))
        x = x + functional.relu6(self.depthwise(functional.silu(self.grouped(x))))
        gate = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = x * gate
        left = functional.relu(self.left(x))
        x = torch.cat([left, functional.max_pool2d(self.right(x), 3, 1, 1), left], 1)
        one, two = functional.leaky_relu(self.mix(x)).chunk(2, 1)
        x = functional.adaptive_avg_pool2d(one - two, 4)
        return self.second(functional.relu(self.first(torch.flatten(x, 1))))


@pytest.fixture(scope="module")
def mixed():
    torch.manual_seed(0)
    module = Mixed().eval()
    module.norm.running_mean.uniform_(-1, 1), module.norm.running_var.uniform_(0.5, 2)
    return bbilang.adapt(module, input_size=(32, 32))


def test_what_the_graph_does_decides_what_moves_together(mixed):
    made = permuted(mixed)
    assert made.difference < 1e-4
    # the stream stays in the blocks of the grouped convolution, 4 by 4; both halves of the split move alike
    assert sorted(len(group) for group in made.symmetries.groups) == [4, 4, 4, 5, 6, 7, 7, 9]
    found, every = made.matched(), np.concatenate(made.symmetries.groups)
    assert (found.partner[every] == made.partner[every]).all()


def test_no_larger_permutation_is_possible(mixed):
    """Two channels of different groups that change places change what the network computes."""
    symmetries = Symmetries.of(channels_of(mixed))
    images = torch.rand(2, 3, 32, 32)
    state = {name: tensor.numpy().copy() for name, tensor in mixed.module.state_dict().items()}
    with torch.no_grad():
        before = mixed.module(images)
    (four, other, *_) = (group for group in symmetries.groups if len(group) == 4)
    weight = state["stem.weight"].copy()
    places = symmetries.writes["stem.weight"]
    first, second = places.positions(four[:1])[0, 0], places.positions(other[:1])[0, 0]
    weight[[first, second]] = weight[[second, first]]
    changed = {**mixed.module.state_dict(), "stem.weight": torch.from_numpy(weight)}
    with torch.no_grad():
        after = torch.func.functional_call(mixed.module, changed, (images,))
    assert float((before - after).abs().max()) > 1e-3


def test_twins_and_dead_channels_are_counted_apart(mixed):
    with torch.no_grad():
        for layer, at in (("left", (0, 1)), ("first", (2, 2))):
            module = getattr(mixed.module, layer)
            module.weight[at[0]] = module.weight[at[1]] if at[0] != at[1] else 0
            module.bias[at[0]] = module.bias[at[1]] if at[0] != at[1] else 0
        mixed.module.mix.weight[:, 0], mixed.module.mix.weight[:, 13] = (
            mixed.module.mix.weight[:, 1], mixed.module.mix.weight[:, 14]
        )  # fmt: skip
    made = permuted(mixed, rescale=False)
    found = made.matched()
    axis = made.symmetries.known.of_layer("left").channels
    assert found.twins[axis].tolist() == [True, True, *[False] * 4]
    assert found.dead[made.symmetries.known.of_layer("first").channels].nonzero()[0].tolist() == [2]
    every = np.concatenate(made.symmetries.groups)
    excused = found.dead[every] | found.twins[every]
    assert (found.partner[every] == made.partner[every])[~excused].all()


def test_what_is_not_known_stays_in_its_order():
    torch.manual_seed(0)
    made = permuted(bbilang.adapt(Unknown().eval(), input_size=(16, 16)))
    assert made.difference < 1e-4 and [len(group) for group in made.symmetries.groups] == [8]
