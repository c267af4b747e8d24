"""Noise shared by `smoothgrad` and `vargrad`. This module defines no method: it has no METHODS."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bbilang.compiler.contract import Parameter, Parameters
from bbilang.runtime.attribution.kinds import Context, PathMethod

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.accumulators import Accumulator


OF = Parameter("of", "method", "the method that is applied to each sample", "gradient")
SAMPLES = Parameter("n_samples", "integer", "how many noisy samples", 20, minimum=1, maximum=100_000)
NOISE = Parameter(
    "noise", "number", "standard deviation of the noise", 0.15, unit="of the range of values", minimum=0, maximum=10
)


class Noisy(PathMethod):
    """A method over a method: samples a + noise, each with all visits of the inner method around it.

    Sample number s has the same noise for every picture, target and chunk: it is drawn from the file's seed and s, and
    of a method inside another one from all of their numbers.
    """

    parameters = (OF, SAMPLES, NOISE)
    variance: ClassVar[bool] = False

    def contributes(self, parameters: Parameters) -> bool:
        inner, own = parameters["of"]
        return not self.unit and inner.contributes(own)

    def additive(self, parameters: Parameters) -> bool:
        inner, own = parameters["of"]
        return not self.variance and inner.additive(own)

    def context(self, parameters: Parameters) -> Context | None:
        inner, own = inner_path(parameters)
        return inner.context(own)

    def visits(self, parameters: Parameters) -> int:
        inner, own = inner_path(parameters)
        return int(parameters["n_samples"]) * inner.visits(own)

    def baseline(self, parameters: Parameters) -> str | None:
        inner, own = inner_path(parameters)
        return inner.baseline(own)

    def visit(
        self, parameters: Parameters, start: int, stop: int, activation: Tensor, baseline: Tensor | None
    ) -> Tensor:
        import torch

        inner, own = inner_path(parameters)
        each = inner.visits(own)
        parts = []
        for sample in range(start // each, -(-stop // each)):
            first, last = max(start - sample * each, 0), min(stop - sample * each, each)
            noisy = self.noisy(parameters, sample, activation)
            parts.append(inner.visit(self.inner_parameters(parameters, sample), first, last, noisy, baseline))
        return torch.cat(parts)

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        from bbilang.runtime.attribution.accumulators import SampleStatistics

        inner, own = inner_path(parameters)

        def start(sample: int) -> Accumulator:
            noisy = self.noisy(parameters, sample, activation)
            return inner.accumulator(self.inner_parameters(parameters, sample), noisy, baseline)

        return SampleStatistics(start, inner.visits(own), self.variance)

    def inner_parameters(self, parameters: Parameters, sample: int) -> Parameters:
        """Return the inner method's parameters, with separate seeds for each sample."""
        return {**parameters["of"][1], "seed": (*parameters["seed"], sample)}

    def noisy(self, parameters: Parameters, sample: int, activation: Tensor) -> Tensor:
        """Sample number ``sample`` of activation (input, *layer axes): normal noise, of a standard deviation of `noise`
        times the range of each picture's own values."""
        import numpy as np
        import torch

        state = np.random.SeedSequence([*parameters["seed"], sample]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        noise = torch.randn(activation.shape[1:], generator=generator).to(activation)
        flat = activation.flatten(1)
        reach = (flat.amax(1) - flat.amin(1)) * float(parameters["noise"])
        return activation + reach.view(-1, *[1] * (activation.dim() - 1)) * noise


def inner_path(parameters: Parameters) -> tuple[PathMethod, Parameters]:
    """Return the inner method as a path method, and its own parameters."""
    inner, own = parameters["of"]
    return inner.as_path(), own
