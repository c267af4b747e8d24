"""How far a changed layer lies from those that a network sees: the distance to the nearest example of a dataset."""

from __future__ import annotations

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
    """Describe for the legend where the state lies among those of the examples.

    A state is its channels' means over positions, each divided by its standard deviation over the examples. The
    distance to the nearest example is compared with that of each example to the nearest other one; an example that the
    state takes its rest from counts as itself.
    """
    import torch

    means = natural_means(node, layer.run, layer.name)
    if len(means) < FEWEST:
        return (f"{len(means)} examples are too few to tell whether the network ever sees such a state",)
    scale = np.maximum(means.std(0), 1e-6 * max(float(np.abs(means).max()), 1e-12))
    natural = means / scale
    own = np.unique(sets.index[:, 0])
    own = own[own >= 0][: max(1, MOST_ROWS // layer.draws)]
    chosen = [sets.atoms[number] for number in own for _ in range(layer.draws)]
    inputs = torch.tensor([sets.inputs[number] for number in own for _ in range(layer.draws)])
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
    beyond = float((usual[None] < others.min(1)[:, None]).mean())
    share = f"{100 * beyond:.0f} %"
    return (f"the state is farther from the nearest of {len(means)} examples than {share} of them are from each other",)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float64)
