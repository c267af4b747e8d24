"""What `set training(...)` says: how a network is trained, and which examples it never sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from bbilang.grammar.frozen import frozen

LOSSES = ("cross_entropy", "binary_cross_entropy")
OPTIMIZERS = ("adam", "adamw", "sgd")


@frozen
class Recipe:
    """``strength``: how much the discouraged evidence weighs beside the loss, where 1 is its mean square before the
    training. ``held_out``: the share of the examples that only measure. ``seed``: of which these are, and of the order
    of the others."""

    loss: str = "cross_entropy"
    optimizer: str = "adam"
    epochs: int = 10
    lr: float = 1e-4
    batch: int = 64
    strength: float = 10.0
    held_out: float = 0.3
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Recipe | None:
        """Return what a text's settings say; None where it sets no training."""
        given = {key.removeprefix("training."): value for key, value in settings.items() if key.startswith("training.")}
        return cls(**given, seed=settings.get("seed", 0)) if given else None  # type: ignore[arg-type]

    @property
    def plain(self) -> dict[str, object]:
        """Return it as a part of a key of the cache."""
        return asdict(self)
