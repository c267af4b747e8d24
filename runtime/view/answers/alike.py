"""Sentences about layers that are compared with layers, beside the same networks with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.types import SIMILARITY
from bbilang.runtime.fields.prose import prose
from bbilang.runtime.ops.comparing.similarity import COLUMN, ROW
from bbilang.runtime.view.answers.pieces import Part, sentence, sentences
from bbilang.runtime.view.model import Answer, Piece

if TYPE_CHECKING:
    from bbilang.runtime.view.answers.shown import Shown
    from bbilang.runtime.view.drawing import Drawing

RANDOM = "random"  # what stands beside the numbers
NEAR = 0.1  # of the depth of a list of layers, or one layer: as deep as the other
DEPTHS = 4  # layers of both lists, from which on it is said whether they correspond by depth


def title(drawing: Drawing) -> str:
    """Return the title of an element without one."""
    type = drawing.field.type
    own, others = (_range(names) for names in (type.layers, type.linked))
    prefix, _ = _columns(drawing)
    if not prefix and type.layers == type.linked:
        return f"How alike {own} are to each other"
    return f"How alike {own} {'is' if len(type.layers) == 1 else 'are'} to {prefix}{others}"


def _range(names: tuple[str, ...]) -> str:
    return f"layer {names[0]}" if len(names) == 1 else f"layers {names[0]} to {names[-1]}"


def other_model(drawing: Drawing) -> str:
    """Return the name of the other network that layers are compared with; empty where it is the same."""
    node = drawing.node
    while node.get("theirs") is None:  # of stages behind the comparison
        node = node.inputs[0]
    model = str(node["model"])
    return model if model != node.type.model else ""


def _columns(drawing: Drawing) -> tuple[str, bool]:
    """Return what stands before the names of the other layers, and whether both lists are the same layers."""
    type, other = drawing.field.type, other_model(drawing)
    return f"{other}: " if other else "", not other and type.layers == type.linked


def _tables(drawing: Drawing) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers over (states, facet, layer, other layer), and those with random weights."""
    axes = [axis for axis in drawing.field.type.axes if axis.name in (ROW, COLUMN)]
    made = []
    for array in (drawing.field.values, drawing.field.beside.get(RANDOM)):
        table = None if array is None else drawing.grid(array, *axes).astype(float)
        made.append(table if table is None or len(axes) == 2 else table[..., None])
    assert made[0] is not None
    return made[0], made[1]


def asides(drawing: Drawing) -> dict[str, object]:
    """Return what a page says beside the number of a cell that is pointed at: that with random weights."""
    known = drawing.field.type.content == SIMILARITY and RANDOM in drawing.field.beside
    if not known or drawing.drawn.slots is None or drawing.drawn.series is None or drawing.states:
        return {}
    table = drawing.grid(drawing.field.beside[RANDOM], drawing.slots, drawing.drawn.series)
    panels = table if drawing.facet else table[None]
    return {
        "asides": [[[f"{prose(float(value), decimals=2)} with random weights" for value in row] for row in panel]
                   for panel in panels]
    }  # fmt: skip


def alike(shown: Shown) -> Answer:
    """Say which layers are the most alike, whether they correspond by depth, and what random weights give."""
    drawing = shown.drawing
    if len(shown.frames) > 1 and shown.facet_word == "checkpoint":
        return _over_checkpoints(shown)
    tables = _tables(drawing)
    values, random = (None if table is None else table[shown.index()] for table in tables)
    assert values is not None
    prefix, same = _columns(drawing)
    apart = values.copy()
    if same:
        np.fill_diagonal(apart, np.nan)
    if np.isnan(apart).all():
        return sentence("none of these layers has a similarity to another")
    names = [f"{prefix.replace(': ', ':')}{name}" for name in drawing.field.type.linked]
    row, column = np.unravel_index(np.nanargmax(apart), apart.shape)
    atoms = [mark.atom for mark in shown.marks]
    parts: list[Part] = [
        Piece(drawing.field.type.layers[row], atoms[row] if len(atoms) == len(values) else -1),
        f" and {names[column]} are the most alike ({prose(float(apart[row, column]), decimals=2)})",
    ]
    own = sentence(*parts, "" if same else _by_depth(values, random))
    return sentences(own, _beside(apart, random, same))


def _over_checkpoints(shown: Shown) -> Answer:
    """Say how alike the layers are at the first and at the last checkpoint: to the layers of the same names, where both
    lists have the same, else all with all."""
    prefix, same = _columns(shown.drawing)
    type = shown.drawing.field.type
    paired = bool(prefix) and type.layers == type.linked
    ends = [0, len(shown.frames) - 1]
    numbers: list[list[float]] = []
    for table in _tables(shown.drawing):
        each = [] if table is None else [_counted(table[shown.index(panel)], paired, same) for panel in ends]
        numbers.append([float(np.nanmean(own)) for own in each if not np.isnan(own).all()])
    values, random = numbers
    if len(values) < len(ends):
        return sentence("none of these layers has a similarity at the first or at the last checkpoint")
    other = prefix.removesuffix(": ")
    what = f"to the same layers of {other}" if paired else f"of all pairs with {other}"
    what = "of different layers" if same else what if other else "of all pairs"
    verb = "rises" if values[1] > values[0] else "falls" if values[1] < values[0] else "stays"
    words = f"the mean likeness {what} {verb} from {prose(values[0], decimals=2)} in {shown.labels[0]} to "
    words += f"{prose(values[1], decimals=2)} in {shown.labels[-1]}"
    if len(random) == len(ends):
        words += f"; with random weights it is {prose(random[0], decimals=2)} and {prose(random[1], decimals=2)}"
    return sentence(words)


def _counted(table: np.ndarray, paired: bool, same: bool) -> np.ndarray:
    """Return the cells (layer, other layer) that a mean is of: those of layers with themselves, all but those, or
    all."""
    if paired:
        return np.diagonal(table)
    return np.where(np.eye(len(table), dtype=bool), np.nan, table) if same else table


def _by_depth(values: np.ndarray, random: np.ndarray | None) -> str:
    """Say how many layers are most like one that lies as deep in the other list."""
    if min(values.shape) < DEPTHS:
        return ""
    found = same_depth(values)
    beside = f" ({same_depth(random)} with random weights)" if random is not None else ""
    return f"; {found} of {len(values)} layers are most like one that lies as deep in its list{beside}"


def same_depth(values: np.ndarray) -> int:
    """Return how many rows have their largest number as far along the columns as they stand among the rows."""
    rows, columns = values.shape
    known = ~np.isnan(values).all(1)
    best = np.where(np.isnan(values), -np.inf, values).argmax(1)
    gap = np.abs(best / (columns - 1) - np.arange(rows) / (rows - 1))
    return int((known & (gap <= max(NEAR, 0.5 / (columns - 1)) + 1e-9)).sum())


def _beside(apart: np.ndarray, random: np.ndarray | None, same: bool) -> Answer:
    """Compare the mean with that of random weights."""
    if random is None:
        return ()
    both = ~np.isnan(apart) & ~np.isnan(random)
    if not both.any():
        return ()
    own, without = float(apart[both].mean()), float(random[both].mean())
    what = "different layers" if same else "all pairs"
    words = f"the mean of {what} is {prose(own, decimals=2)}, and {prose(without, decimals=2)} with random weights"
    if without >= own:
        return sentence(f"{words}: so much likeness needs no training, only the pictures and the architecture")
    return sentence(words)
