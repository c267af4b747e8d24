"""Weights against the network's own response to impulses: its modules, with nonlinearities replaced by the identity.

An impulse in one channel at one position, minus the response to zeros, gives the weights at each offset.
"""

import copy

import torch
from torch import nn

from bbilang.runtime.linear.between import between

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
