"""`heatmap`: numbers over positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import ColourScale, Drawn, Fail, Style
from bbilang.compiler.ir.model_description import Box
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.method_axis import METHOD
from bbilang.runtime.styles import sound_maps
from bbilang.runtime.styles.bars import row_panels
from bbilang.runtime.styles.target_boxes import boxes_of_targets, noted, outlines
from bbilang.runtime.view.atom_words import spaced
from bbilang.runtime.view.drawing import Drawing, Index, Shape, rounded
from bbilang.runtime.view.input_below import input_below
from bbilang.runtime.view.model import Answer, Element, Frame, OverTime, Panel
from bbilang.runtime.view.scales import CLIP, MAX_CELLS, clipped, coarse, numbers_fit, scale_ends, smoothing

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown

KERNEL_CELL = 32  # pixels
WORDS = ("key", "query")  # axes of attention that are tokens, of which one is left


class Heatmap(Style):
    """A map of numbers, alone or `over=` a photo: a sequential scale for magnitudes, a diverging one about zero for
    signed values. All facets and states of an element share one scale. Over a photo, a magnitude is a spotlight: the
    photo keeps its colours where the magnitude is largest, and is grey and faded where it is zero; signed values tint
    the photo. Colours of pixels are clipped at the 99th percentile. For texts, each token is shown on the colour of its
    number. Along a sound, numbers of frames are drawn over its waveform and its spectrogram, which a reader can play;
    those of channels by frames as a map, channel 0 at the bottom."""

    name = "heatmap"
    drawn_as = "a heat map"
    spends = "`y` and `x`, `token`, or `frame`"
    overlays = True
    carries = True
    zero_centred = True
    example = (
        "photo = input | present(image)\nblock6a.expand.spatial | attribute(output) | present(heatmap, over=photo)"
    )

    def spend(self, field: FieldType) -> Drawn:
        y, x = field.axis("y"), field.axis("x")
        token = field.axis("token") or next((axis for name in WORDS if (axis := field.axis(name)) is not None), None)
        if token is not None and y is None and x is None and token.whole:
            return Drawn((token.name,), token)
        if sound_maps.is_along_sound(field):
            return sound_maps.spend(field, self.name)
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
        if drawing.drawn.cells is None:
            return row_panels(drawing)
        if sound_maps.is_along_sound(drawing.field.type) and drawing.node["over"] is None:
            return sound_maps.panels(drawing)
        signed, over = drawing.field.type.signed, drawing.node["over"] is not None
        values = _values(drawing)
        ends = panel_ends(drawing, values)
        numbered, apart = drawing.whole or numbers_fit(values), len(set(ends)) > 1
        factor = smoothing(values) if over else 1
        along = sound_maps.is_along_sound(drawing.field.type)
        positions = not along and drawing.axis("y").components == ("y",)

        def frame(index: Index) -> tuple[Frame, Shape]:
            cells = values[index] if along else drawing.inside(values[index], index)
            y, x = cells.shape
            data = _encoded(cells, ends[index[-1] if drawing.facet else 0], signed, over, factor)
            words = f"{drawing.field.type.content} over positions of {drawing.layer_at(index)}"
            pictures = [drawing.picture(data, "image/png", x * factor, y * factor, words)]
            if not over:
                pictures += input_below(drawing, index)
            small = cells.size <= MAX_CELLS and positions  # the offsets of a kernel are no atoms to point at
            atoms = drawing.cells(index, (y, x)) if drawing.whole or small else ()
            numbers = tuple((rounded(value),) for value in cells.ravel()) if numbered and atoms else ()
            end = ends[index[-1] if drawing.facet else 0][1]
            means = () if numbers else coarse(cells / end if apart else cells)  # in the legend's unit
            return Frame(atoms, tuple(pictures), numbers, coarse=means), (y, x)

        return drawing.map_panels(frame)

    def scale(self, drawing: Drawing) -> tuple[tuple[float, float], str] | None:
        if drawing.drawn.cells is None:
            return None
        ends = panel_ends(drawing, _values(drawing))
        unit = drawing.field.type.unit
        if len(set(ends)) == 1:
            return ends[0], unit
        return (-1.0 if drawing.field.type.signed else 0.0, 1.0), "share of the upper end of each panel's scale"

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        if drawing.drawn.cells is None:
            return ()
        if sound_maps.is_along_sound(drawing.field.type):
            return () if drawing.node["over"] is not None else sound_maps.notes(drawing)
        said = []
        values = _values(drawing)
        largest = float(np.nanmax(np.abs(values), initial=0.0))
        ends = panel_ends(drawing, values)
        if len(set(ends)) > 1:
            said.append(f"colours are clipped at the {CLIP}th percentile of each panel")
        elif ends[0][1] < 0.995 * largest:
            said.append(f"colours are clipped at the {CLIP}th percentile; the largest value is {largest:.2g}")
        if drawing.node["over"] is not None and not drawing.field.type.signed:
            said.append("grey and faded where it is 0, in full where it is largest")
        if boxes := _boxes(drawing):
            said.append(noted(boxes))
        return tuple(said)

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        if element.slot_axis in ("token", *WORDS):
            return "full"
        return "spotlight" if over and element.legend is not None and not element.legend.signed else "map"

    def options(self, drawing: Drawing) -> dict[str, object]:
        if drawing.drawn.cells is None:
            return spaced(drawing.results)
        along = sound_maps.is_along_sound(drawing.field.type) and drawing.node["over"] is None
        if along:
            return {"width": 1000, "along_sound": True}
        if drawing.axis("y").components == ("dy",):  # a kernel: few cells, however much room there is
            return {"width": KERNEL_CELL * drawing.field.values.sizes["x"]}
        description, boxes = drawing.results.program.description, _boxes(drawing)
        return {"outlines": outlines(boxes, description.input_size)} if description and boxes else {}

    def over_time(self, drawing: Drawing) -> OverTime | None:
        return sound_maps.over_time(drawing) if sound_maps.is_along_sound(drawing.field.type) else None

    def answer(self, shown: Shown) -> Answer | None:
        time = self.over_time(shown.drawing)
        if time is None:
            return None
        from bbilang.runtime.view.answers.sounds import when

        return when(shown, _values(shown.drawing), time)

    def preferred_width(self, element: Element) -> int | None:
        return 1000 if "along_sound" in element.options else None

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.heatmap import chart

        return chart(element, theme)


def _boxes(drawing: Drawing) -> list[Box]:
    """Return the boxes to outline: on maps of the whole picture."""
    along = sound_maps.is_along_sound(drawing.field.type)
    return boxes_of_targets(drawing) if not along and drawing.axis("y").components == ("y",) else []


def _values(drawing: Drawing) -> np.ndarray:
    if sound_maps.is_along_sound(drawing.field.type):
        return sound_maps.values_of(drawing)
    return drawing.grid(drawing.field.values, drawing.axis("y"), drawing.axis("x"))


def panel_ends(drawing: Drawing, values: np.ndarray) -> list[tuple[float, float]]:
    """Return the ends of the scale of each panel, for ``values`` over (states, facet, y, x).

    Panels have one scale, so that they can be compared, unless each has a unit of its own. The few largest values of a
    map of pixels would leave the others pale: they share the colour of the 99th percentile of magnitudes.
    """
    type, count = drawing.field.type, len(drawing.facets())
    if type.atom != "pixel":
        return [scale_ends(values, type.signed)] * count
    facet = len(drawing.states)
    apart = drawing.facet is not None and drawing.facet.name == METHOD
    panels = [np.take(values, i, facet) for i in range(count)] if apart else [values]
    ends = [scale_ends(clipped(panel), type.signed) for panel in panels]
    return ends if apart else ends * count


def _encoded(cells: np.ndarray, ends: tuple[float, float], signed: bool, over: bool, factor: int) -> bytes:
    from bbilang.runtime.vega.colours import colour_map_png, smoothed, veil_png

    cells = smoothed(cells, factor)
    return veil_png(cells, ends) if over and not signed else colour_map_png(cells, ends, signed)


STYLES = (Heatmap(),)
