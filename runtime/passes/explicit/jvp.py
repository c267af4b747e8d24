"""Forward mode as an explicit network: the derivative of the network above a layer at the captured values.

It is built from the cut graph, with one run for the values. Tangents are then rows of one batch, channels last: a
convolution or a linear layer stays as it is, without its bias, a batch norm is folded into the convolution before it,
ReLU and ReLU6 are masks, sums and means stay as they are; any other operation is differentiated by torch.func, alone.
Tensors that nothing else reads are overwritten. `vjp.py` is the transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.node import Argument, Node, map_arg

from bbilang.runtime.passes.explicit.graph import CONVOLUTIONS, NORMS, scale_of
from bbilang.runtime.passes.explicit.vjp import RELU, RELU6, SUMS, to_layout
from bbilang.runtime.passes.fx_graph import GraphSection, NodeTable, has_tensor
from bbilang.runtime.passes.hooks import INPUT
from bbilang.runtime.passes.module.results import tensor_path, value_at
from bbilang.runtime.passes.same_padding import SameConv2d

Rule = Callable[[dict[Node, Tensor]], Tensor]  # tangents of the sources, (tangent * input, ...) -> those of the node
_POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)


class ExplicitJvp:
    """``push``: (tangent, input, *layer shape) -> target layer -> (tangent, input, *its shape)."""

    def __init__(self, section: GraphSection, activations: Tensor):
        if section.cut.layer == INPUT or not isinstance(section.cut.result, Tensor):
            raise NotImplementedError("the layer is not the single tensor of a module")
        self.section, self.inputs = section, section.inputs
        with torch.no_grad():
            values = section.everything(activations)
            self.ends = {target_layer: self._end(end, values) for target_layer, end in section.ends.items()}
            self.shapes = {target_layer: values[end] for target_layer, end in self.ends.items()}
            self.dtype = activations.dtype
            norms = self._folded_norms()
            dependent = {section.layer}
            self.reusable: set[Node] = set()  # whose tangents only one operation reads, so it may overwrite them
            self.rules: list[tuple[Node, Rule]] = []
            for node in section.run:
                if dependent.isdisjoint(node.all_input_nodes) or not has_tensor(values[node]):
                    continue
                dependent.add(node)
                if node in norms.values():
                    self.mark_reusable(node)
                    self.rules.append((node, _identity(node.args[0])))
                else:
                    self.rules.append((node, self._rule(node, values, dependent, norms.get(node))))
        self.dependent = dependent

    def _end(self, end: Argument, values: NodeTable) -> Node:
        path = tensor_path(map_arg(end, values.__getitem__))
        try:
            node = end if isinstance(end, Node) else value_at(end, path or ())
        except KeyError:
            raise NotImplementedError("the target is inside a record") from None
        if not isinstance(node, Node) or not isinstance(values[node], Tensor):
            raise NotImplementedError("the target layer is not a single tensor")
        return node

    def _folded_norms(self) -> dict[Node, Node]:
        """Return convolutions whose result only a batch norm reads, with that batch norm."""
        section = self.section
        norms: dict[Node, Node] = {}
        for node in section.run:
            source = node.args[0] if node.args else None
            if not (self.is_kind(node, NORMS) and isinstance(source, Node) and self.is_kind(source, CONVOLUTIONS)):
                continue
            readers = sum(source in other.all_input_nodes for other in section.run)
            single = source in section.run and readers == 1 and source not in self.ends.values()
            if single and self.module(node).running_var is not None:
                norms[source] = node
        return norms

    def module(self, node: Node) -> Any:
        """Return the module that a node calls."""
        return self.section.modules[str(node.target)]

    def is_kind(self, node: Node, types: tuple[type, ...]) -> bool:
        """Return whether a node is a module of exactly one of these types, without hooks."""
        if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
            return False
        module = self.module(node)
        return type(module) in types and not (module._forward_hooks or module._forward_pre_hooks)

    def _rule(self, node: Node, values: NodeTable, dependent: set[Node], norm: Node | None) -> Rule:
        source = node.args[0] if node.args else None
        if isinstance(source, Node) and source in dependent:
            if self.is_kind(node, CONVOLUTIONS) or self.is_kind(node, (nn.Linear,)):
                self.mark_reusable(node)
                return self._convolution(node, source, norm, values[source])
            if self.is_kind(node, (nn.Identity, nn.Dropout, nn.Dropout2d)):
                return _identity(source)
            if self.is_kind(node, (nn.ReLU,)) or (node.target in RELU and len(node.args) == 1):
                return self._mask(node, source, values[source] > 0)
            if self.is_kind(node, (nn.ReLU6,)) or (node.target in RELU6 and len(node.args) == 1):
                return self._mask(node, source, (values[source] > 0) & (values[source] < 6))
            if self.is_kind(node, _POOLS) or _keeps_rows(node, values[source]):
                section = self.section  # not self: it refers to the rule, and the cycle would keep both alive
                return lambda tangents: section.step(node, tangents)
        if node.target in SUMS and len(node.args) == 2 and not node.kwargs:
            terms = [x for x in node.args if isinstance(x, Node) and x in dependent]
            shapes = [values[x].shape for x in terms]
            shape = torch.broadcast_shapes(*(values[x].shape for x in node.args if isinstance(x, Node)))
            if all(s == shape for s in shapes):
                ready = next((x for x in terms if x in self.reusable), None)
                if len(terms) == 2 and terms[0] is not terms[1]:
                    self.mark_reusable(node)
                return _sum_rule(terms, ready)
        return self._by_jvp(node, values, dependent)

    def _convolution(self, node: Node, source: Node, norm: Node | None, size: Tensor) -> Rule:
        """Return the rule of a convolution. ``size``: the input, of which the last two axes matter."""
        module = self.module(node)
        weight = module.weight
        if norm is not None:
            weight = weight * scale_of(self.module(norm)).view(-1, *[1] * (weight.dim() - 1))
        weight = to_layout(weight)
        if type(module) is nn.Linear:
            return lambda tangents: F.linear(tangents[source], weight)
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":
            stride, padding = module.stride, module.padding
            dilation, groups = module.dilation, module.groups
            return lambda tangents: F.conv2d(tangents[source], weight, None, stride, padding, dilation, groups)
        if type(module) is SameConv2d:
            (top, bottom), (left, right) = module.padding_of(size)
            even = top == bottom and left == right
            around = () if even else (left, right, top, bottom)
            return _padded(source, module, weight, (top, left) if even else (0, 0), around)
        bias = module.bias

        def apply(tangents: dict[Node, Tensor]) -> Tensor:
            named = {"weight": weight} if bias is None else {"weight": weight, "bias": torch.zeros_like(bias)}
            return torch.func.functional_call(module, named, (tangents[source],))

        return apply

    def mark_reusable(self, node: Node) -> None:
        """Let the only reader of a node overwrite its tangents."""
        if len(node.users) == 1 and node not in self.ends.values():
            self.reusable.add(node)

    def _mask(self, node: Node, source: Node, mask: Tensor) -> Rule:
        passed, ready, inputs = to_layout(mask.to(self.dtype)), source in self.reusable, self.inputs
        self.mark_reusable(node)

        def apply(tangents: dict[Node, Tensor]) -> Tensor:
            rows = tangents[source].unflatten(0, (-1, inputs))
            return (rows.mul_(passed) if ready else rows * passed).flatten(0, 1)

        return apply

    def _by_jvp(self, node: Node, values: NodeTable, dependent: set[Node]) -> Rule:
        sources = [x for x in node.all_input_nodes if x in dependent]
        fixed = {x: values[x] for x in node.all_input_nodes if x not in dependent}
        points = tuple(values[x] for x in sources)
        section, inputs = self.section, self.inputs

        def step(*at: Tensor) -> Tensor:
            return section.step(node, {**fixed, **dict(zip(sources, at, strict=True))})

        if not all(isinstance(p, Tensor) for p in points) or not isinstance(values[node], Tensor):
            raise NotImplementedError("a result is not a single tensor")

        def apply(tangents: dict[Node, Tensor]) -> Tensor:
            def one(*tangents: Tensor) -> Tensor:
                return torch.func.jvp(step, points, tangents)[1]

            parts = tuple(tangents[x].unflatten(0, (-1, inputs)) for x in sources)
            return torch.func.vmap(one)(*parts).flatten(0, 1)

        return apply

    def push(self, batch: Tensor) -> dict[str, Tensor]:
        """Push tangents (tangent, input, *layer shape) to target layer -> (tangent, input, *its shape)."""
        section = self.section
        tangents: dict[Node, Tensor] = {section.layer: to_layout(batch.flatten(0, 1))}
        for node, rule in self.rules:
            tangents[node] = rule(tangents)
            for done in section.frees.get(node, ()):
                tangents.pop(done, None)
        count = len(batch)
        result = {}
        for target_layer, end in self.ends.items():
            shape = self.shapes[target_layer].shape
            part = tangents.get(end)
            result[target_layer] = (
                self.shapes[target_layer].new_zeros(count, *shape) if part is None else part.reshape(count, *shape)
            )
        return result


def _identity(source: Node) -> Rule:
    return lambda tangents: tangents[source]


def _padded(
    source: Node, module: SameConv2d, weight: Tensor, padding: tuple[int, int], around: tuple[int, ...]
) -> Rule:
    """Convolve with even ``padding``, or after padding zeros ``around`` the input."""
    stride, dilation, groups = module.stride, module.dilation, module.groups

    def apply(tangents: dict[Node, Tensor]) -> Tensor:
        rows = F.pad(tangents[source], around) if around else tangents[source]
        return F.conv2d(rows, weight, None, stride, padding, dilation, groups)

    return apply


def _sum_rule(terms: list[Node], ready: Node | None) -> Rule:
    """Return the rule of a sum. ``ready``: the term that may be overwritten."""
    if len(terms) == 1:
        return _identity(terms[0])
    if ready is None or terms[0] is terms[1]:
        return lambda tangents: tangents[terms[0]] + tangents[terms[1]]
    (other,) = (x for x in terms if x is not ready)
    return lambda tangents: tangents[ready].add_(tangents[other])


def _keeps_rows(node: Node, value: Tensor) -> bool:
    """Return whether a mean or a flattening leaves the first axis alone."""
    if node.target in (torch.flatten, "flatten"):
        return bool(len(node.args) > 1 and node.args[1] == 1 and not node.kwargs)
    if node.target in (torch.mean, "mean") and len(node.args) > 1 and set(node.kwargs) <= {"keepdim"}:
        dims = (node.args[1],) if isinstance(node.args[1], int) else node.args[1]
        return (
            isinstance(dims, tuple | list)
            and bool(dims)
            and all(isinstance(d, int) and d % value.dim() != 0 for d in dims)
        )
    return node.target is F.adaptive_avg_pool2d
