"""Places in maps of scores: `output["cat", at=box(y0, x0, y1, x1)]` of a network that gives (class, y, x)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bbilang.compiler.check.arguments.binding import at, describe
from bbilang.compiler.ir.model_description import Box, ModelDescription
from bbilang.grammar import ast
from bbilang.grammar.walk import walk

FORM = "box(y0, x0, y1, x1)"
EXAMPLE = f'`output["cat", at={FORM}]`, in pixels of what the network sees'


def boxes_of(file: ast.File) -> tuple[Box, ...]:
    """Return the boxes that a text writes as `at=box(...)`, each once, in their order. Those that are none are left
    out: `read_box` refuses them where they stand."""
    found = (
        _numbers(argument.value)
        for node in walk(file)
        if isinstance(node, ast.Index)
        for argument in node.arguments
        if argument.name == "at"
    )
    return tuple(dict.fromkeys(box for box in found if box is not None))


def with_boxes(description: ModelDescription, boxes: Iterable[Box]) -> ModelDescription:
    """Return the description of a network whose scores are a map with a score for each box and class: class c of the
    whole map is number c, and of box b, from 0, number (b + 1) * classes + c. Others are returned as they are."""
    if not description.scores_map:
        return description
    own, labels = tuple(box for box in boxes if _inside(box, description)), description.labels
    names = tuple(description.label(index) for index in range(description.classes))
    whole = tuple(f"{name} over the map, {label}" for name, label in zip(names, labels or names, strict=True))
    places = ["in the box"] if len(own) == 1 else [f"at {_spelled(box)}" for box in own]
    every = whole + tuple(f"{name} {place}" for place in places for name in names)
    return replace(description, classes=len(every), labels=every, boxes=own)


def of_the_map(description: ModelDescription) -> ModelDescription:
    """Return the description without the scores of boxes."""
    count = description.map_classes
    return replace(description, classes=count, labels=description.labels[:count]) if description.boxes else description


def class_in(description: ModelDescription, index: int, box: Box) -> int:
    """Return the number of class ``index`` of the map in a box that the text has."""
    return (description.boxes.index(box) + 1) * description.map_classes + index


def read_box(description: ModelDescription, expression: ast.Expression) -> Box:
    """Read the argument of `at=`. Raises CheckError E343 for scores without places, E345 for what is no box, or is
    empty or not within the picture."""
    if not description.scores_map:
        message = f"{description.name} gives one score for each class, and none of a place"
        help = "leave `at=` out; `input.pixel | attribute(...) | present(heatmap)` shows which places matter"
        raise at(expression.span, "E343", message, help)
    box = _numbers(expression)
    if box is None:
        message = f"`at=` takes a box of four whole numbers, not {describe(expression)}"
        raise at(expression.span, "E345", message, f"as in {EXAMPLE}")
    if not _inside(box, description):
        y, x = description.input_size
        why = "is empty" if box[0] >= box[2] or box[1] >= box[3] else f"is not in a picture of {y} x {x} pixels"
        help = f"y from 0 to {y}, x from 0 to {x}; y0 and x0 are in the box, y1 and x1 are not"
        raise at(expression.span, "E345", f"the box {_spelled(box)} {why}", help)
    return box


def _numbers(expression: ast.Expression) -> Box | None:
    if not isinstance(expression, ast.Call) or expression.name != "box" or len(expression.arguments) != 4:
        return None
    values = [argument.value for argument in expression.arguments if argument.name is None]
    numbers = [value.value for value in values if isinstance(value, ast.Number) and isinstance(value.value, int)]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None


def _inside(box: Box, description: ModelDescription) -> bool:
    (y0, x0, y1, x1), (y, x) = box, description.input_size
    return 0 <= y0 < y1 <= y and 0 <= x0 < x1 <= x


def _spelled(box: Box) -> str:
    y0, x0, y1, x1 = box
    return f"y {y0}–{y1} × x {x0}–{x1}"
