"""One input of a run: the numbers that the network takes, and what a page shows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    from torch import Tensor


@frozen
class NetworkInput:
    """``image``: (channel, y, x) in [0, 1], or (token,) numbers of tokens, or the values of a signal or a vector; None
    where only what is shown was needed. ``shown``: uint8 (y, x, rgb). ``words``: one for each token of a text, empty
    for padding. ``size``: (width, height) of the picture before it was resized and cropped; (0, 0) where it was not."""

    name: str
    image: Tensor | None
    shown: np.ndarray
    words: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
