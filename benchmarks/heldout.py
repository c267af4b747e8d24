"""How strongly finished pictures activate their directions, measured by code that the engine does not import.

Pictures are shown to the network as it comes (not folded, no channels last, its own hook here) under movements that the
engine's transforms do not contain: mirrored, sheared, stretched, blurred, darkened, with noise, cut and enlarged by
bicubic resizing. "Equal objective" of two ways to make icons means: equal here, in the mean over the icons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIZES = (128, 224)


def resized(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def sheared(x: Tensor, amount: float) -> Tensor:
    """Shear a picture: rows shift sideways in proportion to their height; the border pixel continues outside."""
    matrix = torch.tensor([[1.0, amount, 0.0], [0.0, 1.0, 0.0]]).expand(len(x), 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(0, 1)


def blurred(x: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = (row[:, None] * row[None, :]).expand(3, 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)


def stretched(x: Tensor, wide: float, high: float) -> Tensor:
    y, x_ = (round(s * f) for s, f in zip(x.shape[2:], (high, wide), strict=True))
    return F.interpolate(x, (y, x_), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def noisy(x: Tensor, deviation: float) -> Tensor:
    noise = np.random.default_rng(11).normal(0, deviation, x.shape[1:])
    return (x + torch.tensor(noise, dtype=x.dtype)).clamp(0, 1)


def cut(x: Tensor, share: float, corner: tuple[float, float]) -> Tensor:
    """Return a window of the picture, at the picture's size."""
    side = x.shape[2]
    part = round(side * share)
    y, x_ = (round((side - part) * c) for c in corner)
    return resized(x[:, :, y : y + part, x_ : x_ + part], side)


MOVEMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "mirrored": lambda x: x.flip(3),
    "sheared": lambda x: sheared(x, 0.12),
    "sheared, mirrored": lambda x: sheared(x, -0.12).flip(3),
    "wider": lambda x: stretched(x, 1.15, 0.9),
    "higher": lambda x: stretched(x, 0.9, 1.15),
    "blurred": blurred,
    "darker": lambda x: x * 0.85,
    "noisy": lambda x: noisy(x, 0.03),
    "cut at the top left": lambda x: cut(x, 0.85, (0, 0)),
    "cut at the bottom right": lambda x: cut(x, 0.85, (1, 1)),
}


def responses(adapter: Any, layer: str, x: Tensor) -> Tensor:
    """Return the layer's activations averaged over positions, (batch, channel), for pictures (batch, 3, y, x) in [0,
    1]."""
    captured: list[Tensor] = []

    class Reached(BaseException):
        pass

    def stop(module: Any, arguments: Any, result: Tensor) -> None:
        captured.append(result.detach().clone())
        raise Reached

    training = [(m, m.training) for m in adapter.module.modules()]
    handle = adapter.module_of(layer).register_forward_hook(stop)
    try:
        for m, _ in training:
            m.training = False
        with torch.no_grad():
            adapter.module(adapter.normalize(x))
    except Reached:
        pass
    finally:
        handle.remove()
        for m, mode in training:
            m.training = mode
    return captured[0].flatten(2).mean(2)


def heldout(
    adapter: Any, layer: str, pictures: Sequence[np.ndarray], directions: Tensor, size: int, batch: int = 16
) -> Tensor:
    """Return each icon's mean response along its own direction over `MOVEMENTS`, (icon,), shown ``size`` pixels a side.

    ``pictures`` uint8 (y, x, rgb); ``directions`` (icon, channel).
    """
    result = []
    for start in range(0, len(pictures), batch):
        rows = np.stack(pictures[start : start + batch])
        x = torch.tensor(rows).permute(0, 3, 1, 2).float() / 255
        x = resized(x, size) if x.shape[2] != size else x
        seen = torch.stack([responses(adapter, layer, move(x)) for move in MOVEMENTS.values()]).mean(0)
        result.append((seen * directions[start : start + batch]).sum(1))
    return torch.cat(result)


def compared(
    adapter: Any, layer: str, pictures: Sequence[np.ndarray], reference: Sequence[np.ndarray], directions: Tensor
) -> dict[str, float]:
    """Return size in pixels -> the mean objective of the pictures, divided by that of the reference's, over all
    icons."""
    ratios = {}
    for size in SIZES:
        have, want = (heldout(adapter, layer, p, directions, size).mean().item() for p in (pictures, reference))
        ratios[str(size)] = have / want
    return ratios
