"""`rgb`: components as the colours of one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view import hues
from bbilang.runtime.view.drawing import Drawing, Index, Shape, rounded
from bbilang.runtime.view.model import Answer, Element, Frame, Panel
from bbilang.runtime.view.scales import MAX_CELLS, numbers_fit, smoothing

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown


class Rgb(Style):
    """Up to three components over positions as one picture, alone or `over=` another element.

    Three components are red, green and blue, on one scale for the element; zero is grey for signed components and black
    for others. Two are orange and blue, as in the article's map of all classes at once: `[t0, (t0 + t1) / 2, t1]` of
    each panel, minus its mean, divided by its largest magnitude / 1.5, plus 0.3, clipped to 0..1 (Olah et al. 2018).
    One is grey.
    """

    name = "rgb"
    drawn_as = "colours"
    spends = "`y`, `x` and `component` of at most 3"
    overlays = True
    carries = True
    example = "photo = input | present(image)\nblock6a.expand.spatial | project(pca, 3) | present(rgb, over=photo)"

    def spend(self, field: FieldType) -> Drawn:
        y, x, component = (field.axis(name) for name in ("y", "x", "component"))
        if y is None or x is None or component is None:
            raise Fail(
                "E304", "`rgb` draws components over positions", "as in `.spatial | project(pca, 3) | present(rgb)`"
            )
        if component.size > 3:
            raise Fail("E304", f"`rgb` has three colours, and this field {component.size} components", "project to 3")
        return Drawn(("y", "x", "component"), series=component, cells=(y.size, x.size))

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        from bbilang.runtime.vega.colours import smoothed
        from bbilang.runtime.view.image_bytes import png

        type = drawing.field.type
        axes = [drawing.axis(name) for name in ("y", "x", "component")]
        values = drawing.grid(drawing.field.values, *axes)
        largest = float(np.nanmax(np.abs(values), initial=0.0))
        numbered = drawing.whole or numbers_fit(values)
        factor = smoothing(values) if drawing.node["over"] is not None else 1

        def frame(index: Index) -> tuple[Frame, Shape]:
            parts = drawing.inside(values[index], index)
            y, x, count = parts.shape
            words = f"{count} components over positions of {drawing.layer_at(index)}"
            pixels = colours(np.stack([smoothed(part, factor) for part in np.moveaxis(parts, -1, 0)], -1),
                             type.signed, largest)  # fmt: skip
            picture = drawing.picture(png(pixels), "image/png", x * factor, y * factor, words)
            atoms = drawing.cells(index, (y, x)) if drawing.whole or y * x <= MAX_CELLS else ()
            numbers = tuple(tuple(map(rounded, one)) for one in parts.reshape(-1, count)) if numbered and atoms else ()
            shown = Frame(atoms, (picture,), numbers, drawing.series(index), series_colours=hues.COMPONENTS[count])
            return shown, (y, x)

        return drawing.map_panels(frame)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        if drawing.axis("component").size == 2:
            return ("colours are scaled separately for each panel, around its mean",)
        zero = "grey is zero" if drawing.field.type.signed else "black is zero"
        return (f"the colours add up; {zero}",)

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.maps import components

        return components(shown)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.pictures import colours

        return colours(element, theme)


def colours(parts: np.ndarray, signed: bool, largest: float) -> np.ndarray:
    """Convert at most three components (y, x, component) to uint8 (y, x, rgb). ``largest`` is the magnitude at full
    colour of one or three components; two are scaled by themselves."""
    parts = np.nan_to_num(np.asarray(parts, np.float64))
    if parts.shape[-1] == 2:
        first, second = parts[..., 0], parts[..., 1]
        mixed = np.stack([first, (first + second) / 2, second], axis=-1)
        mixed = mixed - mixed.mean()
        shown = mixed / max(float(np.abs(mixed).max(initial=0)) / 1.5, 1e-12) + 0.3
    else:
        share = parts / max(largest, 1e-12)
        shown = (share + 1) / 2 if signed else share
        shown = np.broadcast_to(shown, (*shown.shape[:2], 3))
    return np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)


STYLES = (Rgb(),)
