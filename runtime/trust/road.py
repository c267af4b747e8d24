"""`road`: pixels go, filled in from their neighbours, so that their place tells nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.curves import curve_field
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, number, over, unordered

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
NOISE = 0.01
NEIGHBOURS = {
    (0, 1): 1 / 6, (0, -1): 1 / 6, (1, 0): 1 / 6, (-1, 0): 1 / 6,
    (1, 1): 1 / 12, (1, -1): 1 / 12, (-1, 1): 1 / 12, (-1, -1): 1 / 12,
}  # fmt: skip


class Road(Measure):
    """Remove and debias: the most attributed pixels go, and then the least attributed ones, each filled in with noisy
    linear imputation, the weighted mean of what is around it. A good attribution's score falls faster the first way."""

    name = "road"
    title = "ROAD"
    source = "Rong et al. 2022"
    formula = "mean over shares .1, .3, .5, .7, .9 of (score without the least attributed - without the most) / 2"
    means = (
        "above 0: the pixels named first matter more to the score than those named last, and not by the shape of the "
        "hole that they leave; it does not say that they are all that matters"
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
            random = np.random.default_rng([case.seed, 13])  # the same in any company of inputs and targets
            for first in (order, order[::-1]):
                for share in SHARES:
                    gone = np.zeros(case.atoms, bool)
                    gone[first[: round(share * case.atoms)]] = True
                    rows.append(imputed(images[i], gone.reshape(y, x), random))
                    owners.append(i)
                    columns.append(t)
        stacked, owner = np.stack(rows), np.array(owners)

        def make(start: int, stop: int) -> tuple[Any, Any]:
            return torch.from_numpy(stacked[start:stop]).to(case.activation), torch.from_numpy(owner[start:stop])

        probability = case.told_as_probability
        found = np.empty(len(rows))
        for start, scores, which in case.scores(make, len(rows)):
            values = case.values(scores, which, probability).cpu().numpy()
            for row, line in enumerate(values, start):
                found[row] = line[columns[row]]
        lines = found.reshape(*case.attributions.shape[:2], 2, len(SHARES))  # most or least first, share
        gain = (lines[..., 1, :] - lines[..., 0, :]).mean(-1) / 2
        unit = "probability" if probability else "score"
        words = f"half the mean difference of the {unit} between the least and the most attributed gone: {over(gain)}"
        warning = ""
        if mean_of(np.where(unordered(case.attributions), np.nan, gain)) <= 0:
            warning = (
                "This attribution fails ROAD: without the pixels that it names first the score is no lower than "
                f"without those that it names last ({number(mean_of(gain))})."
            )
        drawn = {word: np.moveaxis(lines[..., k, :], -1, 0) for k, word in enumerate(("most first", "least first"))}
        curve = curve_field(
            case, drawn, [f"{round(100 * share)} %" for share in SHARES], "score without these pixels", unit
        )
        return Finding(words, warning, curve=curve, values={"scores": lines, "gain": gain})


def imputed(image: np.ndarray, gone: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """image (channel, y, x) with the pixels ``gone`` (y, x) in the place of which each is the weighted mean of its
    neighbours, the weights 1/6 beside and 1/12 across, all solved together; and a little noise."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import spsolve

    if not gone.any() or gone.all():
        return image.astype(np.float32)
    number = np.full(gone.shape, -1)
    number[gone] = np.arange(gone.sum())
    ys, xs = np.nonzero(gone)
    count, channels = len(ys), len(image)
    total, right = np.zeros(count), np.zeros((count, channels))
    rows, columns, weights = [], [], []
    for (dy, dx), weight in NEIGHBOURS.items():
        y, x = ys + dy, xs + dx
        inside = (y >= 0) & (y < gone.shape[0]) & (x >= 0) & (x < gone.shape[1])
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
    found = spsolve(matrix.tocsc(), right).reshape(count, channels)
    filled = image.astype(np.float64).copy()
    filled[:, ys, xs] = found.T + NOISE * random.standard_normal((channels, count))
    return filled.astype(np.float32)


MEASURES = (Road(),)
