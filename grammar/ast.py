"""The syntax tree of a .bbi file: frozen nodes, equal by structure; spans and comments stand outside equality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from bbilang.grammar.source import NOWHERE, Source, Span


@dataclass(frozen=True)
class Node:
    """Every node has the span of the text it was read from (NOWHERE where a program made it)."""

    span: Span = field(default=NOWHERE, compare=False, kw_only=True, repr=False)


# --- expressions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Node):
    value: int | float


@dataclass(frozen=True)
class String(Node):
    value: str


@dataclass(frozen=True)
class Constant(Node):
    """`true`, `false` or `none`."""

    value: bool | None


@dataclass(frozen=True)
class Path(Node):
    """A dotted name: a binding, a layer with its atom (`mixed4d.channel`), a word (`pca`); `a:mixed4d` has a model."""

    name: str
    model: str | None = None


@dataclass(frozen=True)
class Attribute(Node):
    """An atom of something that is not a plain path: `[mixed3a, mixed4a].spatial`, `"a.channel".neuron`."""

    value: Expression
    name: str


@dataclass(frozen=True)
class Argument(Node):
    """One argument of a call or an index; ``name`` is None where it stands by position."""

    value: Expression
    name: str | None = None


@dataclass(frozen=True)
class Index(Node):
    """`output["tabby", score=probability]`, `mixed4d.spatial[6, 6]`."""

    value: Expression
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Call(Node):
    """`top(8)`, `hover(blocks)`; a stage without parentheses (`relu`) is a call without arguments.

    ``name_span`` covers the name alone, for errors about the operation itself.
    """

    name: str
    arguments: tuple[Argument, ...] = ()
    name_span: Span = field(default=NOWHERE, compare=False, kw_only=True, repr=False)


@dataclass(frozen=True)
class Pipe(Node):
    """`head | stage | stage`; at least one stage."""

    head: Expression
    stages: tuple[Call, ...]


@dataclass(frozen=True)
class Range(Node):
    """`mixed3a..mixed5a`, in a list only."""

    first: Path
    last: Path


@dataclass(frozen=True)
class List(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Binary(Node):
    """``operator`` is one of: or and < <= > >= == != -> + - * /."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Unary(Node):
    """``operator`` is `-` or `not`. A minus before a number literal is part of the Number."""

    operator: str
    operand: Expression


Expression: TypeAlias = (
    Number | String | Constant | Path | Attribute | Index | Call | Pipe | Range | List | Binary | Unary
)


# --- statements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name(Node):
    """A name where it is introduced."""

    text: str


@dataclass(frozen=True)
class Version(Node):
    """`bbi 1`."""

    number: int


@dataclass(frozen=True)
class ModelItem(Node):
    """One model of a `model` statement. ``name`` is a registry name or a quoted `"timm:NAME"`."""

    name: Path | String
    alias: Name | None = None
    weights: String | None = None


@dataclass(frozen=True)
class Model(Node):
    items: tuple[ModelItem, ...]


@dataclass(frozen=True)
class Input(Node):
    """`input "a.jpg", "b.jpg"`; a glob or a folder stands for its pictures."""

    files: tuple[String, ...]


@dataclass(frozen=True)
class Dataset(Node):
    name: Name
    path: String


@dataclass(frozen=True)
class Output(Node):
    """`output = "head.logits"`: the scores of a model without one class vector."""

    path: String


@dataclass(frozen=True)
class Set(Node):
    """`set featvis(size=96)` has ``arguments``; `set seed 7` has a ``value``."""

    name: Name
    arguments: tuple[Argument, ...] = ()
    value: Expression | None = None


@dataclass(frozen=True)
class Use(Node):
    path: String


@dataclass(frozen=True)
class Parameter(Node):
    name: str
    default: Expression | None = None


@dataclass(frozen=True)
class Define(Node):
    name: Name
    parameters: tuple[Parameter, ...]
    value: Expression


@dataclass(frozen=True)
class Bind(Node):
    name: Name
    value: Expression


@dataclass(frozen=True)
class Show(Node):
    """A pipe that stands alone: an element without a name."""

    value: Expression


@dataclass(frozen=True)
class Layout(Node):
    """`layout row(photo, blocks)`."""

    value: Call


@dataclass(frozen=True)
class Interface(Node):
    title: String | None
    statements: tuple[Statement, ...]


Statement: TypeAlias = (
    Version | Model | Input | Dataset | Output | Set | Use | Define | Bind | Show | Layout | Interface
)


@dataclass(frozen=True)
class Comment:
    """`# text`, with the hash. ``alone`` is False at the end of a line that holds something else."""

    text: str
    span: Span
    alone: bool


@dataclass(frozen=True)
class File(Node):
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, kw_only=True, repr=False)
    source: Source | None = field(default=None, compare=False, kw_only=True, repr=False)
