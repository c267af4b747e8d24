"""The input below a map of its positions, so that a reader knows where they are."""

from __future__ import annotations

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.runtime.view.drawing import Drawing, Index


def input_below(drawing: Drawing, index: Index) -> list[int]:
    """Return the picture that a map's positions belong to, in one state and facet; none if the input is not a picture,
    or the map belongs to several."""
    description = drawing.results.program.description
    if description is None or description.reads in (*NOT_PICTURES, "text"):
        return []
    number = input_of(drawing, index)
    return [] if number is None or drawing.results.pictures[number].words else [drawing.input_picture(number)]


def input_of(drawing: Drawing, index: Index) -> int | None:
    """Return the number of the input that a state and facet is of; None where that is several."""
    names = [axis.name for axis in (*drawing.states, *([drawing.facet] if drawing.facet else []))]
    if "input" in names:
        return index[names.index("input")]
    return 0 if len(drawing.results.pictures) == 1 else None
