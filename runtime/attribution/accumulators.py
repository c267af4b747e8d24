"""What becomes of the gradients at the activations that a method visits: sums, means, variances, visit by visit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bbilang.compiler.contract import Method

Parameters = Mapping[str, Any]


class Gather(Protocol):
    """Takes every visit of a method in order and gives the contributions (target, input, *layer axes)."""

    def add(self, visit: int, point: Any, gradient: Any) -> None:
        """point (input, *layer axes): the activation visited; gradient (target, input, *layer axes)."""

    def result(self) -> Any: ...


def gather(method: Method, parameters: Parameters, activation: Any, baseline: Any) -> Gather:
    """The method's own, or the weighted sum of a path, or one gradient's contribution."""
    own = method.gather(parameters, activation, baseline)
    if own is not None:
        return own
    if method.reruns:
        return Weighted(method, parameters, activation, baseline)
    return Single(method)


class Single:
    """The contribution of one gradient, where the activation is."""

    def __init__(self, method: Method):
        self.method, self.found = method, None

    def add(self, visit: int, point: Any, gradient: Any) -> None:
        self.found = self.method.contribution(point, gradient)

    def result(self) -> Any:
        return self.found


class Weighted:
    """The sum of the gradients by `Method.weights`, finished by `Method.finish`."""

    def __init__(self, method: Method, parameters: Parameters, activation: Any, baseline: Any):
        self.method, self.parameters, self.activation, self.baseline = method, parameters, activation, baseline
        self.weights = method.weights(parameters)
        self.total: Any = None

    def add(self, visit: int, point: Any, gradient: Any) -> None:
        if self.total is None:
            self.total = gradient * float(self.weights[visit])
        else:
            self.total.add_(gradient, alpha=float(self.weights[visit]))

    def result(self) -> Any:
        return self.method.finish(self.parameters, self.total, self.activation, self.baseline)


class Samples:
    """The mean, or the variance, of what a method finds at each of some samples; ``start(sample)`` gives what gathers
    one, from ``each`` visits."""

    def __init__(self, start: Callable[[int], Gather], each: int, variance: bool):
        self.start, self.each, self.variance = start, each, variance
        self.count, self.mean, self.squares = 0, None, None
        self.own: Gather | None = None

    def add(self, visit: int, point: Any, gradient: Any) -> None:
        sample, inside = divmod(visit, self.each)
        if inside == 0:
            self.own = self.start(sample)
        assert self.own is not None
        self.own.add(inside, point, gradient)
        if inside == self.each - 1:
            self.take(self.own.result())

    def take(self, found: Any) -> None:
        """One sample more, by Welford's update: no sum of squares that would cancel."""
        self.count += 1
        if self.mean is None:
            self.mean = found.clone()
            self.squares = found.new_zeros(()).expand_as(found).clone() if self.variance else None
            return
        step = found - self.mean
        self.mean.add_(step, alpha=1 / self.count)
        if self.squares is not None:
            self.squares.addcmul_(step, found - self.mean)

    def result(self) -> Any:
        return self.mean if self.squares is None else self.squares / self.count
