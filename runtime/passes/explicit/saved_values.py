"""The values that a forward saves for the explicit VJP, by the nodes of its graph."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.node import Node
from torch.utils._pytree import tree_map
from torch.utils.hooks import RemovableHandle

from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.fx_graph import run_node

_HEAVY = (
    "matmul", "bmm", "mm", "mv", "addmm", "baddbmm", "einsum", "linear", "scaled_dot_product_attention", "conv1d",
    "conv2d", "conv3d", "conv_transpose2d", "tensordot", "dot", "bilinear",
)  # fmt: skip

_SUMS = (
    operator.add,
    operator.iadd,
    torch.add,
)  # of two tensors of the same shape and dtype: the result is like either


class SavedValues:
    """The results of the modules of a forward, detached. Register `hooks` after all others."""

    def __init__(self, adapter: Adapter, images: Tensor):
        self.adapter, self.images = adapter, images
        self.modules = dict(adapter.module.named_modules())
        self.names = {m: name for name, m in self.modules.items()}
        self.results: dict[str, list[tuple[object, int]]] = {}

    def hooks(self) -> list[RemovableHandle]:
        """Register hooks on all modules without submodules and return their handles."""
        leaves = (m for m in self.names if not m._modules and not isinstance(m, torch.jit.ScriptModule))
        return [m.register_forward_hook(self._save) for m in leaves]

    def _save(self, module: nn.Module, arguments: tuple[object, ...], result: object) -> None:
        calls = self.results.setdefault(self.names[module], [])
        if isinstance(result, Tensor):
            calls.append((result.detach(), result._version))
        else:
            calls.append((result, 0))


class NodeValues:
    """The values of a graph's nodes, from what a forward saved; functions between modules are computed again."""

    def __init__(self, saved: SavedValues, nodes: Sequence[Node], start: Node):
        self.recorded: dict[Node, tuple[object, int]] = {}
        self.values: dict[Node, Any] = {}
        self.likes: dict[Node, Any] = {}
        calls: dict[str, int] = {}
        self.start, self.saved = start, saved
        for node in nodes:
            if node.op == "call_module":
                path = str(node.target)
                at = calls[path] = calls.get(path, -1) + 1
                if at < len(saved.results.get(path, ())):
                    self.recorded[node] = saved.results[path][at]

    def value(self, node: Node) -> Any:
        """Return the value of a node. Raises NotImplementedError where it was not saved, was overwritten, or is
        expensive to compute."""
        if node in self.values:
            return self.values[node]
        if node in self.recorded:
            value, version = self.recorded[node]
            if isinstance(value, Tensor) and value._version != version:
                raise NotImplementedError("a value was overwritten")
        elif node is self.start:
            value = self.saved.adapter.normalize(self.saved.images)
        elif node.op in ("call_module", "placeholder"):
            raise NotImplementedError("a value was not saved")
        elif (value := self._in_place_result(node)) is None:
            if is_heavy(node):
                raise NotImplementedError("a value is expensive to compute")
            points = {x: self.value(x) for x in node.all_input_nodes}
            with torch.no_grad():
                value = run_node(self.saved.modules, node, points)
        self.values[node] = value
        return value

    def _in_place_result(self, node: Node) -> Tensor | None:
        """Return the result of an in-place function, which is in the saved result of the module before it."""
        source = node.args[0] if node.args else None
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if not (node.kwargs.get("inplace") is True or (name.endswith("_") and not name.endswith("__"))):
            return None
        value, version = self.recorded.get(source, (None, 0)) if isinstance(source, Node) else (None, 0)
        return value if isinstance(value, Tensor) and value._version == version + 1 else None

    def like(self, node: Node) -> Any:
        """Return a tensor of the value's shape and dtype: the saved one, else one on the device "meta"."""
        if node not in self.likes:
            if node in self.values:
                like = self.values[node]
            elif node in self.recorded:
                like = self.recorded[node][0]
            elif node is self.start or node.op == "get_attr":
                like = self.value(node)
            else:
                likes = [self.like(x) for x in node.all_input_nodes]
                if node.target in _SUMS and len(likes) == len(node.args) == 2 and _alike(*likes):
                    like = likes[0]
                else:
                    points = {x: _meta(other) for x, other in zip(node.all_input_nodes, likes, strict=True)}
                    with torch.no_grad():
                        like = run_node(self.saved.modules, node, points)
            self.likes[node] = like
        return self.likes[node]


def _alike(one: object, other: object) -> bool:
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    return one.shape == other.shape and one.dtype == other.dtype


def is_heavy(node: Node) -> bool:
    """Return whether a function multiplies matrices."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return node.op != "call_module" and name.strip("_") in _HEAVY


def _meta(tree: object) -> object:
    """Return the tree with its tensors on the device "meta"."""
    return tree_map(lambda x: x.to("meta") if isinstance(x, Tensor) else x, tree)
