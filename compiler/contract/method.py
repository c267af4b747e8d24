"""The contract of an attribution method: how much each atom contributed to a target.

The kinds of methods stand in runtime/attribution/kinds.py. A kind says what it demands, what that runs and how: a new
kind needs no change here or in the checker, the optimizer and the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bbilang.compiler.contract.demands import Demand, MethodCall, RerunWork
from bbilang.compiler.contract.parameters import Fail, Parameter
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node, Rerun

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.contract.batch import Batch
    from bbilang.compiler.contract.registry import Registry
    from bbilang.runtime.execution.context import Run

Parameters = Mapping[str, Any]  # every parameter of a method, with its value

AXIOMS = {
    "sensitivity_a": "if input and baseline differ in one part only, and their scores differ, that part gets a nonzero "
    "contribution (Sundararajan et al. 2017)",
    "sensitivity_b": "a part that the score does not depend on gets no contribution (Sundararajan et al. 2017; dummy)",
    "implementation_invariance": "contributions do not depend on the implementation of a function: they are the same "
    "before and after batch norms are folded (Sundararajan et al. 2017: for any two networks with the same function)",
    "completeness": "contributions add up to the difference of the scores of input and baseline (Sundararajan et al. "
    "2017)",
    "linearity": "the contributions to a f + b g are a times those to f plus b times those to g (Sundararajan et al. "
    "2017)",
    "symmetry": "parts that can be exchanged without changing the function, and have equal values in the input and in "
    "the baseline, get equal contributions (Sundararajan et al. 2017)",
    "conservation": "in a network without biases, contributions have the same sum at every layer: the score, or 1 for "
    "probabilities (Bach et al. 2015)",
}


class Method:
    """What every attribution method declares, whatever its kind."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""  # as the field writes it, where `name` in words is not that: "Grad-CAM"
    known_as: ClassVar[tuple[str, ...]] = ()  # other names of it, or of methods that it stands nearest to, for messages
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    source: ClassVar[str] = ""
    formula: ClassVar[str] = ""  # in words, for the footer of a page, where the name does not say it
    axioms: ClassVar[tuple[str, ...]] = ()  # those of `AXIOMS`, in order, that it satisfies at the input by default
    maps_only: ClassVar[bool] = False  # defined at layers with positions only
    input_only: ClassVar[bool] = False  # defined at the input only
    layered: ClassVar[bool] = False  # made of the layer that the parameter `layer` names, and resized
    atoms: ClassVar[tuple[str, ...]] = ()  # the atoms that it is defined for; all where empty
    unit: ClassVar[str] = ""  # of its numbers, where they are not in the target's
    signed: ClassVar[bool] = True  # whether its numbers can be negative
    linear: ClassVar[bool] = False  # the contribution is activation x gradient
    rule: ClassVar[bool] = False  # the network runs with other derivatives, or another forward, for it
    redistributes: ClassVar[bool] = False  # its numbers are shares of the score, not made from a gradient
    completes: ClassVar[bool] = False  # contributions add up to the score's difference from that at the baseline
    insensitive: ClassVar[str] = ""  # a sentence with its reference, where the result hardly depends on the class

    def contributes(self, parameters: Parameters) -> bool:
        """Return whether its numbers are contributions in the target's unit, so that a sum over atoms is one, too."""
        return self.completes or (self.redistributes and not self.unit)

    def shown(self, parameters: Parameters) -> str:
        """Return its name for readers: "Integrated gradients"."""
        return self.title or self.name.replace("_", " ").capitalize()

    def absorbs(self, parameters: Parameters) -> str:
        """Return what takes the part of the score that its contributions lack, in the plural; empty where it is not
        known."""
        return ""

    def note(self, parameters: Parameters) -> str:
        """Return what a reader has to know of the numbers, for the legend: where they are no contributions."""
        return ""

    # --- what the checker needs to know ----------------------------------------------------------------------------

    def suits(self, parameters: Parameters, size: tuple[int, int]) -> None:
        """Raise `Fail` for parameters that a layer of this size, (y, x), cannot have. For methods with ``atoms``."""

    def classes_only(self, parameters: Parameters) -> bool:
        """Return whether it is defined for classes only, not for atoms of later layers or sums of classes."""
        return False

    def explains_attributions(self) -> bool:
        """Return whether its target can itself be an attribution (`atoms -> output`)."""
        return False

    def nests(self, parameters: Parameters) -> bool:
        """Return whether it can be the inner method of another (`smoothgrad(of=)`), as a gradient at the layer
        itself."""
        return False

    def open_ended(self, parameters: Parameters) -> bool:
        """Return whether it iterates until its result is good enough, so that its number of passes is only bounded."""
        return False

    # --- what it lowers to -----------------------------------------------------------------------------------------

    def additive(self, parameters: Parameters) -> bool:
        """Return whether contributions to a sum of scores are the sums of those to each. Classes are then followed one
        by one and serve every sum that contains them; otherwise a sum or difference is followed as one score."""
        return True

    def demand(self, node: Node, layers: tuple[str, ...], call: MethodCall, parameters: Parameters) -> Demand:
        """Return what the attribution ``node`` needs of the model at some layers. ``call``: the method as the plan
        names it."""
        raise NotImplementedError

    def baseline(self, parameters: Parameters) -> str | None:
        """Return the name of the baseline's picture (see runtime/inputs); None for none."""
        return None

    def work(self, parameters: Parameters, layer: LayerDescription, classes: int) -> RerunWork:
        """Return what is run for the demand `Reruns`, at one layer of a model with that many classes."""
        raise NotImplementedError

    def execute(self, run: Run, step: Rerun) -> None:
        """Run the network for a step that `Reruns` became, and fill the tables of its requests."""
        raise NotImplementedError

    def differentiated_at(self, parameters: Parameters) -> int:
        """Return at how many other activations `differentiable` runs the network above the layer, with a gradient at
        each; 0 where the gradient at the layer's own is enough."""
        return 0

    def differentiable(self, parameters: Parameters, target: Node, layer: str, batch: Batch) -> Tensor:
        """Return the contributions of every entry of a layer, (target, example, *layer axes), with their graph, for a
        penalty (`bbilang.penalty`). Raises `Fail` E480 for a method without a second derivative."""
        raise Fail("E480", f"`{self.name}` has no second derivative, so no network can be trained by it",
                   "`linear`, `input_x_gradient`, `gradient` and `integrated_gradients` have one")  # fmt: skip


