"""What `set training(...)` says: how a network is trained, and which examples it never sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from bbilang.grammar.frozen import frozen

LOSSES = ("cross_entropy", "binary_cross_entropy")
RATES = {"sgd": 1e-3, "adam": 1e-4, "adamw": 1e-4}  # the learning rate of each optimizer, where a text says none
OPTIMIZERS = tuple(RATES)
SCALED_ON = 512  # examples that say how large the evidence is before the training
TURNS = 2  # contributions that count: to a score, and to it beside the others


@frozen
class Recipe:
    """``lr``: None for that of the optimizer (`RATES`). ``strength``: how much the discouraged evidence weighs beside
    the loss, where 1 is its mean square before the training. ``keep``: how much each nat weighs by which predictions
    differ from those before. ``held_out``: the share of the examples that only measure. ``seed``: of which these are,
    and of the order of the others."""

    loss: str = "cross_entropy"
    optimizer: str = "sgd"
    epochs: int = 5
    lr: float | None = None
    batch: int = 64
    strength: float = 10.0
    keep: float = 10.0
    held_out: float = 0.3
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Recipe | None:
        """Return what a text's settings say; None where it sets no training."""
        given = {key.removeprefix("training."): value for key, value in settings.items() if key.startswith("training.")}
        return cls(**given, seed=settings.get("seed", 0)) if given else None  # type: ignore[arg-type]

    @property
    def rate(self) -> float:
        """Return the learning rate."""
        return RATES[self.optimizer] if self.lr is None else self.lr

    @property
    def plain(self) -> dict[str, object]:
        """Return it as a part of a key of the cache."""
        return asdict(self)
