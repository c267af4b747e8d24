"""The kinds of attribution methods: one gradient, a path of activations, given masks, learned masks.

A kind says what an attribution demands (`demand`), what the plan runs for that (`work`) and how it runs (`execute`).
Imported when a text is checked: torch, numpy and the engines are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from bbilang.compiler.contract import Batch, Gradients, Method, MethodCall, Parameters, Reruns, RerunWork
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node, Rerun
from bbilang.compiler.ir.types import MADE

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.accumulators import Accumulator
    from bbilang.runtime.attribution.learned_masks import Task
    from bbilang.runtime.execution.context import Run


Context: TypeAlias = Callable[[], AbstractContextManager[object]]


class DerivativeMethod(Method):
    """Contributions from one gradient at the layer, shared with every operation that needs it."""

    twice: ClassVar[bool] = False  # `contribution` has a derivative, so that a penalty can be made of it

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """Return the contribution of every entry of a layer to some targets, before the sum over an atom's part.

        activation (input, *layer axes); gradient and the result (target, input, *layer axes).
        """
        raise NotImplementedError

    def maps(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """Return one number per position, (target, input, y, x), for methods that are ``layered``.

        activation (input, channel, y, x); gradient (target, input, channel, y, x).
        """
        raise NotImplementedError

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        """Return the context that the forward runs in, for methods with a ``rule``: for instance a torch function mode
        that replaces the derivatives of operations."""
        raise NotImplementedError

    def contributes(self, parameters: Parameters) -> bool:
        return self.linear or super().contributes(parameters)

    def explains_attributions(self) -> bool:
        return not self.redistributes

    def nests(self, parameters: Parameters) -> bool:
        return not self.layered

    def demand(self, node: Node, layers: tuple[str, ...], call: MethodCall, parameters: Parameters) -> Gradients:
        known_parts = self.linear and not self.rule and node.type.atom not in MADE
        parts = f"{node.type.atom} x activation" if known_parts else ""
        return Gradients(node["to"], layers, parts, call if self.rule else (), not self.additive(parameters))

    def differentiable(self, parameters: Parameters, target: Node, layer: str, batch: Batch) -> Tensor:
        if not self.twice:
            return super().differentiable(parameters, target, layer, batch)
        return self.contribution(batch.activation(layer), batch.gradient(target, layer))

    def as_path(self) -> PathMethod:
        """Return the method as a path of one visit, for methods that are composed of others."""
        return SingleVisit(self)


class PathMethod(Method):
    """Contributions from gradients at activations that the method visits; only the network above the layer runs."""

    def visits(self, parameters: Parameters) -> int:
        """Return the number of activations visited for each input; with `attempts`, the largest number."""
        return 1

    def visit(
        self, parameters: Parameters, start: int, stop: int, activation: Tensor, baseline: Tensor | None
    ) -> Tensor:
        """Return the visited activations number start to stop, (visit, input, *layer axes).

        activation and baseline (input, *layer axes): of the input and of the baseline picture. The activation of a
        given number must not depend on start and stop. The default is the layer's own activation.
        """
        return activation[None].expand(stop - start, *activation.shape)

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        """Return an accumulator, which turns the gradients of all visits into contributions
        (runtime/attribution/accumulators.py)."""
        raise NotImplementedError

    def attempts(self, parameters: Parameters) -> Sequence[Parameters]:
        """Return parameters to try one after the other until the completeness error is below `tolerance`."""
        return (parameters,)

    def context(self, parameters: Parameters) -> Context | None:
        """Return a factory of the context that the network runs in (`DerivativeMethod.around`); None for plain
        derivatives."""
        return None

    def nests(self, parameters: Parameters) -> bool:
        return not self.layered and not self.classes_only(parameters)

    def open_ended(self, parameters: Parameters) -> bool:
        return len(self.attempts(parameters)) > 1

    def demand(self, node: Node, layers: tuple[str, ...], call: MethodCall, parameters: Parameters) -> Reruns:
        return Reruns(node["to"], layers, call, not self.additive(parameters))

    def work(self, parameters: Parameters, layer: LayerDescription, classes: int) -> RerunWork:
        return RerunWork(
            "gradients", self.visits(parameters), bound=self.open_ended(parameters), extra=int(self.completes)
        )

    def execute(self, run: Run, step: Rerun) -> None:
        from bbilang.runtime.attribution.path_methods import rerun

        rerun(self, run, step)

    def as_path(self) -> PathMethod:
        """Return the method itself (see `DerivativeMethod.as_path`)."""
        return self


class CompetitiveMethod(PathMethod):
    """A path method whose target competes with other classes, the ``rivals``, for every entry of the layer."""

    def rivals(self, parameters: Parameters, classes: int) -> int:
        """Return how many of the classes with the highest scores compete with the target."""
        raise NotImplementedError

    def compete(self, contribution: Tensor, highest: Tensor, lowest: Tensor) -> Tensor:
        """Return the contributions (target, input, *layer axes) after the competition. highest and lowest (input,
        *layer axes): of all rivals at each entry."""
        raise NotImplementedError

    def classes_only(self, parameters: Parameters) -> bool:
        return self.rivals(parameters, 2) > 0

    def work(self, parameters: Parameters, layer: LayerDescription, classes: int) -> RerunWork:
        # Not `super()`: the contract of earlier plug-ins (former_method.py) calls it on objects of its own.
        return replace(PathMethod.work(self, parameters, layer, classes), rivals=self.rivals(parameters, classes))

    def execute(self, run: Run, step: Rerun) -> None:
        from bbilang.runtime.attribution.path_methods import rerun

        rerun(self, run, step, self.compete if step.rivals else None)


class SingleVisit(PathMethod):
    """A method of one gradient as a path that visits the activation itself."""

    def __init__(self, method: DerivativeMethod):
        self.method = method

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        from bbilang.runtime.attribution.accumulators import Single

        return Single(self.method.contribution)

    def context(self, parameters: Parameters) -> Context | None:
        return partial(self.method.around, parameters) if self.method.rule else None


class PerturbationMethod(Method):
    """Contributions from the target's values while positions of the layer are masked."""

    maps_only = True
    keeps: ClassVar[bool] = False  # the positions that a mask keeps get its credit; else those that it hides

    def baseline(self, parameters: Parameters) -> str:
        """Return the name of the picture that shows where a mask is 0."""
        raise NotImplementedError

    def masks(self, parameters: Parameters, size: tuple[int, int]) -> int:
        """Return how many masks a layer of this size, (y, x), has."""
        raise NotImplementedError

    def mask(self, parameters: Parameters, start: int, stop: int, size: tuple[int, int], seed: int) -> Tensor:
        """Return masks number start to stop, (mask, y, x) in [0, 1], on the CPU: 1 keeps the layer's value at a
        position, 0 replaces it by the baseline's. A mask must not depend on start and stop."""
        raise NotImplementedError

    def credit(self, parameters: Parameters, values: Tensor, own: Tensor) -> Tensor:
        """Return the credit of the positions of each mask, (target, row).

        values (target, row): of the targets for the masked layer; own (target, row): for the unmasked layer.
        """
        raise NotImplementedError

    def settle(self, parameters: Parameters, total: Tensor, hidden: Tensor, mean: Tensor) -> Tensor:
        """Return contributions (target, input, y, x) from the credits of all masks.

        total (target, input, y, x): the sum of credits; hidden (y, x): the sum of 1 - mask; mean (target, input): the
        mean credit over all masks.
        """
        raise NotImplementedError

    def demand(self, node: Node, layers: tuple[str, ...], call: MethodCall, parameters: Parameters) -> Reruns:
        return Reruns(node["to"], layers, call, not self.additive(parameters))

    def work(self, parameters: Parameters, layer: LayerDescription, classes: int) -> RerunWork:
        return RerunWork("values", self.masks(parameters, map_size(layer)), returns=False, noun="mask")

    def execute(self, run: Run, step: Rerun) -> None:
        from bbilang.runtime.attribution.perturbation import rerun

        rerun(self, run, step)


