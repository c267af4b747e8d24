"""The network above a layer: equal to the whole network, in values, gradients and tangents."""

import pytest
import torch
from closeness import close_to

from bbilang.runtime.passes import above, forward, rerun_gradients, tangents

LAYERS = ["input", "first", "second.0", "second", "left", "right", "same", "pair"]
WAYS = ["hooks", "fx"]


def replaced(adapter, images, layer, activations):
    """The slow twin: the whole network on the same image, once a row, with the layer's result replaced."""
    return forward(adapter, images, [], replace={layer: activations}).scores


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_rows_equal_the_whole_network_with_the_layer_replaced(network, adapter, images, layer, way, unchanged):
    captured = forward(adapter, images, [layer], cuts=[layer])
    rows = torch.tensor([1, 0, 1])
    there = captured[layer][rows] + 0.3 * torch.randn(3, *captured[layer].shape[1:])
    with above(adapter, captured, layer, backend=way) as upper:
        got = upper(there, rows)["output"]
    want = torch.cat([replaced(adapter, images[r : r + 1], layer, a[None]) for r, a in zip(rows, there, strict=True)])
    close_to(got, want)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_above_equal_the_graph_of_the_forward(slow_twin, adapter, images, layer, way, unchanged):
    values, scores = slow_twin()
    captured = forward(adapter, images, [], cuts=[layer])
    seeds = torch.randn(3, 2, 6)
    with above(adapter, captured, layer, backend=way) as upper:
        got = rerun_gradients(upper, upper.activations, None, seeds)
    want = [torch.autograd.grad(scores, values[layer], seed, retain_graph=True)[0] for seed in seeds]
    close_to(got, torch.stack(want))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_tangents_and_cotangents_agree(slow_twin, adapter, images, layer, way, unchanged):
    """<c, J t> = <J^T c, t>."""
    values, scores = slow_twin()
    captured = forward(adapter, images, [], cuts=[layer])
    moves, seed = torch.randn(5, *captured[layer].shape), torch.randn(2, 6)
    (back,) = torch.autograd.grad(scores, values[layer], seed)
    with above(adapter, captured, layer, backend=way) as upper:
        got = tangents(upper, moves)["output"]
        loop = tangents(upper, moves, chunk=1)["output"]
    close_to((got * seed).sum((1, 2)), (moves * back).flatten(1).sum(1))
    close_to(got, loop)
