"""The former `Method`, for plug-ins written before methods had kinds; flags determine its kind. It will be removed in
the next release."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

from bbilang.compiler.contract import Demand, MethodCall, Parameters, RerunWork
from bbilang.compiler.contract import Method as AnyMethod
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node, Rerun
from bbilang.runtime.attribution.kinds import (
    CompetitiveMethod,
    Context,
    DerivativeMethod,
    LearnedMaskMethod,
    PerturbationMethod,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bbilang.runtime.attribution.accumulators import Accumulator
    from bbilang.runtime.attribution.learned_masks import Task
    from bbilang.runtime.execution.context import Run

KINDS: dict[str, type[AnyMethod]] = {
    "gradients": CompetitiveMethod,
    "values": PerturbationMethod,
    "masks": LearnedMaskMethod,
}


class Method(AnyMethod):
    """One attribution method of any kind: based on one gradient or, if it ``reruns``, on what it ``finds``.

    Its demands and its rerun come from its kind, whose methods call those of the plug-in on ``self``.
    """

    linear: ClassVar[bool] = False
    rule: ClassVar[bool] = False
    reruns: ClassVar[bool] = False
    finds: ClassVar[str] = "gradients"  # `gradients`, `values` of masked layers, `masks`
    keeps: ClassVar[bool] = False

    @property
    def kind(self) -> type[AnyMethod]:
        """The class that it would derive from today."""
        return KINDS[self.finds] if self.reruns else DerivativeMethod

    def explains_attributions(self) -> bool:
        return not self.reruns and not self.redistributes

    def classes_only(self, parameters: Parameters) -> bool:
        return self.rivals(parameters, 2) > 0

    def nests(self, parameters: Parameters) -> bool:
        plain = self.reruns or type(self).contribution is not Method.contribution
        return plain and not self.layered and self.finds == "gradients" and not self.rivals(parameters, 2)

    def open_ended(self, parameters: Parameters) -> bool:
        return len(self.attempts(parameters)) > 1

    def demand(self, node: Node, layers: tuple[str, ...], call: MethodCall, parameters: Parameters) -> Demand:
        return self.kind.demand(self, node, layers, call, parameters)

    def work(self, parameters: Parameters, layer: LayerDescription, classes: int) -> RerunWork:
        return self.kind.work(self, parameters, layer, classes)

    def execute(self, run: Run, step: Rerun) -> None:
        self.kind.execute(self, run, step)

    def as_path(self) -> Method:
        return self

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        """Return what gathers the gradients: the method's own, one visit, or the weighted sum over a path."""
        from bbilang.runtime.attribution.accumulators import Single, WeightedSum

        own = self.gather(parameters, activation, baseline)
        if own is not None:
            return own
        if not self.reruns:
            return Single(self.contribution)
        finish = lambda total: self.finish(parameters, total, activation, baseline)  # noqa: E731
        return WeightedSum(self.weights(parameters), finish)

    def context(self, parameters: Parameters) -> Context | None:
        return (lambda: self.around(parameters)) if self.ruled(parameters) else None

    def steps(self, parameters: Parameters, size: tuple[int, int]) -> int:
        return self.masks(parameters, size)

    # --- what plug-ins override ------------------------------------------------------------------------------------

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        raise NotImplementedError

    def maps(self, activation: Tensor, gradient: Tensor) -> Tensor:
        raise NotImplementedError

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        raise NotImplementedError

    def ruled(self, parameters: Parameters) -> bool:
        return self.rule

    def visits(self, parameters: Parameters) -> int:
        return 1

    def attempts(self, parameters: Parameters) -> Sequence[Parameters]:
        return (parameters,)

    def rivals(self, parameters: Parameters, classes: int) -> int:
        return 0

    def visit(
        self, parameters: Parameters, start: int, stop: int, activation: Tensor, baseline: Tensor | None
    ) -> Tensor:
        return activation[None].expand(stop - start, *activation.shape)

    def gather(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator | None:
        return None

    def compete(self, contribution: Tensor, highest: Tensor, lowest: Tensor) -> Tensor:
        raise NotImplementedError

    def weights(self, parameters: Parameters) -> Sequence[float] | NDArray[np.float64]:
        raise NotImplementedError

    def finish(self, parameters: Parameters, total: Tensor, activation: Tensor, baseline: Tensor | None) -> Tensor:
        raise NotImplementedError

    def masks(self, parameters: Parameters, size: tuple[int, int]) -> int:
        raise NotImplementedError

    def mask(self, parameters: Parameters, start: int, stop: int, size: tuple[int, int], seed: int) -> Tensor:
        raise NotImplementedError

    def credit(self, parameters: Parameters, values: Tensor, own: Tensor) -> Tensor:
        raise NotImplementedError

    def settle(self, parameters: Parameters, total: Tensor, hidden: Tensor, mean: Tensor) -> Tensor:
        raise NotImplementedError

    def bytes_each(self, parameters: Parameters, size: tuple[int, int]) -> int:
        raise NotImplementedError

    def learn(self, parameters: Parameters, task: Task) -> Tensor:
        raise NotImplementedError
