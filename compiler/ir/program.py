"""The typed program: frozen nodes, equal by structure, hashed once. Spans of the text are stored separately from the
nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.speeds import Choices
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

MOST_STAGES = 256  # levels of nodes in a text, so that later stages may recurse


@dataclass(frozen=True, eq=False)
class Node:
    """An operation applied to its inputs. ``parameters`` hold numbers, strings, None, nodes (targets, selections),
    pipes that are computed for each example (`PerExample`) and tuples of these.

    ``digest``: a hash of the whole expression; nodes are equal when their digests are. What a selection is called is
    left out of it: numbers do not depend on that. ``depth``: its levels of nodes.
    """

    op: str
    inputs: tuple[Node, ...]
    parameters: tuple[tuple[str, Any], ...]
    type: FieldType
    digest: str = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max([child.depth for child in self.children], default=0))
        unsaid = "title" if self.type.content == "selection" else ""
        plain = tuple([(name, _digestible(name, value)) for name, value in self.parameters if name != unsaid])
        text = repr((self.op, [n.digest for n in self.inputs], plain, self.type))
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:32])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<{self.op} {self.digest[:8]}: {self.type}>"

    def __getitem__(self, name: str) -> Any:
        """Return the value of a parameter. Raises KeyError if there is none of that name."""
        for key, value in self.parameters:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for key, value in self.parameters if key == name), default)

    @cached_property
    def children(self) -> tuple[Node, ...]:
        """The nodes that this one depends on: its inputs, and those in its parameters."""
        nodes = list(self.inputs)
        for _, value in self.parameters:
            _collect(value, nodes)
        return tuple(nodes)


@frozen
class PerExample:
    """A pipe that is computed for every example of a dataset, and not for the inputs of the page: it is no child of the
    node that holds it, so nothing is run for it on the page's own inputs."""

    node: Node


PLAIN = frozenset((type(None), bool, int, float, str))


def _digestible(name: str, value: Any) -> Any:
    """Return the value with nodes replaced by their digests. Raises TypeError for a value that no parameter may
    hold."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Node):
        return ("node", value.digest)
    if isinstance(value, PerExample):
        return ("per example", value.node.digest)
    if isinstance(value, tuple):
        return tuple([_digestible(name, item) for item in value])
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"parameter {name} holds a {type(value).__name__}")


def _collect(value: Any, nodes: list[Node]) -> None:
    """Append the nodes in a parameter's value."""
    if isinstance(value, Node):
        nodes.append(value)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, nodes)


def source_dataset(dataset: Node) -> Node:
    """Return the dataset that a dataset is a part of, and whose files its examples are: itself where it is whole."""
    while dataset.inputs:
        (dataset,) = dataset.inputs
    return dataset


def walk(*roots: Node) -> Iterator[Node]:
    """Yield every node object below the roots once, children first. Equal nodes that are two objects come twice."""
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))


@frozen
class ModelSlot:
    """A model of the program: a registry name, or a caller's own module under the name `module`."""

    alias: str
    name: str
    weights: str | None = None


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
    ``rule``: the method, with its parameters, that changes the derivatives of the operations that run.
    """

    layers: tuple[str, ...]
    scores: bool
    stops: bool
    serves: tuple[Node, ...]
    picture: str = ""
    rule: tuple[Any, ...] = ()


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

    @property
    def contents(self) -> tuple[Node, ...]:
        """What is computed for each example, besides its scores."""
        return (*self.fields, *self.summaries, *(node for node, _ in self.samples), *self.histograms, *self.cubes)


@frozen
class AtomName:
    """What a text calls a channel of a layer. ``model``: its alias. ``file``: that states the name, where it is another
    one that the text uses."""

    model: str
    layer: str
    channel: int
    name: str
    file: str = ""

    @property
    def key(self) -> str:
        """What the text calls the atom without its name: `block5c.expand.channel[447]`."""
        return f"{self.model and self.model + ':'}{self.layer}.channel[{self.channel}]"


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
