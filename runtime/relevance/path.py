"""The graph between a target and the layers: every operation on it has a rule, or the method is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.relevance.redistribute import NODE, Step
from bbilang.runtime.relevance.weighted import Weighted

# What autograd calls operations whose plain derivative moves relevance, entry by entry: each entry of the result is a
# copy of one that went in, or the greatest of some.
MOVES = frozenset(
    "AccumulateGrad Alias AsStrided Cat Clone ConstantPadNd CopyBackwards CopySlices Diagonal Expand Flip Gather "
    "Index IndexPut IndexSelect MaskedFill MaskedSelect Narrow Permute PixelShuffle PixelUnshuffle ReflectionPad1D "
    "ReflectionPad2D ReflectionPad3D Repeat ReplicationPad1D ReplicationPad2D ReplicationPad3D ReshapeAlias "
    "_ReshapeAlias Roll Select Slice Split SplitWithSizes Squeeze Stack T ToCopy _ToCopy Transpose Unbind UnsafeSplit "
    "UnsafeView Unfold Im2Col Unsqueeze UpsampleNearest1D UpsampleNearest2D UpsampleNearest3D View "
    "MaxPool2DWithIndices MaxPool3DWithIndices MaxPool2D MaxPool1D MaxPool3D AdaptiveMaxPool2D AdaptiveMaxPool3D "
    "AdaptiveMaxPool1D Max Amax Maximum Where".split()
)
KEY = "bbilang"  # of a node's metadata: what computed it, in words


def look(outputs: Tensor, method: str) -> list[Weighted]:
    """Make everything below the target ready. Gives the layers with weights that come first on the way back.

    Raises BbiError E515 for an operation without a rule.
    """
    first: list[Weighted] = []
    for node, top in _nodes(outputs):
        name = type(node).__name__
        if name != NODE:
            if _kind(name) not in MOVES or getattr(node, "_saved_accumulate", False):  # index_put that adds
                raise undefined(method, node.metadata.get(KEY) or f"`{_kind(name)}`")
            continue
        step: Step = node.step
        if isinstance(step, Weighted):
            step.contrasts = top
            if top:
                first.append(step)
        try:
            step.prepare()
        except NotImplementedError as e:
            raise undefined(method, node.metadata.get(KEY) or "an operation", str(e)) from e
    return first


def _nodes(outputs: Tensor) -> Iterator[tuple[Any, bool]]:
    """Every node below, once, from the top; and whether no layer with weights stands above it on some way."""
    top: dict[Any, None] = {}
    todo = [outputs.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in top:
            continue
        top[node] = None
        if not isinstance(getattr(node, "step", None), Weighted):
            todo += [below for below, _ in node.next_functions]
    seen: dict[Any, None] = {}
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
    """`MaxPool2DWithIndicesBackward0` -> `MaxPool2DWithIndices`."""
    stem, found, number = name.rpartition("Backward")
    return stem if found and (not number or number.isdigit()) else name


def undefined(method: str, what: str, why: str = "") -> BbiError:
    return error(
        "E515",
        f"`{method}` has no rule for {what}{': ' if why else ''}{why}",
        "take a layer above it, or a method that needs plain gradients only, such as `linear`",
    )
