"""The contract of an attribution method: how much each atom contributed to a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bbilang.compiler.contract.parameters import Parameter
from bbilang.compiler.ir.program import Node

if TYPE_CHECKING:
    from bbilang.compiler.contract.registry import Registry


AXIOMS = {
    "sensitivity_a": "a part in which alone input and baseline differ, where the scores differ too, gets a "
    "contribution (Sundararajan et al. 2017)",
    "sensitivity_b": "a part that the score does not depend on gets none (Sundararajan et al. 2017; dummy)",
    "implementation_invariance": "contributions do not depend on how a function is written: they are the same before "
    "and after batch norms are folded (Sundararajan et al. 2017, of any two networks with the same function)",
    "completeness": "contributions add up to what the score differs by from that at the baseline (Sundararajan et al. "
    "2017)",
    "linearity": "the contributions to a f + b g are a times those to f plus b times those to g (Sundararajan et al. "
    "2017)",
    "symmetry": "parts that may change places without changing the function, with equal values here and at the "
    "baseline, get equal contributions (Sundararajan et al. 2017)",
    "conservation": "in a network without biases, contributions add up to the same at every layer: the score, or, of "
    "probabilities, 1 (Bach et al. 2015)",
}


class Method:
    """One attribution method: how much each atom contributed to the target.

    One that needs a single gradient has `contribution`. One that ``reruns`` the network above the layer says which
    activations it visits and what it makes of the gradients there (`visit`, `weights`, `finish`); or, where it
    ``finds`` values, how it masks positions and what it makes of the target's values then (`mask`, `credit`, `settle`);
    or, where it finds masks, how it learns them (`learn`).
    """

    name: ClassVar[str] = ""
    known_as: ClassVar[tuple[str, ...]] = ()  # other names of it, or of methods that it stands nearest to, for messages
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    source: ClassVar[str] = ""
    axioms: ClassVar[tuple[str, ...]] = ()  # those of `AXIOMS`, in order, that it satisfies at the input by default
    available: ClassVar[bool] = True
    maps_only: ClassVar[bool] = False  # defined at layers with positions only
    input_only: ClassVar[bool] = False  # defined at the input only
    linear: ClassVar[bool] = False  # the contribution is activation x gradient
    rule: ClassVar[bool] = False  # the network runs in `around`
    layered: ClassVar[bool] = False  # `maps` of the layer that the parameter `layer` names, resized to the field's own
    reruns: ClassVar[bool] = False
    finds: ClassVar[str] = "gradients"  # what the reruns are for: `gradients`, `values` of masked layers, `masks`
    keeps: ClassVar[bool] = False  # of masks: what they keep gets the credit; else what they hide
    atoms: ClassVar[tuple[str, ...]] = ()  # the atoms that it is defined for; all where empty
    unit: ClassVar[str] = ""  # of its numbers, where they are not in the target's
    signed: ClassVar[bool] = True  # whether its numbers can be negative
    redistributes: ClassVar[bool] = False  # its numbers are shares of the score, not made from a gradient
    completes: ClassVar[bool] = False  # contributions add up to the score's difference from that at the baseline
    insensitive: ClassVar[str] = ""  # a sentence with its reference, where the result hardly depends on the class

    def contribution(self, activation: Any, gradient: Any) -> Any:
        """Contribution of every entry of a layer to some targets, before the sum over an atom's part.

        activation (input, *layer axes); gradient and the result (target, input, *layer axes).
        """
        raise NotImplementedError

    def note(self, parameters: Mapping[str, Any]) -> str:
        """What a reader has to know of the numbers, for the legend: where they are no contributions."""
        return ""

    def additive(self, parameters: Mapping[str, Any]) -> bool:
        """Whether contributions to a sum of scores are the sums of those to each: then classes are followed one by
        one, and serve every sum that they are in. Else a sum or difference is followed as one score."""
        return True

    def maps(self, activation: Any, gradient: Any) -> Any:
        """For methods with ``layer``: one number a position, (target, input, y, x), from a layer's maps.

        activation (input, channel, y, x); gradient (target, input, channel, y, x).
        """
        raise NotImplementedError

    def around(self, parameters: Mapping[str, Any]) -> Any:
        """For methods with a ``rule``: a context manager that the forward runs in, such as a torch function mode that
        gives operations another derivative."""
        raise NotImplementedError

    def ruled(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the network runs in `around` where it runs again."""
        return self.rule

    def visits(self, parameters: Mapping[str, Any]) -> int:
        """How many activations are visited for each input; of a method that goes on until it is good enough, the most.
        That of a single gradient visits the layer's own."""
        return 1

    def attempts(self, parameters: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        """Parameters to try one after the other until the completeness error is below the parameter `tolerance`."""
        return (parameters,)

    def rivals(self, parameters: Mapping[str, Any], classes: int) -> int:
        """How many classes compete with the target (`compete`): those with the highest scores; 0 for none."""
        return 0

    def baseline(self, parameters: Mapping[str, Any]) -> str | None:
        """The picture that the path starts from (see runtime/inputs); None where there is no path."""
        return None

    def visit(self, parameters: Mapping[str, Any], start: int, stop: int, activation: Any, baseline: Any) -> Any:
        """The activations number start to stop that are visited: (visit, input, *layer axes), whatever the chunk.
        ``baseline``: the layer's activation for the baseline picture, (input, *layer axes)."""
        return activation[None].expand(stop - start, *activation.shape)

    def gather(self, parameters: Mapping[str, Any], activation: Any, baseline: Any) -> Any:
        """What takes the gradients in: an object with `add(visit, point, gradient)`, called for
        every visit in order with the activation visited (input, *layer axes) and the gradient there (target, input,
        *layer axes), and `result()`, the contributions. None: their sum by `weights`, then `finish`; for a method of a
        single gradient, `contribution`."""
        return None

    def compete(self, contribution: Any, highest: Any, lowest: Any) -> Any:
        """For methods with `rivals`: what is left of contributions (target, input, *layer axes), from the highest and
        lowest of all rivals at each entry, (input, *layer axes)."""
        raise NotImplementedError

    def weights(self, parameters: Mapping[str, Any]) -> Any:
        """The weight of each visit's gradient in their sum: (visit,), a numpy array."""
        raise NotImplementedError

    def finish(self, parameters: Mapping[str, Any], total: Any, activation: Any, baseline: Any) -> Any:
        """Contributions (target, input, *layer axes) from the weighted sum of the gradients, of the same shape."""
        raise NotImplementedError

    def suits(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> None:
        """Raises `Fail` for parameters that a layer of this size, (y, x), cannot have. For methods with ``atoms``."""

    def masks(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> int:
        """How many masks a layer of this size has; of one that learns them: how many steps that takes."""
        raise NotImplementedError

    def mask(self, parameters: Mapping[str, Any], start: int, stop: int, size: tuple[int, int], seed: int) -> Any:
        """Masks number start to stop, (mask, y, x) in [0, 1], a torch tensor on the CPU: 1 keeps what the layer has at
        a position, 0 puts the `baseline`'s there. The same whatever the chunk."""
        raise NotImplementedError

    def credit(self, parameters: Mapping[str, Any], values: Any, own: Any) -> Any:
        """What each mask's positions get, those that it ``keeps`` or those that it hides: (target, row).

        values (target, row): the target's for a masked layer; own (target, row): for the layer as it is.
        """
        raise NotImplementedError

    def settle(self, parameters: Mapping[str, Any], total: Any, hidden: Any, mean: Any) -> Any:
        """Contributions (target, input, y, x) from what positions got from all masks, of the same shape. hidden (y, x):
        the sum of 1 - mask. mean (target, input): of the credits of all masks."""
        raise NotImplementedError

    def bytes_each(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> int:
        """Memory that learning one mask for pictures of this size, (y, x), takes besides the network's."""
        raise NotImplementedError

    def learn(self, parameters: Mapping[str, Any], task: Any) -> Any:
        """Masks (row, y, x) by gradient steps, for all rows of a `runtime.learning.Task` at once."""
        raise NotImplementedError


def bound(registry: Registry, method: Any, **more: Any) -> tuple[Method, dict[str, Any]]:
    """A method and all of its parameters, from a name or (name, parameters): those that were given, and defaults. A
    method among them is such a pair itself. ``more``: what methods get besides, such as the file's seed."""
    name, given = (method, ()) if isinstance(method, str) else method
    kind: Method = registry.methods[name]
    values = {p.name: p.default for p in kind.parameters} | dict(given)
    inner = {p.name: bound(registry, values[p.name], **more) for p in kind.parameters if p.kind == "method"}
    return kind, values | inner | more


def spelled(registry: Registry, method: Any) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """(name, all parameters in order) of a method that was given some of them: equal where the methods are."""
    name, given = (method, ()) if isinstance(method, str) else method
    kind: Method = registry.methods[name]
    values = {p.name: p.default for p in kind.parameters} | dict(given)
    for p in kind.parameters:
        if p.kind == "method":
            values[p.name] = spelled(registry, values[p.name])
    return name, tuple(sorted(values.items()))


def named_method(node: Node) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """The method of an attribution's node: its name, and every parameter that was given."""
    method = node["method"]
    return (method, ()) if isinstance(method, str) else (method[0], method[1])
