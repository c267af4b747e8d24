"""Descriptions of callers' modules, which are restored afterwards."""

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.adapter import describe_module
from bbilang.runtime.models.preprocess import Preprocess


class Mixture(nn.Module):
    """Every rank, joins of ReLUs, in-place ReLU, a module that runs twice, one that never runs, a tuple."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.second = nn.Conv2d(4, 4, 1)
        self.join = Join()
        self.twice = nn.ReLU()
        self.tokens = nn.Linear(8, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.never = nn.Linear(1, 1)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.first(x)
        x = self.join(x, self.twice(self.twice(self.second(x))))
        tokens = self.tokens(x.flatten(2).transpose(1, 2))
        tokens, _ = self.attention(tokens, tokens, tokens)
        return self.head(tokens.mean(1))


class Join(nn.Module):
    def forward(self, x, y):
        return F.max_pool2d(torch.cat([x, F.relu(y)], 1), 2)


def test_layers_axes_and_signs():
    layers = describe_module(Mixture(), (16, 12), "mixture").by_name
    assert layers["first"].shape == (4, 8, 6) and layers["first"].axes == ("channel", "y", "x")
    assert layers["first"].nonnegative and not layers["second"].nonnegative
    assert layers["join"].shape == (8, 4, 3) and layers["join"].nonnegative
    assert layers["tokens"].axes == ("token", "channel") and layers["tokens"].shape == (12, 6)
    assert layers["attention"].shape == (12, 6)
    assert layers["head"].axes == ("channel",) and layers["head"].shape == (5,)
    assert "twice" not in layers and "never" not in layers
    order = list(layers)
    assert order.index("first.0") < order.index("first.2") < order.index("first") < order.index("join")


def test_the_module_is_given_back_as_it_was():
    module = Mixture().train()
    module.first[1].eval()
    modes = [m.training for m in module.modules()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    adapter = adapt(module, (16, 12))
    assert adapter.module is module
    with adapter.evaluating():
        assert not any(m.training for m in module.modules())
    assert [m.training for m in module.modules()] == modes
    assert not any(m._forward_hooks for m in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(p.requires_grad for p in module.parameters())
    assert adapter.description.classes == 5


def test_a_failure_leaves_nothing_behind(fails):
    module = Mixture()
    with fails("E408", "does not take an image of 1 x 1 x 16 x 16"):
        describe_module(module, (16, 16), channels=1)
    assert module.training and not any(m._forward_hooks for m in module.modules())


def test_models_without_one_class_vector(fails):
    trunk = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    cut = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Unflatten(1, (2, 2)))
    assert adapt(cut, (8, 8)).description.classes == 0
    of_map = adapt(trunk, (8, 8)).description
    assert (of_map.classes, of_map.part, of_map.scores) == (4, ".", "value") and of_map.scores_map == of_map.parts[0]
    with fails("E408", "`1` of model gives the shape (1, 4, 8, 8)", "not one vector"):
        adapt(trunk, (8, 8), output="1")
    with fails("E408", "`head` is not a module"):
        adapt(trunk, (8, 8), output="head")
    with_head = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Unflatten(1, (2, 2)))
    adapter = adapt(with_head, (8, 8), output="1")
    assert adapter.description.classes == 4 and adapter.description.output == "1"


def test_labels(fails):
    network = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    assert adapt(network, (8, 8), labels=["cat", "dog"]).description.label(1) == "dog"
    with fails("E408", "2 classes", "3 labels"):
        adapt(network, (8, 8), labels=["a", "b", "c"])


def test_signs_follow_values_in_place():
    class Shift(nn.Module):
        def forward(self, x):
            return F.relu(x).sub_(1)

    class Clamp(nn.Module):
        def forward(self, x):
            return x.clamp(min=0)

    layers = describe_module(nn.Sequential(Shift(), Clamp(), nn.Sigmoid(), nn.Tanh()), (4, 4)).by_name
    assert [layers[str(i)].nonnegative for i in range(4)] == [False, True, True, False]


def test_grey_models():
    adapter = adapt(
        nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten()), (8, 8), Preprocess(8, (8, 8), mean=(0.5,), std=(0.5,))
    )
    image, shown = adapter.prepare(Image.new("RGB", (20, 30), "red"))
    assert image.shape == (1, 8, 8) and shown.shape == (8, 8, 3)
    assert adapter.module(adapter.normalize(image[None])).shape == (1, 2)


def test_the_crop_is_the_input_size():
    assert adapt(nn.Flatten(), (8, 9), Preprocess(32, (32, 32))).preprocess.crop == (8, 9)


@pytest.mark.parametrize("size", [(8, 20), (20, 8)])
def test_fingerprints_of_modules_without_tensors(size):
    assert len(adapt(nn.Flatten(), size).fingerprint) == 16


def test_a_relu_in_place_does_not_reach_back():
    """The convolution's own result has both signs, though the ReLU after it writes into the same memory."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    layers = {layer.name: layer.nonnegative for layer in describe_module(module, (8, 8)).layers}
    assert layers == {"0": False, "1": True}
