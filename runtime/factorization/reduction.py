"""Dimensionality reduction of rows of numbers: fitted on some rows, applied to others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bbilang.runtime.errors import error
from bbilang.runtime.factorization.matrix import factorize, with_residual
from bbilang.runtime.factorization.nmf import transform

LINEAR = ("pca", "nmf")  # methods that can be fitted on one field and applied to another
PERPLEXITY = 30.0  # van der Maaten and Hinton 2008 recommend 5 to 50


@dataclass(frozen=True)
class ReducedRows:
    """values (row, component); loadings (component, column) and the share of the squared norm that they leave out,
    where the method has them."""

    values: np.ndarray
    loadings: np.ndarray | None = None
    left_out: float | None = None


def reduce_rows(
    rows: np.ndarray, fit: np.ndarray | None, method: str, n: int, seed: int = 0, what: str = ""
) -> ReducedRows:
    """Reduce rows (row, column) to n components.

    fit: the rows that the components are found in, the same unless given; those of `rows` are then expressed in them:
    by the inner product with orthonormal components about the mean of ``fit`` (pca), by non-negative least squares
    (nmf). tsne (van der Maaten and Hinton 2008) and umap (McInnes, Healy and Melville 2018) place the rows themselves.
    Raises BbiError E503, E511 (see `factorize`), E903 (umap is not installed).
    """
    if method not in LINEAR:
        return ReducedRows(EMBEDDINGS[method](np.asarray(rows, np.float64), n, seed, what))
    if fit is not None and fit.shape[1] != rows.shape[1]:
        message = f"{what}: fitted on rows of {fit.shape[1]} numbers, and these have {rows.shape[1]}"
        raise error("E511", message, "fit on a layer with as many channels")
    factors = factorize(rows if fit is None else fit, method, n, seed, what=what)
    if fit is None:
        return ReducedRows(factors.spatial, factors.channel, factors.left_out)
    rows = np.asarray(rows, np.float64)
    if not len(rows):
        return ReducedRows(np.zeros((0, n)), factors.channel, 0.0)
    if method == "nmf":
        values = transform(rows, factors.channel)
    else:
        values = (rows - factors.offset) @ factors.channel.T
    rest = with_residual(rows, values, factors.channel, factors.offset).left_out if rows.any() else 0.0
    return ReducedRows(values, factors.channel, rest)


def reduce_layers(
    rows: np.ndarray,
    layers: np.ndarray,
    fit: np.ndarray | int | None,
    method: str,
    n: int,
    together: bool,
    seed: int = 0,
    what: str = "",
) -> tuple[np.ndarray, np.ndarray | None, list[float]]:
    """Reduce the atoms of several layers to n components. Returns (values (atom, n), loadings where one fit is shared,
    shares left out).

    rows (atom, column), NaN in atoms that are absent and in columns that a layer does not have; layers (atom,): the
    layer of each; fit: other rows, or the number of a layer. ``together``: all layers have the same columns, and are
    scaled by their mean magnitude where there are several or a fit, so that one factor means the same in each.
    """
    values = np.full((len(rows), n), np.nan)
    shares: list[float] = []
    loadings = None
    present = ~np.isnan(rows).all(1)
    if together and (fit is not None or len(np.unique(layers[present])) > 1):
        rows = rows.copy()
        for layer in np.unique(layers[present]):
            rows[present & (layers == layer)] = per_mean(rows[present & (layers == layer)], what)
    if isinstance(fit, int):
        base: np.ndarray | None = _whole(rows[present & (layers == fit)])
    else:
        base = per_mean(fit, what) if together and fit is not None else fit
    for own in [present] if together else [present & (layers == layer) for layer in np.unique(layers[present])]:
        table = _whole(rows[own])
        reduced = reduce_rows(table, base, method, n, seed, what)
        values[own], loadings = reduced.values, reduced.loadings
        shares += [reduced.left_out] if reduced.left_out is not None else []
    return values, loadings, shares


def _whole(rows: np.ndarray) -> np.ndarray:
    """Drop the columns that are missing in every row."""
    return rows[:, ~np.isnan(rows).all(0)]


def per_mean(rows: np.ndarray, what: str = "") -> np.ndarray:
    """Divide by the mean magnitude. Raises BbiError E511 where that is 0."""
    mean = np.abs(rows).mean() if rows.size else 0.0
    if mean == 0:
        raise error("E511", f"{what}: all numbers of a layer are 0", "leave the layer out")
    return rows / mean


def _tsne(rows: np.ndarray, n: int, seed: int, what: str) -> np.ndarray:
    from sklearn.manifold import TSNE

    _check_enough(rows, n, what)
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    method = "barnes_hut" if n < 4 else "exact"
    return TSNE(n, perplexity=perplexity, init="pca", random_state=seed, method=method).fit_transform(rows)


def _umap(rows: np.ndarray, n: int, seed: int, what: str) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError as e:
        message = "`umap` needs the package umap-learn, which is not installed"
        raise error("E903", message, "`pip install umap-learn`, or use `tsne`") from e
    _check_enough(rows, n, what)
    return UMAP(n_components=n, n_neighbors=min(15, len(rows) - 1), random_state=seed, n_jobs=1).fit_transform(rows)


def _check_enough(rows: np.ndarray, n: int, what: str) -> None:
    if not np.isfinite(rows).all():
        raise error("E503", f"{what}: numbers that are not finite")
    if len(rows) < n + 2 or min(rows.shape) < n:
        message = f"{what}: {len(rows)} rows of {rows.shape[1]} numbers are too few for {n} components"
        raise error("E511", message, "keep more atoms, or ask for fewer components")


EMBEDDINGS = {"tsne": _tsne, "umap": _umap}
