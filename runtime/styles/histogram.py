"""`histogram`: how many examples have which value."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Redraw, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.statistics.spectrum import BINS, edges_of, shared_ceiling
from bbilang.runtime.view.drawing import Drawing, Index
from bbilang.runtime.view.model import Answer, Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown

EDGES = "edges"  # option of an element: the ends of the bins


class Histogram(Style):
    """How many examples have which value, in 32 bins. Examples at exactly zero, and at a ceiling that three or more
    share, are bars of their own, since they would hide all others. The bins are the same whatever is selected."""

    name = "histogram"
    encoding = "position"
    drawn_as = "a histogram"
    spends = "`example`"
    example = (
        'dataset photos = "sample:shapes"\n'
        "block5c.expand.channel[447] | activation(reduce=max) | across(photos) | present(histogram)"
    )

    def spend(self, field: FieldType) -> Drawn:
        example = field.axis("example")
        if example is None:
            raise Fail("E304", "`histogram` counts examples of a dataset", "as in `across(photos)`")
        return Drawn(("example",), example)

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        return BINS + 2, BINS + 2

    def redraws(self, field: FieldType) -> Redraw:
        return "counts"

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        values, edges = drawing.grid(drawing.field.values, drawing.slots), edges_of(drawing.field.values.data)
        (component,) = drawing.slots.components
        there = drawing.grid(drawing.field.coords[component], drawing.slots) >= 0  # a subset may have fewer than others
        words = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges.tolist())]

        def frame(index: Index) -> Frame:
            zeros, counts, full, ceiling, remark = counted(values[index][there[index]], edges)
            numbers = [zeros or None, *(float(count) for count in counts), full or None]
            notes = ("zero", *words, f"at {ceiling:.4g}" if full else "")
            return Frame((), (), tuple((number,) for number in numbers), notes=notes, remark=remark)

        return drawing.panels(frame)

    def scale(self, drawing: Drawing) -> tuple[tuple[float, float], str] | None:
        values, edges = drawing.grid(drawing.field.values, drawing.slots), edges_of(drawing.field.values.data)
        most = 1.0
        for row in values.reshape(-1, values.shape[-1]):
            zeros, counts, full, _, _ = counted(row, edges)
            most = max(most, zeros, full, float(counts.max()))
        return (0.0, most), "examples"

    def quantity(self, drawing: Drawing) -> str:
        return "number of examples"

    def options(self, drawing: Drawing) -> dict[str, object]:
        edges = edges_of(drawing.field.values.data)
        return {EDGES: (float(edges[0]), float(edges[-1]))}

    def answer(self, shown: Shown) -> Answer | None:
        return ()  # the remark says what is zero and what is not

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.histogram import chart

        return chart(element, theme)


def counted(values: np.ndarray, edges: np.ndarray) -> tuple[float, np.ndarray, float, float, str]:
    """Count values (example,): (zeros, count of each bin, how many are at the ceiling, the ceiling, in words)."""
    finite = values[np.isfinite(values)]
    ceiling = shared_ceiling(finite)
    zero = finite == 0
    full = (finite == ceiling) & ~zero if ceiling is not None else np.zeros_like(zero)
    rest = finite[~zero & ~full].astype(np.float64)
    parts = [f"{len(finite):,} examples"]
    if zero.all() and len(finite):
        parts.append(f"zero on all {len(finite):,} examples scanned")
    elif zero.any():
        parts.append(f"zero on {zero.sum():,}")
    if full.any():
        parts.append(f"at the ceiling of {ceiling:.4g} on {full.sum():,}")
    if len(rest):
        parts.append(f"median of the {'others' if zero.any() or full.any() else 'values'} {np.median(rest):.4g}")
    if len(finite) < len(values):
        parts.append(f"{len(values) - len(finite):,} without a number left out")
    return float(zero.sum()), np.histogram(rest, edges)[0], float(full.sum()), ceiling or 0.0, ", ".join(parts)


STYLES = (Histogram(),)
