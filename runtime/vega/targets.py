"""Cells to point at over whole panels: markers of the selected ones, and the layer that takes the pointer."""

from __future__ import annotations

from bbilang.runtime.vega.element import Row, cells, identifier, readable, rows
from bbilang.runtime.vega.geometry import Geometry
from bbilang.runtime.vega.marks import Layer, hit, layer, ring
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def target_layers(element: Element, geometry: Geometry, theme: Theme, spots: bool = False) -> list[Layer]:
    """Return a marker per grid of cells, and the layer that takes the pointer.

    spots: the cell at the position ``spot_<element>`` is marked in every panel, whatever its number of cells.
    """
    if not element.targets and not cells(element):
        return [_hit(element, geometry, theme, [])] if readable(element) and not theme.standalone else []
    grids = _grids(element)
    return [*_markers(element, geometry, grids, spots), _hit(element, geometry, theme, grids)]


def _markers(element: Element, geometry: Geometry, grids: list[Row], spots: bool) -> list[Layer]:
    name = identifier(element.id)
    which = f"selected_{name}[datum.target]"
    at = f"{which} >= 0 ? indexof(datum.cells ? datum.cells : datum.frame.atoms, {which}) : -1"
    if spots:
        spot = f"floor(spot_{name}[1] * datum.deep) * datum.wide + floor(spot_{name}[0] * datum.wide)"
        at = f"length(spot_{name}) ? {spot} : {at}"
    cell = "max(datum.cell, 0)"  # a marker that is not seen stays inside: outside it would move the whole picture
    corners = _cell_corners(geometry, f"{cell} % datum.wide", f"floor({cell} / datum.wide)")
    base = layer(element, grids, cell=at, **corners)
    outlines = (("#000", 5), ("#fff", 2))  # dark and light together are seen on every photo
    return [
        ring(base, "datum.cell >= 0", stroke=stroke, strokeWidth=width).properties(name=f"front_{width}_{name}")
        for stroke, width in outlines
    ]


def _hit(element: Element, geometry: Geometry, theme: Theme, grids: list[Row]) -> Layer:
    """Return every cell of the finest grid, or whole panels: there the page finds the cell of every grid under the
    pointer."""
    if theme.standalone:
        finest = max(grids, key=lambda grid: grid["wide"] * grid["deep"])["target"]
        data = [
            {**grid, "cell": cell, "cells": grid["cells"] and grid["cells"][cell]}
            for grid in grids
            if grid["target"] == finest
            for cell in range(grid["wide"] * grid["deep"])
        ]
        corners = _cell_corners(geometry, "datum.cell % datum.wide", "floor(datum.cell / datum.wide)")
        atom = "datum.cells === null ? datum.frame.atoms[datum.cell] : datum.cells"
        return hit(element, layer(element, data, atom=atom, **corners))
    corners = {
        "left": geometry.x,
        "top": geometry.y,
        "right": f"datum.left + {geometry.width}",
        "bottom": f"datum.top + {geometry.height}",
    }
    return hit(element, layer(element, [{**row, "grid": True} for row in rows(element)], **corners))


def _grids(element: Element) -> list[Row]:
    """Return one row per panel and grid of cells; ``cells`` are its atoms, None where they change with the state."""
    if element.targets:
        return [
            {**row, "target": k, "deep": grid.shape[0], "wide": grid.shape[1], "cells": list(grid.atoms)}
            for k, grid in enumerate(element.targets)
            for row in rows(element)
        ]
    shapes = [panel.shape for panel in element.panels]
    return [
        {**row, "target": k, "deep": shape[0], "wide": shape[1], "cells": None}
        for k in range(len(element.selects))
        for row, shape in zip(rows(element), shapes, strict=True)
        if shape != (0, 0)
    ]


def _cell_corners(geometry: Geometry, column: str, row: str) -> dict[str, str]:
    wide, deep = f"({geometry.width} / datum.wide)", f"({geometry.height} / datum.deep)"
    return {
        "left": f"{geometry.x} + ({column}) * {wide}",
        "top": f"{geometry.y} + ({row}) * {deep}",
        "right": f"datum.left + {wide}",
        "bottom": f"datum.top + {deep}",
    }
