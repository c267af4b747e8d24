"""The loss that the network was trained with, for each example: what the text sets, or else cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bbilang.compiler.ir.score_kinds import LOGITS, SIGMOID
from bbilang.runtime.errors import error
from bbilang.runtime.losses.classes import BINARY, CROSS_ENTROPY, FITTING, SMALLEST, loss_of_each

EXCLUSIVE = ("trak", "exact")  # methods that are of exclusive classes


def check_loss(loss: str | None, kind: str, method: str) -> None:
    """Check that a loss fits scores of a kind, and a method the loss. ``loss``: None where the text sets none. Raises
    BbiError E489, E592."""
    fits = FITTING.get(kind)
    if loss is not None and loss != fits:
        help = f"`set training(loss={fits})` fits" if fits else "influence is of the scores of classes"
        raise error("E489", f"`{loss}` is no loss of scores that are {_words(kind)}", help)
    if loss is None and fits != CROSS_ENTROPY:
        message = f"influence takes the cross-entropy of exclusive classes, and these scores are {_words(kind)}"
        help = f"`set training(loss={BINARY})` says that the network was trained with theirs"
        raise error("E592", message, help if fits else "`set scores(logits)` says that they are logits of classes")
    if fits != CROSS_ENTROPY and method in EXCLUSIVE:
        message = f"`{method}` is of exclusive classes, and these scores are {_words(kind)}"
        raise error("E592", message, "take `method=ekfac`")


def losses(scores: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Return the loss of each example, (example,), in nats. scores (example, class) of a kind that `check_loss` let
    pass; labels (example,), -1 where an example has none, whose loss is 0."""
    each = loss_of_each(scores, labels.clamp_min(0), kind)
    return torch.where(labels >= 0, each, torch.zeros_like(each))


def margins(scores: Tensor, labels: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Return the log-odds of each example's label, (example,), and 1 minus its probability (Park et al. 2023)."""
    negative = losses(scores, labels, kind)
    probability = (-negative).exp()
    rest = -torch.expm1(-negative)
    known = (labels >= 0) & (rest.detach() > SMALLEST)
    odds = torch.where(known, -negative - rest.clamp_min(SMALLEST).log(), torch.zeros_like(negative))
    return odds, torch.where(labels >= 0, 1 - probability, torch.zeros_like(probability)).detach()


def drawn_labels(scores: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Draw one of the exclusive classes for each example, (example,), with the chances that the network predicts."""
    chances = scores.detach().float().softmax(1) if kind == LOGITS else scores.detach().float()
    return torch.multinomial(chances.cpu(), 1, generator=generator)[:, 0].to(scores.device)


def drawn_losses(scores: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Return a loss of each example, (example,), for labels that are drawn from what the network predicts and not those
    of the dataset: the mean of the outer products of its gradients is the curvature of the loss (Fisher information).

    Of independent classes each has a label of its own. The loss is the mean over them, so its curvature is the sum of
    theirs divided by their number, and the gradients that have it are those of the sum divided by the number's root.
    """
    if FITTING[kind] == CROSS_ENTROPY:
        return loss_of_each(scores, drawn_labels(scores, kind, generator), kind)
    chances = scores.detach().float().sigmoid() if kind == SIGMOID else scores.detach().float()
    drawn = torch.bernoulli(chances.cpu(), generator=generator).to(scores)
    binary = functional.binary_cross_entropy_with_logits if kind == SIGMOID else functional.binary_cross_entropy
    return binary(scores, drawn, reduction="none").sum(1) / scores.shape[1] ** 0.5


def _words(kind: str) -> str:
    if kind not in FITTING:
        return "values"
    return "of independent classes" if FITTING[kind] == BINARY else "of exclusive classes"
