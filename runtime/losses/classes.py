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


def difference_of_each(scores: Tensor, original: Tensor, kind: str) -> Tensor:
    """Return by how much predictions differ from the original ones, for each example (example,): the Kullback-Leibler
    divergence of these from those in nats, as in distillation (Hinton et al. 2015); of independent classes the mean of
    theirs. scores, original: (example, class) of a kind in `FITTING`."""
    if FITTING[kind] == BINARY:
        return (_binary(scores, original, kind) - _binary(original, original, kind)).mean(1)
    logs, before = (_log_probabilities(each, kind) for each in (scores, original))
    return functional.kl_div(logs, before, reduction="none", log_target=True).sum(1)


def _log_probabilities(scores: Tensor, kind: str) -> Tensor:
    return scores.log_softmax(1) if kind == LOGITS else scores.clamp_min(SMALLEST).log()


def _binary(scores: Tensor, original: Tensor, kind: str) -> Tensor:
    """Return the cross-entropy of independent classes (example, class), with the original's probabilities as labels."""
    if kind == SIGMOID:
        return functional.binary_cross_entropy_with_logits(scores, original.sigmoid(), reduction="none")
    return functional.binary_cross_entropy(scores, original, reduction="none")
