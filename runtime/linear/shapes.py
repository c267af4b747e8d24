"""The shape of every value in a network's graph, without numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.node import Node

from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.fx_graph import Traced, run_node
from bbilang.runtime.passes.module.memo import memo_of

SHAPES = "shapes"


def shapes_of(adapter: Adapter, graph: Traced) -> dict[Node, tuple[int, ...]]:
    """Return the shape of each tensor in the graph for one input, its axis first; once for each state of the module."""
    memo = memo_of(adapter.module)
    if SHAPES not in memo:
        memo[SHAPES] = _shapes(adapter, graph)
    shapes: dict[Node, tuple[int, ...]] = memo[SHAPES]
    return shapes


def _shapes(adapter: Adapter, graph: Traced) -> dict[Node, tuple[int, ...]]:
    modules = dict(adapter.module.named_modules())
    description, parameter = adapter.description, next(adapter.module.parameters(), torch.empty(0))
    text = description.reads == "text"
    shape = (1, description.input_size[1]) if text else (1, *description.input.shape)
    values: dict[Node, Any] = {}
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        kind = torch.int64 if text else parameter.dtype
        values[graph.input] = torch.empty(shape, dtype=kind, device=parameter.device)
        for node in graph.nodes:
            if node.op not in ("placeholder", "output"):
                values[node] = run_node(modules, node, values)
    return {node: tuple(value.shape) for node, value in values.items() if isinstance(value, Tensor)}
