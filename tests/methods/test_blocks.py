"""The networks of the building blocks have the properties that the methods' tests assume."""

import blocks
import pytest
import torch
from closeness import close_to
from torch import nn


@pytest.mark.parametrize("name", blocks.BLOCKS)
def test_a_block(name):
    network, image = blocks.block(name), blocks.image()
    seen = {}
    network.stem.register_forward_hook(lambda _m, _a, r: seen.update(cut=r.detach().requires_grad_()) or seen["cut"])
    for path, module in network.named_modules():
        module.register_forward_hook(lambda _m, given, _r, path=path: seen.update({path or "all": given[0].detach()}))
    scores = network(image[None])
    assert scores.shape == (1, blocks.CLASSES) and scores.std() > 0.05
    index = int(scores.argmax())
    (gradient,) = torch.autograd.grad(scores[0, index], seen["cut"])
    expected = (seen["cut"] * gradient)[0].sum((1, 2)).detach()
    actual = blocks.attributed("stem.channel | attribute(output) | present(bars)", name)
    close_to(actual, expected)
    for path, module in network.named_modules():
        if isinstance(module, nn.ReLU6):
            assert 0.02 < float((seen[path] > 6).float().mean()) < 0.9, (path, float(seen[path].max()))
        if isinstance(module, nn.ReLU):
            assert 0.05 < float((seen[path] < 0).float().mean()) < 0.95, path


@pytest.mark.parametrize("name", [name for name in blocks.BLOCKS if name not in ("silu", "relu6", "attention")])
def test_without_biases_a_block_is_homogeneous(name):
    network, image = blocks.block(name, bias=False), blocks.image()
    close_to(network(3 * image[None]), 3 * network(image[None]))
