"""The receptive field of a layer's positions: the pixels that a position depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Run, Scanned

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.passes import Passes


@dataclass(frozen=True)
class Span:
    """Along one axis, of position p the pixels from first + p * stride to last + p * stride, cut at the border."""

    first: float
    last: float
    stride: float
    size: int  # pixels of the picture

    def of(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first pixel of each position, and the one after its last."""
        low = np.floor(self.first + positions * self.stride)
        high = np.ceil(self.last + positions * self.stride) + 1
        return np.clip(low, 0, self.size).astype(int), np.clip(high, 0, self.size).astype(int)


def spans(run: Run, scanned: Scanned, layer: str) -> tuple[Span, Span]:
    """Find the spans of a layer along y and x, from what becomes undefined where pixels are. Raises `NotKept` without a
    network, where they are not in the cache."""
    found = scanned.remembered(f"receptive field of {layer}", partial(_found, run, layer))
    y, x = (Span(float(first), float(last), float(stride), int(size)) for first, last, stride, size in found)
    return y, x


def _found(run: Run, layer: str, counter: Passes) -> np.ndarray:
    """Return (first, last, stride, size) of both axes."""
    import torch

    from bbilang.runtime.passes.run_to_layer import run_to

    shape = run.adapter.description.input.shape
    sizes = run.layer(layer).as_map.sizes
    channel = run.layer(layer).axes.index("channel")
    with run_to(run.adapter, layer, counter=counter) as network:

        def undefined(images: Tensor) -> np.ndarray:
            """Return whether each position (image, y, x) depends on a pixel that is NaN."""
            with torch.no_grad():
                made = network(images.to(run.adapter.device)).movedim(1 + channel, -1)
            return made.isnan().any(-1).cpu().numpy()

        plain = torch.full(shape, 0.5)
        both = [_span(undefined, plain, axis, sizes[name]) for axis, name in enumerate(("y", "x"))]
    return np.array([[span.first, span.last, span.stride, span.size] for span in both])


def _span(undefined: Callable[[Tensor], np.ndarray], plain: Tensor, axis: int, count: int) -> Span:
    """Find by bisection where the last two positions begin and the first two end, whose ends lie inside the picture if
    any do, and from them the stride."""
    import torch

    size = plain.shape[1 + axis]
    positions = ((count - 1, max(count - 2, 0)), (0, min(1, count - 1)))  # that begin, that end
    # (end, number): the most pixels of a side that are not seen, and the fewest that are
    low, high = np.zeros((2, 2), int), np.full((2, 2), size)
    while (high - low > 1).any():
        tried = (low + high) // 2
        images = plain.repeat(4, 1, 1, 1)
        for row, (end, number) in enumerate(np.ndindex(2, 2)):
            width = int(tried[end, number])
            part = slice(0, width) if end == 0 else slice(size - width, size)
            images.movedim(2 + axis, 0)[part, row] = torch.nan
        found = undefined(images)
        for row, (end, number) in enumerate(np.ndindex(2, 2)):
            seen = np.moveaxis(found[row], axis, 0)[positions[end][number]].any()
            (high if seen else low)[end, number] = tried[end, number]
    begins, ends = low[0].tolist(), (size - 1 - low[1]).tolist()
    stride = size / count
    if count > 1 and begins[1] > 0:
        stride = float(begins[0] - begins[1])
    elif count > 1 and ends[1] < size - 1:
        stride = float(ends[1] - ends[0])
    first = begins[0] - (count - 1) * stride if begins[0] > 0 else -float(size * count)
    last = float(ends[0]) if ends[0] < size - 1 else float(size)
    return Span(first, last, stride, size)
