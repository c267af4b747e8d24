"""What each operation of a network's graph does to a linear map that arrives at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.fx.node import Node, map_arg

from bbilang.runtime.linear.linear_map import MEAN, POSITIONS, WHOLE, LinearMap, Pair, added, joined
from bbilang.runtime.passes.explicit.graph import scale_of
from bbilang.runtime.passes.fx_graph import Traced, run_node
from bbilang.runtime.passes.same_padding import SameConv2d, SameMaxPool2d, same_padding

PASSES, JOINS = ("same",), ("cat",)
# As rectifiers are, the identity where they are open: those may be left out. A gate is a factor and may not.
NONLINEAR: Final = {
    "relu", "relu6", "leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardtanh",
    "softplus", "tanh", "quickgelu", "swish", "leaky_relu", "clamp", "clamp_min", "rrelu", "newgeluactivation",
    "geluactivation", "siluactivation", "quickgeluactivation",
}  # fmt: skip
SAME: Final = {
    "identity", "dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout", "droppath", "stochasticdepth",
    "contiguous", "clone", "detach", "to", "float", "double", "type", "stochastic_depth", "drop_path",
}  # fmt: skip
FUNCTIONS: Final = {
    "conv1d": "conv", "conv2d": "conv", "linear": "linear", "batch_norm": "norm", "max_pool1d": "max pool",
    "max_pool2d": "max pool", "_max_pool2d": "max pool", "avg_pool1d": "pool",
    "avg_pool2d": "pool", "adaptive_avg_pool1d": "adaptive", "adaptive_avg_pool2d": "adaptive", "mean": "mean",
    "add": "add", "iadd": "add", "sub": "sub", "isub": "sub", "mul": "mul", "imul": "mul", "multiply": "mul",
    "div": "div", "truediv": "div", "itruediv": "div", "true_divide": "div", "neg": "neg", "cat": "cat",
    "concat": "cat", "concatenate": "cat", "flatten": "shape", "view": "shape", "reshape": "shape",
    "squeeze": "shape", "permute": "permute", "transpose": "permute", "swapaxes": "permute", "chunk": "split",
    "split": "split", "getitem": "item", "pad": "pad", "_assert": "nothing", "getattr": "nothing", "size": "nothing",
}  # fmt: skip
MODULES: Final[dict[type[nn.Module], str]] = {
    nn.Conv1d: "conv", nn.Conv2d: "conv", SameConv2d: "conv", nn.Linear: "linear", nn.BatchNorm1d: "norm",
    nn.BatchNorm2d: "norm", nn.MaxPool1d: "max pool", nn.MaxPool2d: "max pool", SameMaxPool2d: "max pool",
    nn.AvgPool1d: "pool", nn.AvgPool2d: "pool", nn.AdaptiveAvgPool1d: "adaptive", nn.AdaptiveAvgPool2d: "adaptive",
    nn.Flatten: "shape",
}  # fmt: skip
NAMED: Final = {"Conv2dSame": "conv", "FrozenBatchNorm2d": "norm", "Linear": "linear"}  # of other libraries
Given: TypeAlias = Any  # an argument as torch takes it: a number, a tensor, a word, a tuple of these
Layer: TypeAlias = Any  # a module of one of the kinds above, or None for a function
Value: TypeAlias = "LinearMap | tuple[LinearMap, ...] | None"


class Unlike(Exception):
    """A step is no linear map, or one that has no form here. Its message follows "between a and b, "."""


def kind_of(modules: Mapping[str, nn.Module], node: Node) -> tuple[str, str]:
    """Return (what kind of step a node is, its name for readers); an empty kind for one that is not known."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        name = type(module).__name__
        hooked = bool(module._forward_hooks or module._forward_pre_hooks) or "forward" in module.__dict__
        kind = "" if hooked else MODULES.get(type(module)) or NAMED.get(name, "")
    else:
        name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
        name = name.removesuffix("_") if not name.endswith("__") else name
        kind = FUNCTIONS.get(name, "")
        if kind == "max pool":
            name = "max pool"
    plain = name.lower()
    if kind or node.op == "placeholder":
        return kind, name
    return ("nonlinear" if plain in NONLINEAR else "same" if plain in SAME else ""), name


