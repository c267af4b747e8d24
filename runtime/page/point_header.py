"""What a page's data says of a point set; its bytes are an element of their own."""

from __future__ import annotations

from dataclasses import asdict

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.vega.colours import POINT_SCALES
from bbilang.runtime.view.hues import PALETTE
from bbilang.runtime.view.model import Following, PointSet
from bbilang.runtime.view.points.pack import ACROSS

SIZES = ((2_000, 7.0, 0.8), (20_000, 4.0, 0.7), (200_000, 3.0, 0.6))  # up to so many points: pixels, opacity
SMALLEST = (2.0, 0.4)


def following_header(follows: Following) -> JsonObject:
    """Return how an element follows a lasso, as `js/points/following.js` reads it."""
    whole = follows.whole
    return {
        "map": follows.map,
        "by": follows.by,
        "redraw": follows.redraw,
        "reduction": follows.reduction,
        "level": follows.level,
        "vectors": follows.vectors,
        "wide": follows.wide,
        "cells": [[list(cells) for cells in panel] for panel in follows.cells],
        "sections": [list(section) for section in follows.sections],
        "count": follows.count,
        "edges": list(follows.edges),
        "slots": list(follows.slots),
        "order": list(follows.order),
        "candidates": [list(atoms) for atoms in follows.candidates],
        "whole": None if whole is None else {
            "atoms": whole.atoms, "pictures": whole.pictures, "values": whole.values, "notes": whole.notes,
        },
    }  # fmt: skip


def point_header(points: PointSet) -> JsonObject:
    """Return the header of a point set, as `js/points/set.js` reads it."""
    size, opacity = next(((size, opacity) for most, size, opacity in SIZES if points.count <= most), SMALLEST)
    return {
        "count": points.count,
        "sections": [list(section) for section in points.sections],
        "x": list(points.ranges[0]),
        "y": list(points.ranges[1]),
        "columns": [asdict(column) for column in points.columns],
        "titles": points.titles,
        "sheets": list(range(points.sheets)),
        "sprites": {"side": points.side, "across": ACROSS, "each": ACROSS * ACROSS},
        "axes": list(points.axes) or None,
        "ticks": points.ticks,
        "equal": points.equal,
        "colour": points.colour,
        "size": size,
        "opacity": opacity,
        "colours": {"categories": list(PALETTE), **POINT_SCALES},
    }
