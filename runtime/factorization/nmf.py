"""Non-negative matrix factorization: coordinate descent by scikit-learn on a CPU, the same descent in torch elsewhere.

Both start from the singular vectors (NNDSVD, Boutsidis and Gallopoulos 2008) and update one factor at a time over all
rows (Cichocki and Phan 2009), until an update moves less than ``TOLERANCE`` of what the first one moved. These settings
give the published factors of The Building Blocks of Interpretability; a start from random numbers lands elsewhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TOLERANCE = 1e-4
ROUNDS = 200
TINY = 1e-6  # what NNDSVD takes for zero


def nmf(
    matrix: np.ndarray, n: int, seed: int = 0, device: torch.device | str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Factorize a non-negative matrix (row, column) into non-negative W (row, n) and H (n, column)."""
    if device is not None and getattr(device, "type", str(device)) != "cpu":
        return nmf_torch(matrix, n, device)
    from sklearn.decomposition import NMF

    model = NMF(n, init="nndsvd", solver="cd", tol=TOLERANCE, max_iter=ROUNDS, random_state=seed)
    with quiet():
        spatial = model.fit_transform(matrix)
    return spatial, model.components_


def transform(matrix: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Fit W (row, n) for other rows and a given H (n, column): non-negative least squares by the same descent."""
    from sklearn.decomposition import non_negative_factorization

    with quiet():
        spatial, _, _ = non_negative_factorization(
            matrix,
            H=np.ascontiguousarray(channel, matrix.dtype),
            n_components=len(channel),
            init="custom",
            update_H=False,
            solver="cd",
            tol=TOLERANCE,
            max_iter=ROUNDS,
        )
    return spatial


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the warning that NMF has not converged: the share that is left out is reported instead."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


# --- the same in torch ------------------------------------------------------------------------------------------------


def nmf_torch(matrix: np.ndarray, n: int, device: torch.device | str) -> tuple[np.ndarray, np.ndarray]:
    """Compute the W and H of `nmf` on ``device`` in double precision."""
    import torch

    values = torch.as_tensor(matrix, dtype=torch.float64, device=device)
    spatial, channel = start(values, n)
    first = None
    for _ in range(ROUNDS):
        columns = channel.T.contiguous()
        moved = float(
            descend(spatial, channel @ channel.T, values @ columns)
            + descend(columns, spatial.T @ spatial, values.T @ spatial)
        )
        channel = columns.T
        first = moved if first is None else first
        if first == 0 or moved / first <= TOLERANCE:
            break
    return spatial.cpu().numpy(), channel.contiguous().cpu().numpy()


def start(values: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Initialize by NNDSVD: of each pair of singular vectors, the larger of its positive and its negative part."""
    import torch

    left, weights, right = torch.linalg.svd(values, full_matrices=False)
    spatial, channel = torch.zeros_like(left[:, :n]), torch.zeros_like(right[:n])
    spatial[:, 0] = weights[0].sqrt() * left[:, 0].abs()
    channel[0] = weights[0].sqrt() * right[0].abs()
    for k in range(1, n):
        parts = [(left[:, k] * sign).clamp_min(0) for sign in (1, -1)], [(right[k] * s).clamp_min(0) for s in (1, -1)]
        sizes = [float(parts[0][i].norm() * parts[1][i].norm()) for i in (0, 1)]
        i = 0 if sizes[0] > sizes[1] else 1
        scale = (weights[k] * sizes[i]).sqrt()
        spatial[:, k] = scale * parts[0][i] / parts[0][i].norm()
        channel[k] = scale * parts[1][i] / parts[1][i].norm()
    spatial[spatial < TINY] = 0
    channel[channel < TINY] = 0
    return spatial, channel


def descend(factor: Tensor, gram: Tensor, cross: Tensor) -> Tensor:
    """Run one round in place: set each column of ``factor`` (row, n) to its best non-negative value, one after the
    other.

    gram (n, n): of the other factor with itself. cross (row, n): the matrix times the other factor. Gives how far the
    projected gradient was from zero, summed.
    """
    moved = factor.new_zeros(())
    for k in range(factor.shape[1]):
        gradient = factor @ gram[:, k] - cross[:, k]
        projected = gradient.clamp_max(0).where(factor[:, k] == 0, gradient)
        moved = moved + projected.abs().sum()
        best = (factor[:, k] - gradient / gram[k, k]).clamp_min(0)
        factor[:, k] = best.where(gram[k, k] != 0, factor[:, k])
    return moved
