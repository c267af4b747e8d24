"""Find attention in one forward by what is computed: the module that attends, how many heads, what projects them.

Softmax times values, or the fused function, gives the heads' outputs. They are followed through every function that
only moves entries, together with a twin that holds the number of each entry; a module without parts that receives them
as (input, token, head x channel) is the projection, and its input is the layer of heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.weak import WeakTensorKeyDictionary

from bbilang.compiler.ir.model_description import HEADS, HEADS_PART

FUSED, PRODUCTS = "scaled_dot_product_attention", {"matmul", "__matmul__", "bmm", "einsum"}
RESHAPES = {
    "flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "movedim", "swapaxes", "view_as",
    "reshape_as", "unflatten", "__getitem__", "t", "mT", "swapdims", "moveaxis",
}  # fmt: skip
KEEPS = {"contiguous", "to", "type", "type_as", "float", "half", "bfloat16", "double", "clone", "detach", "dropout"}
KIND = "heads"
Args: TypeAlias = tuple[Any, ...]  # of a call of any function of torch
Named: TypeAlias = Mapping[str, Any]
Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Heads:
    """A layer of heads: (input, token, head, channel), the input of the module ``projection``. ``attention``: the
    module around both it and ``caller``, the module in which attention is computed."""

    projection: str
    attention: str
    caller: str
    count: int
    call: int = 0  # which computation of attention it was

    @property
    def path(self) -> str:
        return f"{self.projection}.{HEADS_PART}"


@dataclass(frozen=True)
class _Mark:
    """Of a tensor: attention weights (no twin), or outputs of heads, with the number of each entry."""

    caller: str
    count: int
    twin: Tensor | None = None
    call: int = 0


class HeadTracker:
    """Follows attention through the functions of one forward, of one input."""

    def __init__(self) -> None:
        self._marks: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.stack: list[str] = []  # the modules that run, the innermost last
        self.calls = 0

    def saw(self, name: str, call: Function, args: Args, named: Named, result: object) -> None:
        """Mark the result of a call of a torch function."""
        if not isinstance(result, Tensor) or not self.stack:
            return
        if name == FUSED:
            self._outputs(result)
        elif name in ("softmax", "_softmax"):
            if result.ndim in (3, 4):
                self._marks[result] = _Mark(self.stack[-1], 0)
        elif name in PRODUCTS:
            operands = [x for a in args for x in (a if isinstance(a, list | tuple) else (a,)) if isinstance(x, Tensor)]
            weights = next((x for x in operands if x in self._marks and self._marks[x].twin is None), None)
            if weights is not None and result.shape[:-1] == weights.shape[:-1]:
                self._outputs(result)
        elif args and isinstance(args[0], Tensor) and (mark := self._marks.get(args[0])) is not None:
            self._moved(mark, name, call, args, named, result)

    def _outputs(self, result: Tensor) -> None:
        if result.ndim in (3, 4) and (result.ndim == 3 or result.shape[0] == 1):
            with _unseen():
                twin = torch.arange(result.numel(), device="cpu").view(result.shape)
            self.calls += 1
            self._marks[result] = _Mark(self.stack[-1], result.shape[-3], twin, self.calls)

    def _moved(self, mark: _Mark, name: str, call: Function, args: Args, named: Named, result: Tensor) -> None:
        own = args[0]
        if mark.twin is None:
            if result.shape == own.shape and name not in ("add", "sub", "__add__", "__sub__"):
                self._marks[result] = mark
        elif name in KEEPS:
            self._marks[result] = mark
        elif name in RESHAPES and result.numel() == own.numel():
            with _unseen():
                self._marks[result] = replace(mark, twin=call(mark.twin, *args[1:], **named))

    def received(self, tensor: object, projection: str) -> Heads | None:
        """Return the heads that a module receives: their outputs, side by side for each token."""
        mark = self._marks.get(tensor) if isinstance(tensor, Tensor) else None
        if mark is None or mark.twin is None:
            return None
        with _unseen():
            if mark.twin.ndim != 3 or len(mark.twin) != 1:
                return None
            tokens, width = mark.twin.shape[1:]
            owner = mark.twin.view(tokens, mark.count, width // mark.count) // (mark.twin.numel() // mark.count)
            ordered = bool((owner == torch.arange(mark.count, device="cpu").view(-1, 1)).all())
        around = common(mark.caller, projection)
        return Heads(projection, around, mark.caller, mark.count, mark.call) if ordered else None


@contextmanager
def _unseen() -> Iterator[None]:
    """Run operations on twins, which are none of the network."""
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def of_torch(module: nn.Module, path: str) -> Heads | None:
    """Return the heads of torch's own attention, which calls its projection as a function."""
    if isinstance(module, nn.MultiheadAttention) and type(module).forward is nn.MultiheadAttention.forward:
        return Heads(f"{path}.out_proj", path, path, module.num_heads)
    return None


def common(first: str, second: str) -> str:
    """Return the path of the innermost module around two."""
    parts = []
    for a, b in zip(first.split("."), second.split("."), strict=False):
        if a != b:
            break
        parts.append(a)
    return ".".join(parts)


def attention_names(found: Sequence[Heads]) -> dict[str, str]:
    """Return what a text calls the layers of heads, by their paths: the module around the attention and its projection,
    or the projection where several share that, or it is the whole network."""
    around = [one.attention for one in found]
    names = {}
    for one in found:
        alone = one.attention and around.count(one.attention) == 1
        names[one.path] = f"{one.attention if alone else one.projection}{HEADS}"
    return names


def modules_with_heads(found: Iterable[Heads], layers: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of modules that a text may name for heads -> the layer of these. layers: by its path."""
    return {path: layers[one.path] for one in found if one.path in layers
            for path in (one.projection, one.caller, one.attention) if path}  # fmt: skip
