"""The loss that the network was trained with, as far as is known: cross-entropy, for each example."""

from __future__ import annotations

import torch
from torch import Tensor

from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, SIGMOID
from bbilang.runtime.errors import error
from bbilang.runtime.losses.classes import CROSS_ENTROPY, FITTING, SMALLEST, loss_of_each


def losses(scores: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Return the loss of each example, (example,), in nats. scores (example, class); labels (example,), -1 where an
    example has none, whose loss is 0. Raises BbiError E592 for scores that are no classes."""
    if FITTING.get(kind) != CROSS_ENTROPY:
        message = f"influence takes the cross-entropy of exclusive classes, and these scores are {_words(kind)}"
        raise error("E592", message, "`set scores(logits)` says that they are logits of exclusive classes")
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
    """Draw a label for each example from what the network predicts, (example,): the Fisher information is the mean over
    those, not over the labels of the dataset."""
    chances = scores.detach().float().softmax(1) if kind == LOGITS else scores.detach().float()
    return torch.multinomial(chances.cpu(), 1, generator=generator)[:, 0].to(scores.device)


def _words(kind: str) -> str:
    return "of independent classes" if kind in (SIGMOID, INDEPENDENT) else "values"
