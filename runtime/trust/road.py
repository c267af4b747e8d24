"""`road`: remove pixels and impute them from their neighbours, so that the shape of the hole carries no information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.curves import curve_field
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, number, over, unordered

if TYPE_CHECKING:
    from torch import Tensor

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
NOISE = 0.01
NEIGHBOURS = {
    (0, 1): 1 / 6, (0, -1): 1 / 6, (1, 0): 1 / 6, (-1, 0): 1 / 6,
    (1, 1): 1 / 12, (1, -1): 1 / 12, (-1, 1): 1 / 12, (-1, -1): 1 / 12,
}  # fmt: skip


class Road(Measure):
    """Remove and debias: the most attributed pixels are removed, and separately the least attributed ones, each imputed
    as the noisy weighted mean of its neighbours. With a good attribution, the score drops faster the first way."""

    name = "road"
    title = "ROAD"
    source = "Rong et al. 2022"
    formula = "mean over shares .1, .3, .5, .7, .9 of (score without the least attributed - without the most) / 2"
    means = (
        "above 0: the pixels ranked first matter more to the score than those ranked last, and not through the shape "
        "of the hole that they leave; other pixels may matter too"
    )
    curve = True
    input_only = True

    def cost(self, n: int) -> Cost:
        return Cost(each=2 * len(SHARES))

    def find(self, case: Case) -> Finding:
        import torch

        rows, owners, columns = [], [], []
        images = case.activation.cpu().double().numpy()
        y, x = case.sizes
        for i, t in np.ndindex(*case.attributions.shape[:2]):
            order = np.argsort(-case.attributions[i, t], kind="stable")
            random = np.random.default_rng([case.seed, 13])  # independent of the other inputs and targets
            for first in (order, order[::-1]):
                for share in SHARES:
                    removed = np.zeros(case.atoms, bool)
                    removed[first[: round(share * case.atoms)]] = True
                    rows.append(imputed(images[i], removed.reshape(y, x), random))
                    owners.append(i)
                    columns.append(t)
        stacked, owner = np.stack(rows), np.array(owners)

        def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
            return torch.from_numpy(stacked[start:stop]).to(case.activation), torch.from_numpy(owner[start:stop])

        probability = case.reports_probability
        scores_without = np.empty(len(rows))
        for start, scores, which in case.scores(make, len(rows)):
            values = case.values(scores, which, probability).cpu().numpy()
            for row, line in enumerate(values, start):
                scores_without[row] = line[columns[row]]
        lines = scores_without.reshape(*case.attributions.shape[:2], 2, len(SHARES))  # most or least first, share
        gain = (lines[..., 1, :] - lines[..., 0, :]).mean(-1) / 2
        unit = "probability" if probability else "score"
        words = (
            f"half the average difference of the {unit} between removing the lowest and the highest ranked pixels is "
            f"{over(gain)}"
        )
        warning = ""
        if mean_of(np.where(unordered(case.attributions), np.nan, gain)) <= 0:
            warning = (
                "This attribution fails ROAD: removing the pixels that it ranks first lowers the score no more than "
                f"removing those that it ranks last ({number(mean_of(gain))})."
            )
        drawn = {word: np.moveaxis(lines[..., k, :], -1, 0) for k, word in enumerate(("most first", "least first"))}
        curve = curve_field(
            case, drawn, [f"{round(100 * share)} %" for share in SHARES], "score without these pixels", unit
        )
        return Finding(words, warning, curve=curve, values={"scores": lines, "gain": gain})


def imputed(image: np.ndarray, removed: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Fill the ``removed`` pixels (y, x) of an image (channel, y, x): each becomes the weighted mean of its neighbours,
    weights 1/6 beside and 1/12 diagonally, solved jointly, plus a little noise."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import spsolve

    if not removed.any() or removed.all():
        return image.astype(np.float32)
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(removed.sum())
    ys, xs = np.nonzero(removed)
    count, channels = len(ys), len(image)
    total, right = np.zeros(count), np.zeros((count, channels))
    rows, columns, weights = [], [], []
    for (dy, dx), weight in NEIGHBOURS.items():
        y, x = ys + dy, xs + dx
        inside = (y >= 0) & (y < removed.shape[0]) & (x >= 0) & (x < removed.shape[1])
        total[inside] += weight
        here = np.flatnonzero(inside)
        near = number[y[here], x[here]]
        known = near < 0
        right[here[known]] += weight * image[:, y[here[known]], x[here[known]]].T
        rows.append(here[~known])
        columns.append(near[~known])
        weights.append(np.full((~known).sum(), -weight))
    index = np.arange(count)
    matrix = csr_matrix(
        (np.concatenate([*weights, total]), (np.concatenate([*rows, index]), np.concatenate([*columns, index]))),
        (count, count),
    )
    solution = spsolve(matrix.tocsc(), right).reshape(count, channels)
    filled = image.astype(np.float64).copy()
    filled[:, ys, xs] = solution.T + NOISE * random.standard_normal((channels, count))
    return filled.astype(np.float32)


MEASURES = (Road(),)
