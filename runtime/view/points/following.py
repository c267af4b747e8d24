"""How an element follows the lasso of a map: the numbers of each point, from which the page computes it again.

`runtime/page/js/points/following.js` does what `compute` of the reductions does, for the points that are enclosed.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bbilang.compiler.check.subsets import MOST_STORED, NUMBER, REMEDY, too_much
from bbilang.compiler.contract import Redraw
from bbilang.compiler.ir.program import Node, walk
from bbilang.runtime.errors import error
from bbilang.runtime.execution.following import EXAMPLE, Followed
from bbilang.runtime.fields.binned import Binned
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Element, Following, Frame, Kind, Panel, Selection
from bbilang.runtime.view.points.pack import NO_SPRITE, Block

MOST_IN_ROW = 24  # examples that a row shows at once
MEAN = "mean"  # a reduction of examples
NONE = NO_SPRITE  # the group of a point without one


def enclosing(node: Node) -> Node:
    """Return the selection of a lasso, or of a bin of an atlas, that an element follows. ``node``: of the element."""
    state = node.type.lasso
    assert state is not None
    return next(n for n in walk(node) if n.type.content == "selection" and n["id"] == state.name)


def bins_of(selection: Node, around: Element) -> dict[str, Selection]:
    """Return the choice of a bin of the element ``around`` by its id; {} for a lasso, which a map has by itself."""
    kind: Kind | None = selection.get("by")
    if kind is None:
        return {}
    title = selection["title"] or selection["called"] or "bin"
    own = Selection(selection["id"], kind, title, around.atoms, None, resets=kind == "click", spoken=True)
    return {own.id: own}


def following_of(
    drawing: Drawing, redraw: Redraw, whole: Frame, around: Element, drawn: Field, edges: Sequence[float]
) -> Following:
    """Pack what an element needs to follow a lasso: the numbers of each example, and of which example a point is where
    points are positions. ``whole``: the frame among whose slots the page chooses;
    ``around``: the map, whose field is ``drawn``; ``edges``: of the bins of a histogram."""
    followed = drawing.results.followed[drawing.element.id]
    of_points = drawn.tables[EXAMPLE].data if isinstance(drawn, Binned) else drawn.coords[EXAMPLE].data
    if around.points is not None and around.points.rows:
        of_points = of_points[list(around.points.rows)]
    examples, of = np.unique(of_points, return_inverse=True)
    apart = len(examples) == len(of_points)  # each point is an example of its own, and not a position of one
    examples = of_points if apart else examples
    rows = followed["rows"]
    place = np.minimum(np.searchsorted(rows, examples), max(len(rows) - 1, 0))
    there = rows[place] == examples if len(rows) else np.zeros(len(examples), bool)
    if redraw == "nearest":
        followed = _of_bins(drawing, followed)
    count = len(followed["vectors"]) if redraw != "rows" else 0
    if count * len(examples) * NUMBER > MOST_STORED:
        raise error("E312", too_much(count, len(examples)), REMEDY)
    table = np.where(there, followed["vectors"][:count, place], np.nan).astype(np.float32)
    groups = np.where(there & (followed["groups"][place] >= 0), followed["groups"][place], NONE)
    block = Block()
    block.numbers("vectors", "f4", table.ravel())
    block.numbers("groups", "u2", groups)
    block.numbers("there", "u1", there)
    if not apart:
        block.numbers("of", "u4", of)
    slots: tuple[int, ...] = ()
    if redraw == "rows":
        own = drawing.grid(drawing.field.coords[EXAMPLE], drawing.slots).reshape(-1)
        order = np.argsort(examples, kind="stable")
        at = np.minimum(np.searchsorted(examples, own, sorter=order), len(examples) - 1)
        slots = tuple(np.where(examples[order[at]] == own, order[at], -1).tolist())
    wide = drawing.field.values.sizes[drawing.series_axis.name] if drawing.series_axis is not None else 1
    ranked = _candidates(drawing, followed)
    return Following(
        around.id, redraw, followed["reduction"], followed["level"], count, wide,
        () if redraw in ("rows", "nearest") else _cells(ranked or drawing, followed["cells"]),
        gzip.compress(b"".join(block.parts), 6, mtime=0),
        tuple(block.sections), len(rows), tuple(edges), slots,
        whole if redraw in ("rows", "nearest") else None, followed.get("order", ()),
        () if ranked is None else _atoms(ranked), chosen["id"] if (chosen := enclosing(drawing.node)).get("by") else "",
    )  # fmt: skip


def _of_bins(drawing: Drawing, followed: Followed) -> Followed:
    """Return the response of each example along each bin's mean as its vectors, and its bin as its group."""
    assert isinstance(drawing.field, Binned)
    tables = drawing.field.tables
    return {**followed, "vectors": tables["response"].data, "groups": tables["of"].data}