def bound(registry: Registry, method: str | MethodCall, **more: Any) -> tuple[Method, dict[str, Any]]:
    """Return a method and all of its parameters, given ones and defaults, from a name or (name, parameters).

    A method among the parameters is such a pair itself. ``more``: what methods get besides, such as the file's seed.
    """
    name, explicit = (method, ()) if isinstance(method, str) else method
    kind = registry.methods[name]
    values = {p.name: p.default for p in kind.parameters} | dict(explicit)
    inner = {p.name: bound(registry, values[p.name], **more) for p in kind.parameters if p.kind == "method"}
    return kind, values | inner | more


def spelled(registry: Registry, method: str | MethodCall) -> MethodCall:
    """Return (name, all parameters in order) of a method that was given some of them: equal where the methods are."""
    name, explicit = (method, ()) if isinstance(method, str) else method
    kind = registry.methods[name]
    values = {p.name: p.default for p in kind.parameters} | dict(explicit)
    for p in kind.parameters:
        if p.kind == "method":
            values[p.name] = spelled(registry, values[p.name])
    return name, tuple(sorted(values.items()))


def named_method(node: Node) -> MethodCall:
    """Return the method of an attribution's node: its name, and every parameter that was given."""
    method = node["method"]
    return (method, ()) if isinstance(method, str) else (method[0], method[1])
