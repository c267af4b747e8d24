"""Leave-one-out influence at a linear layer of exclusive classes: one Newton step without the example, which is exact
where the loss is quadratic."""

from __future__ import annotations

import numpy as np

MOST_WEIGHTS = 4096  # whose curvature is one matrix, of 128 MiB


def leave_one_out(
    inputs: np.ndarray, chances: np.ndarray, labels: np.ndarray, queries: np.ndarray, damping: float
) -> np.ndarray:
    """Return what each query gains from each example, (example, query): its value with the example minus without.

    inputs (example, in), with a 1 for the bias; chances (example, class); labels (example,), -1 for none; queries
    (query, class, in): the gradient of each query by the weights. damping: of the mean over examples, as a part of the
    mean eigenvalue; a penalty on the squares of the weights has this form.

    The step without example i is (H - H_i)^-1 g_i, by Woodbury's identity for the few directions of H_i (Sherman and
    Morrison 1950; Beirami et al. 2017).
    """
    known = labels >= 0
    own, p = inputs[known].astype(np.float64), chances[known].astype(np.float64)
    count, classes = p.shape
    wide = own.shape[1]
    residual = p.copy()
    residual[np.arange(count), labels[known]] -= 1
    roots = _roots(p)  # example, class, direction
    curvature = np.zeros((classes * wide, classes * wide))
    for chunk in np.array_split(np.arange(count), max(1, count // 256)):
        u = np.einsum("ncd,ni->ncid", roots[chunk], own[chunk]).reshape(len(chunk), classes * wide, -1)
        flat = u.transpose(1, 0, 2).reshape(classes * wide, -1)
        curvature += flat @ flat.T
    curvature += np.eye(len(curvature)) * damping * np.trace(curvature) / len(curvature)
    inverse = np.linalg.inv(curvature)
    solved = queries.reshape(len(queries), -1).astype(np.float64) @ inverse  # query, weight
    gains = np.full((len(labels), len(queries)), np.nan)
    results = np.empty((count, len(queries)))
    for n in range(count):
        u = np.einsum("cd,i->cid", roots[n], own[n]).reshape(classes * wide, -1)
        g = np.outer(residual[n], own[n]).ravel()
        hu = inverse @ u
        small = np.eye(u.shape[1]) - u.T @ hu
        results[n] = -(solved @ g + (solved @ u) @ np.linalg.solve(small, hu.T @ g))
    gains[known] = results
    return gains


def _roots(p: np.ndarray) -> np.ndarray:
    """Return (example, class, direction) whose outer products are diag(p) - p p'."""
    classes = p.shape[1]
    blocks = np.einsum("nc,cd->ncd", p, np.eye(classes)) - p[:, :, None] * p[:, None, :]
    values, vectors = np.linalg.eigh(blocks)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None, :])[:, :, 1:]  # the first is 0
