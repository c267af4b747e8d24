"""Accumulate the gradients at the activations that a method visits: sums, means, variances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Accumulator(Protocol):
    """What takes every visit of a method in order and returns the contributions (target, input, *layer axes)."""

    def add(self, visit: int, point: Tensor, gradient: Tensor) -> None:
        """Add one visit. point (input, *layer axes): the activation visited; gradient (target, input, *layer axes)."""

    def result(self) -> Tensor: ...


class Single:
    """The contribution of one gradient, where the activation is. ``contribution(activation, gradient)``."""

    def __init__(self, contribution: Callable[[Tensor, Tensor], Tensor]):
        self.contribution = contribution
        self.total: Tensor | None = None

    def add(self, visit: int, point: Tensor, gradient: Tensor) -> None:
        self.total = self.contribution(point, gradient)

    def result(self) -> Tensor:
        assert self.total is not None
        return self.total


class WeightedSum:
    """The sum of the gradients by ``weights`` (visit,), from which ``finish`` makes the contributions."""

    def __init__(self, weights: Sequence[float] | np.ndarray, finish: Callable[[Tensor], Tensor]):
        self.weights, self.finish = weights, finish
        self.total: Tensor | None = None

    def add(self, visit: int, point: Tensor, gradient: Tensor) -> None:
        if self.total is None:
            self.total = gradient * float(self.weights[visit])
        else:
            self.total.add_(gradient, alpha=float(self.weights[visit]))

    def result(self) -> Tensor:
        assert self.total is not None
        return self.finish(self.total)


class SampleStatistics:
    """The mean, or the variance, of a method's contributions over samples. ``start(sample)`` returns the accumulator of
    one sample, which takes ``each`` visits."""

    def __init__(self, start: Callable[[int], Accumulator], each: int, variance: bool):
        self.start, self.each, self.variance = start, each, variance
        self.count = 0
        self.mean: Tensor | None = None
        self.squares: Tensor | None = None
        self.sample: Accumulator | None = None

    def add(self, visit: int, point: Tensor, gradient: Tensor) -> None:
        sample, inside = divmod(visit, self.each)
        if inside == 0:
            self.sample = self.start(sample)
        assert self.sample is not None
        self.sample.add(inside, point, gradient)
        if inside == self.each - 1:
            self.update(self.sample.result())

    def update(self, values: Tensor) -> None:
        """Add one sample by Welford's update, which avoids the cancellation of a sum of squares."""
        self.count += 1
        if self.mean is None:
            self.mean = values.clone()
            self.squares = values.new_zeros(()).expand_as(values).clone() if self.variance else None
            return
        step = values - self.mean
        self.mean.add_(step, alpha=1 / self.count)
        if self.squares is not None:
            self.squares.addcmul_(step, values - self.mean)

    def result(self) -> Tensor:
        assert self.mean is not None
        return self.mean if self.squares is None else self.squares / self.count
