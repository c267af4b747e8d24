"""What a scan keeps of a layer: for each example and channel the extremes with their positions, the mean, the norm and
the fraction above zero.

Positions are flat, and the first of equal ones, on every device. Where a value is NaN, so are the extremes, the mean
and the norm, and the scan leaves the example out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("max", "argmax", "min", "argmin", "mean", "norm", "above")
FEW = 64  # positions: with no more, extremes over channels side by side take less than half of the time


def summary(activation: Tensor) -> dict[str, np.ndarray]:
    """Summarize (example, channel, *positions) over its positions: `NAMES` -> (example, channel), float32, or
    int32 for positions."""
    import torch

    values = activation.detach().flatten(2) if activation.dim() > 2 else activation.detach()[..., None]
    values = values.to(torch.float32)
    with torch.inference_mode():
        buffer = torch.empty_like(values)
        above = torch.gt(values, 0, out=buffer)  # as numbers at once: over twice as fast
        moments = {"mean": values.mean(-1), "above": above.mean(-1)}  # counts are exact up to 2^24 positions
        if values.device.type != "cpu":
            extremes = _extremes(values)
        elif channels_last(values):
            moments["norm"] = torch.mul(values, values, out=buffer).sum(-1).sqrt_()  # torch's own takes twice the time
            extremes = _extremes_side_by_side(values, buffer)
        else:
            extremes = _extremes_of_few(values) if 1 < values.shape[-1] <= FEW else _extremes_on_cpu(values)
        if "norm" not in moments:
            moments["norm"] = torch.linalg.vector_norm(values, dim=-1)
    made = extremes | {name: value.cpu().numpy() for name, value in moments.items()}
    return {name: made[name] for name in NAMES}


def channels_last(values: Tensor) -> bool:
    """Return whether the channels of (example, channel, position) are side by side in memory."""
    _, channels, positions = values.shape
    return min(channels, positions) > 1 and values.stride()[1:] == (1, channels)


def _extremes_on_cpu(values: Tensor) -> dict[str, np.ndarray]:
    """NumPy's argmax takes a tenth of the time of torch's, and gives the first position."""
    array = np.ascontiguousarray(values.numpy())
    starts = np.arange(0, array.size, array.shape[-1]).reshape(array.shape[:-1])
    result = {}
    for name, position in (("max", array.argmax(-1)), ("min", array.argmin(-1))):
        result[name] = array.ravel()[starts + position]
        result[f"arg{name}"] = position.astype(np.int32)
    return result


def _extremes_of_few(values: Tensor) -> dict[str, np.ndarray]:
    """Move the channels side by side first."""
    import torch

    maps = values[:, :, None].contiguous(memory_format=torch.channels_last)[:, :, 0]
    return _extremes_side_by_side(maps, torch.empty_like(maps))


def _extremes_side_by_side(values: Tensor, buffer: Tensor) -> dict[str, np.ndarray]:
    """Torch pools with the channels side by side, many at once, and gives the first position. ``buffer``: of the same
    layout, is overwritten."""
    import torch

    result = {}
    for name, signed in (("max", values), ("min", torch.neg(values, out=buffer))):
        extreme, position = torch.nn.functional.max_pool2d(
            signed[:, :, None], (1, values.shape[2]), return_indices=True
        )
        result[name] = (extreme if name == "max" else extreme.neg_())[..., 0, 0].numpy()
        result[f"arg{name}"] = position[..., 0, 0].to(torch.int32).numpy()
    return result


def _extremes(values: Tensor) -> dict[str, np.ndarray]:
    """Elsewhere torch does not say which of equal positions it gives, so the first is looked for."""
    import torch

    count = values.shape[-1]
    positions = torch.arange(count, dtype=torch.int32, device=values.device)
    result = {}
    for name, extreme in (("max", values.amax(-1)), ("min", values.amin(-1))):
        first = torch.where(values == extreme[..., None], positions, count).amin(-1)
        result[name] = extreme.cpu().numpy()
        result[f"arg{name}"] = first.to(torch.int32).cpu().numpy()
    return result
