"""Where a network stores the weight between two channels: a parameter, and the part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor
from torch.fx.node import Node

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.linear.between import between, section_between
from bbilang.runtime.linear.steps import kind_of
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.fx_graph import traced

# Steps that keep channel n where it was. Others, as of a concatenation, give it another number.
KEEPS = {"norm", "nonlinear", "same", "max pool", "pool", "adaptive", "mean", "add", "sub", "neg", "mul", "div",
         "shape", "permute", "pad"}  # fmt: skip
MULTIPLIES = {"conv", "linear"}
Index: TypeAlias = "tuple[int | slice, ...]"


@dataclass(frozen=True)
class Stored:
    """A parameter of the network by its name, and the index of what multiplies one channel on the way to another."""

    name: str
    parameter: Tensor
    index: Index


def stored(adapter: Adapter, earlier: str, later: str, source: int, target: int) -> Stored:
    """Return where the weight from channel ``source`` of a layer to channel ``target`` of a later one is stored, at all
    of its offsets. Raises BbiError E549 where no one parameter holds it, and what `between` raises."""
    found = between(adapter, earlier, later)
    if found.paths != 1:
        raise _nowhere(earlier, later, f"{found.paths} paths between them add up")
    graph = traced(adapter.module)
    modules = dict(adapter.module.named_modules())
    steps = section_between(adapter, graph, earlier, later).nodes
    multiplying = [node for node in steps if kind_of(modules, node)[0] in MULTIPLIES]
    if len(multiplying) != 1:
        count = "several layers multiply" if multiplying else "nothing multiplies"
        raise _nowhere(earlier, later, f"{count} between them")
    for node in steps:
        kind, word = kind_of(modules, node)
        if kind not in KEEPS | MULTIPLIES:
            raise _nowhere(earlier, later, f"`{word}` numbers the channels anew between them")
    (node,) = multiplying
    parameters = dict(adapter.module.named_parameters())
    called = modules.get(str(node.target)) if node.op == "call_module" else None
    weight = _argument(node, adapter) if called is None else getattr(called, "weight", None)
    name = next((name for name, parameter in parameters.items() if parameter is weight), None)
    if name is None:
        raise _nowhere(earlier, later, f"`{node.target}` computes its weights from others")
    sizes = found.map.kernel.shape
    index = _index(parameters[name], source, target, sizes[1], sizes[0])
    if index is None:
        ends = f"channel {source} of `{earlier}` and channel {target} of `{later}`"
        message = f"{ends} are in different groups of `{name}`, so no weight leads from one to the other"
        raise error("E549", message, "name channels of one group")
    return Stored(name, parameters[name], index)


def _argument(node: Node, adapter: Adapter) -> Tensor | None:
    """Return the parameter that a function takes as its weight; None for a computed one."""
    given = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
    if not isinstance(given, Node) or given.op != "get_attr":
        return None
    return dict(adapter.module.named_parameters()).get(str(given.target))


def _index(weight: Tensor, source: int, target: int, sources: int, targets: int) -> Index | None:
    """Return what of a weight (to, from of one group, *offsets) belongs to a pair; None for one of two groups."""
    if weight.ndim == 2:  # of a linear layer: all positions of a channel stand next to each other
        positions = weight.shape[1] // sources
        return (target, slice(source * positions, (source + 1) * positions))
    width = weight.shape[1]  # channels that a group reads
    group = target // (targets // (sources // width))
    return (target, source - group * width) if source // width == group else None


def _nowhere(earlier: str, later: str, why: str) -> BbiError:
    message = f"no one parameter holds a weight from `{earlier}` to `{later}`: {why}"
    return error("E549", message, "name a layer that multiplies and the one that it reads: `weights(some_layer)`")
