"""Circuits: the channels and weights that `circuit` keeps, against the network's own matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.fields.field import Linked


class Net(nn.Module):
    """Three layers with nonlinearities between them, and a depthwise one."""

    def __init__(self):
        super().__init__()
        self.a, self.act = nn.Conv2d(3, 6, 1), nn.ReLU()
        self.b, self.norm, self.act_b = nn.Conv2d(6, 7, 3, padding=1), nn.BatchNorm2d(7), nn.ReLU()
        self.deep, self.c = nn.Conv2d(7, 7, 3, padding=1, groups=7), nn.Conv2d(7, 5, 1)

    def forward(self, x):
        x = self.act_b(self.norm(self.b(self.act(self.a(x)))))
        return self.c(self.deep(x)).mean((2, 3))


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(4)
    net = Net().eval()
    nn.init.uniform_(net.norm.running_var, 0.5, 2)
    nn.init.uniform_(net.norm.weight, 0.5, 2)
    return net


def run(module, text):
    return bbilang.run(text, model=bbilang.adapt(module, (8, 8)), cache=False)


def flow_of(module, text) -> Linked:
    (field,) = run(module, f"{text} | present(sankey)").results.fields.values()
    assert isinstance(field, Linked)
    return field


def matrices(module):
    """The weights a -> b and b -> c, over (from, to)."""
    scale = (module.norm.weight / (module.norm.running_var + module.norm.eps).sqrt()).detach()
    first = module.b.weight.sum((2, 3)).detach() * scale[:, None]
    second = module.c.weight[:, :, 0, 0].detach() @ torch.diag(module.deep.weight.sum((1, 2, 3)).detach())
    return first.T.numpy(), second.T.numpy()


def by_hand(first, second, ends, k):
    """The channels of each layer, one after the other as they are found."""
    middle, start = [], []
    for end in ends:
        middle += [i for i in sorted(range(len(second)), key=lambda i: -abs(second[i, end]))[:k] if i not in middle]
    for end in middle:
        start += [i for i in sorted(range(len(first)), key=lambda i: -abs(first[i, end]))[:k] if i not in start]
    return start, middle


LIST = "[weights(act, act_b), weights(act_b, c, expanded=true){}] | circuit({})"


@pytest.mark.parametrize("k", [1, 2, 3, 20])
def test_channels_and_weights_are_those_found_by_hand(module, k):
    first, second = matrices(module)
    field = flow_of(module, LIST.format("[to=3]", k))
    start, middle = by_hand(first, second, [3], k)
    kept = [node.coords["channel"].data.tolist() for node in field.nodes]
    assert kept == [start, middle, [3]]
    np.testing.assert_allclose(field.pairs[0].values.data, first[np.ix_(start, middle)], atol=1e-6)
    np.testing.assert_allclose(field.pairs[1].values.data, second[np.ix_(middle, [3])], atol=1e-6)
    sums = first[np.ix_(start, middle)].sum(1), first[np.ix_(start, middle)].sum(0), second[np.ix_(middle, [3])].sum(0)
    for node, expected in zip(field.nodes, sums, strict=True):
        np.testing.assert_allclose(node.values.data, expected, atol=1e-6)


def test_several_channels_of_the_last_layer(module):
    first, second = matrices(module)
    ends = np.argsort(-abs(second).max(0))[:2].tolist()
    field = flow_of(module, LIST.format(" | top(2, along=to.channel, by=magnitude)", 2))
    start, middle = by_hand(first, second, ends, 2)
    assert [node.coords["channel"].data.tolist() for node in field.nodes] == [start, middle, ends]
    np.testing.assert_allclose(field.pairs[1].values.data, second[np.ix_(middle, ends)], atol=1e-6)


def test_a_whole_small_layer_and_two_layers_alone(module):
    _, second = matrices(module)
    field = flow_of(module, "[weights(act_b, c, expanded=true)] | circuit(1)")
    assert field.nodes[-1].coords["channel"].data.tolist() == [0, 1, 2, 3, 4]
    assert sorted(field.nodes[0].coords["channel"].data) == sorted(set(abs(second).argmax(0)))


def test_zeros_are_no_weights(module):
    field = flow_of(module, "[weights(act_b, deep), weights(deep, c)[to=0]] | circuit(3)")
    before, after = (node.coords["channel"].data.tolist() for node in field.nodes[:2])
    assert before == after and len(after) == 3  # a depthwise convolution reads one channel for each


def test_notes_say_what_each_map_leaves_out(module):
    notes = flow_of(module, LIST.format("[to=3]", 2)).notes
    assert notes.count("batch norm is folded in, and biases are left out") == 1
    assert "from act to act_b: they lead up to the ReLU in which act_b ends" in notes


def test_a_norm_has_no_sign(module):
    text = "[weights(act, act_b, kernel=norm), weights(act_b, c, expanded=true, kernel=norm)[to=1]] | circuit(2)"
    field = flow_of(module, text)
    assert not field.type.signed and all((pair.values.data >= 0).all() for pair in field.pairs)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[weights(act, act_b), weights(deep, c)[to=1]] | circuit(2)", "E329"),
        ("[weights(act, act_b)[to=1], weights(act_b, deep)] | circuit(2)", "E330"),
        ("[weights(act, act_b) | abs, weights(act_b, deep)] | circuit(2)", "E330"),
        ("[weights(act, act_b), weights(act_b, deep) | top(4)] | circuit(2)", "E330"),
        ("[weights(act, act_b), weights(act_b, deep)[from=2]] | circuit(2)", "E330"),
        ("[weights(act, act_b), weights(act_b, deep) | filter(to.channel == 3)] | circuit(2)", "E330"),
        ("[weights(act, act_b), weights(act_b, deep)]", "E304"),
    ],
)
def test_what_is_no_circuit_is_refused(module, text, code):
    with pytest.raises(BbiError) as caught:
        run(module, f"{text} | present(sankey)")
    assert [it.code for it in caught.value.diagnostics] == [code]


def test_the_flow_as_a_table(module):
    """Code that asks for the element's numbers gets every pair of channels, in words."""
    _, second = matrices(module)
    page = run(module, f"flow = {LIST.format('[to=3]', 2)} | present(sankey)")
    data = page.data("flow")
    best = abs(second[:, 3]).argmax()
    row = data.labels["from"][1].tolist().index(f"act_b, channel {best}")
    assert float(data.values[row, -1]) == pytest.approx(second[best, 3], abs=1e-6)
