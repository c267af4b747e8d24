"""Pictures as tensors, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def levels_of(picture: np.ndarray) -> Tensor:
    """Return the grey levels (1, channel, y, x), 0 to 255 in float32, of a picture uint8 (y, x, channel)."""
    return torch.tensor(picture.copy()).permute(2, 0, 1)[None].float()


def bytes_of(pictures: Tensor) -> np.ndarray:
    """Return pictures (picture, channel, y, x) in [0, 1] as uint8 (picture, y, x, channel), 128 where not finite."""
    rows: np.ndarray = (pictures.clamp(0, 1) * 255).round().nan_to_num(128).byte().permute(0, 2, 3, 1).cpu().numpy()
    return rows
