"""`number`: one value in large digits, with its unit and a description."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Drawn, Fail, Redraw, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    import numpy as np

    from bbilang.runtime.fields.field import Named
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Number(Style):
    """One value in large digits with its unit, and a description below it: the score of a class, a sum, the number of
    the atom that the reader chooses. `facet=` draws several side by side."""

    name = "number"
    encoding = "position"  # a single number is compared with none
    drawn_as = "a number"
    states_one = True
    spends = "no axis, or one of size 1"
    example = 'output["tiger cat"] | present(number)'

    def spend(self, field: FieldType) -> Drawn:
        axes = [axis for axis in field.axes if axis.name != "input"]
        several = next((axis for axis in axes if not axis.exact or axis.size != 1), None)
        if several is not None or len(axes) > 1:
            axis = several or axes[0]
            help = f"keep one: `top(1)`, add up: `sum({axis.name})`, lay out: `facet={axis.name}`, or draw `bars`"
            raise Fail("E304", f"`number` draws one value, and this field has the axis `{axis.name}`", help)
        return Drawn(tuple(axis.name for axis in axes), axes[0] if axes else None)

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        return 1, 1

    def redraws(self, field: FieldType) -> Redraw:
        return "" if field.axis("example") is not None else "values"

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        from bbilang.runtime.view.legend import quantity_of

        atom_of, values = _atoms_and_values(drawing)
        quantity = quantity_of(drawing)

        def frame(index: Index) -> Frame:
            atom, words = atom_of(index)
            context = _context(quantity, words)
            notes = () if context == quantity else (context,)  # the legend says it
            return Frame((atom,), (), ((rounded(float(values[index])),),), notes=notes)

        return drawing.panels(frame)

    def options(self, drawing: Drawing) -> dict[str, object]:
        return {"unit": drawing.field.type.unit}

    def title(self, drawing: Drawing) -> str:
        from bbilang.runtime.view.legend import quantity_of

        quantity = quantity_of(drawing)
        return quantity[:1].upper() + quantity[1:]

    def preferred_width(self, element: Element) -> int | None:
        return 260

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.number import chart

        return chart(element, theme)


def _context(quantity: str, words: str) -> str:
    """Describe a number: "tiger cat: score", "attribution to tiger cat", "channel 447: attribution to tiger cat"."""
    if " each class" in quantity:
        return quantity.replace("each class", words, 1)
    return quantity if not words or f" {words}," in f"{quantity}," else f"{words}: {quantity}"


def _atoms_and_values(drawing: Drawing) -> tuple[Callable[[Index], tuple[int, str]], np.ndarray]:
    """Return (the atom of a state and facet, its description, the values over states and facets)."""
    axes = [drawing.axis(name) for name in drawing.drawn.spent]

    def lone(array: Named) -> np.ndarray:
        """Return the array over states and facets, without the axes of size 1."""
        whole = drawing.grid(array, *axes)
        return whole.reshape(whole.shape[: whole.ndim - len(axes)])

    known = {c for axis in (*axes, *drawing.field.type.states) for c in axis.components}
    known -= {"layer", "input", "value", "method"}
    known = known or ({"class"} if drawing.field.type.atom == "class" else known)
    coords = {c: lone(array) for c, array in drawing.field.coords.items() if c in known}
    own = drawing.field.names.get(next(iter(coords), "class")) if len(coords) < 2 else None
    names = lone(own) if own is not None else None
    layers = drawing.layer_grid()

    def atom(index: Index) -> tuple[int, str]:
        here = {c: int(numbers[index]) for c, numbers in coords.items()}
        layer = drawing.field.type.layers[int(layers[index])] if drawing.field.type.layers else ""
        words = str(names[index]) if names is not None else ""
        number = drawing.named_atom(here, "output" if set(here) == {"class"} else layer, words)
        return number, words or (drawing.words(here, layer) if here else layer)

    return atom, lone(drawing.field.values)


STYLES = (Number(),)
