"""Vectors on a map that are gathered in bins: what an atlas draws."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named


@dataclass
class Binned(Field):
    """The number of vectors in each bin, over (zoom, bin): bins row by row from the upper left, NaN beyond those of a
    coarser grid and where there are too few vectors. The state of the zoom is an axis of the type's states.

    tables: of the bins that are drawn, all zooms one after another, over `cell`: `zoom`, `slot` (the bin at that zoom),
    `count`, `start` (where its vectors begin in `member`, nearest to the mean first), `mean` (cell, channel) and
    `shown` (cell, rank), the vectors of its thumbnails. Of the vectors, over `vector`: `example`, `y`, `x`, `place`
    (vector, component), and columns of words. Of the zooms: `side`, and `few`, how many vectors lie in bins with too
    few. `box` (corner, axis): the corners of the map that the bins divide, in y and x. Of attributions: `class` and
    `attribution` (cell, rank), and `known` (cell, rank), of how many vectors each is the mean.
    """

    tables: dict[str, Named] = field(default_factory=dict)

    def with_values(self, values: Named, type: FieldType) -> Binned:
        return replace(self, values=values, type=type)
