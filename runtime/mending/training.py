"""The training itself: an epoch at a time, the same for one seed, and resumable after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.losses.classes import FITTING, loss_of_each
from bbilang.runtime.mending.above import Examples, Ran
from bbilang.runtime.mending.evidence import Evidence
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.passes.autograd import grad

SCALED_ON = 512  # examples that say how large the evidence is before the training
STATE, WEIGHTS = "state/", "weights/"
DIVERGED = "lower the learning rate or the strength: `set training(lr=0.00003, ...)`"


@dataclass
class Progressed:
    """What is known after some epochs: the mean loss and the mean penalty of each, and seconds in all."""

    losses: list[float] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        return len(self.losses)


def loss_of(recipe: Recipe, kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of scores (example, class) and classes (example,). Raises BbiError E489 where it does not fit the
    kind of the network's scores."""
    fits = FITTING.get(kind)
    if recipe.loss != fits:
        help = f"`loss={fits}` fits" if fits else "only classifiers are trained here"
        raise error("E489", f"`{recipe.loss}` is no loss of scores that are {kind or 'of an unknown kind'}", help)
    return lambda scores, classes: loss_of_each(scores, classes, kind).mean()


class Trainer:
    """Trains ``parameters`` (name -> parameter) on examples number ``rows``. labels (example,): of all examples."""

    def __init__(
        self,
        examples: Examples,
        evidence: Evidence,
        parameters: Mapping[str, nn.Parameter],
        labels: Tensor,
        rows: np.ndarray,
        recipe: Recipe,
    ):
        self.examples, self.evidence, self.parameters = examples, evidence, dict(parameters)
        self.labels, self.rows, self.recipe = labels, rows, recipe
        self.loss = loss_of(recipe, evidence.kind)
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        self.optimizer = _optimizer(recipe, list(self.parameters.values()))
        self.scale = self._scale()
        self.progressed = Progressed()

    def _scale(self) -> float:
        """Return the share of the evidence before the training. Raises BbiError E555 where it is zero."""
        chosen = np.random.default_rng([self.recipe.seed, 1]).permutation(self.rows)[:SCALED_ON]
        total = 0.0
        for numbers in _pieces(chosen, self.recipe.batch):
            total += len(numbers) * float(self.evidence.share(*self._batch(numbers)).detach())
        if not total > 0:
            message = "these atoms contribute nothing to that score on any of the examples"
            raise error("E555", message, "discourage atoms that an attribution shows")
        return total / len(chosen)

    def _batch(self, numbers: np.ndarray) -> tuple[Ran, Tensor]:
        labels = self.labels[torch.from_numpy(numbers)]
        return self.examples.batch(numbers, labels), labels

    def epoch(self, work: Callable[[int, int], None]) -> None:
        """Train for one epoch; ``work``: called with the number of batches done, and of all. Raises BbiError E554 where
        the loss is not finite."""
        number = self.progressed.epochs
        order = np.random.default_rng([self.recipe.seed, 2, number]).permutation(self.rows)
        losses = penalties = 0.0
        pieces = list(_pieces(order, self.recipe.batch))
        for done, numbers in enumerate(pieces):
            step = number * len(pieces) + done
            work(step, self.recipe.epochs * len(pieces))
            loss, penalty = self._step(numbers, step)
            losses += loss * len(numbers)
            penalties += penalty * len(numbers)
        self.progressed.losses.append(losses / len(order))
        self.progressed.penalties.append(penalties / len(order))

    def _step(self, numbers: np.ndarray, step: int) -> tuple[float, float]:
        batch, labels = self._batch(numbers)
        loss = self.loss(batch.scores, labels)
        penalty = self.evidence.share(batch, labels, step) / self.scale
        every = list(self.parameters.values())
        gradients = grad(loss + self.recipe.strength * penalty, every, allow_unused=True)
        for parameter, gradient in zip(every, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        found = float(loss.detach()), float(penalty.detach())
        if not all(map(np.isfinite, found)) or not all(bool(torch.isfinite(p).all()) for p in every):
            raise error("E554", f"the training diverged in epoch {self.progressed.epochs + 1}: its loss is not finite",
                        DIVERGED)  # fmt: skip
        return found

    def state(self) -> dict[str, Tensor]:
        """Return the weights and the optimizer's state: what the next epoch depends on."""
        state = {f"{WEIGHTS}{name}": p.detach().clone() for name, p in self.parameters.items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            state |= {f"{STATE}{number}/{key}": torch.as_tensor(value).detach().clone() for key, value in
                      values.items() if value is not None}  # fmt: skip
        return state

    def resume(self, state: Mapping[str, Tensor], progressed: Progressed) -> None:
        """Go on from what `state` returned."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state[f"{WEIGHTS}{name}"])
        own: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith(STATE):
                _, number, key = name.split("/")
                own.setdefault(int(number), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": own, "param_groups": groups})
        self.progressed = progressed


def _optimizer(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    match recipe.optimizer:
        case "adamw":
            return torch.optim.AdamW(parameters, recipe.lr)
        case "sgd":
            return torch.optim.SGD(parameters, recipe.lr, momentum=0.9)
    return torch.optim.Adam(parameters, recipe.lr)


def _pieces(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
