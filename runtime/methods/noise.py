"""What the two methods over noisy samples share. A module of parts: it has no METHODS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bbilang.compiler.contract import Method, Parameter

OF = Parameter("of", "method", "the method that is applied to each sample", "gradient")
SAMPLES = Parameter("n_samples", "integer", "how many noisy samples", 20, minimum=1, maximum=100_000)
NOISE = Parameter(
    "noise", "number", "standard deviation of the noise", 0.15, unit="of the range of values", minimum=0, maximum=10
)


class Noisy(Method):
    """A method over a method: samples a + noise, each with all visits of the inner method around it.

    Sample number s has the same noise for every picture, target and chunk: it is drawn from the file's seed and s, and
    of a method inside another one from all of their numbers.
    """

    reruns = True
    parameters = (OF, SAMPLES, NOISE)
    variance: ClassVar[bool] = False

    def additive(self, parameters: Mapping[str, Any]) -> bool:
        inner, own = parameters["of"]
        return not self.variance and inner.additive(own)

    def ruled(self, parameters: Mapping[str, Any]) -> bool:
        inner, own = parameters["of"]
        return inner.ruled(own)

    def around(self, parameters: Mapping[str, Any]) -> Any:
        inner, own = parameters["of"]
        return inner.around(own)

    def visits(self, parameters: Mapping[str, Any]) -> int:
        inner, own = parameters["of"]
        return int(parameters["n_samples"]) * inner.visits(own)

    def baseline(self, parameters: Mapping[str, Any]) -> str | None:
        inner, own = parameters["of"]
        return inner.baseline(own)

    def visit(self, parameters: Mapping[str, Any], start: int, stop: int, activation: Any, baseline: Any) -> Any:
        import torch

        inner, own = parameters["of"]
        each = inner.visits(own)
        parts = []
        for sample in range(start // each, -(-stop // each)):
            first, last = max(start - sample * each, 0), min(stop - sample * each, each)
            noisy = self.noisy(parameters, sample, activation)
            parts.append(inner.visit(self.inside(parameters, sample), first, last, noisy, baseline))
        return torch.cat(parts)

    def gather(self, parameters: Mapping[str, Any], activation: Any, baseline: Any) -> Any:
        from bbilang.runtime.attribution.accumulators import Gather, Samples, gather

        inner, own = parameters["of"]

        def start(sample: int) -> Gather:
            noisy = self.noisy(parameters, sample, activation)
            return gather(inner, self.inside(parameters, sample), noisy, baseline)

        return Samples(start, inner.visits(own), self.variance)

    def inside(self, parameters: Mapping[str, Any], sample: int) -> Mapping[str, Any]:
        """The inner method's parameters, with seeds of its own for each of our samples."""
        return {**parameters["of"][1], "seed": (*parameters["seed"], sample)}

    def noisy(self, parameters: Mapping[str, Any], sample: int, activation: Any) -> Any:
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
