"""Check that every operation between a target and the layers has a rule; else refuse the method."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.passes.autograd import GraphNode
from bbilang.runtime.relevance.redistribute import NODE, Step
from bbilang.runtime.relevance.weighted import WeightedLayer

# Autograd's names of operations whose plain derivative moves relevance entry by entry: each entry of the result is a
# copy of an input entry, or the largest of several.
MOVES = frozenset(
    "AccumulateGrad Alias AsStrided Cat Clone ConstantPadNd CopyBackwards CopySlices Diagonal Expand Flip Gather "
    "Index IndexPut IndexSelect MaskedFill MaskedSelect Narrow Permute PixelShuffle PixelUnshuffle ReflectionPad1D "
    "ReflectionPad2D ReflectionPad3D Repeat ReplicationPad1D ReplicationPad2D ReplicationPad3D ReshapeAlias "
    "_ReshapeAlias Roll Select Slice Split SplitWithSizes Squeeze Stack T ToCopy _ToCopy Transpose Unbind UnsafeSplit "
    "UnsafeView Unfold Im2Col Unsqueeze UpsampleNearest1D UpsampleNearest2D UpsampleNearest3D View "
    "MaxPool2DWithIndices MaxPool3DWithIndices MaxPool2D MaxPool1D MaxPool3D AdaptiveMaxPool2D AdaptiveMaxPool3D "
    "AdaptiveMaxPool1D Max Amax Maximum Where".split()
)
KEY = "bbilang"  # key in a node's metadata: a description of the operation that computed it


def check_rules(outputs: Tensor, method: str) -> list[WeightedLayer]:
    """Prepare every step below the target, and return the layers with weights that come first in the backward.

    Raises BbiError E515 for an operation without a rule.
    """
    first: list[WeightedLayer] = []
    for node, top in _nodes(outputs):
        name = type(node).__name__
        if name != NODE:
            if _kind(name) not in MOVES or getattr(node, "_saved_accumulate", False):  # an index_put that accumulates
                raise no_rule_error(method, node.metadata.get(KEY) or f"`{_kind(name)}`")
            continue
        step: Step = node.step
        if isinstance(step, WeightedLayer):
            step.contrasts = top
            if top:
                first.append(step)
        try:
            step.prepare()
        except NotImplementedError as e:
            raise no_rule_error(method, node.metadata.get(KEY) or "an operation", str(e)) from e
    return first


def _nodes(outputs: Tensor) -> Iterator[tuple[GraphNode, bool]]:
    """Yield every node below once, from the top, with whether some path to it has no layer with weights."""
    top: dict[GraphNode, None] = {}
    todo = [outputs.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in top:
            continue
        top[node] = None
        if not isinstance(getattr(node, "step", None), WeightedLayer):
            todo += [below for below, _ in node.next_functions]
    seen: dict[GraphNode, None] = {}
    todo = [outputs.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen[node] = None
        todo += [below for below, _ in node.next_functions]
    for node in seen:
        yield node, node in top


def _kind(name: str) -> str:
    """Return the kind of a node: `MaxPool2DWithIndices` for `MaxPool2DWithIndicesBackward0`."""
    stem, separator, number = name.rpartition("Backward")
    return stem if separator and (not number or number.isdigit()) else name


def no_rule_error(method: str, what: str, why: str = "") -> BbiError:
    """Return E515 for a method and the function or module that it has no rule for."""
    return error(
        "E515",
        f"`{method}` has no rule for {what}{': ' if why else ''}{why}",
        "choose a layer above it, or a method that only needs plain gradients, such as `linear`",
    )
