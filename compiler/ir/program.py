"""The typed program: its elements, whose nodes are those of `compiler.ir.node`, and the passes that compute them. Spans
of the text are stored separately from the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from bbilang.compiler.ir.model_description import HEADS, ModelDescription
from bbilang.compiler.ir.node import MOST_STAGES as MOST_STAGES
from bbilang.compiler.ir.node import ON_PAGE as ON_PAGE
from bbilang.compiler.ir.node import STAND_IN as STAND_IN
from bbilang.compiler.ir.node import Node as Node
from bbilang.compiler.ir.node import PerExample as PerExample
from bbilang.compiler.ir.node import source_dataset as source_dataset
from bbilang.compiler.ir.node import waits as waits
from bbilang.compiler.ir.node import walk as walk
from bbilang.compiler.ir.node import with_examples as with_examples
from bbilang.compiler.ir.relatives import Lent, Relative, Resumed
from bbilang.compiler.ir.speeds import Choices
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span


@frozen
class ModelSlot:
    """A model of the program: a registry name, or a caller's own module under the name `module`.

    ``base`` and ``changes``: of a derived model, the model that it is made from, and the stages that change it, in
    order; its name and weights are those of the model at the root. ``members``: of checkpoints of one network, the
    models of the single ones, in their order; ``of``: of such a one, the model of them all.
    """

    alias: str
    name: str
    weights: str | None = None
    base: ModelSlot | None = None
    changes: tuple[Node, ...] = ()
    members: tuple[str, ...] = ()
    of: str = ""

    @property
    def lineage(self) -> tuple[ModelSlot, ...]:
        """The model, the one that it is derived from, and so on to the root."""
        return (self,) if self.base is None else (self, *self.base.lineage)


@frozen
class Element:
    """One element of an interface: a `present` node with its id, title and caption."""

    id: str
    node: Node
    title: str = ""
    caption: str = ""
    over: str | None = None  # id of the element that it is drawn into


Layout: TypeAlias = "str | tuple[str, tuple[Layout, ...]]"  # element id, or ("row" | "column", layouts)


@frozen
class Interface:
    """A titled part of the page: a layout of elements."""

    title: str
    elements: tuple[Element, ...]
    layout: Layout


@frozen
class Forward:
    """One forward pass that captures ``layers``, and ``stops`` at the deepest of them unless ``scores`` are needed.

    ``picture``: the baseline that replaces the page's inputs (see runtime/inputs); empty for the inputs themselves.
    ``rule``: the method, with its parameters, that changes the derivatives of the operations that run. ``resumes``: the
    forward of another model that it takes everything from that is equal in both.
    """

    layers: tuple[str, ...]
    scores: bool
    stops: bool
    serves: tuple[Node, ...]
    picture: str = ""
    rule: tuple[Any, ...] = ()
    resumes: Resumed | None = None


OUTPUT = "output"
TRIAL = "trust"  # `Rerun.finds` of a measure of `trust`
CHANGE = "change"  # `Rerun.finds` of an intervention
REMOVAL = "removal"  # `Rerun.finds` of a layer at zero, for the budget line


@frozen
class DerivativeRequest:
    """The derivatives of one target at some layers, requested by one operation.

    ``parts``: a key for what the gradient is multiplied with, equal for equal factors; empty where the gradient itself
    is needed, so that forward mode cannot serve the request. ``narrow``: forward mode needs only the tangents of the
    field's own atoms, which are known before the pass starts; otherwise those of all atoms of the layer.
    ``combined``: a sum or difference of classes is differentiated as one score, because the result is not linear in
    its classes.
    """

    target: Node
    node: Node
    layers: tuple[str, ...]
    parts: str = ""
    narrow: bool = False
    combined: bool = False


class Derivatives:
    """What the three kinds of derivative pass share: the ``requests`` they serve, and the forward they follow."""

    requests: tuple[DerivativeRequest, ...]
    forward: int  # index in Program.forwards

    @cached_property
    def targets(self) -> tuple[Node, ...]:
        return tuple(dict.fromkeys(request.target for request in self.requests))

    @cached_property
    def serves(self) -> tuple[Node, ...]:
        return tuple(dict.fromkeys(request.node for request in self.requests))

    @cached_property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer for request in self.requests for layer in request.layers))


@frozen
class Backward(Derivatives):
    """Reverse mode: one cotangent for each class or atom among the targets, back to the requested layers.

    ``target_layer``: the layer that the targets belong to, or ``OUTPUT``. ``stops``: each cotangent stops at the
    earliest layer that requests it; otherwise all go down to the input, as in an unoptimized call. ``batched``: many
    cotangents in one pass.
    """

    requests: tuple[DerivativeRequest, ...]
    forward: int
    stops: bool
    target_layer: str = OUTPUT
    batched: bool = False


@frozen
class Tangents(Derivatives):
    """Forward mode: one tangent for each atom at ``layer``, through the network above it, serves every target at
    ``target_layer``."""

    requests: tuple[DerivativeRequest, ...]
    forward: int
    layer: str
    target_layer: str = OUTPUT


@frozen
class Rerun(Derivatives):
    """The network again from one layer on, as a method or a measure of `trust` needs it.

    ``finds``: one word for what it runs for: `gradients` at other activations; the targets' `values` of masked ones;
    `masks` that are learned; the word of another kind of method; `trust`, a measure (`contract.Trials`); `change`, an
    intervention (`contract.Changes`); or `removal`, of the layer at zero.
    ``above``: only the network above the layer runs; else all of it, for every visit and target, as a call without an
    optimizer does. ``baseline``: the forward of the baseline's picture, or -1. ``visits`` and what follows ``finds``:
    see `contract.RerunWork`.
    """

    requests: tuple[DerivativeRequest, ...]
    forward: int
    layer: str
    method: tuple[str, tuple[tuple[str, Any], ...]]  # name and all parameters
    visits: int  # of each input
    above: bool
    baseline: int = -1
    target_layer: str = OUTPUT
    finds: str = "gradients"
    extra: int = 0  # further forward passes: for the score at the baseline
    bound: bool = False  # whether ``visits`` is an upper bound
    rivals: int = 0  # classes that compete with the targets, and are differentiated too
    shares: bool = True
    returns: bool = True
    noun: str = "step"

    @property
    def is_trial(self) -> bool:
        """Whether a measure of `trust` runs, which the operation defines, and not an attribution method."""
        return self.finds == TRIAL

    @property
    def is_change(self) -> bool:
        """Whether an intervention changes atoms of the layer."""
        return self.finds == CHANGE

    @property
    def is_removal(self) -> bool:
        """Whether it measures what the scores are without the layer."""
        return self.finds == REMOVAL


@frozen
class Icons:
    """One run of the visualization engine for the icons that some elements can show, each icon once.

    ``at_most`` bounds their number: which atoms `top` selects is known only after the passes.
    """

    elements: tuple[str, ...]
    at_most: int


@frozen
class Scan:
    """One pass over the examples of a dataset.

    ``dataset``: the node whose examples are read. ``fields``: pipes whose numbers are kept for each example.
    ``summaries``: contents of a layer's neurons, of which the extremes, their positions, the mean and the norm over
    positions are kept for each example and channel. ``scores``: of all classes. ``samples``: contents, of which the
    vectors at so many positions drawn at random are kept. ``histograms``: of neurons, in bins; ``cubes``: as they are.
    """

    dataset: Node
    fields: tuple[Node, ...]
    summaries: tuple[Node, ...]
    scores: bool
    serves: tuple[Node, ...]
    samples: tuple[tuple[Node, int], ...] = ()
    histograms: tuple[Node, ...] = ()
    cubes: tuple[Node, ...] = ()

    @cached_property
    def waits(self) -> bool:
        """Whether its pipes need what other scans, or the page, have to find first."""
        return waits(*self.fields)

    @property
    def contents(self) -> tuple[Node, ...]:
        """What is computed for each example, besides its scores."""
        return (*self.fields, *self.summaries, *(node for node, _ in self.samples), *self.histograms, *self.cubes)


@frozen
class AtomName:
    """What a text calls an atom of a layer. ``model``: its alias. ``atom``: its kind. ``components``: the axes and the
    numbers that pick it, in the text's order. ``file``: that states the name, where it is another one that the text
    uses. Of a group or direction, ``called``: what the text calls what it is picked from, and ``maker``: that node."""

    model: str
    layer: str
    atom: str
    components: tuple[tuple[str, int], ...]
    name: str
    file: str = ""
    called: str = ""
    maker: Node | None = None

    @property
    def family(self) -> str:
        """The word for what made a group or direction, equal for the same; empty for atoms of the network."""
        return self.maker.type.family if self.maker is not None else ""

    @property
    def key(self) -> str:
        """What the text calls the atom without its name: `block5c.expand.channel[447]`, `groups[2]`."""
        if self.maker is not None:
            return f"{self.called}[{', '.join(str(number) for _, number in self.components)}]"
        layer = self.layer.removesuffix(HEADS) if self.atom == "head" else self.layer
        numbers = ", ".join(str(number) for _, number in self.components)
        return f"{self.model and self.model + ':'}{layer}.{self.atom}[{numbers}]"


@frozen
class Program:
    """A checked file, and after the optimizer the passes that compute it.

    ``origins`` (node -> the spans that requested it), ``source``, ``description`` (of the model, with the labels and
    scores that the file sets), ``choices`` and ``warnings`` do not enter equality.
    """

    models: tuple[ModelSlot, ...]
    inputs: tuple[str, ...]
    interfaces: tuple[Interface, ...]
    bindings: tuple[tuple[str, Node], ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    forwards: tuple[Forward, ...] = ()
    backwards: tuple[Backward, ...] = ()
    tangents: tuple[Tangents, ...] = ()
    reruns: tuple[Rerun, ...] = ()
    icons: tuple[Icons, ...] = ()
    optimized: bool = False
    output: str = ""
    origins: Mapping[Node, tuple[Span, ...]] = field(default_factory=dict, compare=False, repr=False)
    source: Source | None = field(default=None, compare=False, repr=False)
    description: ModelDescription | None = field(default=None, compare=False, repr=False)
    choices: Choices = field(default_factory=Choices, compare=False, repr=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    scans: tuple[Scan, ...] = ()
    names: tuple[AtomName, ...] = ()  # what the text calls atoms
    kept: tuple[Node, ...] = ()  # nodes whose values are needed although no element shows them
    called: tuple[tuple[str, int], ...] = ()  # names that the text gives inputs, with their numbers
    kept_as: tuple[str, ...] = ()  # the digests of those nodes, whatever rules made of them since
    others: tuple[Node, ...] = ()  # nodes of other models whose values it is given
    parts: tuple[Program, ...] = ()  # of several models: a program for each that is used, see `compiler.optimize.parts`
    relatives: tuple[Relative, ...] = ()  # of a part: those before it whose network is the same but for some layers
    lent: Lent | None = None  # of a part: what its forwards leave for those of later ones
    partners: bool = False  # of several models: a part that only has icons of channels that another's are matched with

    def owns(self, node: Node) -> bool:
        """Return whether a node of a program of one model is of that model, or of none: a program that is a part holds
        nodes of other models too, whose values it is given."""
        return node.type.model in ("", self.models[0].alias)

    @cached_property
    def roots(self) -> tuple[Node, ...]:
        """The nodes that must be computed: those of the elements, and those that are kept."""
        return (*(element.node for element in self.elements), *self.kept)

    @cached_property
    def derivatives(self) -> tuple[Backward | Tangents | Rerun, ...]:
        return (*self.backwards, *self.tangents, *self.reruns)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        return tuple(element for interface in self.interfaces for element in interface.elements)

    @property
    def folder(self) -> Path:
        """Return the folder that file names in the text are relative to."""
        return self.source.folder if self.source is not None else Path()

    def setting(self, name: str, default: Any = None) -> Any:
        """Return the value of a setting: `featvis.size`, `seed`, `states` ..."""
        return next((value for key, value in self.settings if key == name), default)

    def spans(self, node: Node) -> tuple[Span, ...]:
        return self.origins.get(node, ())
