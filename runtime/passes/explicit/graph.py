"""The part of a traced model that cotangents pass through, with batch norms folded into convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast

from torch import Tensor, nn
from torch.fx.node import Node
from torch.nn.modules.batchnorm import _BatchNorm

from bbilang.runtime.passes.same_padding import SameConv2d

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, SameConv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
M = TypeVar("M", bound=nn.Module)


class Values(Protocol):
    """The values of a network at its nodes, (row, ...)."""

    def value(self, node: Node) -> Any:
        """Return the value of a node."""

    def like(self, node: Node) -> Any:
        """Return the value, or a tensor of its shape and type (on the device "meta")."""


class DerivativeGraph:
    """The part of a model's graph that cotangents pass through, from ``target_layer`` down to ``layers``."""

    def __init__(
        self, modules: Mapping[str, nn.Module], nodes: Iterable[Node], layers: Mapping[str, Node], target_layer: Node
    ):
        self.modules = modules  # by path, the model itself at ""
        self.layers, self.target_layer = dict(layers), target_layer
        active = set(layers.values())
        dependent = []
        for node in nodes:
            if not active.isdisjoint(node.all_input_nodes):
                active.add(node)
                dependent.append(node)
        needed = {target_layer}
        for node in reversed(dependent):
            if node in needed:
                needed.update(node.all_input_nodes)
        self.weights: dict[tuple[Node, bool], Tensor] = {}  # of convolutions, as their rules need them
        self.active = active & needed
        self.run = [node for node in dependent if node in needed]
        self.norms = self._folded()
        self.folded = set(self.norms.values())

    def kind(self, node: Node, types: tuple[type[M], ...]) -> M | None:
        """Return the module of a node that is of exactly one of these types, without hooks; else None."""
        if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
            return None
        module = self.modules[str(node.target)]
        plain = type(module) in types and not (module._forward_hooks or module._forward_pre_hooks)
        return cast(M, module) if plain and "forward" not in module.__dict__ else None

    def _folded(self) -> dict[Node, Node]:
        """Return convolutions whose result only a batch norm reads, with that batch norm."""
        ends, run = {self.target_layer, *self.layers.values()}, set(self.run)
        norms: dict[Node, Node] = {}
        for node in self.run:
            norm, source = self.kind(node, NORMS), node.args[0] if node.args else None
            if norm is None or norm.running_var is None or not isinstance(source, Node):
                continue
            if source in run and source not in ends and len(source.users) == 1:
                if self.kind(source, CONVOLUTIONS) is not None:
                    norms[source] = node
        return norms


def scale_of(norm: _BatchNorm) -> Tensor:
    """Return the factor of a batch norm in eval mode, (channel,)."""
    assert norm.running_var is not None
    factor = norm.running_var.add(norm.eps).rsqrt()
    return (factor if norm.weight is None else factor * norm.weight).detach()
