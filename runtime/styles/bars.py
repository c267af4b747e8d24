"""`bars`: numbers as the lengths of bars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.check.present import one_atom_axis
from bbilang.compiler.contract import Drawn, Redraw, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view.atom_words import cell_words
from bbilang.runtime.view.budget.controls import Controls
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.error_bars import SPREAD
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


def row_of(field: FieldType, style: str) -> Drawn:
    """Put one axis of atoms along the row, and `class` or the measures of `trust` beside it; or the classes themselves
    if no axis of atoms is left. Raises `Fail` for other axes."""
    classes = field.axis("class") or field.axis("measure")
    if field.atom != "class" and not field.atom_axes and classes is not None:
        return Drawn(("class",), classes, None)
    slots = one_atom_axis(field, style)
    beside = classes if classes is not slots else None
    return Drawn((slots.name, beside.name if beside else "class"), slots, beside)


def row_panels(drawing: Drawing) -> tuple[Panel, ...]:
    """Return panels with atoms in slots, and their numbers as series."""
    axis = drawing.slots
    atoms, values = drawing.slot_atoms(axis), drawing.values(axis)

    def frame(index: Index) -> Frame:
        numbers = tuple(tuple(map(rounded, row)) for row in values[index])
        slots = tuple(int(atom) for atom in atoms[index])
        colours, words = drawing.colours(index, axis), cell_words(drawing, index)
        return Frame(slots, (), numbers, drawing.series(index), colours=colours, words=words)

    return drawing.panels(frame)


def _with_band(drawing: Drawing, panels: tuple[Panel, ...], controls: Controls) -> tuple[Panel, ...]:
    """Return the panels with the lowest and the highest of the controls as series of their own."""
    low, high = controls.ends(drawing.slots)
    called = controls.called(controls.count)
    made = []
    for facet, panel in enumerate(panels):
        frames = []
        for frame, state in zip(panel.frames, drawing.each_state(), strict=True):
            at = drawing.index(state, facet)
            ends = zip(low[at], high[at], strict=True)
            values = tuple((*row, *(rounded(float(e)) for e in pair))
                           for row, pair in zip(frame.values, ends, strict=True))  # fmt: skip
            names = ("effect", f"lowest of {called}", f"highest of {called}")
            frames.append(replace(frame, values=values, series=names))
        made.append(replace(panel, frames=tuple(frames)))
    return tuple(made)


class Bars(Style):
    """Horizontal bars in the order of the field. Draws `class` as groups of coloured bars, and the uncertainty that
    `trust` measured as whiskers or as a bar beside each."""

    name = "bars"
    encoding = "position"
    drawn_as = "bars"
    spends = "one axis of atoms, or `class`"
    takes = ("class", "measure")
    draws_controls = True
    coloured = True  # `color=` is for its bars
    example = "block6a.expand.channel | attribute(output) | top(8) | present(bars)"

    def spend(self, field: FieldType) -> Drawn:
        return row_of(field, self.name)

    def redraws(self, field: FieldType) -> Redraw:
        return "" if field.axis("example") is not None else "values"

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        panels = row_panels(drawing)
        controls = self._controls(drawing)
        return panels if controls is None else _with_band(drawing, panels, controls)

    def _controls(self, drawing: Drawing) -> Controls | None:
        """Return the controls whose band is drawn: of a single series."""
        return Controls.of(drawing) if drawing.series_axis is None and drawing.drawn.slots is not None else None

    def options(self, drawing: Drawing) -> dict[str, object]:
        axis = drawing.series_axis
        if (controls := self._controls(drawing)) is not None:
            return {"band": [1, 2], "band_words": controls.called(controls.count)}
        if axis is None or axis.name != "measure":
            return {}
        words = drawing.field.names["measure"].data.tolist()
        return {"whiskers": [series for series, word in enumerate(words) if word.startswith(SPREAD)]}

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.bars import chart

        return chart(element, theme)


STYLES = (Bars(),)
