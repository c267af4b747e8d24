"""The JSON form of parts of a program: descriptions of models, types of nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Any, NotRequired, TypedDict, TypeVar

from bbilang.compiler.ir.model_description import INPUT, ModelDescription
from bbilang.compiler.ir.program import REMOVAL, TRIAL, AtomName, Node, Rerun
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


# ``shares``, ``returns`` and ``noun`` of the reruns whose form leaves them out, by ``finds``.
SHAPES = {
    "gradients": (True, True, "step"),
    "values": (True, False, "mask"),
    "masks": (False, True, "step"),
    TRIAL: (True, True, "step"),
    REMOVAL: (True, False, "layer"),
}


def shape_of(rerun: Rerun) -> dict[str, object]:
    """Write what a rerun takes and gives, where its kind does not say it."""
    if SHAPES.get(rerun.finds) == (rerun.shares, rerun.returns, rerun.noun):
        return {}
    return {"shares": rerun.shares, "returns": rerun.returns, "noun": rerun.noun}


def shape_from(data: Mapping[str, Any]) -> tuple[bool, bool, str]:
    """Read whether a rerun shares its inputs and returns derivatives, and what one of its passes is called."""
    shares, returns, noun = SHAPES.get(data["finds"], SHAPES["gradients"])
    return data.get("shares", shares), data.get("returns", returns), data.get("noun", noun)


def name_entry(name: AtomName, numbers: Mapping[int, int]) -> dict[str, object]:
    """Write a name; of a group or direction with the number of what makes it. numbers: of nodes, by their ids."""
    entry = {**asdict(replace(name, maker=None)), "components": [list(each) for each in name.components]}
    return {**entry, "maker": None if name.maker is None else numbers[id(name.maker)]}


def name_from(entry: Mapping[str, Any], node: Callable[[int], Node]) -> AtomName:
    """Read a name. node: the one of a number. Raises ValueError."""
    maker = entry.get("maker")
    components = tuple((str(axis), int(number)) for axis, number in entry["components"])
    if maker is not None and not entry.get("called"):
        raise ValueError("the name of a group or direction says what that is picked from")
    return AtomName(**{**entry, "components": components, "maker": None if maker is None else node(maker)})


def type_from(data: dict[str, Any]) -> FieldType:
    """Read the type of a node."""
    axes = {name: tuple(_axis(axis) for axis in data[name]) for name in ("axes", "states")}
    words = ("layers", "steps", "spent", "linked", "curves")
    columns = tuple((str(name), int(count)) for name, count in data.get("columns", ()))
    given = {name: tuple(data.get(name, ())) for name in (*words, "partner")}
    return FieldType(**{**data, **axes, **given, "columns": columns})


def _axis(data: dict[str, Any]) -> Axis:
    return Axis(**{**data, **{name: tuple(data[name]) for name in ("components", "sizes", "varies")}})
