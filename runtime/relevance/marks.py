"""Properties of a tensor during a forward, stored on the tensor itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor


class FoldableLayer(Protocol):
    """A layer with weights whose result a batch norm may read; `WeightedLayer` is the only one."""

    weight: Tensor
    axis: int | None  # the output axis of the weight; None where no norm can be folded in
    readers: int  # operations that read its result
    norm: tuple[Tensor, Tensor] | None  # (scale, shift) by channel of a batch norm that reads it


@dataclass(frozen=True)
class Mark:
    """What is known of one tensor.

    ``weighted``: the layer with weights whose result it is. ``pixels``: the (least, greatest) values that it can have,
    where no weights lie between it and the picture. ``gate``: it is the result of a softmax or sigmoid, so that a
    product with it scales the other factor. ``present``: 1 for its entries, 0 for zero padding around them.
    """

    weighted: FoldableLayer | None = None
    pixels: tuple[Tensor, Tensor] | None = None
    gate: bool = False
    present: Tensor | None = None


PLAIN = Mark()


def mark_of(x: Tensor) -> Mark:
    """Return the mark of a tensor; the empty one if it has none."""
    mark: Mark = getattr(x, "_bbilang_mark", PLAIN)
    return mark


def marked(x: Tensor, mark: Mark) -> Tensor:
    """Set the mark of a tensor and return the tensor."""
    if mark is not PLAIN or hasattr(x, "_bbilang_mark"):
        x._bbilang_mark = mark  # type: ignore[attr-defined]
    return x


def gated(x: Tensor) -> Tensor:
    """Mark a tensor as a gate."""
    return marked(x, replace(mark_of(x), gate=True))
