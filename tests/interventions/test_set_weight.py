"""`set_weight` equals the module whose parameter is changed by hand, and leaves the original as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError


class Net(nn.Module):
    """A kernel with batch norm, a grouped and a depthwise convolution, one of 1 x 1, and two linear layers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.grouped = nn.Conv2d(6, 8, 3, padding=1, groups=2)
        self.act = nn.ReLU()
        self.deep = nn.Conv2d(8, 8, 3, groups=8)
        self.one = nn.Conv2d(8, 4, 1)
        self.pool, self.flat = nn.MaxPool2d(2), nn.Flatten()
        self.hidden, self.relu, self.fc = nn.Linear(4 * 9, 7), nn.ReLU(), nn.Linear(7, 5)

    def forward(self, x):
        x = self.one(self.deep(self.act(self.grouped(self.stem(x)))))
        return self.fc(self.relu(self.hidden(self.flat(self.pool(x)))))


class Sums(nn.Module):
    def __init__(self):
        super().__init__()
        self.two, self.three = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.two(x) + self.three(x)


class Joins(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return torch.cat([self.left(x), self.right(x)], 1)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.sum, self.cat, self.last = nn.Conv2d(3, 4, 3), Sums(), Joins(), nn.Conv2d(6, 3, 1)
        self.apart, self.act, self.after = nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.sum(self.after(self.act(self.apart(self.stem(x)))))
        return self.last(self.cat(x)).mean((2, 3))


def network(kind=Net):
    torch.manual_seed(0)
    module = kind().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 2)
    return module


IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1))


def scores(text, module):
    results = bbilang.run(text, model=module, input=IMAGE, cache=False).results
    return {name: field.values.data.ravel() for name, field in results.fields.items()}


PAIRS = {  # the weights in a text -> the parameter by hand, and what of it
    "weights(input, stem)[to=4, from=1]": ("stem.0.weight", (4, 1)),
    "weights(grouped)[from=4, to=5]": ("grouped.weight", (5, 1)),
    "weights(act, deep)[to=3, from=3]": ("deep.weight", (3, 0)),
    "weights(one)[to=2, from=6]": ("one.weight", (2, 6)),
    "weights(pool, hidden)[to=3, from=2]": ("hidden.weight", (3, slice(18, 27))),
    "weights(relu, fc)[to=1, from=5]": ("fc.weight", (1, 5)),
}


@pytest.mark.parametrize("weights", PAIRS)
def test_scores_as_by_hand(weights):
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    text = f"model a = net\nmodel c = a | set_weight({weights}, 1.5)\nold = a:output.class | present(bars)\n"
    found = scores(text + "new = c:output.class | present(bars)", module)
    with torch.no_grad():
        np.testing.assert_allclose(found["old"], module(IMAGE[None])[0], atol=1e-6)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)
        name, index = PAIRS[weights]
        module.get_parameter(name)[index] = 1.5
        expected = module(IMAGE[None])[0].numpy()
    np.testing.assert_allclose(found["new"], expected, atol=1e-6)
    assert np.abs(found["new"] - found["old"]).max() > 1e-4, "the change must change something"


def test_batch_norm_stays():
    """What `weights` shows is the number times the scale of the batch norm."""
    module = network()
    text = "model a = net\nmodel c = a | set_weight(weights(input, stem)[to=4, from=1], 0.5)\n"
    shown = scores(text + "weights(c:stem)[from=1] | present(bars)", module)
    norm = module.stem[1]
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[4].item()
    (sums,) = shown.values()  # over the nine offsets
    np.testing.assert_allclose(sums[4], 9 * 0.5 * scale, rtol=1e-5)


def test_cached_numbers_are_of_their_own_network(tmp_path):
    """Neither a nor another value is served for c."""
    module, found = network(), []
    for value in (0, 1.5):
        text = f"model a = net\nmodel c = a | set_weight(weights(one)[to=2, from=6], {value})\n"
        text += "a:output.class | present(bars)\nc:output.class | present(bars)"
        for _ in range(2):
            results = bbilang.run(text, model=module, input=IMAGE, cache=tmp_path).results
            found.append([field.values.data.ravel() for field in results.fields.values()])
    first, again, other, _ = found
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first[0], other[0])
    assert len({tuple(row) for row in (first[0], first[1], other[1])}) == 3


def refused(weights, kind=Net, value="0"):
    text = f"model a = net\nmodel c = a | set_weight({weights}, {value})\nc:output.class | present(bars)"
    with pytest.raises(BbiError) as caught:
        bbilang.run(text, model=network(kind), input=IMAGE, cache=False)
    (diagnostic,) = caught.value.diagnostics
    assert text[: diagnostic.span.start].count("\n") == 1, "it is reported where the change is written"
    return diagnostic


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("weights(one)", "names no `from` and no `to`"),
        ("weights(one)[to=3]", "names no `from`"),
        ("weights(grouped, one, expanded=true)[to=3, from=2]", "expanded weights"),
        ("one.channel[3]", "takes one weight"),
        ("weights(one)[to=3] | top(1)", "takes one weight"),
    ],
)
def test_what_is_no_weight(weights, message):
    diagnostic = refused(weights)
    assert diagnostic.code == "E320" and message in diagnostic.message


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        ("weights(act, one)[to=2, from=6]", Net, "several layers"),
        ("weights(grouped)[to=5, from=0]", Net, "different groups"),
        ("weights(pool, flat)[to=2, from=2]", Net, "channels and positions"),
        ("weights(after, sum)[to=2, from=2]", Branches, "2 paths"),
        ("weights(cat.right, cat)[to=2, from=2]", Branches, "nothing multiplies"),
        ("weights(sum, cat)[to=2, from=2]", Branches, "2 paths"),
        ("weights(cat.right, last)[to=2, from=2]", Branches, "anew"),
    ],
)
def test_what_no_parameter_holds(weights, kind, message):
    diagnostic = refused(weights, kind)
    assert diagnostic.code == ("E545" if "positions" in message else "E549") and message in diagnostic.message


def test_it_stands_in_no_pipe():
    with pytest.raises(BbiError, match="E288"):
        bbilang.run("stem.channel | set_weight | present(bars)", model=network(), input=IMAGE, cache=False)


def test_parameters_of_the_original_keep_their_flags():
    """A network in training may be derived from: what requires gradients still does."""
    module = network()
    module.one.weight.requires_grad_(False)
    before = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    text = "model a = net\nmodel b = a | set_weight(weights(one)[to=2, from=6], 0) | ablate(one.channel[1])\n"
    scores(text + "b:output.class | present(bars)", module)
    assert [requires for _, requires in before] == [parameter.requires_grad for parameter in module.parameters()]