def _candidates(drawing: Drawing, followed: Followed) -> Drawing | None:
    """Return all atoms of a ranking, laid out like the element, which gets them among its own; None for no ranking."""
    if "ranked" not in followed:
        return None
    every = Drawing(drawing.element, followed["ranked"], drawing.drawn, drawing.results, drawing.picture)
    every.atoms, every._atom_numbers = drawing.atoms, drawing._atom_numbers
    return every


def _atoms(drawing: Drawing) -> tuple[tuple[int, ...], ...]:
    """Return state -> the atom of each slot."""
    atoms = drawing.slot_atoms(drawing.slots)
    return tuple(tuple(atoms[drawing.index(state, 0)].tolist()) for state in drawing.each_state())


def _cells(drawing: Drawing, cells: Named) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Return panel -> state -> the cell of each number of a frame, slot by slot."""
    for name in set(cells.dims) - set(drawing.field.values.dims):  # single atoms, which are not drawn
        cells = cells.take(name, Named((), np.array(0)))
    axes = [axis for axis in (drawing.drawn.slots, drawing.series_axis) if axis is not None and axis.name != EXAMPLE]
    grid = drawing.grid(cells, *axes)
    return tuple(
        tuple(tuple(grid[drawing.index(state, facet)].ravel().tolist()) for state in drawing.each_state())
        for facet in drawing.facets()
    )


def before_any(
    panels: Sequence[Panel], redraw: Redraw, count: int, title: str, by: str | None = None
) -> tuple[Panel, ...]:
    """Return the panels as they are until a reader draws a lasso, or chooses a bin: of all examples, and saying so.
    ``by``: how a bin is chosen."""
    what = {None: "draw around points of", "hover": "point at a bin of", "click": "click a bin of"}[by]
    shown = f"the first {MOST_IN_ROW} of {count:,}" if redraw == "rows" and count > MOST_IN_ROW else f"all {count:,}"
    words = f"{shown} examples: {what} “{title}” to choose some"
    if redraw == "nearest":
        words = f"icon of the bin nearest to the mean of {words}"

    def remarked(frame: Frame) -> Frame:
        if redraw == "rows":
            frame = replace(
                frame, atoms=frame.atoms[:MOST_IN_ROW], pictures=frame.pictures[:MOST_IN_ROW],
                values=frame.values[:MOST_IN_ROW], notes=frame.notes[:MOST_IN_ROW],
            )  # fmt: skip
        return replace(frame, remark="; ".join(filter(None, (frame.remark, words))))

    return tuple(replace(panel, frames=tuple(map(remarked, panel.frames))) for panel in panels)


def reached(followed: Followed, clipped: bool) -> np.ndarray:
    """Return the extremes that the numbers of any choice of examples can have: what a scale must hold. ``clipped``: of
    means, those of half of the examples, the largest or the smallest ones, since a single example lies far out."""
    table = followed["vectors"].astype(np.float64)
    known = table[np.isfinite(table)]
    if not len(known) or not followed["reduction"]:
        return np.zeros(0)
    kind = followed["reduction"]
    if clipped and kind == MEAN:
        return _halves(table)
    if kind == "fraction":
        return np.array([0.0, 1.0])
    if kind == "std":
        with np.errstate(all="ignore"):
            return np.array([float(np.nanmax(np.nanmax(table, 1) - np.nanmin(table, 1))) / 2])
    if kind == "sum":
        return np.array([np.nansum(np.minimum(table, 0), 1).min(), np.nansum(np.maximum(table, 0), 1).max()])
    return np.array([known.min(), known.max()])


def _halves(table: np.ndarray) -> np.ndarray:
    """Return the extremes over vectors (vector, example) of the means of the smaller and of the larger half."""
    ordered = [np.sort(row[np.isfinite(row)]) for row in table]
    half = [max(len(row) // 2, 1) for row in ordered]
    low = [row[:count].mean() for row, count in zip(ordered, half, strict=True) if len(row)]
    high = [row[-count:].mean() for row, count in zip(ordered, half, strict=True) if len(row)]
    return np.array([min(low), max(high)])
