"""Read from a network's graph which of its channels a permutation moves together, and which a factor rescales."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from torch import Tensor, nn
from torch.fx.node import Node

from bbilang.runtime.linear.shapes import shapes_of
from bbilang.runtime.linear.steps import Layer, kind_of
from bbilang.runtime.matching.wires import Axis, Classes, Multiplication, joined
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.fx_graph import Traced, traced
from bbilang.runtime.passes.module.memo import memo_of

KEY = "matching channels"
HOMOGENEOUS: Final = {"relu", "leakyrelu", "leaky_relu"}  # f(s x) = s f(x) for s > 0
BOUNDED: Final = {"sigmoid", "softmax", "hardsigmoid", "log_softmax", "exp"}  # of each channel, and not zero at zero
WITHOUT_WEIGHTS: Final = {"upsample", "interpolate", "adaptivemaxpool2d", "adaptive_max_pool2d", "channelless"}
POSITIONS_ONLY: Final = {"max pool", "pool", "adaptive", "same"}


class Channels:
    """The channels of a network: for each node of its graph the axis of its channels, and all that multiplies them."""

    def __init__(self, adapter: Adapter):
        self.channels, self.wires = Classes(), Classes()
        self.axes: dict[Node, tuple[int, Axis]] = {}  # where the axis stands, and its channels
        self.multiplications: dict[str, Multiplication] = {}  # by the name of the weight, in the graph's order
        self.graph: Traced = traced(adapter.module)
        self._modules = dict(adapter.module.named_modules())
        self._shapes = shapes_of(adapter, self.graph)
        self._layers = {layer.name: layer.module for layer in adapter.description.layers}
        names = {id(tensor): name for name, tensor in adapter.module.named_parameters(remove_duplicate=False)}
        self._names = {**names, **{id(tensor): name for name, tensor in adapter.module.named_buffers()}}
        self._rules: Mapping[str, Callable[[Node], None]] = {
            "conv": self._conv, "linear": self._linear, "norm": self._norm, "mean": self._mean, "add": self._add,
            "sub": self._add, "mul": self._mul, "cat": self._cat, "shape": self._shape, "permute": self._permute,
            "split": self._split, "item": self._item, "pad": self._pad, "nonlinear": self._nonlinear,
        }  # fmt: skip
        self._parts: dict[Node, list[tuple[int, Axis]]] = {}  # of nodes that are several tensors
        place = 1 if adapter.description.input.axes[0] == "channel" else len(self._shapes[self.graph.input]) - 1
        if adapter.description.reads != "text":
            self._put(self.graph.input, place, self._fixed(self._shapes[self.graph.input][place]))
        for node in self.graph.nodes:
            if node is not self.graph.input and node in self.graph.varies:
                self._step(node)
        self._settle()

    def of_layer(self, layer: str) -> Axis | None:
        """Return the channels of a layer's result; None where they are not known."""
        known = self.axes.get(self.graph.layer(self._layers[layer]))
        return None if known is None else known[1]

    # --- one node ----------------------------------------------------------------------------------------------------

    def _step(self, node: Node) -> None:
        kind, name = kind_of(self._modules, node)
        plain = name.lower()
        if node.op == "output" or (not kind and plain not in BOUNDED | WITHOUT_WEIGHTS):
            return self._unknown(node)
        if kind == "nothing":
            return None
        if self._known(node) is None and kind not in ("conv", "linear", "cat", "add", "sub", "mul", "item"):
            return self._unknown(node)
        if kind in POSITIONS_ONLY or plain in WITHOUT_WEIGHTS:
            return self._same(node)
        if plain in BOUNDED:
            return self._bounded(node)
        return self._rules[kind](node)

    def _unknown(self, node: Node) -> None:
        """What is not known may depend on the order and the scale of whatever it reads."""
        for source in node.all_input_nodes:
            for _, axis in [*self._parts.get(source, []), *([self.axes[source]] if source in self.axes else [])]:
                self.channels.fix(axis.channels)
                self.wires.fix(axis.wires)

    def _known(self, node: Node, number: int = 0) -> tuple[int, Axis] | None:
        source = node.args[number] if len(node.args) > number else node.kwargs.get("input")
        return self.axes.get(source) if isinstance(source, Node) else None

    def _put(self, node: Node, place: int, axis: Axis) -> None:
        self.axes[node] = (place, axis)

    def _fixed(self, count: int) -> Axis:
        return Axis(self.channels.new(count, fixed=True), self.wires.new(count, fixed=True))

    def _new(self, count: int) -> Axis:
        return Axis(self.channels.new(count), self.wires.new(count))

    def _module(self, node: Node) -> Layer:
        return self._modules[str(node.target)] if node.op == "call_module" else None

    def _name(self, node: Node, module: nn.Module | None, word: str, position: int) -> str:
        """Return the name of a parameter that an operation reads; empty for none."""
        if module is not None:
            tensor = getattr(module, word, None)
            return self._names[id(tensor)] if isinstance(tensor, Tensor) else ""
        given = node.args[position] if len(node.args) > position else node.kwargs.get(word)
        return str(given.target) if isinstance(given, Node) and given.op == "get_attr" else ""

    # --- operations with weights -------------------------------------------------------------------------------------

    def _multiply(self, node: Node, made: Multiplication, place: int) -> None:
        """Add an operation. Where its weights are used a second time, both uses have the same channels."""
        first = self.multiplications.setdefault(made.weight or made.parameters["running_var"], made)
        for own, other in ((made.reads, first.reads), (made.writes, first.writes)):
            self.channels.join(own.channels, other.channels)
            self.wires.join(own.wires, other.wires)
        self._put(node, place, made.writes)

    def _conv(self, node: Node) -> None:
        module, known = self._module(node), self._known(node)
        weight, bias = self._name(node, module, "weight", 1), self._name(node, module, "bias", 2)
        groups: Any = node.args[6] if len(node.args) > 6 else node.kwargs.get("groups", 1)
        groups = groups if module is None else module.groups
        source = node.args[0] if node.args else node.kwargs["input"]
        assert isinstance(source, Node)
        width = self._shapes[source][1]
        if not weight or (known is not None and known[0] != 1):
            return self._unknown(node)
        reads = known[1] if known is not None else self._fixed(width)
        count = self._shapes[node][1]
        if groups == width == count:
            writes = Axis(reads.channels, self.wires.new(count))
            return self._multiply(node, Multiplication("diagonal", weight, bias, reads, writes), 1)
        return self._multiply(node, Multiplication("dense", weight, bias, reads, self._new(count), int(groups)), 1)

    def _linear(self, node: Node) -> None:
        module, known = self._module(node), self._known(node)
        weight, bias = self._name(node, module, "weight", 1), self._name(node, module, "bias", 2)
        source = node.args[0] if node.args else node.kwargs["input"]
        assert isinstance(source, Node)
        shape = self._shapes[source]
        if not weight or (known is not None and known[0] != len(shape) - 1):
            return self._unknown(node)
        reads = known[1] if known is not None else self._fixed(shape[-1])
        writes = self._new(self._shapes[node][-1])
        return self._multiply(node, Multiplication("dense", weight, bias, reads, writes), len(shape) - 1)

    def _norm(self, node: Node) -> None:
        module, known = self._module(node), self._known(node)
        assert known is not None
        place, reads = known
        words = {"running_mean": 1, "running_var": 2, "weight": 3, "bias": 4}
        names = {word: self._name(node, module, word, at) for word, at in words.items()}
        if place != 1 or not (names["running_var"] and names["running_mean"]):
            return self._unknown(node)
        eps: Any = module.eps if module is not None else node.kwargs.get("eps", 1e-5)
        writes = Axis(reads.channels, self.wires.new(len(reads)))
        parameters = {word: name for word, name in names.items() if name}
        return self._multiply(node, Multiplication("norm", "", "", reads, writes, 1, parameters, float(eps)), 1)

    # --- operations without ------------------------------------------------------------------------------------------

    def _same(self, node: Node) -> None:
        known = self._known(node)
        if known is None or len(self._shapes[node]) <= known[0] or self._shapes[node][known[0]] != len(known[1]):
            return self._unknown(node)
        return self._put(node, *known)

    def _nonlinear(self, node: Node) -> None:
        _, name = kind_of(self._modules, node)
        module, known = self._module(node), self._known(node)
        if name.lower() == "prelu" and (module is None or module.weight.numel() > 1):
            return self._unknown(node)
        if name.lower() not in (*HOMOGENEOUS, "prelu") and known is not None:
            self.wires.fix(known[1].wires)
        return self._same(node)

    def _bounded(self, node: Node) -> None:
        place, axis = self.axes[node.all_input_nodes[0]]
        _, name = kind_of(self._modules, node)
        if "softmax" in name.lower():
            return self._unknown(node)
        self.wires.fix(axis.wires)
        return self._put(node, place, Axis(axis.channels, self.wires.new(len(axis), fixed=True)))

    def _mean(self, node: Node) -> None:
        known = self._known(node)
        assert known is not None
        place, axis = known
        source = node.args[0]
        assert isinstance(source, Node)
        rank = len(self._shapes[source])
        over: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", tuple(range(rank)))
        gone = {int(one) % rank for one in ((over,) if isinstance(over, int) else over)}
        keeps = bool(node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False))
        if place in gone:
            return self._unknown(node)
        return self._put(node, place if keeps else place - sum(one < place for one in gone), axis)

    def _operands(self, node: Node) -> list[tuple[int, Axis]] | None:
        """Return the channels of two operands that vary alike; None where one is not known, or of another shape."""
        sources = [one for one in node.args[:2] if isinstance(one, Node) and one in self.graph.varies]
        known = [self.axes[one] for one in sources if one in self.axes]
        if len(known) < len(sources) or len({(at - len(self._shapes[one]), len(axis)) for one, (at, axis) in
                                             zip(sources, known, strict=True)}) > 1:  # fmt: skip
            return None
        return known

    def _constant(self, node: Node) -> bool:
        """Return whether another operand is a tensor that does not vary, of which each channel may have its own."""
        return any(isinstance(one, Node) and one not in self.graph.varies for one in node.args[:2])

    def _add(self, node: Node) -> None:
        known = self._operands(node)
        if not known or self._constant(node):
            return self._unknown(node)
        (place, first), *others = known
        for _, other in others:
            self.channels.join(first.channels, other.channels)
            self.wires.join(first.wires, other.wires)
        if not others:  # a number is added
            self.wires.fix(first.wires)
        here = [np.where(one >= 0, one, other) for one, other in
                zip((first.channels, first.wires), (others[-1][1].channels, others[-1][1].wires) if others else
                    (first.channels, first.wires), strict=True)]  # fmt: skip
        return self._put(node, place, Axis(*here))

    def _mul(self, node: Node) -> None:
        known = self._operands(node)
        if not known or self._constant(node):
            return self._unknown(node)
        (place, first), *others = known
        if not others:  # a positive number or not, it multiplies all alike
            self.wires.fix(first.wires)
            return self._put(node, place, first)
        (other,) = (axis for _, axis in others)
        self.channels.join(first.channels, other.channels)
        carrier, gate = (other, first) if self._all_fixed(first) else (first, other)
        self.wires.fix(gate.wires)  # a factor of the product is the carrier's
        return self._put(node, place, Axis(first.channels, carrier.wires))

    def _all_fixed(self, axis: Axis) -> bool:
        return all(self.wires.fixed[self.wires.root(wire)] for wire in axis.wires.tolist() if wire >= 0)

    def _cat(self, node: Node) -> None:
        parts: Any = node.args[0] if node.args else node.kwargs["tensors"]
        along: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        known = [self.axes.get(part) for part in parts]
        there = [one for one in known if one is not None]
        if len(there) < len(known) or len({place for place, _ in there}) > 1:
            return self._unknown(node)
        place = there[0][0]
        if int(along) % len(self._shapes[node]) == place:
            return self._put(node, place, joined([axis for _, axis in there]))
        for _, axis in there[1:]:
            self.channels.join(there[0][1].channels, axis.channels)
            self.wires.join(there[0][1].wires, axis.wires)
        return self._put(node, *there[0])

    def _shape(self, node: Node) -> None:
        known, source = self._known(node), node.args[0]
        assert known is not None and isinstance(source, Node)
        before, after = self._shapes[source], self._shapes[node]
        place, axis = known
        if before == after:
            return self._put(node, place, axis)
        inner = math.prod(before[place + 1 :])
        if after[: place + 1] == (*before[:place], before[place] * inner):  # positions join their channel
            return self._put(node, place, axis.repeated(inner))
        if after[: place + 1] == before[: place + 1]:
            return self._put(node, place, axis)
        without = [size for size in before if size != 1]
        if [size for size in after if size != 1] == without and before[place] != 1:
            return self._put(node, after.index(before[place], 1), axis)
        return self._unknown(node)

    def _permute(self, node: Node) -> None:
        known, source = self._known(node), node.args[0]
        assert known is not None and isinstance(source, Node)
        rank = len(self._shapes[source])
        given: Any = node.args[1:]
        rest = [int(one) % rank for one in (given[0] if given and isinstance(given[0], tuple | list) else given)]
        order = list(range(rank))
        _, name = kind_of(self._modules, node)
        if name == "permute":
            order = rest
        elif len(rest) == 2:
            order[rest[0]], order[rest[1]] = order[rest[1]], order[rest[0]]
        else:
            return self._unknown(node)
        return self._put(node, order.index(known[0]), known[1])

    def _split(self, node: Node) -> None:
        known = self._known(node)
        assert known is not None
        place, axis = known
        _, name = kind_of(self._modules, node)
        size: Any = node.args[1] if len(node.args) > 1 else None
        along: Any = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        source = node.args[0]
        assert isinstance(source, Node)
        if not isinstance(size, int) or int(along) % len(self._shapes[source]) != place:
            return self._unknown(node)
        step = -(-len(axis) // size) if name == "chunk" else size
        self._parts[node] = [(place, axis.part(slice(at, at + step))) for at in range(0, len(axis), step)]
        return None

    def _item(self, node: Node) -> None:
        source, index = node.args[:2]
        assert isinstance(source, Node)
        if source in self._parts and isinstance(index, int):
            return self._put(node, *self._parts[source][index])
        known = self.axes.get(source)
        if known is None or not isinstance(index, tuple) or not all(isinstance(one, slice) for one in index):
            return self._unknown(node) if node in self._shapes else None
        place, axis = known
        here = index[place] if len(index) > place else slice(None)
        assert isinstance(here, slice)
        if any(isinstance(one, Node) for one in (here.start, here.stop, here.step)):
            return self._unknown(node)
        return self._put(node, place, axis.part(here))

    def _pad(self, node: Node) -> None:
        known, widths = self._known(node), node.args[1] if len(node.args) > 1 else node.kwargs.get("pad")
        source = node.args[0]
        assert known is not None and isinstance(source, Node)
        place, axis = known
        mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
        value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value")
        if not isinstance(widths, tuple | list) or mode != "constant" or value not in (None, 0, 0.0):
            return self._unknown(node)
        at = 2 * (len(self._shapes[source]) - 1 - place)
        before, after = (widths[at], widths[at + 1]) if len(widths) > at + 1 else (0, 0)
        assert isinstance(before, int) and isinstance(after, int)
        return self._put(node, place, axis.padded(before, after))

    def _settle(self) -> None:
        """Replace every number by that of its class."""

        def settled(axis: Axis) -> Axis:
            return Axis(self.channels.roots(axis.channels), self.wires.roots(axis.wires))

        self.axes = {node: (place, settled(axis)) for node, (place, axis) in self.axes.items()}
        for one in self.multiplications.values():
            one.reads, one.writes = settled(one.reads), settled(one.writes)


def channels_of(adapter: Adapter) -> Channels:
    """Return the channels of a network, traced once for each state of the module. Raises NotTraceable."""
    memo = memo_of(adapter.module)
    if KEY not in memo:
        memo[KEY] = Channels(adapter)
    known: Channels = memo[KEY]
    return known
