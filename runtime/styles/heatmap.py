"""`heatmap`: numbers over positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import ColourScale, Drawn, Fail, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.styles.bars import row_panels
from bbilang.runtime.view.drawing import Drawing, Index, Shape, rounded
from bbilang.runtime.view.model import Element, Frame, Panel
from bbilang.runtime.view.scales import MAX_CELLS, numbers_fit, scale_ends

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Heatmap(Style):
    """A map of numbers, alone or `over=` a photo: a sequential scale for magnitudes, a diverging one about zero for
    signed values. One scale for the whole element, all its facets and states. Tokens of a text are its words, each on
    the colour of its number."""

    name = "heatmap"
    spends = "`y` and `x`, or `token`"
    overlays = True
    carries = True
    zero_centred = True
    example = (
        "photo = input | present(image)\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=photo)"
    )

    def spend(self, field: FieldType) -> Drawn:
        y, x = field.axis("y"), field.axis("x")
        token = field.axis("token")
        if token is not None and y is None and x is None and token.whole:
            return Drawn(("token",), token)
        if y is None or x is None:
            raise Fail(
                "E304",
                "`heatmap` draws over positions, and this field has no `y` and `x` left",
                "start from `.neuron` or `.spatial` atoms",
            )
        ranked = next((axis.name for axis in (y, x) if not axis.whole), None)
        if ranked is not None:
            raise Fail(
                "E304",
                f"`heatmap` draws all positions in order, and `{ranked}` holds selected ones in another order",
                "draw `bars`, or leave the choice out",
            )
        return Drawn(("y", "x"), cells=(y.size, x.size))

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        from bbilang.runtime.vega.colours import colour_map_png

        if drawing.drawn.cells is None:
            return row_panels(drawing)
        type = drawing.field.type
        values = drawing.grid(drawing.field.values, drawing.axis("y"), drawing.axis("x"))
        ends = scale_ends(values, type.signed)
        over = drawing.node["over"] is not None
        numbered = drawing.whole or numbers_fit(values)

        def frame(index: Index) -> tuple[Frame, Shape]:
            cells = drawing.inside(values[index], index)
            y, x = cells.shape
            data = colour_map_png(np.nan_to_num(cells), ends, type.signed, over)
            words = f"{type.content} over positions of {drawing.layer_at(index)}"
            picture = drawing.picture(data, "image/png", x, y, words)
            atoms = drawing.cells(index, (y, x)) if drawing.whole or cells.size <= MAX_CELLS else ()
            numbers = tuple((rounded(value),) for value in cells.ravel()) if numbered and atoms else ()
            return Frame(atoms, (picture,), numbers), (y, x)

        return drawing.map_panels(frame)

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        words = element.slot_axis == "token"  # magnitudes under black letters
        light = over or (words and element.legend is not None and not element.legend.signed)
        return "light" if light else "full"

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.heatmap import chart

        return chart(element, theme)


STYLES = (Heatmap(),)
