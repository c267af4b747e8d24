"""What a network does on examples that it was not trained on: its accuracy, the evidence, and what it does when that
is exchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bbilang.runtime.mending.above import Examples
from bbilang.runtime.mending.evidence import Evidence

BATCH = 64
Array = np.ndarray


@dataclass(frozen=True)
class Measured:
    """Numbers of each example. right: whether its class has the highest score; predicted: which class has. evidence:
    the magnitude of what the atoms contribute to the target. effect: how much the target's score changes, in magnitude,
    when the atoms are exchanged for those of an example of another class; whole: when all of the layer is. spread: the
    standard deviation of the target's score over the examples."""

    right: Array
    predicted: Array
    evidence: Array
    effect: Array
    whole: Array
    spread: float


def measure(
    examples: Examples, evidence: Evidence, labels: Tensor, rows: Array, work: Callable[[int, int], None] | None = None
) -> Measured:
    """Measure examples number ``rows`` with the weights as they are. labels (example,): of all examples."""
    partner = _of_another_class(labels.cpu().numpy()[rows])
    columns: list[list[Array]] = [[], [], [], [], []]
    targets: list[Array] = []
    for start in range(0, len(rows), BATCH):
        if work is not None:
            work(start, len(rows))
        own, other = rows[start : start + BATCH], rows[partner[start : start + BATCH]]
        y = labels[torch.from_numpy(own)]
        with torch.enable_grad():
            batch = examples.batch(own, y)
            contributions = evidence.of(batch).detach()
        with torch.no_grad():
            activation, others = batch.activation(evidence.layer).detach(), examples.activations(other)
            mask = evidence.mask(batch.layer(evidence.layer), activation)
            before = evidence.scores(batch.scores, y)
            changed = [batch.scores_at(evidence.layer, activation + part * (others - activation)) for part in
                       (mask, torch.ones_like(mask))]  # fmt: skip
            effects = [(before - evidence.scores(scores, y)).abs().mean(1) for scores in changed]
            predicted = batch.scores.argmax(1)
        targets.append(before.double().cpu().numpy())
        for column, value in zip(
            columns, (predicted == y, predicted, contributions.abs().mean(1), *effects), strict=True
        ):
            column.append(value.cpu().numpy())
    rights, predictions, contributed, effect, whole = (np.concatenate(column) for column in columns)
    spread = float(np.concatenate(targets).std(0).mean())
    return Measured(
        rights, predictions, contributed.astype(np.float64), effect.astype(np.float64), whole.astype(np.float64), spread
    )


def _of_another_class(classes: Array) -> Array:
    """Return for each example the number of another one, of another class where there are two: the next one in a random
    order, cyclically."""
    order = np.random.default_rng(0).permutation(len(classes))
    own = np.tile(classes[order], 2)
    after = np.empty(len(own), np.int64)
    following = -1
    for at in range(len(own) - 1, -1, -1):
        if at + 1 < len(own) and own[at + 1] != own[at]:
            following = at + 1
        after[at] = following if following >= 0 else at + 1
    partner = np.empty(len(order), np.int64)
    partner[order] = order[after[: len(order)] % len(order)]
    return partner
