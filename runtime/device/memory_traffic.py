"""Count the bytes that operations move: the cost of a memory-bound pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryTraffic(TorchDispatchMode):
    """A counter of the bytes that operations read and write; views move none. Works on meta tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: OpOverload[..., object], types: Sequence[type], args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        result = func(*args, **(kwargs or {}))
        returns = func._schema.returns
        if not any(r.alias_info is not None and not r.alias_info.is_write for r in returns):
            counted: object = result
            if isinstance(result, tuple) and "batch_norm" in func.__name__:
                counted = result[0]  # the saved statistics differ by device
            tensors = (x for x in tree_leaves((args, kwargs, counted)) if isinstance(x, Tensor))
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        return result
