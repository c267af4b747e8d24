"""Fold batch norms into convolutions, and work in place after them, for values of the network above a layer.

For values without gradients only: folding moves them by rounding, and a ReLU6 within rounding of its threshold then has
a different derivative. RISE on EfficientNet-Lite0, 64 pictures of 224 pixels, one CPU thread: 1.72 s unmodified, 1.48 s
folded, 1.10 s folded and in place.
"""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.fx.node import Node
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights

from bbilang.runtime.passes.explicit.graph import CONVOLUTIONS, NORMS, DerivativeGraph
from bbilang.runtime.passes.fx_graph import GraphSection

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.LeakyReLU)
DTYPES = (torch.float32, torch.float64)  # in half precision the difference in rounding would show


def folded(section: GraphSection, layer: str, target_layer: str) -> GraphSection:
    """Return a section of the graph with the same values at one target layer, without gradients.

    Its convolutions and activations are copies; the module stays as it is. A pair is folded where both modules are
    torch's own (or `SameConv2d`), without hooks, run once, and nothing else reads the result between them.
    """
    end = section.ends[target_layer]
    if not isinstance(end, Node):
        return section
    network = DerivativeGraph(section.modules, section.traced.nodes, {layer: section.layer}, end)
    calls = Counter(node.target for node in section.traced.nodes if node.op == "call_module")
    modules: dict[str, nn.Module] = dict(section.modules)
    for source, reader in network.norms.items():
        convolution, norm = network.kind(source, CONVOLUTIONS), network.kind(reader, NORMS)
        if convolution is None or norm is None:
            continue
        if calls[source.target] > 1 or calls[reader.target] > 1 or not _foldable(convolution, norm):
            continue
        modules[str(source.target)] = _fused(convolution, norm)
        modules[str(reader.target)] = nn.Identity()
        users = list(reader.users) if reader is not end else []
        activation = network.kind(users[0], ACTIVATIONS) if len(users) == 1 else None
        if activation is not None and calls[users[0].target] == 1:  # nothing else reads the convolution's result
            modules[str(users[0].target)] = in_place = copy.copy(activation)
            in_place.inplace = True  # type: ignore[assignment]  # nn.Module declares its attributes
    result = copy.copy(section)
    result.modules = modules
    return result


def _foldable(convolution: _ConvNd, norm: _BatchNorm) -> bool:
    tensors = (convolution.weight, norm.running_mean)
    plain = all(x is not None and type(x) in (Tensor, nn.Parameter) and x.dtype in DTYPES for x in tensors)
    return plain and not norm.training


def _fused(convolution: _ConvNd, norm: _BatchNorm) -> _ConvNd:
    """Return a copy of a convolution that shares everything but its weight and bias."""
    result = copy.copy(convolution)
    result._parameters = {**fused_parameters(convolution, norm)}
    return result


def fused_parameters(convolution: _ConvNd, norm: _BatchNorm) -> dict[str, nn.Parameter]:
    """Return ``weight`` and ``bias`` of a convolution equal to the convolution followed by the batch norm (in eval
    mode). They need no gradient."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    fused = fuse_conv_bn_weights(convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias)
    return {name: nn.Parameter(each.detach(), False) for name, each in zip(("weight", "bias"), fused, strict=True)}
