"""The training itself: an epoch at a time, the same for one seed, and resumable after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.losses.classes import FITTING, difference_of_each, loss_of_each
from bbilang.runtime.mending.above import Examples, Ran
from bbilang.runtime.mending.evidence import Evidence
from bbilang.runtime.mending.recipe import SCALED_ON, Recipe
from bbilang.runtime.passes.autograd import grad

LONGEST = 10.0  # of a gradient: longer ones are shortened, since the evidence's can be very long at the beginning
STATE, WEIGHTS = "state/", "weights/"
DIVERGED = "lower the learning rate or the strength: `set training(lr=0.00003, ...)`"


@dataclass
class Progressed:
    """What is known after some epochs: of each the mean loss, the mean penalty and by how much predictions differ from
    the original ones, and seconds in all."""

    losses: list[float] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
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
        self.optimizer = optimizer_of(recipe, list(self.parameters.values()))
        self.scale, self.original = self._before()
        self.progressed = Progressed()

    def _before(self) -> tuple[float, Tensor]:
        """Return the share of the evidence before the training, and the scores of all examples (example, class), zeros
        for those that are not trained on. Raises BbiError E555 where the share is zero."""
        order = np.random.default_rng([self.recipe.seed, 1]).permutation(self.rows)
        total, scores = 0.0, None
        for part, measures in ((order[:SCALED_ON], True), (order[SCALED_ON:], False)):
            for numbers in _pieces(part, self.recipe.batch):
                batch, labels = self._batch(numbers)
                if measures:
                    total += len(numbers) * float(self.evidence.share(batch, labels).detach())
                own = batch.scores.detach()
                scores = own.new_zeros(len(self.labels), own.shape[1]) if scores is None else scores
                scores[torch.from_numpy(numbers)] = own
        if not total > 0 or scores is None:
            message = "these atoms contribute nothing to that score on any of the examples"
            raise error("E555", message, "discourage atoms that an attribution shows")
        return total / min(SCALED_ON, len(order)), scores

    def _batch(self, numbers: np.ndarray) -> tuple[Ran, Tensor]:
        labels = self.labels[torch.from_numpy(numbers)]
        return self.examples.batch(numbers, labels), labels

    def epoch(self, work: Callable[[int, int], None]) -> None:
        """Train for one epoch; ``work``: called with the number of batches done, and of all. Raises BbiError E554 where
        the loss is not finite."""
        number = self.progressed.epochs
        order = np.random.default_rng([self.recipe.seed, 2, number]).permutation(self.rows)
        totals = np.zeros(3)
        pieces = list(_pieces(order, self.recipe.batch))
        for done, numbers in enumerate(pieces):
            step = number * len(pieces) + done
            work(step, self.recipe.epochs * len(pieces))
            totals += len(numbers) * np.array(self._step(numbers, step))
        loss, penalty, difference = (totals / len(order)).tolist()
        self.progressed.losses.append(loss)
        self.progressed.penalties.append(penalty)
        self.progressed.differences.append(difference)

    def terms(self, numbers: np.ndarray, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what a step makes small, each with its graph: the loss of the labels, the evidence as a multiple of
        what it was before the training, and by how much the predictions differ from the original network's."""
        batch, labels = self._batch(numbers)
        loss = self.loss(batch.scores, labels)
        penalty = self.evidence.share(batch, labels, step) / self.scale
        original = self.original[torch.from_numpy(numbers)]
        return loss, penalty, difference_of_each(batch.scores, original, self.evidence.kind).mean()

    def _step(self, numbers: np.ndarray, step: int) -> tuple[float, ...]:
        terms = self.terms(numbers, step)
        loss, penalty, difference = terms
        every = list(self.parameters.values())
        total = loss + self.recipe.strength * penalty + self.recipe.keep * difference
        gradients = grad(total, every, allow_unused=True)
        for parameter, gradient in zip(every, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(every, LONGEST)
        self.optimizer.step()
        found = tuple(float(term.detach()) for term in terms)
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


def optimizer_of(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return what takes the steps of a recipe."""
    match recipe.optimizer:
        case "adamw":
            return torch.optim.AdamW(parameters, recipe.rate)
        case "sgd":
            return torch.optim.SGD(parameters, recipe.rate, momentum=0.9)
    return torch.optim.Adam(parameters, recipe.rate)


def _pieces(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
