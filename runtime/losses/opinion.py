"""A second opinion on a penalty: what happens if the penalized pixels are those of another picture."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bbilang.grammar.frozen import frozen
from bbilang.runtime.inputs.arguments import wrong

SEEN, UNSEEN = 0.1, 3.0  # the effect that counts, and how many times the method's own share it has to be


@frozen
class Exchange:
    """The mean change of the label's score, in its unit: if the region is exchanged, and if the whole picture is."""

    region: float
    everything: float


@frozen
class SecondOpinion:
    """What the penalty's own method sees in the region, beside what exchanging the region does.

    ``own``: the penalty as a share of the same pipe over all pixels. ``exchange``: the mean loss of the label's score
    if the region is exchanged for that of a picture of another class; ``everything``: if the whole picture is.
    ``text``: the pipe.
    """

    own: float
    exchange: float
    everything: float
    text: str

    @property
    def share(self) -> float:
        """The effect of the region as a share of the whole picture's."""
        return self.exchange / self.everything if self.everything > 0 else 0.0

    @property
    def fooled(self) -> bool:
        """Whether the method sees little of what the network uses: the exchange has a tenth of the whole effect or
        more, and three times the share that the method gives the region."""
        return self.share >= SEEN and self.share >= UNSEEN * self.own

    def __str__(self) -> str:
        verdict = "the penalty fools its own method only" if self.fooled else "both agree"
        return (
            f"the method gives the region {self.own:.0%} of the whole, and exchanging it for another picture's does "
            f"{self.share:.0%} of what exchanging the whole picture does: {verdict}"
        )


def exchanged(scores_of: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, region: Tensor) -> Exchange:
    """Exchange a region (example, y, x), 1 inside, of each picture for that of one of another class.

    Raises BbiError E423 for a batch of one class."""
    partner = _of_another_class(y)
    weight = region[:, None].to(x)
    own, some, every = (_label_scores(scores_of(images), y) for images in (
        x, x + weight * (x[partner] - x), x[partner]))  # fmt: skip
    return Exchange(float((own - some).mean()), float((own - every).mean()))


def _label_scores(scores: Tensor, y: Tensor) -> Tensor:
    """Return the label's score minus the mean of all, (example,): a constant added to all classes is no evidence."""
    return (scores - scores.mean(1, keepdim=True)).gather(1, y[:, None])[:, 0]


def _of_another_class(y: Tensor) -> Tensor:
    """Return for each example the next one of another class, cyclically."""
    other = y[None, :] != y[:, None]
    if not bool(other.any(1).all()):
        wrong("y", y, "labels of two classes or more: each picture is compared with one of another class")
    count = len(y)
    ahead = (torch.arange(count, device=y.device)[None, :] - torch.arange(count, device=y.device)[:, None]) % count
    return torch.where(other, ahead, count).argmin(1)
