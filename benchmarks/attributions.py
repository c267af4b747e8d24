"""Shared by the rows of methods: several classes of one picture, and the network as each peer needs it.

The rows are in methods_gradients.py, methods_relevance.py and methods_masks.py, each way as its users write it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import numpy as np

from benchmarks import peers, work
from benchmarks.harness import KINKS, Numbers, Row, Way


def made(
    name: str,
    title: str,
    method: str,
    classes: tuple[int, ...],
    beside: Mapping[str, tuple[str, Callable[[], np.ndarray]]],
    own: Mapping[str, Callable[[], np.ndarray]] | None = None,
    scaled: bool = False,
    at: str = "input.pixel",
    tolerance: float = KINKS,
    model: Any = None,
) -> Row:
    """Make a row of maps (class, y, x), at the input of EfficientNet-Lite0 by default.

    ``beside``: way -> (peer, work); ``own``: plain loops that we wrote. ``scaled``: maps are compared after each was
    brought to 0 to 1, since a peer gives them so. ``model``: another network.
    """
    text = f"{at} | attribute(output[top({len(classes)})], method={method}) | present(heatmap, facet=class)"

    def numbers(rows: Any) -> Numbers:
        maps = np.asarray(rows, np.float32)
        if scaled:
            maps = maps - maps.min((1, 2), keepdims=True)
            maps = maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-30)
        return {"maps": maps}

    def ours(results: Any) -> Numbers:
        return numbers(work.values(results, 0, "class", "y", "x"))

    rows, missing = peers.ways(beside, numbers)
    loops = tuple(Way(way, "beside", each, numbers) for way, each in (own or {}).items())
    return Row(
        name,
        f"{title}, {len(classes)} class{'es' * (len(classes) > 1)}",
        (Way("bbilang", "ours", work.page(text, model), ours), *rows, *loops),
        (),
        "the map of every class" + (", brought to 0 to 1" if scaled else ""),
        tolerance,
        missing,
    )


def classes(tiny: bool, count: int = 10) -> tuple[int, ...]:
    return work.ranked()[: 2 if tiny else count]


# --- the network as a peer wants it -----------------------------------------------------------------------------------


def behind_normalization() -> Any:
    import torch

    class Normalized(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = work.theirs()

        def forward(self, x: Any) -> Any:
            return self.network(work.adapter().normalize(x))

    return Normalized()


def guided() -> Any:
    """Return the network behind its normalization with nn.ReLU for its ReLU6: Captum changes the backward of `nn.ReLU`
    only."""
    import torch

    class Bounded(torch.nn.ReLU):
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.relu6(x)

    def replace(module: Any) -> Any:
        for name, child in module.named_children():
            setattr(module, name, Bounded() if isinstance(child, torch.nn.ReLU6) else replace(child))
        return module

    return replace(copy.deepcopy(behind_normalization()))


def for_zennit() -> Any:
    """Return a copy whose residual sums are modules, which zennit's composites recognize."""
    import torch
    from zennit.layer import Sum

    from bbilang.runtime.models.zoo.efficientnet_lite0 import Block

    def forward(self: Any, x: Any) -> Any:
        inside = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(inside))
        return self.sum(torch.stack([x, out], -1)) if self.residual else out

    network = copy.deepcopy(work.theirs())
    for module in network.modules():
        if isinstance(module, Block):
            module.sum, module.forward = Sum(), MethodType(forward, module)
    return network


def exact_merge() -> Any:
    """Merge batch norms without the epsilon that zennit 0.5.1 leaves in them."""
    from zennit.canonizers import SequentialMergeBatchNorm

    class Exact(SequentialMergeBatchNorm):
        @staticmethod
        def merge_batch_norm(modules: Any, batch_norm: Any) -> None:
            SequentialMergeBatchNorm.merge_batch_norm(modules, batch_norm)
            batch_norm.eps = 0.0

    return Exact()
