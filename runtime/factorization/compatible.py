"""Groups of an earlier layer that lead to given groups of a later one (Olah et al. 2018, "compatible" groups).

Every activation is split among the later groups that it feeds, so that the factorization separates channels that look
alike here and lead to different groups there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.factorization.matrix import Factors, factorize, with_residual

if TYPE_CHECKING:
    import torch


def split(matrix: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """Split a matrix into copies, (position, channel x later group): each entry in proportion to |attribution| to each
    later group.

    matrix (position, channel). attribution (later group, position, channel): of the entry at (position, channel). The
    copies of an entry add up to it; one without attribution is split evenly.
    """
    weight = np.abs(np.asarray(attribution, np.float64))
    total = weight.sum(0)
    share = np.where(total > 0, weight / np.where(total > 0, total, 1), 1 / len(weight))
    return (matrix * share).transpose(1, 2, 0).reshape(len(matrix), -1)


def compatible(
    matrix: np.ndarray,
    attribution: np.ndarray,
    n: int,
    method: str = "nmf",
    seed: int = 0,
    device: torch.device | str | None = None,
    what: str = "",
) -> Factors:
    """Factorize the split matrix and add H up over the copies: W (position, n), H (n, channel).

    With one later group this is the plain factorization. Raises what `factorize` raises.
    """
    matrix = np.asarray(matrix, np.float64)
    factors = factorize(split(matrix, attribution), method, n, seed, device, what)
    channel = factors.channel.reshape(n, matrix.shape[1], -1).sum(-1)
    offset = factors.offset.reshape(matrix.shape[1], -1).sum(-1)
    return with_residual(matrix, factors.spatial, channel, offset)
