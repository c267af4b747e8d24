"""Random small transforms of a picture before it enters the network, for a whole batch in one resampling.

Pad, jitter, scale, rotate and jitter again (Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017,
"Transformation robustness"; amounts as in Lucid) are all affine, so they compose into one map from the network's
pixels to the picture's. Beyond its border the picture is grey or reflected. Random draws
depend on the icon, not on its index in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

GREY = 0.5
BEYOND = 1.1  # times the network's input size that the largest copies have at most


@dataclass(frozen=True)
class Transforms:
    """Random transforms: pixels of padding and jitter, range of scale factors, degrees of rotation in either direction:
    Lucid's values except for the scale (see `Recipe`). ``largest``: the largest factor once the range has widened (see
    `Schedule`).
    """

    pad: int = 12
    jitter: int = 8
    scale: tuple[float, float] = (0.8, 1.2)
    largest: float = 1.9
    rotate: float = 10.0
    last_jitter: int = 4

    def view_size(self, size: int) -> int:
        """Return the side in pixels of the padded picture after both jitters have cropped it."""
        return size + 2 * self.pad - self.jitter - self.last_jitter

    def within(self, size: int, input_size: Sequence[int]) -> Transforms:
        """Return the transforms with `largest` limited to a tenth above the size that the network was made for."""
        limit = BEYOND * min(input_size) / size
        return replace(self, largest=max(self.scale[1], min(self.largest, limit)))

    def draw(self, steps: int, generator: torch.Generator, widening: int = 0) -> Tensor:
        """Draw (step, 6) for one icon: shift y, x in pixels; scale factor; angle in radians; last shift y, x. Over the
        first ``widening`` steps the upper end of the factors rises to `largest`; 0: it stays."""
        import torch

        u = torch.rand(steps, 6, generator=generator, dtype=torch.float64)
        low, high = self.scale
        share = (torch.arange(steps, dtype=torch.float64)[:, None] / widening).clamp(max=1) if widening else 0.0
        end = high + (self.largest - high) * share

        def shift(values: Tensor, amount: int) -> Tensor:
            return torch.floor(values * (amount + 1)) - amount / 2

        factor = low + (end - low) * u[:, 2:3]
        angle = torch.deg2rad((2 * u[:, 3:4] - 1) * self.rotate)
        return torch.cat([shift(u[:, :2], self.jitter), factor, angle, shift(u[:, 4:], self.last_jitter)], 1)


def affine(draws: Tensor, size: int, view: int) -> Tensor:
    """Return (batch, 2, 3) maps for `torch.nn.functional.affine_grid` from draws (batch, 6).

    A pixel of the view, relative to the centre, is shifted by the last shift, rotated by the angle, divided by the
    factor and shifted by the first shift: there the picture of ``size`` pixels is sampled.
    """
    import torch

    shift, factor, angle, last = draws[:, :2], draws[:, 2], draws[:, 3], draws[:, 4:]
    cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # rows and columns: x, y
    offset = (turn @ last.flip(1)[:, :, None])[:, :, 0] + shift.flip(1)
    return torch.cat([turn * (view / size), offset[:, :, None] * (2 / size)], 2).float()


def resample(pictures: Tensor, maps: Tensor, out: int, reflect: bool = False) -> Tensor:
    """Resample pictures (batch, channel, y, x) in [0, 1] bilinearly through maps (batch, 2, 3): (batch, channel, out,
    out).

    Beyond its border the picture is grey, or reflected.
    """
    import torch.nn.functional as F

    grid = _grid(maps, out)
    if reflect:
        return F.grid_sample(pictures, grid, "bilinear", "reflection", align_corners=False)
    return F.grid_sample(pictures - GREY, grid, "bilinear", "zeros", align_corners=False) + GREY


def _grid(maps: Tensor, out: int) -> Tensor:
    """Return (batch, out, out, 2), the points x, y that `affine_grid` gives, which takes eight times as long."""
    import torch

    steps = (torch.arange(out, device=maps.device, dtype=maps.dtype) * 2 + 1) / out - 1
    columns = maps[:, None, :, 0] * steps[:, None] + maps[:, None, :, 2]  # (batch, out, 2)
    rows = maps[:, None, :, 1] * steps[:, None]
    return rows[:, :, None] + columns[:, None]
