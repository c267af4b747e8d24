"""Where a score is asked about: boxes in the picture of a network whose scores are a map, drawn as outlines."""

from __future__ import annotations

from typing import TypeAlias

from bbilang.compiler.ir.model_description import Box
from bbilang.compiler.ir.program import walk
from bbilang.runtime.view.drawing import Drawing

Outline: TypeAlias = tuple[float, float, float, float]  # (y0, x0, y1, x1) as shares of the picture's height and width


def boxes_of_targets(drawing: Drawing) -> list[Box]:
    """Return the boxes of an element's targets; none where its classes, or its states, have different ones, since an
    outline holds for everything that the element shows."""
    description = drawing.results.program.description
    if description is None or not description.boxes:
        return []
    nodes = [node for node in walk(drawing.node) if node.op == "output" and node["which"][0] == "classes"]
    targets = [{number // description.map_classes for number in node["which"][1]} for node in nodes]
    field = drawing.field.type
    alike = all(len(boxes) == 1 for boxes in targets) and (field.axis("class") is None or len(set.union(*targets)) == 1)
    if not targets or not alike or any("class" in axis.components for axis in field.states):
        return []
    return [description.boxes[box - 1] for box in sorted(set.union(*targets)) if box]


def outlines(boxes: list[Box], input_size: tuple[int, int]) -> list[Outline]:
    """Return boxes as shares of a picture (y, x)."""
    height, width = input_size
    return [(y0 / height, x0 / width, y1 / height, x1 / width) for y0, x0, y1, x1 in boxes]


def noted(boxes: list[Box]) -> str:
    """Say what the outlines of boxes are, with their places in pixels."""
    places = "; ".join(f"y {y0} to {y1}, x {x0} to {x1}" for y0, x0, y1, x1 in boxes)
    means = (
        "the score is the mean over the outlined box"
        if len(boxes) == 1
        else ("the scores are means over the outlined boxes")
    )
    return f"{means}: {places} in pixels of what the network sees"
