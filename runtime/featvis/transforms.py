"""Random small movements of a picture before the network sees it, for a batch in one resampling.

Pad, jitter, scale, rotate and jitter again (Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017,
"Transformation robustness"; amounts as in Lucid) are all affine, so they compose into one map from the network's
pixels to the picture's. Outside of it lies grey or its reflection. The draws belong to the icon, not to its place in a
batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

GREY = 0.5


@dataclass(frozen=True)
class Transforms:
    """Amounts: pixels of padding and jitter, factors of scale, degrees of rotation to either side.

    Lucid's, but for the scale (there .9 to 1.1): see `Recipe`.
    """

    pad: int = 12
    jitter: int = 8
    scale: tuple[float, float] = (0.8, 1.2)
    rotate: float = 10.0
    last_jitter: int = 4

    def view_size(self, size: int) -> int:
        """Side in pixels of what is left of a padded picture after both jitters have cropped it."""
        return size + 2 * self.pad - self.jitter - self.last_jitter

    def draw(self, steps: int, generator: torch.Generator) -> Tensor:
        """(step, 6): shift y, x in pixels; factor; angle in radians; last shift y, x. One icon's whole course."""
        import torch

        u = torch.rand(steps, 6, generator=generator, dtype=torch.float64)
        low, high = self.scale

        def shift(values: Tensor, amount: int) -> Tensor:
            return torch.floor(values * (amount + 1)) - amount / 2

        factor = low + (high - low) * u[:, 2:3]
        angle = torch.deg2rad((2 * u[:, 3:4] - 1) * self.rotate)
        return torch.cat([shift(u[:, :2], self.jitter), factor, angle, shift(u[:, 4:], self.last_jitter)], 1)


def affine(draws: Tensor, size: int, view: int) -> Tensor:
    """(batch, 2, 3) maps for `torch.nn.functional.affine_grid` from draws (batch, 6).

    A pixel of the view, counted from its centre, moves by the last shift, turns by the angle, is divided by the factor
    and moves by the first shift: that is where the picture of ``size`` pixels is read.
    """
    import torch

    shift, factor, angle, last = draws[:, :2], draws[:, 2], draws[:, 3], draws[:, 4:]
    cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # rows and columns: x, y
    offset = (turn @ last.flip(1)[:, :, None])[:, :, 0] + shift.flip(1)
    return torch.cat([turn * (view / size), offset[:, :, None] * (2 / size)], 2).float()


def resample(pictures: Tensor, maps: Tensor, out: int, reflect: bool = False) -> Tensor:
    """Pictures (batch, channel, y, x) in [0, 1] read through maps (batch, 2, 3), bilinear: (batch, channel, out, out).

    Outside of the picture lies grey, or its own reflection.
    """
    import torch.nn.functional as F

    grid = F.affine_grid(maps, [len(pictures), 3, out, out], align_corners=False)
    outside = "reflection" if reflect else "zeros"
    return F.grid_sample(pictures - GREY, grid, "bilinear", outside, align_corners=False) + GREY
