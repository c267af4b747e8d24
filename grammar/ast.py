"""The syntax tree of a .bbi file: frozen nodes, equal by structure; spans and comments stand outside equality."""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import NOWHERE, Source, Span


@frozen
class Node:
    """Every node has the span of the text it was read from (NOWHERE where a program made it)."""

    span: Span = field(default=NOWHERE, compare=False, kw_only=True, repr=False)


# --- expressions ---------------------------------------------------------------------------------------------------


@frozen
class Number(Node):
    """`0.5`."""

    value: int | float


@frozen
class String(Node):
    """`"tabby"`."""

    value: str


@frozen
class Constant(Node):
    """`true`, `false` or `none`."""

    value: bool | None


@frozen
class Path(Node):
    """A dotted name: a binding, a layer with its atom (`mixed4d.channel`), a word (`pca`); `a:mixed4d` has a model."""

    name: str
    model: str | None = None


@frozen
class Attribute(Node):
    """An atom of something that is not a plain path: `[mixed3a, mixed4a].spatial`, `"a.channel".neuron`."""

    value: Expression
    name: str


@frozen
class Argument(Node):
    """One argument of a call or an index; ``name`` is None where it stands by position."""

    value: Expression
    name: str | None = None


@frozen
class Index(Node):
    """`output["tabby", score=probability]`, `mixed4d.spatial[6, 6]`."""

    value: Expression
    arguments: tuple[Argument, ...]


@frozen
class Call(Node):
    """`top(8)`, `hover(blocks)`; a stage without parentheses (`relu`) is a call without arguments.

    ``name_span`` covers the name alone, for errors about the operation itself.
    """

    name: str
    arguments: tuple[Argument, ...] = ()
    name_span: Span = field(default=NOWHERE, compare=False, kw_only=True, repr=False)


@frozen
class Pipe(Node):
    """`head | stage | stage`; at least one stage."""

    head: Expression
    stages: tuple[Call, ...]


@frozen
class Range(Node):
    """`mixed3a..mixed5a`, in a list only."""

    first: Path
    last: Path


@frozen
class List(Node):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@frozen
class Binary(Node):
    """``operator`` is one of: or and < <= > >= == != -> + - * /."""

    operator: str
    left: Expression
    right: Expression


@frozen
class Unary(Node):
    """``operator`` is `-` or `not`. A minus before a number literal is part of the Number."""

    operator: str
    operand: Expression


Expression: TypeAlias = (
    Number | String | Constant | Path | Attribute | Index | Call | Pipe | Range | List | Binary | Unary
)


# --- statements ----------------------------------------------------------------------------------------------------


@frozen
class Name(Node):
    """A name where it is introduced."""

    text: str


@frozen
class Version(Node):
    """`bbi 1`."""

    number: int


@frozen
class ModelItem(Node):
    """One model of a `model` statement. ``name``: a registry name, a quoted `"timm:NAME"`, or a model above that this
    one is derived from by ``stages``, as in `model b = a | ablate(...)`."""

    name: Path | String
    alias: Name | None = None
    weights: String | None = None
    stages: tuple[Call, ...] = ()


@frozen
class Model(Node):
    """`model inceptionv1`; items in order."""

    items: tuple[ModelItem, ...]


@frozen
class Input(Node):
    """`input "a.jpg", "b.jpg"`; a glob or a folder stands for its pictures. `input cat = "a.jpg", dog = "b.jpg"` gives
    each a name: as many ``names`` as files, else none."""

    files: tuple[String, ...]
    names: tuple[Name, ...] = ()


@frozen
class Dataset(Node):
    """`dataset name = "folder"`, or a part of another one: `dataset wrong = photos | filter(predicted != label)`."""

    name: Name
    value: Expression


@frozen
class AtomName(Node):
    """`name block5c.expand.channel[447] "stripes"`: what a reader calls an atom."""

    atom: Index
    name: String


@frozen
class Claim(Node):
    """`claim "The cat rests on the stripes" = stripes | ablate(zero) | effect(output) < -0.5`: a sentence, and the
    comparison of a pipe and a number that it stands for, or several joined by `and`."""

    sentence: String
    value: Expression


@frozen
class Output(Node):
    """`output = "head.logits"`: the scores of a model without one class vector."""

    path: String


@frozen
class Set(Node):
    """`set featvis(size=96)` has ``arguments``; `set seed 7` has a ``value``."""

    name: Name
    arguments: tuple[Argument, ...] = ()
    value: Expression | None = None


@frozen
class Use(Node):
    """`use "other.bbi"`."""

    path: String


@frozen
class Parameter(Node):
    """A parameter of a definition."""

    name: str
    default: Expression | None = None


@frozen
class Define(Node):
    """`def name(parameters) = value`."""

    name: Name
    parameters: tuple[Parameter, ...]
    value: Expression


@frozen
class Bind(Node):
    """`name = value`."""

    name: Name
    value: Expression


@frozen
class Show(Node):
    """A pipe that stands alone: an element without a name."""

    value: Expression


@frozen
class Layout(Node):
    """`layout row(photo, blocks)`."""

    value: Call


@frozen
class Interface(Node):
    """`interface "title" { ... }`."""

    title: String | None
    statements: tuple[Statement, ...]


Statement: TypeAlias = (
    Version
    | Model
    | Input
    | Dataset
    | AtomName
    | Claim
    | Output
    | Set
    | Use
    | Define
    | Bind
    | Show
    | Layout
    | Interface
)


@frozen
class Comment:
    """`# text`, with the hash. ``alone`` is False at the end of a line that holds something else."""

    text: str
    span: Span
    alone: bool


@frozen
class File(Node):
    """A whole text."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, kw_only=True, repr=False)
    source: Source | None = field(default=None, compare=False, kw_only=True, repr=False)