class Steps:
    """Carries maps through the nodes of a graph. ``maps``: node -> the map to it; a node without one does not depend on
    the earlier layer. ``averaged``: a max pool was taken as an average pool."""

    def __init__(self, modules: Mapping[str, nn.Module], graph: Traced, shapes: Mapping[Node, tuple[int, ...]]):
        self.modules, self.graph, self.shapes = modules, graph, shapes
        self.maps: dict[Node, Value] = {}
        self.averaged = False
        self._constants: dict[Node, Any] = {}
        self._flat: dict[Node, Pair] = {}  # of results whose channels and positions were joined: (y, x) before
        self._rules: dict[str, Callable[[Node], Value]] = {
            "conv": self._conv, "linear": self._linear, "norm": self._norm, "max pool": self._max_pool,
            "pool": self._pool, "adaptive": self._adaptive, "mean": self._mean, "add": self._add, "sub": self._sub,
            "mul": self._mul, "div": self._div, "neg": lambda node: self._of(node).scaled(-1.0), "cat": self._cat,
            "shape": self._shape, "permute": self._permute, "split": self._split, "item": self._item,
            "pad": self._pad, "same": self._of, "nonlinear": self._of, "nothing": lambda node: None,
        }  # fmt: skip

    def step(self, node: Node) -> Value:
        """Return the map to a node, from those to its inputs; None if it is a size, as of a batch. Raises Unlike."""
        if all(self.maps.get(source) is None for source in node.all_input_nodes):
            return None
        kind, name = kind_of(self.modules, node)
        if node.op == "output" or not kind:
            raise Unlike(f"`{_words(node, name)}` is no step whose weights are known")
        return self._rules[kind](node)

    # --- what arrives ------------------------------------------------------------------------------------------------

    def _of(self, node: Node) -> LinearMap:
        """Return the map to the first argument."""
        source = node.args[0] if node.args else node.kwargs.get("input")
        value = self.maps.get(source) if isinstance(source, Node) else None
        if not isinstance(value, LinearMap):
            raise Unlike(f"`{_words(node)}` takes the layer as another argument than its first")
        return value

    def _argument(self, node: Node, position: int, name: str, default: Given = None) -> Given:
        """Return an argument of a function that does not depend on the earlier layer, as a number or tensor."""
        value = node.args[position] if position < len(node.args) else node.kwargs.get(name, default)
        return map_arg(value, self._constant)  # type: ignore[arg-type]

    def _constant(self, node: Node) -> Given:
        """Return a value that depends on parameters only. Raises Unlike for any other."""
        if node in self.graph.varies:
            raise Unlike(f"`{_words(node)}` depends on the picture, and weights do not")
        if node not in self._constants:
            for source in node.all_input_nodes:
                self._constant(source)
            self._constants[node] = run_node(self.modules, node, self._constants)
        return self._constants[node]

    def _module(self, node: Node) -> Layer:
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def _size(self, node: Node) -> Pair:
        """Return (y, x) of the first argument."""
        source = node.args[0]
        assert isinstance(source, Node)
        sizes = dict(zip(self._of(node).axes, self.shapes[source][1:], strict=True))
        return sizes.get("y", 1), sizes.get("x", sizes.get("token", 1))

    # --- linear layers -----------------------------------------------------------------------------------------------

    def _conv(self, node: Node) -> Value:
        m, module = self._of(node), self._module(node)
        if m.axes[0] != "channel" or len(m.axes) == 1:
            raise Unlike(f"`{_words(node)}` convolves along other axes than positions")
        if module is not None:
            weight, stride, padding = module.weight, module.stride, module.padding
            dilation, groups = module.dilation, module.groups
        else:
            weight, stride = self._argument(node, 1, "weight"), self._argument(node, 3, "stride", 1)
            padding, dilation = self._argument(node, 4, "padding", 0), self._argument(node, 5, "dilation", 1)
            groups = self._argument(node, 6, "groups", 1)
        if weight.ndim == 3:  # along x alone
            weight = weight[:, :, None]
        strides, dilations = _pair(stride), _pair(dilation)
        before = self._padding(node, module, padding, weight, strides, dilations)
        if m.reads != POSITIONS and (weight.shape[2:].numel() > 1 or before != (0, 0)):  # after a mean, channels alone
            raise Unlike(f"`{_words(node)}` convolves what is no longer at positions")
        return m.convolved(weight, strides, before, dilations, groups)

    def _padding(self, node: Node, module: Layer, padding: Given, weight: Tensor, stride: Pair, dilation: Pair) -> Pair:
        """Return the entries of padding before y and before x."""
        spans = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if type(module).__name__ in ("SameConv2d", "Conv2dSame"):
            y, x = (same_padding(*each)[0] for each in zip(self._size(node), spans, stride, strict=True))
            return y, x
        if padding == "same":
            return (spans[0] - 1) // 2, (spans[1] - 1) // 2
        return (0, 0) if padding == "valid" else _pair(padding, 0)

    def _linear(self, node: Node) -> Value:
        m, module = self._of(node), self._module(node)
        weight = module.weight if module is not None else self._argument(node, 1, "weight")
        if m.axes == ("flat",):  # each position has its own weights
            source = node.args[0]
            assert isinstance(source, Node)
            y, x = self._flat[source]
            result = m.convolved(weight.reshape(weight.shape[0], -1, y, x))
            return LinearMap(result.kernel, ("channel",), result.start, (1, 1), m.reads if y * x == 1 else WHOLE)
        if m.axes[-1] != "channel":
            raise Unlike(f"`{_words(node)}` is along `{m.axes[-1]}`, not along channels")
        return m.convolved(weight[:, :, None, None])

    def _norm(self, node: Node) -> Value:
        m, module = self._of(node), self._module(node)
        if m.axes[0] != "channel":
            raise Unlike(f"`{_words(node)}` is along `{m.axes[0]}`, not along channels")
        if module is not None:
            if module.running_var is None:
                raise Unlike(f"`{_words(node)}` divides by numbers of the picture")
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                return m.scaled(scale_of(module).double())
            return m.scaled(module.weight * (module.running_var + module.eps).rsqrt())
        variance, weight = self._argument(node, 2, "running_var"), self._argument(node, 3, "weight")
        if variance is None:
            raise Unlike(f"`{_words(node)}` divides by numbers of the picture")
        scale = (variance.double() + self._argument(node, 7, "eps", 1e-5)).rsqrt()
        return m.scaled(scale if weight is None else scale * weight)

    # --- pools -------------------------------------------------------------------------------------------------------

    def _max_pool(self, node: Node) -> Value:
        self.averaged = True
        return self._pool(node)

    def _pool(self, node: Node) -> Value:
        m, module = self._of(node), self._module(node)
        if module is not None:
            size, stride, padding = module.kernel_size, module.stride, module.padding
        else:
            size, stride = self._argument(node, 1, "kernel_size"), self._argument(node, 2, "stride")
            padding = self._argument(node, 3, "padding", 0)
        if m.axes[0] != "channel" or len(m.axes) == 1 or m.reads != POSITIONS:
            raise Unlike(f"`{_words(node)}` pools along other axes than positions")
        one = "y" not in m.axes
        window, strides = _pair(size, 1, one), _pair(stride or size, 1, one)
        before = _pair(padding, 0, one)
        if isinstance(module, SameMaxPool2d):
            y, x = (same_padding(*each)[0] for each in zip(self._size(node), window, strides, strict=True))
            before = (y, x)
        return m.convolved(_box(m, window), strides, before, groups=m.channels)

    def _adaptive(self, node: Node) -> Value:
        m, module = self._of(node), self._module(node)
        wanted = module.output_size if module is not None else self._argument(node, 1, "output_size")
        if m.axes[0] != "channel" or len(m.axes) == 1:
            raise Unlike(f"`{_words(node)}` pools along other axes than positions")
        size = self._size(node)
        sizes = wanted if isinstance(wanted, tuple | list) else (wanted,) * (len(m.axes) - 1)
        known = [own if given is None else given for given, own in zip(sizes, size[-len(sizes) :], strict=True)]
        target = (known[0], known[1]) if len(known) == 2 else (1, known[0])
        if target == size:
            return m
        if target == (1, 1):
            return m.averaged()
        if size[0] % target[0] or size[1] % target[1]:
            raise Unlike(f"`{_words(node)}` pools windows of several sizes")
        window = (size[0] // target[0], size[1] // target[1])
        return m.convolved(_box(m, window), window, groups=m.channels)

    def _mean(self, node: Node) -> Value:
        m, rank = self._of(node), len(self._of(node).axes) + 1
        over = self._argument(node, 1, "dim")
        gone = {axis % rank for axis in ((over,) if isinstance(over, int) else over or range(rank))}
        names = ("", *m.axes)
        if {names[axis] for axis in gone} != set(m.axes) - {"channel"}:
            raise Unlike(f"`{_words(node)}` is over other axes than all positions")
        keeps = bool(self._argument(node, 2, "keepdim", False))
        mean = m.averaged()
        return mean if keeps else LinearMap(mean.kernel, ("channel",), reads=MEAN)

    # --- sums and factors --------------------------------------------------------------------------------------------

    def _add(self, node: Node, sign: float = 1.0) -> Value:
        maps = []
        for number, source in enumerate(node.args[:2]):
            value = self.maps.get(source) if isinstance(source, Node) else None
            if isinstance(value, LinearMap):
                maps.append(value.scaled(sign) if number else value)
        if any(not m.fits(maps[0]) or m.channels != maps[0].channels for m in maps):
            raise Unlike(f"paths of different strides or shapes meet in `{_words(node)}`")
        return added(maps)

    def _sub(self, node: Node) -> Value:
        return self._add(node, -1.0)

    def _factor(self, node: Node, one: Given, m: LinearMap) -> Tensor | float:
        """Return a constant that multiplies a map: one number, or one for each channel."""
        value = self._constant(one) if isinstance(one, Node) else one
        if not isinstance(value, Tensor) or value.numel() == 1:
            return float(value)
        axes, channel = ("", *m.axes)[-value.ndim :], m.axes.index("channel") if "channel" in m.axes else -1
        sizes = dict(zip(axes, value.shape, strict=True))
        if channel < 0 or sizes.get("channel") != m.channels or value.numel() != m.channels:
            raise Unlike(f"`{_words(node)}` has a factor for each position")
        return value.double()

    def _mul(self, node: Node) -> Value:
        first, second = node.args[:2]
        own = [self.maps.get(source) if isinstance(source, Node) else None for source in (first, second)]
        other = second if own[0] is not None else first
        m = own[0] if own[0] is not None else own[1]
        if all(value is not None for value in own) or (isinstance(other, Node) and other in self.graph.varies):
            raise Unlike(f"`{_words(node)}` multiplies by numbers that depend on the picture, as a gate does")
        assert isinstance(m, LinearMap)
        return m.scaled(self._factor(node, other, m))

    def _div(self, node: Node) -> Value:
        first, second = node.args[:2]
        value = self.maps.get(first) if isinstance(first, Node) else None
        if not isinstance(value, LinearMap) or (isinstance(second, Node) and second in self.graph.varies):
            raise Unlike(f"`{_words(node)}` divides by numbers that depend on the picture")
        return value.scaled(1 / self._factor(node, second, value))

    # --- shapes ------------------------------------------------------------------------------------------------------

    def _cat(self, node: Node) -> Value:
        parts = node.args[0] if node.args else node.kwargs["tensors"]
        assert isinstance(parts, tuple | list)
        maps = {part: m for part in parts if isinstance(part, Node) and isinstance(m := self.maps.get(part), LinearMap)}
        first = next(iter(maps.values()))
        along = self._argument(node, 1, "dim", 0)
        channel = 1 + first.axes.index("channel") if "channel" in first.axes else 0
        if along % (len(first.axes) + 1) != channel or any(not m.fits(first) for m in maps.values()):
            raise Unlike(f"`{_words(node)}` joins other axes than channels, or parts of different strides")
        every = [maps[p] if p in maps else first.zeros(self.shapes[p][channel]) for p in parts if isinstance(p, Node)]
        return joined(every)

    def _shape(self, node: Node) -> Value:
        m, source = self._of(node), node.args[0]
        assert isinstance(source, Node)
        before, after = self.shapes[source], self.shapes[node]
        if before == after:
            return m
        positions = math.prod(before[1:]) // m.channels if m.axes != ("flat",) else 0
        if len(after) != 2 or m.axes[0] != "channel" or after[1] != math.prod(before[1:]):
            raise Unlike(f"`{_words(node)}` arranges positions and channels anew")
        if positions == 1:
            return LinearMap(m.kernel, ("channel",), m.start, m.stride, m.reads)
        self._flat[node] = self._size(node)
        return LinearMap(m.kernel, ("flat",), m.start, m.stride, m.reads)

    def _permute(self, node: Node) -> Value:
        m = self._of(node)
        rest = [a for a in node.args[1:] if not isinstance(a, Node)]
        rest = list(rest[0]) if rest and isinstance(rest[0], tuple | list) else rest  # type: ignore[arg-type]
        names: list[str] = ["", *m.axes]
        numbers = [int(axis) % len(names) for axis in rest]  # type: ignore[call-overload, arg-type]
        if len(numbers) == 2 and len(names) != 2:  # a transposition
            first, second = numbers
            names[first], names[second] = names[second], names[first]
        else:
            names = [names[axis] for axis in numbers]
        if names[0]:
            raise Unlike(f"`{_words(node)}` moves the axis of the inputs")
        return LinearMap(m.kernel, tuple(names[1:]), m.start, m.stride, m.reads)

    def _split(self, node: Node) -> Value:
        m, along = self._of(node), self._argument(node, 2, "dim", 0)
        if "channel" not in m.axes or along % (len(m.axes) + 1) != 1 + m.axes.index("channel"):
            raise Unlike(f"`{_words(node)}` splits another axis than channels")
        size = self._argument(node, 1, "chunks")
        sections = list(torch.arange(m.channels).chunk(size) if kind_name(node) == "chunk" else
                        torch.arange(m.channels).split(size))  # fmt: skip
        return tuple(m.selected(section) for section in sections)

    def _item(self, node: Node) -> Value:
        source, index = node.args
        value = self.maps.get(source) if isinstance(source, Node) else None
        if isinstance(value, tuple) and isinstance(index, int):
            return value[index]
        if isinstance(value, LinearMap) and isinstance(index, tuple) and value.axes[0] == "channel":
            chosen = index[1] if len(index) > 1 else slice(None)
            others = (*index[:1], *index[2:])
            if isinstance(chosen, slice) and all(one == slice(None) or one is Ellipsis for one in others):
                if not any(isinstance(end, Node) for end in (chosen.start, chosen.stop, chosen.step)):
                    return value.selected(chosen)
        raise Unlike(f"`{_words(node)}` takes some positions")

    def _pad(self, node: Node) -> Value:
        m, ends = self._of(node), self._argument(node, 1, "pad")
        if m.axes[0] != "channel" or len(m.axes) == 1 or len(ends) > 4:
            raise Unlike(f"`{_words(node)}` pads other axes than positions")
        before = (ends[2] if len(ends) == 4 else 0, ends[0])
        start = (m.start[0] - before[0] * m.stride[0], m.start[1] - before[1] * m.stride[1])
        return LinearMap(m.kernel, m.axes, start, m.stride, m.reads)


def kind_name(node: Node) -> str:
    return str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")


def _words(node: Node, name: str = "") -> str:
    """Return what a reader calls a node: its module's path with its type, or the function."""
    return f"{node.target}" if node.op == "call_module" else name or kind_name(node)


def _pair(value: Given, fill: int = 1, one: bool = False) -> Pair:
    """Return (y, x) of an argument; along x alone, ``fill`` stands for y."""
    if isinstance(value, tuple | list):
        return (int(value[0]), int(value[1])) if len(value) == 2 else (fill, int(value[0]))
    return (fill if one else int(value), int(value))


def _box(m: LinearMap, window: Pair) -> Tensor:
    """Return the weights of an average pool, (channel, 1, y, x)."""
    return torch.full((m.channels, 1, *window), 1 / (window[0] * window[1]), dtype=torch.float64)
