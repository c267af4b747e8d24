"""Placeholders of icons that are not finished: the atom's direction as grey cells, hatched so that nobody mistakes it
for an icon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Icon, Objective

CELLS = 8  # along a side
BITS = 16
PAPER, INK, LINE = 226, 120, 200  # greys that can be distinguished from the page, light or dark


def placeholder(objective: Objective, channels: int, number: int, size: int) -> Icon:
    """Draw an icon of ``size`` pixels a side. Its cells are the magnitudes of the direction, ``channels`` numbers in 64
    parts; the dots at its foot encode its ``number``, so that no two pictures are equal."""
    from bbilang.runtime.featvis.icon import Icon

    direction = objective.direction
    if isinstance(direction, int):
        vector = np.zeros(max(channels, direction + 1))
        vector[direction] = 1.0
    else:
        vector = np.abs(np.array(direction or (0.0,), float))
    parts = np.array([part.max(initial=0.0) for part in np.array_split(vector, CELLS * CELLS)])
    cells = (parts / max(float(parts.max()), 1e-12)).reshape(CELLS, CELLS)
    rows, columns = np.indices((size, size))
    picture = PAPER - (PAPER - INK) * cells[rows * CELLS // size, columns * CELLS // size]
    picture = np.where((rows + columns) % 8 == 0, np.minimum(picture, LINE), picture)
    foot = rows >= size - max(2, size // 16)
    dots = (number >> (columns * BITS // size)) & 1
    picture = np.where(foot, np.where(dots == 1, INK, PAPER), picture)
    return Icon(np.repeat(picture.astype(np.uint8)[..., None], 3, 2), 0.0)
