"""The derivative of the network above a layer, written out: at the captured values it is a linear network.

Made from the cut graph, values once. Tangents are then rows of one batch, channels last: a convolution or a linear
layer is itself without its bias, a batch norm is folded into the convolution before it, ReLU and ReLU6 are masks, sums
and means are themselves; whatever else there is goes through torch.func, operation by operation. What nobody else
reads is written over. Cotangents go the other way in `explicit_vjp_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.node import Node, map_arg

from bbilang.runtime.models.zoo.same_padding import SameConv2d
from bbilang.runtime.passes.explicit_vjp import CONVOLUTIONS, NORMS, RELU, RELU6, SUMS, scale_of, to_layout
from bbilang.runtime.passes.fx_graph import GraphSection, has_tensor
from bbilang.runtime.passes.hooks import INPUT
from bbilang.runtime.passes.module.results import tensor_path, value_at

Rule = Callable[[dict[Node, Tensor]], Tensor]  # tangents of the sources, (tangent * input, ...) -> those of the node
_POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)


class ExplicitJvp:
    """``push``: (tangent, input, *layer shape) -> place -> (tangent, input, *place shape)."""

    def __init__(self, section: GraphSection, activations: Tensor):
        if section.cut.layer == INPUT or not isinstance(section.cut.result, Tensor):
            raise NotImplementedError("the layer is not one module's one tensor")
        self.section, self.inputs = section, section.inputs
        with torch.no_grad():
            values = section.everything(activations)
            self.ends = {target_layer: self.end(end, values) for target_layer, end in section.ends.items()}
            self.shapes = {target_layer: values[end] for target_layer, end in self.ends.items()}
            self.dtype = activations.dtype
            norms = self.folded()
            moving = {section.layer}
            self.fresh: set[Node] = set()  # whose tangents are tensors of their own, which one operation reads
            self.rules: list[tuple[Node, Rule]] = []
            for node in section.run:
                if moving.isdisjoint(node.all_input_nodes) or not has_tensor(values[node]):
                    continue
                moving.add(node)
                if node in norms.values():
                    self.own(node)
                    self.rules.append((node, _same(node.args[0])))
                else:
                    self.rules.append((node, self.rule(node, values, moving, norms.get(node))))
        self.moving = moving

    def end(self, end: Any, values: dict[Node, Any]) -> Node:
        path = tensor_path(map_arg(end, values.__getitem__))
        try:
            node = end if isinstance(end, Node) else value_at(end, path or ())
        except KeyError:
            raise NotImplementedError("a record") from None
        if not isinstance(node, Node) or not isinstance(values[node], Tensor):
            raise NotImplementedError("a place that is not one tensor")
        return node

    def folded(self) -> dict[Node, Node]:
        """Convolutions whose result only a batch norm reads, and that batch norm."""
        section, found = self.section, {}
        for node in section.run:
            source = node.args[0] if node.args else None
            if not (self.kind(node, NORMS) and isinstance(source, Node) and self.kind(source, CONVOLUTIONS)):
                continue
            readers = sum(source in other.all_input_nodes for other in section.run)
            alone = source in section.run and readers == 1 and source not in self.ends.values()
            if alone and self.module(node).running_var is not None:
                found[source] = node
        return found

    def module(self, node: Node) -> Any:
        return self.section.modules[str(node.target)]

    def kind(self, node: Node, types: tuple[type, ...]) -> bool:
        """A module of exactly one of these types, without hooks of anybody's."""
        if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
            return False
        module = self.module(node)
        return type(module) in types and not (module._forward_hooks or module._forward_pre_hooks)

    def rule(self, node: Node, values: dict[Node, Any], moving: set[Node], norm: Node | None) -> Rule:
        source = node.args[0] if node.args else None
        if isinstance(source, Node) and source in moving:
            if self.kind(node, CONVOLUTIONS) or self.kind(node, (nn.Linear,)):
                self.own(node)
                return self.convolved(node, source, norm, values[source])
            if self.kind(node, (nn.Identity, nn.Dropout, nn.Dropout2d)):
                return _same(source)
            if self.kind(node, (nn.ReLU,)) or (node.target in RELU and len(node.args) == 1):
                return self.masked(node, source, values[source] > 0)
            if self.kind(node, (nn.ReLU6,)) or (node.target in RELU6 and len(node.args) == 1):
                return self.masked(node, source, (values[source] > 0) & (values[source] < 6))
            if self.kind(node, _POOLS) or _keeps_rows(node, values[source]):
                section = self.section  # a rule refers to it, not to this object, which refers to the rule
                return lambda moved: section.step(node, moved)
        if node.target in SUMS and len(node.args) == 2 and not node.kwargs:
            terms = [x for x in node.args if isinstance(x, Node) and x in moving]
            shapes = [values[x].shape for x in terms]
            shape = torch.broadcast_shapes(*(values[x].shape for x in node.args if isinstance(x, Node)))
            if all(s == shape for s in shapes):
                ready = next((x for x in terms if x in self.fresh), None)
                if len(terms) == 2 and terms[0] is not terms[1]:
                    self.own(node)
                return _sum(terms, ready)
        return self.generic(node, values, moving)

    def convolved(self, node: Node, source: Node, norm: Node | None, size: Tensor) -> Rule:
        """``size``: what goes in, of which the last two axes count."""
        module = self.module(node)
        weight = module.weight
        if norm is not None:
            weight = weight * scale_of(self.module(norm)).view(-1, *[1] * (weight.dim() - 1))
        weight = to_layout(weight)
        if type(module) is nn.Linear:
            return lambda moved: F.linear(moved[source], weight)
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":
            stride, padding = module.stride, module.padding
            dilation, groups = module.dilation, module.groups
            return lambda moved: F.conv2d(moved[source], weight, None, stride, padding, dilation, groups)
        if type(module) is SameConv2d:
            (top, bottom), (left, right) = module.padding_of(size)
            even = top == bottom and left == right
            around = () if even else (left, right, top, bottom)
            return _padded(source, module, weight, (top, left) if even else (0, 0), around)
        bias = module.bias

        def apply(moved: dict[Node, Tensor]) -> Tensor:
            named = {"weight": weight} if bias is None else {"weight": weight, "bias": torch.zeros_like(bias)}
            return torch.func.functional_call(module, named, (moved[source],))

        return apply

    def own(self, node: Node) -> None:
        if len(node.users) == 1 and node not in self.ends.values():
            self.fresh.add(node)

    def masked(self, node: Node, source: Node, mask: Tensor) -> Rule:
        passed, ready, inputs = to_layout(mask.to(self.dtype)), source in self.fresh, self.inputs
        self.own(node)

        def apply(moved: dict[Node, Tensor]) -> Tensor:
            rows = moved[source].unflatten(0, (-1, inputs))
            return (rows.mul_(passed) if ready else rows * passed).flatten(0, 1)

        return apply

    def generic(self, node: Node, values: dict[Node, Any], moving: set[Node]) -> Rule:
        sources = [x for x in node.all_input_nodes if x in moving]
        fixed = {x: values[x] for x in node.all_input_nodes if x not in moving}
        points = tuple(values[x] for x in sources)
        section, inputs = self.section, self.inputs

        def step(*at: Any) -> Any:
            return section.step(node, {**fixed, **dict(zip(sources, at, strict=True))})

        if not all(isinstance(p, Tensor) for p in points) or not isinstance(values[node], Tensor):
            raise NotImplementedError("a result that is not one tensor")

        def apply(moved: dict[Node, Tensor]) -> Tensor:
            def one(*tangents: Tensor) -> Tensor:
                return torch.func.jvp(step, points, tangents)[1]

            parts = tuple(moved[x].unflatten(0, (-1, inputs)) for x in sources)
            return torch.func.vmap(one)(*parts).flatten(0, 1)

        return apply

    def push(self, some: Tensor) -> dict[str, Tensor]:
        section = self.section
        moved: dict[Node, Tensor] = {section.layer: to_layout(some.flatten(0, 1))}
        for node, rule in self.rules:
            moved[node] = rule(moved)
            for done in section.frees.get(node, ()):
                moved.pop(done, None)
        count = len(some)
        found = {}
        for target_layer, end in self.ends.items():
            shape = self.shapes[target_layer].shape
            part = moved.get(end)
            found[target_layer] = (
                self.shapes[target_layer].new_zeros(count, *shape) if part is None else part.reshape(count, *shape)
            )
        return found


def _same(source: Any) -> Rule:
    return lambda moved: moved[source]


def _padded(
    source: Node, module: SameConv2d, weight: Tensor, padding: tuple[int, int], around: tuple[int, ...]
) -> Rule:
    """A convolution with even ``padding``, or with zeros put ``around`` its input first."""
    stride, dilation, groups = module.stride, module.dilation, module.groups

    def apply(moved: dict[Node, Tensor]) -> Tensor:
        tangents = F.pad(moved[source], around) if around else moved[source]
        return F.conv2d(tangents, weight, None, stride, padding, dilation, groups)

    return apply


def _sum(terms: list[Node], ready: Node | None) -> Rule:
    """``ready``: the term that may be written over."""
    if len(terms) == 1:
        return _same(terms[0])
    if ready is None or terms[0] is terms[1]:
        return lambda moved: moved[terms[0]] + moved[terms[1]]
    (other,) = (x for x in terms if x is not ready)
    return lambda moved: moved[ready].add_(moved[other])


def _keeps_rows(node: Node, value: Tensor) -> bool:
    """A mean or a flattening that leaves the first axis alone."""
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
