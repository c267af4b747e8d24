"""`matrix`: numbers as coloured cells in rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import ColourScale, Drawn, Fail, Redraw, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import SIMILARITY, Axis, FieldType
from bbilang.runtime.view.drawing import CLASSES, Drawing, Index, rounded
from bbilang.runtime.view.model import Answer, Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown


class Matrix(Style):
    """Numbers as coloured cells: atoms by classes, groups by classes, layers by classes, channels by channels; atoms by
    inputs, if there are several inputs and no other axis; or the pairs that `top` kept, with all other cells empty. One
    scale for the whole element, symmetric about zero for signed values. A cell of layers by layers (`similarity`) that
    is pointed at says its number, and that with random weights."""

    name = "matrix"
    drawn_as = "a matrix"
    tabulates = True
    clips = True
    spends = "two axes, of which one may be the inputs, or one of pairs"
    takes = ("class",)
    zero_centred = True
    example = "block6a.expand.channel | attribute(output[top(5)]) | top(12) | present(matrix)"

    def spend(self, field: FieldType) -> Drawn:
        rows, columns = two_axes(field, self.name)
        joined = columns is not None and columns.name == "input"
        return Drawn((rows.name, columns.name) if columns else (rows.name,), rows, columns, joined=joined)

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        count, numbers = super().marks(field, drawn)
        if drawn.series is None:  # each pair may have a row and a column of its own
            return count * count, numbers * numbers
        own = drawn.series.size if drawn.joined else 1  # each input may have rows of its own
        return count * own, numbers * own

    def redraws(self, field: FieldType) -> Redraw:
        return "" if field.axis("example") is not None or field.axis("input") is not None else "values"

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        if drawing.drawn.series is None:
            return _pairs(drawing)
        if _differ(drawing):
            return _joined(drawing)
        axis = drawing.slots
        atoms, values = drawing.slot_atoms(axis), drawing.values(axis)

        def frame(index: Index) -> Frame:
            return Frame(
                tuple(int(atom) for atom in atoms[index]),
                (),
                tuple(tuple(map(rounded, row)) for row in values[index]),
                drawing.series(index),
                colours=drawing.colours(index, axis),
                series_atoms=drawing.series_atoms(index),
                series_pictures=pictures,
            )

        pictures = _thumbnails(drawing)
        return drawing.panels(frame)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        if _differ(drawing):
            return ("a cell is empty where the atom is not among those of the picture",)
        type = drawing.field.type
        if type.content != "weight" or not (type.layers and type.linked):
            return ()
        rest = "; pairs that are not shown are empty" if drawing.drawn.series is None else ""
        return (f"rows are channels of {type.layers[0]}, columns channels of {type.linked[0]}{rest}",)

    def options(self, drawing: Drawing) -> dict[str, object]:
        from bbilang.runtime.view.answers.alike import asides

        return asides(drawing)

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        return "full"

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.alike import alike
        from bbilang.runtime.view.answers.ranked import of_matrix

        return alike(shown) if shown.type.content == SIMILARITY else of_matrix(shown)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.matrix import chart

        return chart(element, theme)


def _differ(drawing: Drawing) -> bool:
    """Return whether the atoms along the rows differ between inputs."""
    if not drawing.drawn.joined:
        return False
    rows, field = drawing.slots, drawing.field
    arrays = [field.coords[c] for c in rows.components if c in field.coords]
    arrays += [field.names[rows.name]] if rows.name in field.names else []
    return any("input" in array.dims for array in arrays)


def _joined(drawing: Drawing) -> tuple[Panel, ...]:
    """Return a row for each atom that any input has, in order of appearance; empty where an input does not have it."""
    rows, inputs = drawing.slots, drawing.axis("input")
    values = drawing.grid(drawing.field.values, rows, inputs)
    coords = {
        c: drawing.grid(drawing.field.coords[c], rows, inputs) for c in rows.components if c in drawing.field.coords
    }
    words = drawing.field.names.get(rows.name)
    names = drawing.grid(words, rows, inputs) if words is not None else None
    pictures, layers = _thumbnails(drawing), drawing.field.type.layers

    def frame(index: Index) -> Frame:
        cells: dict[int, list[float]] = {}
        for slot, column in np.argwhere(~np.isnan(values[index]).T)[:, ::-1].tolist():
            here = {c: int(numbers[index][slot, column]) for c, numbers in coords.items()}
            layer = layers[here.pop("layer", 0)] if set(here) - CLASSES else "output"
            atom = drawing.atom(here, layer, str(names[index][slot, column]) if names is not None else "")
            cells.setdefault(atom, [np.nan] * inputs.size)[column] = float(values[index][slot, column])
        table = tuple(tuple(map(rounded, row)) for row in cells.values())
        return Frame(tuple(cells), (), table, drawing.series(index), series_pictures=pictures)

    return drawing.panels(frame)


def _thumbnails(drawing: Drawing) -> tuple[int, ...]:
    """Return the inputs' pictures, if the columns are inputs that are pictures."""
    from bbilang.runtime.view.image_bytes import jpeg

    axis, inputs = drawing.series_axis, drawing.results.pictures
    if axis is None or axis.name != "input" or any(one.words or one.shown.ndim != 3 for one in inputs):
        return ()
    sizes = [one.shown.shape[:2] for one in inputs]
    return tuple(
        drawing.picture(jpeg(one.shown, 82), "image/jpeg", x, y, f"the input {one.name}")
        for one, (y, x) in zip(inputs, sizes, strict=True)
    )


