"""How far a changed layer lies from those that a network sees: the distance to the nearest example of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.atoms import numpy_of
from bbilang.runtime.interventions.replacements import natural_means

if TYPE_CHECKING:
    from bbilang.runtime.interventions.layer import ChangedLayer
    from bbilang.runtime.interventions.sets import Sets

FEWEST, MOST_ROWS = 10, 64  # examples that can tell; changed layers that are measured


def natural_distance(node: Node, layer: ChangedLayer, sets: Sets) -> tuple[str, ...]:
    """Describe for the legend where the state lies among those of the examples."""
    means = natural_means(node, layer.run, layer.name)
    if len(means) < FEWEST:
        return (too_few(len(means)),)
    own = np.unique(sets.index[:, 0])
    own = own[own >= 0][: max(1, MOST_ROWS // layer.draws)]
    share = percent(shares_nearer(layer, sets, own.tolist(), means).mean())
    return (f"the state is farther from the nearest of {len(means)} examples than {share} of them are from each other",)


def distances(layer: ChangedLayer, sets: Sets, means: np.ndarray) -> np.ndarray:
    """Return `shares_nearer` of the set that was asked for in each example of a batch, (input,)."""
    asked = sets.index[:, 0].reshape(len(sets.index), -1).max(1).tolist()  # a set in one of several layers at most
    most = max(1, MOST_ROWS // layer.draws)
    parts = [shares_nearer(layer, sets, asked[n : n + most], means) for n in range(0, len(asked), most)]
    return np.concatenate(parts).astype(np.float32)


def over_examples(shares: np.ndarray, count: int) -> str:
    """Describe for the legend where the changed layers of many examples (example,) lie among those of ``count``."""
    low, middle, high = (percent(float(share)) for share in np.quantile(shares, (0.1, 0.5, 0.9)))
    return (f"the state of the median example is farther from the nearest of {count} examples than {middle} of them "
            f"are from each other (80 % of {len(shares)}: {low} to {high})")  # fmt: skip


def too_few(count: int) -> str:
    """Describe why nothing can be said of natural states."""
    return f"{count} examples are too few to tell whether the network ever sees such a state"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def shares_nearer(layer: ChangedLayer, sets: Sets, numbers: Sequence[int], means: np.ndarray) -> np.ndarray:
    """Return for some sets, by their numbers, which part of natural states (example, channel) lies nearer to the
    nearest other one than the changed layer to the nearest of them; the mean over draws, (set,).

    A state is its channels' means over positions, each divided by its standard deviation over the examples. An example
    that the state takes its rest from counts as itself.
    """
    import torch

    scale = np.maximum(means.std(0), 1e-6 * max(float(np.abs(means).max()), 1e-12))
    natural = means / scale
    chosen = [sets.atoms[number] for number in numbers for _ in range(layer.draws)]
    inputs = torch.tensor([sets.inputs[number] for number in numbers for _ in range(layer.draws)])
    draws = torch.arange(len(chosen)) % layer.draws
    device = layer.activation.device
    rows = layer.rows(chosen, inputs.to(device), draws.to(device), torch.ones(len(chosen), dtype=torch.float64))
    positions = layer.positions
    states = numpy_of(rows.mean(positions) if positions else rows) / scale
    among = _distances(natural, natural)
    np.fill_diagonal(among, np.inf)
    usual = among.min(1)
    others = _distances(states, natural)
    if layer.draws > 1:  # the example that the rest was taken from
        rest = numpy_of(layer.difference[:, 0] + layer.activation[0]).astype(np.float64)
        rest = rest.mean(tuple(positions)) if positions else rest
        source = _distances(rest / scale, natural).argmin(1)
        others[np.arange(len(others)), source[draws.numpy()]] = np.inf
    nearer = (usual[None] < others.min(1)[:, None]).mean(1)
    return np.asarray(nearer.reshape(-1, layer.draws).mean(1), np.float64)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float64)
