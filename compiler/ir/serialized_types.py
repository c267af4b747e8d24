"""The JSON form of parts of a program: descriptions of models, types of nodes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NotRequired, TypedDict, TypeVar

from bbilang.compiler.ir.model_description import INPUT, ModelDescription
from bbilang.compiler.ir.relatives import Lent, Reach, Relative, Resumed
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.compiler.ir.wellformed import check_form

Related = TypeVar("Related", Relative, Resumed, Lent)


class SlotEntry(TypedDict):
    """A model; nodes by their numbers."""

    alias: str
    name: str
    weights: str | None
    base: NotRequired[SlotEntry]
    changes: NotRequired[list[int]]
    members: NotRequired[list[str]]
    of: NotRequired[str]


class ScanEntry(TypedDict):
    """A scan; nodes by their numbers."""

    dataset: int
    fields: list[int]
    summaries: list[int]
    scores: bool
    serves: list[int]
    samples: list[list[int]]  # each a node, and how many positions
    histograms: list[int]
    cubes: list[int]


def description_from(data: dict[str, Any]) -> ModelDescription:
    """Read the description of a model. Raises ValueError, TypeError."""
    check_form(data, ModelDescription, "$.description")
    description = ModelDescription.from_json(data)
    for layer in description.layers:
        if len(layer.axes) != len(layer.shape) or any(size < 1 for size in layer.shape):
            raise ValueError(f"layer {layer.name!r} has the axes {layer.axes} and the shape {layer.shape}")
    names = {layer.name for layer in description.layers}
    if len(names) != len(description.layers) or not names.issuperset(description.aliases.values()):
        raise ValueError("the names of the layers do not fit together")
    labels = len(description.labels)
    if description.classes < 0 or labels not in (0, description.classes) or min(description.input_size) < 1:
        raise ValueError("the classes or the sizes of the description do not fit together")
    return description


def related_from(data: dict[str, object], kind: type[Related], known: Collection[str]) -> Related:
    """Read what is said of related models. known: the layers of the network. Raises ValueError, TypeError."""
    check_form(data, kind, "$")
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    reaches = data.get("forwards", ())
    if kind is Relative and isinstance(reaches, list):
        own["forwards"] = tuple(Reach(**entry) for entry in reaches)
    listed = [value for key, value in own.items() if key not in ("models", "forwards") and isinstance(value, tuple)]
    names = {str(name) for value in listed for name in value}
    if not names <= {INPUT, *known}:
        raise ValueError(f"the network has no layer {min(names - {INPUT, *known})!r}")
    return kind(**own)  # type: ignore[arg-type]  # `check_form` has seen their types


def type_from(data: dict[str, Any]) -> FieldType:
    """Read the type of a node."""
    axes = {name: tuple(_axis(axis) for axis in data[name]) for name in ("axes", "states")}
    words = ("layers", "steps", "spent", "linked", "curves")
    columns = tuple((str(name), int(count)) for name, count in data.get("columns", ()))
    given = {name: tuple(data.get(name, ())) for name in (*words, "partner")}
    return FieldType(**{**data, **axes, **given, "columns": columns})


def _axis(data: dict[str, Any]) -> Axis:
    return Axis(**{**data, **{name: tuple(data[name]) for name in ("components", "sizes", "varies")}})