def two_axes(field: FieldType, style: str) -> tuple[Axis, Axis | None]:
    """Return (rows, columns): classes are columns, and so are several inputs if no other axis is left; columns are None
    for one axis of pairs. Raises `Fail` for any other axes."""
    axes = [axis for axis in field.axes if axis.name != "input"]
    if len(axes) == 1 and len(axes[0].components) == 2 and any(c.startswith("to.") for c in axes[0].components):
        return axes[0], None
    inputs = field.axis("input")
    if len(axes) == 1 and inputs is not None and inputs.size > 1:
        return axes[0], inputs
    if len(axes) != 2:
        kernels = field.content == "weight" and field.axis("y") is not None
        raise Fail(
            "E304",
            f"`{style}` draws two axes, and this field has {len(axes)}: {', '.join(a.name for a in axes) or 'none'}",
            "draw kernels as pictures, `present(heatmap, facet=...)`, or leave `kernel=each` out"
            if kernels
            else "as in `attribute(output[top(5)]) | top(12)`: atoms by classes",
        )
    rows, columns = axes
    if rows not in field.atom_axes and columns in field.atom_axes:  # atoms by labels, subsets, values of a column
        return columns, rows
    return (columns, rows) if rows.name == "class" and columns.name != "class" else (rows, columns)


def _pairs(drawing: Drawing) -> tuple[Panel, ...]:
    """Arrange pairs as cells of a matrix of all atoms that occur in them, rows and columns in order of appearance."""
    axis = drawing.slots
    values = drawing.values(axis)[..., 0]
    coordinates = drawing.coordinates(axis)
    first, second = (coordinates[component] for component in axis.components)
    row_component, column_component = (component.rpartition(".")[2] for component in axis.components)
    type = drawing.field.type
    layers = (*type.layers[:1], *(type.linked or type.layers[-1:]))

    def frame(index: Index) -> Frame:
        present = [i for i, value in enumerate(values[index]) if value == value]
        rows = list(dict.fromkeys(int(first[index][i]) for i in present))
        columns = list(dict.fromkeys(int(second[index][i]) for i in present))
        row_of, column_of = ({atom: number for number, atom in enumerate(ends)} for ends in (rows, columns))
        cells = np.full((len(rows), len(columns)), np.nan)
        for i in present:
            cells[row_of[int(first[index][i])], column_of[int(second[index][i])]] = values[index][i]
        column_atoms = tuple(drawing.atom({column_component: column}, layers[-1]) for column in columns)
        return Frame(
            tuple(drawing.atom({row_component: row}, layers[0]) for row in rows),
            (),
            tuple(tuple(map(rounded, row)) for row in cells),
            tuple(drawing.atoms[atom].label for atom in column_atoms),
            series_atoms=column_atoms,
        )

    return drawing.panels(frame)


STYLES = (Matrix(),)