class LearnedMaskMethod(Method):
    """A mask for each target and picture, learned by gradient steps through the network."""

    maps_only = True

    def steps(self, parameters: Parameters, size: tuple[int, int]) -> int:
        """Return how many steps a mask for pictures of this size, (y, x), takes."""
        raise NotImplementedError

    def bytes_each(self, parameters: Parameters, size: tuple[int, int]) -> int:
        """Return the memory needed to learn one mask, in addition to that of the network."""
        raise NotImplementedError

    def learn(self, parameters: Parameters, task: Task) -> Tensor:
        """Learn masks (row, y, x), for all rows of the task at once."""
        raise NotImplementedError

    def demand(self, node: Node, layers: tuple[str, ...], call: MethodCall, parameters: Parameters) -> Reruns:
        return Reruns(node["to"], layers, call, not self.additive(parameters))

    def work(self, parameters: Parameters, layer: LayerDescription, classes: int) -> RerunWork:
        return RerunWork("masks", self.steps(parameters, map_size(layer)), shares=False)

    def execute(self, run: Run, step: Rerun) -> None:
        from bbilang.runtime.attribution.learned_masks import rerun

        rerun(self, run, step)


def map_size(layer: LayerDescription) -> tuple[int, int]:
    """Return the size (y, x) of a layer with positions."""
    sizes = layer.as_map.sizes
    return sizes["y"], sizes["x"]
