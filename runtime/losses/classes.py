"""Which loss fits which scores, of each example."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, PROBABILITIES, SIGMOID

CROSS_ENTROPY, BINARY = "cross_entropy", "binary_cross_entropy"
FITTING = {LOGITS: CROSS_ENTROPY, PROBABILITIES: CROSS_ENTROPY, SIGMOID: BINARY, INDEPENDENT: BINARY}
SMALLEST = 1e-12


def loss_of_each(scores: Tensor, classes: Tensor, kind: str) -> Tensor:
    """Return the loss of each example, (example,), that fits its scores (example, class) of a kind in `FITTING`: the
    cross-entropy in nats; of independent classes the mean of theirs. classes: (example,), none negative."""
    if kind == LOGITS:
        return functional.cross_entropy(scores, classes, reduction="none")
    if kind == PROBABILITIES:
        return functional.nll_loss(scores.clamp_min(SMALLEST).log(), classes, reduction="none")
    wanted = functional.one_hot(classes, scores.shape[1]).to(scores)
    binary = functional.binary_cross_entropy_with_logits if kind == SIGMOID else functional.binary_cross_entropy
    return binary(scores, wanted, reduction="none").mean(1)
