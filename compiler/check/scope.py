"""The scope that the checker's readers share: names, models, and the typed nodes made so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.arguments.bounding_boxes import FileContext, KnownColumn
from bbilang.compiler.check.limits import bounded
from bbilang.compiler.contract import REQUIRED, Parameter, Registry, did_you_mean
from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
from bbilang.compiler.ir.program import ModelSlot, Node, Program
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

INPUT_LAYER = "input"


@frozen
class Layers:
    """One or several layers of a model before an atom is chosen."""

    model: str
    names: tuple[str, ...]
    listed: bool = False  # written as a list: has an axis `layer` even with one member


@dataclass
class ModelContext:
    """A model of the text: its slot in the program, and what is known of it without loading it."""

    slot: ModelSlot
    description: ModelDescription

    def layer(self, name: str) -> LayerDescription | None:
        return self.description.input if name == INPUT_LAYER else self.description.by_name.get(name)

    def known_layer(self, name: str) -> LayerDescription:
        """Return the layer of a name that was checked before. Raises KeyError for any other."""
        return self.description.input if name == INPUT_LAYER else self.description.by_name[name]


@dataclass
class Binding:
    """A name and its value."""

    value: Any  # Node, Layers, a literal, or None where its definition was wrong
    span: Span
    used: bool = False
    element: str = ""  # id of the element that it is


@frozen
class Macro:
    """A definition of the text, or of the file ``source`` that it uses."""

    definition: ast.Define
    source: Source | None = None

    @property
    def name(self) -> str:
        return self.definition.name.text

    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters as operations declare theirs; one without a default is required."""
        return tuple(
            Parameter(
                p.name, "expression", "a parameter of the definition", REQUIRED if p.default is None else p.default
            )
            for p in self.definition.parameters
        )


@dataclass
class Scope(ABC):
    """The state of a check, with the three methods that every reader needs: `value`, `make` and `find`.

    `Resolver` implements `value`. The readers of layers, targets, selections, arguments and `present` know this class
    only, so that none of them imports the resolver that calls them.
    """

    registry: Registry
    models: Mapping[str, ModelContext]
    inputs: int
    settings: dict[str, Any]
    scopes: list[dict[str, Binding]] = field(default_factory=lambda: [{}])  # the innermost last
    origins: dict[Node, list[Span]] = field(default_factory=lambda: defaultdict(list))
    requested: set[tuple[Node, Span]] = field(default_factory=set)  # the pairs of ``origins``, for fast membership
    later: dict[str, Span] = field(default_factory=dict)  # names that the file binds further down
    elsewhere: dict[str, tuple[str, bool]] = field(default_factory=dict)  # names of other interfaces -> title, drawn?
    binding: str = ""  # the name that the current statement binds
    macros: dict[str, Macro | None] = field(default_factory=dict)  # made by `def`; None where that failed
    used_macros: set[str] = field(default_factory=set)
    use_span: Span | None = None  # the `use` whose file is being checked: errors in that file are reported there
    open: bool = False  # a `use` that failed may have defined any name
    name: str | None = None  # of the binding whose value is being checked: a selection takes it as its id
    drawn: list[Node] = field(default_factory=list)  # elements of the current interface, to draw over
    element_names: dict[Node, str] = field(default_factory=dict)
    notes: list[CheckError] = field(default_factory=list)  # errors that do not stop the check of a statement
    files: FileContext = field(default_factory=FileContext)
    columns: dict[str, Mapping[str, KnownColumn]] = field(default_factory=dict)  # of datasets, by their digests
    current: str | None = None  # the model that names without one are of, where it is not the first
    check_other: Callable[[Source], Program | None] | None = None  # checks a text that `present(space)` places
    own: bool = False  # whether `output` is what this model itself predicts, and not the one that it is derived from

    @abstractmethod
    def value(self, expression: ast.Expression) -> Any:
        """Check an expression. Returns a node, `Layers` or a literal; raises CheckError, Poisoned."""

    def make(self, op: str, inputs: tuple[Node, ...], parameters: dict[str, Any], type: FieldType, span: Span) -> Node:
        """Build a node and record the span that it was made for. Raises CheckError E313."""
        node = bounded(Node(op, inputs, tuple(sorted(parameters.items())), type), span)
        span = self.use_span or span
        if (node, span) not in self.requested:
            self.requested.add((node, span))
            self.origins[node].append(span)
        return node

    def find(self, name: str) -> Binding | None:
        """Look a name up, innermost scope first, and mark its binding as used."""
        for scope in reversed(self.scopes):
            if name in scope:
                scope[name].used = True
                return scope[name]
        return None

    @contextmanager
    def scope(self) -> Iterator[dict[str, Binding]]:
        """Open an inner scope for the duration of a block."""
        self.scopes.append({})
        try:
            yield self.scopes[-1]
        finally:
            self.scopes.pop()

    def known_names(self) -> list[str]:
        return [name for scope in self.scopes for name in scope] + ["input", "output"]

    @property
    def model(self) -> ModelContext:
        """The model that names without one are of."""
        return next(iter(self.models.values())) if self.current is None else self.models[self.current]

    @contextmanager
    def within(self, alias: str, own: bool = False) -> Iterator[None]:
        """Take names without a model for those of this one; ``own``: because the text names it, as in `b:output`."""
        before = self.current, self.own
        self.current, self.own = alias, own
        try:
            yield
        finally:
            self.current, self.own = before

    def root(self, alias: str) -> str:
        """Return the alias of the model that a derived one comes from at first, and of a checkpoint the first one:
        itself if it is neither."""
        slot = self.models[alias].slot if alias else None
        if slot is not None and (slot.of or slot.members):
            return (slot.members or self.models[slot.of].slot.members)[0]
        while alias and (base := self.models[alias].slot.base):
            alias = base.alias
        return alias

    def context(self, alias: str, span: Span) -> ModelContext:
        """Return the model of an alias. Raises CheckError E421."""
        if not alias and "" not in self.models:  # of what is of no model
            return self.model
        if alias not in self.models:
            named = [name for name in self.models if name]
            help = did_you_mean(alias, named, f"models are {', '.join(named)}") if named else f"leave out `{alias}:`"
            span = Span(span.start, span.start + len(alias))
            raise at(span, "E421", f"no model is called `{alias}`", help)
        return self.models[alias]

    def alike(self, one: str, other: str) -> bool:
        """Return whether two models have the same layers: one is derived from the other, or both from a third."""
        return one == other or not (one and other) or self.root(one) == self.root(other)

    def input_axis(self) -> Axis:
        return Axis("input", self.inputs)
