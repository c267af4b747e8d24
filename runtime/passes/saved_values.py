"""What a forward leaves for going down again without autograd: what its modules gave, by the nodes of its graph."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.node import Node
from torch.utils._pytree import tree_map

from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.fx_graph import run_node

_HEAVY = (
    "matmul", "bmm", "mm", "mv", "addmm", "baddbmm", "einsum", "linear", "scaled_dot_product_attention", "conv1d",
    "conv2d", "conv3d", "conv_transpose2d", "tensordot", "dot", "bilinear",
)  # fmt: skip

_SUMS = (operator.add, operator.iadd, torch.add)  # of two tensors alike: like either, and asking "meta" takes a while


class SavedValues:
    """What the modules of a forward gave, detached: what it takes to go down again. Hang `hooks` after all others."""

    def __init__(self, adapter: Adapter, images: Tensor):
        self.adapter, self.images = adapter, images
        self.modules = dict(adapter.module.named_modules())
        self.names = {m: name for name, m in self.modules.items()}
        self.given: dict[str, list[tuple[Tensor, int]]] = {}

    def hooks(self) -> list[Any]:
        ends = (m for m in self.names if not m._modules and not isinstance(m, torch.jit.ScriptModule))
        return [m.register_forward_hook(self._keep) for m in ends]

    def _keep(self, module: nn.Module, arguments: Any, result: Any) -> None:
        calls = self.given.setdefault(self.names[module], [])
        if isinstance(result, Tensor):
            calls.append((result.detach(), result._version))
        else:
            calls.append((result, 0))


class NodeValues:
    """The values of a graph's nodes by what a forward left; those of functions between modules are taken again."""

    def __init__(self, saved: SavedValues, nodes: Sequence[Node], start: Node):
        self.given: dict[Node, tuple[Any, int]] = {}
        self.values: dict[Node, Any] = {}
        self.likes: dict[Node, Any] = {}
        calls: dict[str, int] = {}
        self.start, self.saved = start, saved
        for node in nodes:
            if node.op == "call_module":
                path = str(node.target)
                at = calls[path] = calls.get(path, -1) + 1
                if at < len(saved.given.get(path, ())):
                    self.given[node] = saved.given[path][at]

    def value(self, node: Node) -> Any:
        """Raises NotImplementedError where it was not kept, or was written over, or takes work."""
        if node in self.values:
            return self.values[node]
        if node in self.given:
            value, version = self.given[node]
            if isinstance(value, Tensor) and value._version != version:
                raise NotImplementedError("a value that was written over")
        elif node is self.start:
            value = self.saved.adapter.normalize(self.saved.images)
        elif node.op in ("call_module", "placeholder"):
            raise NotImplementedError("a value that was not kept")
        elif (value := self._written(node)) is None:
            if is_heavy(node):
                raise NotImplementedError("a value that takes work")
            points = {x: self.value(x) for x in node.all_input_nodes}
            with torch.no_grad():
                value = run_node(self.saved.modules, node, points)
        self.values[node] = value
        return value

    def _written(self, node: Node) -> Tensor | None:
        """What a function in place has left in the result of the module before it."""
        source = node.args[0] if node.args else None
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if not (node.kwargs.get("inplace") is True or (name.endswith("_") and not name.endswith("__"))):
            return None
        value, version = self.given.get(source, (None, 0)) if isinstance(source, Node) else (None, 0)
        return value if isinstance(value, Tensor) and value._version == version + 1 else None

    def like(self, node: Node) -> Any:
        """Something of the value's shape and type: what was kept, else on the device "meta"."""
        if node not in self.likes:
            if node in self.values:
                found = self.values[node]
            elif node in self.given:
                found = self.given[node][0]
            elif node is self.start or node.op == "get_attr":
                found = self.value(node)
            else:
                likes = [self.like(x) for x in node.all_input_nodes]
                if node.target in _SUMS and len(likes) == len(node.args) == 2 and _alike(*likes):
                    found = likes[0]
                else:
                    points = {x: _meta(like) for x, like in zip(node.all_input_nodes, likes, strict=True)}
                    with torch.no_grad():
                        found = run_node(self.saved.modules, node, points)
            self.likes[node] = found
        return self.likes[node]


def _alike(one: Any, other: Any) -> bool:
    tensors = isinstance(one, Tensor) and isinstance(other, Tensor)
    return tensors and one.shape == other.shape and one.dtype == other.dtype


def is_heavy(node: Node) -> bool:
    """A function that multiplies matrices."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return node.op != "call_module" and name.strip("_") in _HEAVY


def _meta(tree: Any) -> Any:
    """The same on the device "meta"."""
    return tree_map(lambda x: x.to("meta") if isinstance(x, Tensor) else x, tree)
