"""What is known of a tensor on its way through the network, kept on the tensor itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from bbilang.runtime.relevance.weighted import Weighted


@dataclass(frozen=True)
class Mark:
    """``weighted``: the layer whose result it is. ``pixels``: the (least, greatest) values that it can have, where no
    weights stand between it and the picture. ``gate``: it comes out of a softmax or sigmoid, so that a product with it
    scales the other factor. ``present``: 1 for its entries, 0 for zeros that were put around them."""

    weighted: Weighted | None = None
    pixels: tuple[Tensor, Tensor] | None = None
    gate: bool = False
    present: Tensor | None = None


PLAIN = Mark()


def mark_of(x: Tensor) -> Mark:
    return getattr(x, "_bbilang_mark", PLAIN)


def marked(x: Tensor, mark: Mark) -> Tensor:
    if mark is not PLAIN or hasattr(x, "_bbilang_mark"):
        x._bbilang_mark = mark  # type: ignore[attr-defined]
    return x


def gated(x: Tensor) -> Tensor:
    """Marked as what scales another factor."""
    return marked(x, replace(mark_of(x), gate=True))
