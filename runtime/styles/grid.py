"""`grid`: an icon at every position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Activations, Demand, Drawn, Fail, IconsOf, Run, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.view.drawing import Drawing, Index, Shape, rounded
from bbilang.runtime.view.model import Element, Frame, Panel
from bbilang.runtime.view.scales import numbers_fit

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Objective
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Grid(Style):
    """One icon for each position, along its activation vector. With `size=norm` the area of a cell shows the L2 norm of
    the vector, with `size=value` the magnitude of its value, relative to the largest in its layer. Pointing at a cell
    highlights and enlarges the cell at the same position in every grid of the page. `present(featvis)` draws positions
    like this."""

    name = "grid"
    encoding = "area"
    drawn_as = "a grid of icons"
    spends = "`y` and `x`"
    carries = True
    selects_positions = True
    enlarges_cells = True
    example = "[block4c.expand, block6a.expand].spatial | activation | present(grid, size=norm, facet=layer)"

    def spend(self, field: FieldType) -> Drawn:
        return spend(field, self.name)

    def demands(self, node: Node) -> tuple[Demand, ...]:
        return (IconsOf(), Activations(node.type.layers))

    def objectives(self, node: Node, field: Field, run: Run) -> tuple[Named, list[Objective]]:
        from bbilang.runtime.featvis.element_objectives import objectives

        return objectives(node, field, run)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        return panels(drawing)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        return notes(drawing)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.grid import chart

        return chart(element, theme)


def spend(field: FieldType, style: str) -> Drawn:
    """Return the axes `y` and `x` that a grid draws. Raises `Fail` E304 where they are not all positions in order."""
    y, x = field.axis("y"), field.axis("x")
    if y is None or x is None or field.atom != "spatial" or field.axis("group") is not None:
        raise Fail("E304", f"`{style}` draws an icon at every position, and this field has no `y` and `x` of positions",
                   "start from `.spatial` atoms")  # fmt: skip
    ranked = next((axis.name for axis in (y, x) if not axis.whole), None)
    if ranked is not None:
        raise Fail(
            "E304",
            f"`{style}` draws all positions in order, and `{ranked}` holds selected ones in another order",
            "choose positions jointly: `top(8)`",
        )
    return Drawn(("y", "x"), cells=(y.size, x.size))


def panels(drawing: Drawing) -> tuple[Panel, ...]:
    """Compose one picture per panel and state from the icons of its cells; free cells are transparent."""
    y, x = drawing.axis("y"), drawing.axis("x")
    icons = drawing.grid(drawing.results.icon_sets[drawing.element.id].index, y, x)
    values = drawing.grid(drawing.field.values, y, x)
    areas = shares(drawing, values)
    numbered = drawing.whole or numbers_fit(values)

    def frame(index: Index) -> tuple[Frame, Shape]:
        cells = drawing.inside(values[index], index)
        deep, wide = cells.shape
        own = icons[index][:deep, :wide]
        area = areas[index][:deep, :wide] if areas is not None else None
        shown = Frame(
            drawing.cells(index, (deep, wide)),
            (_composed(drawing, own, area, drawing.layer_at(index)),),
            tuple((rounded(value),) for value in cells.ravel()) if numbered else (),
            sizes=tuple(round(float(share), 3) for share in area.ravel()) if area is not None else (),
        )
        return shown, (deep, wide)

    return drawing.map_panels(frame)


def shares(drawing: Drawing, values: np.ndarray) -> np.ndarray | None:
    """Return the area of every cell as a share of the largest of its panel in any state, if `size=` asks for it."""
    if drawing.node["size"] is None:
        return None
    field = drawing.results.sizes.get(drawing.element.id)
    if field is not None:
        values = drawing.grid(field.values, drawing.axis("y"), drawing.axis("x"))
    values = np.nan_to_num(np.abs(values))
    others = tuple(i for i in range(values.ndim) if not (drawing.facet and i == len(drawing.states)))
    return values / np.maximum(values.max(others, keepdims=True), 1e-12)


def notes(drawing: Drawing) -> tuple[str, ...]:
    if drawing.node["size"] is None or drawing.facet is None:
        return ()
    return (f"areas are scaled separately for each {drawing.facet.name}",)


def _composed(drawing: Drawing, icons: np.ndarray, areas: np.ndarray | None, layer: str) -> int:
    """Compose the page's picture of a grid: every icon in the middle of its cell, its side the square root of its
    share."""
    from PIL import Image

    from bbilang.runtime.view.image_bytes import webp

    side = next((drawing.results.icons[i].picture.shape[0] for i in icons.ravel() if i >= 0), 1)
    deep, wide = icons.shape
    sheet = np.zeros((deep * side, wide * side, 4), np.uint8)
    for row, column in np.ndindex(deep, wide):
        if icons[row, column] < 0:
            continue
        picture = drawing.results.icons[int(icons[row, column])].picture
        own = side if areas is None else round(side * float(areas[row, column]) ** 0.5)
        if own < 1:
            continue
        if own != side:
            picture = np.asarray(Image.fromarray(picture).resize((own, own), Image.Resampling.LANCZOS))
        top, left = row * side + (side - own) // 2, column * side + (side - own) // 2
        part = sheet[top : top + own, left : left + own]
        part[..., : picture.shape[-1]] = picture
        if picture.shape[-1] == 3:
            part[..., 3] = 255
    pixels = sheet if (sheet[..., 3] < 255).any() else sheet[..., :3]
    words = f"what excites each of the {deep} by {wide} positions of {layer}"
    return drawing.picture(webp(np.ascontiguousarray(pixels)), "image/webp", wide * side, deep * side, words)


STYLES = (Grid(),)
