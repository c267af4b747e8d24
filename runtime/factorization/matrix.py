"""Factorize one matrix (position, channel) into W H by one of five methods, and measure the residual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.errors import error

if TYPE_CHECKING:
    import torch

    Device = torch.device | str | None

LEAST_SQUARES = ("pca", "svd")  # methods that leave the least of the norm (pca: of the deviations from the mean)
SIGNED = ("pca", "ica", "svd")  # methods whose factors have both signs
CENTRED = ("pca", "ica")  # methods about the mean
RANKED = ("pca", "svd")  # methods whose components come in an order of their own: by variance


@dataclass(frozen=True)
class Factors:
    """spatial W (position, group), channel H (group, channel), offset (channel,): the matrix is about W H + offset.

    ``left_out``: the share of the matrix's squared norm that W H + offset leaves out, 0..1; ``left_out_at`` the same of
    each position (position,), NaN where the matrix is 0 throughout.
    """

    spatial: np.ndarray
    channel: np.ndarray
    offset: np.ndarray
    left_out: float
    left_out_at: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """|W_g| |H_g| of each group: the L2 norm of its part of the matrix, W_g outer H_g."""
        return np.linalg.norm(self.spatial, axis=0) * np.linalg.norm(self.channel, axis=1)

    def in_order(self, order: np.ndarray) -> Factors:
        return replace(self, spatial=self.spatial[:, order], channel=self.channel[order])


def factorize(matrix: np.ndarray, method: str, n: int, seed: int = 0, device: Device = None, what: str = "") -> Factors:
    """Factorize a matrix (position, channel) into W (position, n) and H (n, channel).

    nmf: Lee and Seung 1999, by coordinate descent (scikit-learn on a CPU, our own in torch elsewhere). pca: Pearson
    1901, the mean is the offset, H has orthonormal rows. svd: the same without a mean (Eckart and Young 1936). ica:
    FastICA, Hyvärinen and Oja 2000, H has rows of length 1. kmeans: Lloyd 1982, H are the centres, W is 1 where a
    position belongs to one. Signs are fixed: in pca, svd and ica the largest number of each row of H is positive.

    ``what`` names the matrix in messages. Raises BbiError E503 (not finite), E511 (all zeros, or fewer than n
    independent or different rows).
    """
    matrix = np.asarray(matrix, np.float64)
    check(matrix, method, n, what)
    spatial, channel, offset = METHODS[method](matrix, n, seed, device)
    if method in SIGNED:
        spatial, channel = with_fixed_signs(spatial, channel)
    return with_residual(matrix, spatial, channel, offset)


def check(matrix: np.ndarray, method: str, n: int, what: str = "") -> None:
    """Raise BbiError for a matrix that has no n factors."""
    check_numbers(matrix, what)
    name = what or "this matrix"
    if method == "nmf" and matrix.min() < 0:
        message = f"{name}: `nmf` needs numbers that are never negative, and the least is {matrix.min():.4g}"
        raise error("E511", message, "choose a layer after its ReLU, or `pca`")
    if method == "kmeans":
        most, of = len(np.unique(matrix, axis=0)), "different rows"
    else:
        centred = matrix - matrix.mean(0) if method in CENTRED else matrix
        most, of = rank(centred), "independent directions"
    if n > most:
        raise error(
            "E511",
            f"{name}: {n} groups of only {most} {of}",
            f"request at most {most}" if most else "choose another layer",
        )


def check_numbers(matrix: np.ndarray, what: str = "") -> None:
    """Raise BbiError E503 for numbers that are not finite, E511 where all are 0."""
    name = what or "this matrix"
    wrong = int((~np.isfinite(matrix)).sum())
    if wrong:
        message = f"{name}: {wrong} of {matrix.size} numbers are not finite"
        raise error("E503", message, "look at the weights and at the normalization of the input")
    if not matrix.any():
        message = f"{name}: all numbers are 0, so there is nothing to factorize"
        raise error("E511", message, "choose a layer that responds to this input")


def rank(matrix: np.ndarray) -> int:
    """Return the numerical rank of a matrix, at the precision of float32."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > values.max(initial=0) * max(matrix.shape) * np.finfo(np.float32).eps).sum())


def with_residual(matrix: np.ndarray, spatial: np.ndarray, channel: np.ndarray, offset: np.ndarray) -> Factors:
    """Return the factors with what they leave out of the matrix."""
    rest, whole = np.square(matrix - offset - spatial @ channel).sum(1), np.square(matrix).sum(1)
    at = np.divide(rest, whole, out=np.full(len(rest), np.nan), where=whole > 0)
    return Factors(spatial, channel, offset, float(rest.sum() / whole.sum()), at)


def with_fixed_signs(spatial: np.ndarray, channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flip signs so that the largest number of each row of H is positive; W follows."""
    largest = np.abs(channel).argmax(1)
    signs = np.where(channel[np.arange(len(channel)), largest] < 0, -1.0, 1.0)
    return spatial * signs, channel * signs[:, None]


def _nmf(matrix: np.ndarray, n: int, seed: int, device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from bbilang.runtime.factorization.nmf import nmf

    return (*nmf(matrix, n, seed, device), np.zeros(matrix.shape[1]))


def _svd(matrix: np.ndarray, n: int, seed: int, device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return left[:, :n] * values[:n], right[:n], np.zeros(matrix.shape[1])


def _pca(matrix: np.ndarray, n: int, seed: int, device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean = matrix.mean(0)
    spatial, channel, _ = _svd(matrix - mean, n, seed, device)
    return spatial, channel, mean


def _ica(matrix: np.ndarray, n: int, seed: int, device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.decomposition import FastICA

    from bbilang.runtime.factorization.nmf import quiet

    model = FastICA(n, whiten="unit-variance", random_state=seed, max_iter=1000)
    with quiet():
        spatial = model.fit_transform(matrix)
    length = np.linalg.norm(model.mixing_, axis=0)
    return spatial * length, (model.mixing_ / length).T, model.mean_


def _kmeans(matrix: np.ndarray, n: int, seed: int, device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.cluster import KMeans

    model = KMeans(n, n_init=4, random_state=seed).fit(matrix)
    return np.eye(n)[model.labels_], model.cluster_centers_, np.zeros(matrix.shape[1])


METHODS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]] = {
    "nmf": _nmf,
    "pca": _pca,
    "ica": _ica,
    "kmeans": _kmeans,
    "svd": _svd,
}
