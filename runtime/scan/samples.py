"""What a scan keeps for a map of positions: the vectors at some positions of each example, drawn at random.

Which positions depends on the pixels of the example and on the seed, not on the batch that it is in or on the order of
the dataset: a scan that goes on after a kill, or in other workers, draws the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def samples(activation: Tensor, images: Tensor, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return the vectors (example, sample, channel) of an activation (example, channel, *positions), float32, and their
    positions (example, sample), flat and in order. ``images``: (example, ...), uint8, that it was computed from."""
    import torch

    values = activation.detach().flatten(2).to(torch.float32)
    positions = np.stack([drawn(image, values.shape[-1], count, seed) for image in images.cpu().numpy()])
    index = torch.from_numpy(positions).to(values.device)[:, None].expand(-1, values.shape[1], -1)
    vectors = values.gather(2, index).transpose(1, 2)
    return {"vectors": np.ascontiguousarray(vectors.cpu().numpy()), "positions": positions.astype(np.int32)}


def drawn(image: np.ndarray, positions: int, count: int, seed: int) -> np.ndarray:
    """Draw some of the positions of an example, without repetition; all of them where there are no more."""
    if count >= positions:
        return np.arange(positions)
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
    source = np.random.default_rng([seed, int.from_bytes(digest, "little")])
    return np.sort(source.choice(positions, count, replace=False))
