"""What an operation or a style needs of the model: activations, gradients, reruns, scores, icons."""

from __future__ import annotations

import math
from typing import Any

from bbilang.compiler.ir.program import Node
from bbilang.grammar.frozen import frozen

MethodCall = tuple[str, tuple[tuple[str, Any], ...]]  # a method: its name, and parameters
Rule = tuple[Any, ...]  # a `MethodCall` whose rule changes the derivatives, or nothing


@frozen
class Activations:
    """The operation needs the activations of the field's layers."""

    layers: tuple[str, ...]


@frozen
class Gradients:
    """The operation needs d target / d activation at the field's layers, and the activations there.

    ``parts``: not empty where its numbers are inner products of the gradient with parts that are known beforehand
    (`Operation.parts`), so that forward mode gives them as well as reverse mode; equal names stand for equal parts.
    ``rule``: a method whose `DerivativeMethod.around` the network runs in; empty for plain derivatives.
    ``combined``: a sum or difference of classes is one score, since the numbers are not sums over its classes.
    """

    target: Node
    layers: tuple[str, ...]
    parts: str = ""
    rule: Rule = ()
    combined: bool = False


@frozen
class Reruns:
    """The operation needs a method that runs the network again from one of the layers on: at other activations, for
    their gradients (path methods, noise) or values (masks), or to learn masks. `Method.work` says what is run,
    `Method.execute` runs it."""

    target: Node
    layers: tuple[str, ...]
    method: MethodCall  # with all parameters
    combined: bool = False  # as in `Gradients`


@frozen
class RerunWork:
    """What a method runs at one layer, for each input.

    ``finds``: one word for what it runs for, in the plan's JSON form. ``visits``: at how many activations the network
    runs; ``bound``: at the most. ``shares``: one run of the network above the layer serves every target. ``returns``: a
    gradient comes back for each target. ``extra``: runs besides, of the score at the baseline. ``rivals``: classes that
    are followed down besides the targets. ``noun``: what a visit is, for the plan.
    """

    finds: str
    visits: int
    bound: bool = False
    shares: bool = True
    returns: bool = True
    extra: int = 0
    rivals: int = 0
    noun: str = "step"


@frozen
class Trials:
    """The operation measures an attribution's trustworthiness and runs the network for that itself.

    It computes the attribution ``again`` as often, to ``classes`` other classes where that is not 0; runs ``rows``
    changed activations of its layer, ``each`` more for every target, and ``gradients`` with a backward for every
    target. ``words``: the measure's name. ``of``: equal for measures that are computed together. ``baseline``: the
    picture that the attribution's own path starts from, empty for none.
    """

    target: Node
    layers: tuple[str, ...]
    words: str
    of: str
    again: int = 0
    classes: int = 0
    rows: int = 0
    each: int = 0
    gradients: int = 0
    baseline: str = ""


@frozen
class Changes:
    """The operation needs what a target is where an intervention changed atoms of the field's layers.

    ``change``: the intervention. Each of its atoms, or all of them ``together``, is changed ``each`` times for each
    input; and ``controls`` random sets of as many atoms besides.
    """

    target: Node
    layers: tuple[str, ...]
    change: Node
    together: bool
    each: int = 1
    controls: int = 0


@frozen
class Scores:
    """The operation needs the scores of all classes."""


@frozen
class IconsOf:
    """The element needs an icon for every atom that one of its states can show."""


@frozen
class ExamplesOf:
    """The operation needs numbers of every example of a dataset: see `ir.program.Scan`."""

    dataset: Node
    fields: tuple[Node, ...] = ()
    summaries: tuple[Node, ...] = ()
    scores: bool = False
    samples: tuple[tuple[Node, int], ...] = ()
    histograms: tuple[Node, ...] = ()
    cubes: tuple[Node, ...] = ()


@frozen
class Again:
    """The kernel runs the network itself, on pictures that it knows only then.

    ``words``: what for. ``pictures``: how many at most; 0 for the search for a receptive field, whose number depends on
    the size of the pictures. ``content``: what is computed of each; None for the activation of ``layers``, or for the
    scores where there are none. ``returns``: a gradient comes back from them, to every weight. ``shares``: equal for
    kernels that run together, if the program is optimized.
    """

    words: str
    pictures: int
    layers: tuple[str, ...]
    content: Node | None = None
    returns: bool = False
    shares: str = ""


@frozen
class Trains:
    """The kernel trains the network above a layer on examples of a dataset, and measures it before and after.

    ``examples``: how many there are, those that only measure among them; ``trained``: on how many; ``measured``: how
    many measure. ``epochs`` and ``batch``: of the training. ``visits``: at how many other activations the network runs
    for a contribution, each with a gradient; 0 where the gradient at the layer's own is enough. ``targets``: scores
    whose contributions these are. ``scaled``: on how many examples they are measured before the training, ``twice``
    each. ``shares``: equal for kernels that train the same.
    """

    layer: str
    examples: int
    trained: int
    measured: int
    epochs: int
    batch: int
    visits: int
    targets: int
    scaled: int
    twice: int
    shares: str

    @property
    def steps(self) -> int:
        """The number of steps of the optimizer."""
        return self.epochs * math.ceil(self.trained / self.batch)

    @property
    def of_evidence(self) -> int:
        """The passes above the layer that contributions of one example take, besides its own forward."""
        return self.visits + max(self.visits, 1) * self.targets

    @property
    def measuring(self) -> int:
        """The passes above the layer of all measurements: before and after, the example's own, the contributions, and
        what it is when the atoms and the whole layer are exchanged; and of what the training starts from."""
        return 2 * self.measured * (3 + self.of_evidence) + self.trained + self.scaled * self.twice * self.of_evidence

    @property
    def training(self) -> int:
        """The passes above the layer of the training: forward, contributions, and back to the weights."""
        return self.epochs * self.trained * (2 + self.of_evidence)


Demand = Activations | Gradients | Reruns | Trials | Changes | Scores | IconsOf | ExamplesOf | Again | Trains
