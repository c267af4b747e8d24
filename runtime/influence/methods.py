"""How the influence of an example on a number is estimated: from gradients alone, with the curvature of the loss, by a
random projection, or exactly at the last layer.

Every estimate has one sign: positive where training with the example makes the number larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bbilang.compiler.ir.score_kinds import LOGITS
from bbilang.runtime.errors import error
from bbilang.runtime.influence.curvature import Curvature
from bbilang.runtime.influence.exact import MOST_WEIGHTS, leave_one_out
from bbilang.runtime.influence.weights import Matrices, Weighted, gradients_of, requiring_gradients
from bbilang.runtime.influence.work import FEATURES, Network, Projection, features, head_inputs, products

Arrays = Mapping[str, np.ndarray]
MOST_BYTES = 1 << 30
PRODUCTS, SQUARES, PROJECTED, REST, INPUTS, CHANCES = "products", "squares", "projected", "rest", "inputs", "chances"


@dataclass(frozen=True)
class Settings:
    """``damping``: of the curvature, as a part of its mean; ``seed``: of what is drawn."""

    damping: float
    seed: int


class Estimate(Protocol):
    """One method, for one network and some queries: numbers with a gradient by the weights. ``names``: of the arrays
    that are kept of each example."""

    @property
    def network(self) -> Network: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def batch(self, images: Tensor, labels: Tensor) -> Mapping[str, np.ndarray]:
        """Compute what is kept of each example of a batch: name -> (example, ...)."""

    def influence(self, kept: Arrays, labels: np.ndarray) -> np.ndarray:
        """Return (example, query), from what was kept of all examples."""


@dataclass
class Gradients:
    """The inner product of the gradients of the query and of the example's loss, with the sign that a gradient step
    has. ``queries``: as they are, or multiplied by the inverse curvature; ``scale``: of the result."""

    network: Network
    queries: Matrices
    scale: float = 1.0
    cosine: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (PRODUCTS, SQUARES) if self.cosine else (PRODUCTS,)

    def batch(self, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
        squares = torch.zeros(len(images), dtype=torch.float64) if self.cosine else None
        own = {PRODUCTS: products(self.network, images, labels, self.queries, squares).numpy()}
        return own if squares is None else own | {SQUARES: squares.numpy()}

    def influence(self, kept: Arrays, labels: np.ndarray) -> np.ndarray:
        values = -np.asarray(kept[PRODUCTS], np.float64) * self.scale
        if self.cosine:
            lengths = torch.stack([rows.double().flatten(1).square().sum(1) for rows in self.queries.values()]).sum(0)
            norms = np.sqrt(kept[SQUARES])[:, None] * np.sqrt(lengths.numpy())
            values = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
        return values


@dataclass
class Projected:
    """TRAK (Park et al. 2023) of one network: Newton's step of a logistic regression on projected gradients of the
    log-odds."""

    network: Network
    projection: Projection
    queries: Matrices
    damping: float
    names: tuple[str, ...] = (PROJECTED, REST)

    def batch(self, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
        own, rest = features(self.network, images, labels, self.projection)
        return {PROJECTED: own.numpy(), REST: rest.numpy()}

    def influence(self, kept: Arrays, labels: np.ndarray) -> np.ndarray:
        known = labels >= 0
        own = np.asarray(kept[PROJECTED][known], np.float64)
        gram = own.T @ own
        gram += np.eye(len(gram)) * max(self.damping * np.trace(gram) / len(gram), np.finfo(float).tiny)
        queries = self.projection.of(self.queries).double().numpy()
        solved = np.linalg.solve(gram, queries.T)
        values = np.full((len(labels), len(queries)), np.nan)
        values[known] = (own @ solved) * kept[REST][known, None]
        return values


@dataclass
class Exact:
    """Leaving examples out at the last layer, see `exact.leave_one_out`."""

    network: Network
    queries: Matrices
    damping: float
    names: tuple[str, ...] = (INPUTS, CHANCES)

    def batch(self, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
        inputs, scores = head_inputs(self.network, images)
        chances = scores.softmax(1) if self.network.kind == LOGITS else scores
        return {INPUTS: inputs.float().numpy(), CHANCES: chances.float().numpy()}

    def influence(self, kept: Arrays, labels: np.ndarray) -> np.ndarray:
        (queries,) = self.queries.values()
        return leave_one_out(kept[INPUTS], kept[CHANCES], labels, queries.double().numpy(), self.damping)


def last_linear(layers: Sequence[Weighted], name: str) -> list[Weighted]:
    """Return the linear layer that gives the scores. Raises BbiError E593 where the last one is no linear layer, or
    has too many weights for its curvature to be one matrix."""
    head = layers[-1]
    count = head.shape[0] * head.shape[1]
    if not isinstance(head.module, nn.Linear):
        raise error("E593", f"`exact` leaves examples out at a linear layer at the end, and {name} ends in another",
                    "take `method=ekfac`")  # fmt: skip
    if count > MOST_WEIGHTS:
        message = f"`{head.name}` has {count:,} weights, and `exact` inverts a matrix of as many rows"
        raise error("E593", message, f"up to {MOST_WEIGHTS:,} are possible; take `method=ekfac`")
    return [head]


def _check_room(count: int, layers: Sequence[Weighted]) -> None:
    weights = sum(layer.shape[0] * layer.shape[1] for layer in layers)
    if count * weights * 4 > MOST_BYTES:
        message = f"the gradients of {count:,} numbers by {weights:,} weights take {count * weights / 2**28:.1f} GiB"
        raise error("E596", message, f"up to {max(1, MOST_BYTES // weights // 4):,} numbers are possible: choose some")


@dataclass(frozen=True)
class Queries:
    """The numbers whose influences are asked for: ``values`` (query,) with a graph, made anew at each call."""

    values: Callable[[], Tensor]

    def gradients(self, layers: Sequence[Weighted]) -> dict[str, Tensor]:
        """Return (query, out, in) for each layer. Raises BbiError E594 where no number depends on the weights."""
        with requiring_gradients(layers), torch.enable_grad():
            values = self.values()
            _check_room(len(values), layers)
            found = gradients_of(values, layers)
        if not any(bool(rows.any()) for rows in found.values()):
            raise error("E594", "what is asked for does not depend on these weights: its gradient is zero",
                        "take a number that the network computes from them, as a score")  # fmt: skip
        return found


@dataclass(frozen=True)
class Question:
    """What an estimate is made of. ``curvature``: measured, or recalled, when it is asked for; ``count``: of the
    examples that have a loss."""

    network: Network
    queries: Queries
    settings: Settings
    curvature: Callable[[], Curvature]
    count: int

    @property
    def gradients(self) -> dict[str, Tensor]:
        return self.queries.gradients(self.network.layers)


def _ekfac(question: Question) -> Estimate:
    found = question.gradients
    return Gradients(question.network, question.curvature().solve(found), 1 / question.count)


def _dot(question: Question) -> Estimate:
    return Gradients(question.network, question.gradients)


def _cosine(question: Question) -> Estimate:
    return Gradients(question.network, question.gradients, cosine=True)


def _trak(question: Question) -> Estimate:
    network, settings = question.network, question.settings
    projection = Projection(network.layers, min(FEATURES, max(8, question.count // 2)), settings.seed)
    return Projected(network, projection, question.gradients, settings.damping)


def _exact(question: Question) -> Estimate:
    network = question.network
    head = replace(network, layers=last_linear(network.layers, network.adapter.description.name))
    return Exact(head, question.queries.gradients(head.layers), question.settings.damping)


ESTIMATES: dict[str, Callable[[Question], Estimate]] = {
    "ekfac": _ekfac, "dot": _dot, "tracin": _dot, "cosine": _cosine, "trak": _trak, "exact": _exact,
}  # fmt: skip
