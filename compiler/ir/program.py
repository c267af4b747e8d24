"""The typed program: frozen nodes, equal by structure, hashed once. Places in the text live beside the nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.types import FieldType
from bbilang.compiler.optimize.cost import Choices
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

MOST_STAGES = 256  # nodes of a text above each other: what follows may go down a program by recursion


@dataclass(frozen=True, eq=False)
class Node:
    """One operation applied. ``parameters`` may hold numbers, strings, None, tuples and nodes (targets, selections).

    ``digest`` is a hash of the whole expression: two nodes are equal when their digests are. ``depth``: how many nodes
    stand above each other in it.
    """

    op: str
    inputs: tuple[Node, ...]
    parameters: tuple[tuple[str, Any], ...]
    type: FieldType
    digest: str = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max([child.depth for child in self.children], default=0))
        plain = tuple([(name, _digestible(name, value)) for name, value in self.parameters])
        text = repr((self.op, [n.digest for n in self.inputs], plain, self.type))
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:32])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<{self.op} {self.digest[:8]}: {self.type}>"

    def __getitem__(self, name: str) -> Any:
        """The value of a parameter; KeyError where it has none of that name."""
        for key, value in self.parameters:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for key, value in self.parameters if key == name), default)

    @cached_property
    def children(self) -> tuple[Node, ...]:
        """Every node that this one needs: its inputs, and those in its parameters."""
        found = list(self.inputs)
        for _, value in self.parameters:
            _collect(value, found)
        return tuple(found)


PLAIN = frozenset((type(None), bool, int, float, str))


def _digestible(name: str, value: Any) -> Any:
    """The value with the digests of nodes in their place. Raises TypeError for what no parameter holds."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Node):
        return ("node", value.digest)
    if isinstance(value, tuple):
        return tuple([_digestible(name, item) for item in value])
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"parameter {name} holds a {type(value).__name__}")


def _collect(value: Any, found: list[Node]) -> None:
    if isinstance(value, Node):
        found.append(value)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, found)


def walk(*roots: Node) -> Iterator[Node]:
    """Every node object under the roots once, children first. Equal nodes that are two objects come twice."""
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
    """A model that the program needs: by registry name, or a caller's own module under the name `module`."""

    alias: str
    name: str
    weights: str | None = None


@frozen
class Element:
    """One element of an interface: a `present` node with its name and words."""

    id: str
    node: Node
    title: str = ""
    caption: str = ""
    over: str | None = None  # id of the element that it is drawn into


Layout: TypeAlias = "str | tuple[str, tuple[Layout, ...]]"  # element id, or ("row" | "column", layouts)


@frozen
class Interface:
    title: str
    elements: tuple[Element, ...]
    layout: Layout


@frozen
class Forward:
    """One forward pass: captures ``layers``, ``stops`` at the deepest of them unless scores are wanted too.

    ``picture``: a baseline in place of the page's own inputs (see runtime/inputs), empty for those. ``rule``: the
    method, with its parameters, that changes the derivatives of what runs.
    """

    layers: tuple[str, ...]
    scores: bool
    stops: bool
    serves: tuple[Node, ...]
    picture: str = ""
    rule: tuple[Any, ...] = ()


OUTPUT = "output"


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
    """The network again at other activations of one layer than the picture's own: those that ``method`` visits.

    ``finds``: `gradients` there; the targets' `values`, so that one run serves all of them; `masks` that are learned
    by ``visits`` steps for each target; or whether an attribution deserves `trust`, by what ``method`` says
    (`op.Trials`).
    ``above``: only the network above the layer runs again, for all targets; else all of it, for every visit and target,
    as a call without an optimizer does. ``baseline``: the forward of the picture that a path starts from, or -1.
    """

    requests: tuple[DerivativeRequest, ...]
    forward: int
    layer: str
    method: tuple[str, tuple[tuple[str, Any], ...]]  # name and all parameters
    visits: int  # for each input
    above: bool
    baseline: int = -1
    target_layer: str = OUTPUT
    finds: str = "gradients"
    extra: int = 0  # forward passes besides: of the score at the baseline
    bound: bool = False  # no more visits than that
    rivals: int = 0  # classes that are followed down besides the targets


@frozen
class Icons:
    """One run of the visualization engine for the icons that these elements can show, each icon once.

    ``at_most`` bounds their number: what `top` finds is not known before the numbers are there.
    """

    elements: tuple[str, ...]
    at_most: int


@frozen
class Program:
    """A checked file. ``origins`` (node -> the spans that asked for it), ``source``, ``description`` (of the model,
    with the labels and scores that the file names), ``choices`` and ``warnings`` stand outside equality."""

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

    @cached_property
    def derivatives(self) -> tuple[Backward | Tangents | Rerun, ...]:
        return (*self.backwards, *self.tangents, *self.reruns)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        return tuple(element for interface in self.interfaces for element in interface.elements)

    def setting(self, name: str, default: Any = None) -> Any:
        """`featvis.size`, `seed`, `states` ..."""
        return next((value for key, value in self.settings if key == name), default)

    def spans(self, node: Node) -> tuple[Span, ...]:
        return self.origins.get(node, ())
