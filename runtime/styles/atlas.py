"""`atlas`: what a layer knows, as icons of the mean vectors of the bins of a map (Carter et al. 2019)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Demand, Drawn, Fail, IconsOf, Parameter, Run, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.binned import Binned
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.icon_checks import check_notes, remark_of
from bbilang.runtime.view.icon_tiles import icon_picture
from bbilang.runtime.view.model import Answer, Detail, Element, Frame, Panel, Piece, Selection
from bbilang.runtime.view.model import Atom as PageAtom

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Objective
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown

SMALLEST = 0.2  # area of an icon, as a share of its cell: smaller ones cannot be seen
WIDE = 640  # pixels of an atlas
LEVELS = 3  # zooms, each with twice the bins along a side of the one before


class Atlas(Style):
    """An activation atlas: a map of the vectors at positions of a dataset, cut into bins x bins; an icon maximizes the
    response along the mean vector of each bin (Carter et al. 2019). The area of an icon shows how many vectors its bin
    has. Three zooms: a quarter, half and all of `bins=` along each side.

    Pointing at a bin shows its count, the positions nearest to its mean, and the classes to which its vectors
    contribute most, where the map is of an attribution: `... | attribute(output) | across(photos) | project(umap, 2)`;
    else the labels of its pictures. Vectors that lie far from the others on the map are left out, and counted in the
    legend. `at(click(atlas))` and `at(hover(atlas))` are the examples that have a position in a bin."""

    name = "atlas"
    encoding = "area"
    drawn_as = "an atlas of icons"
    spends = "the points and the two components of a map of positions"
    selects_marks = True
    gathers = True
    parameters = (
        Parameter("bins", "integer", "bins along each side of the finest zoom, a multiple of 4", 12, minimum=4,
                  maximum=400),
        Parameter("least", "integer", "vectors that a bin has at least, to be drawn", 3, minimum=1, maximum=100_000),
    )  # fmt: skip
    example = (
        'dataset photos = "sample:shapes" | sample(96)\n'
        "block6a.expand.spatial | across(photos) | project(umap, 2) | present(atlas, bins=12)"
    )

    def spend(self, field: FieldType) -> Drawn:
        gathered = field.axis("bin")
        if gathered is not None:
            return Drawn(("bin",), gathered)
        component, example = field.axis("component"), field.axis("example")
        mapped = field.content == "loading" and bool(field.steps) and "component" in field.steps[-1]  # nothing follows
        whole = component is not None and component.size == 2 and example is not None and "y" in example.components
        if component is None or example is None or not (mapped and whole):
            raise Fail(
                "E304",
                "`atlas` draws a map of the positions of a dataset's pictures, as `project(umap, 2)` makes it",
                "as in `block6a.expand.spatial | across(photos) | project(umap, 2) | present(atlas)`",
            )
        return Drawn(("example", "component"), example, component)

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        return 0, 0  # as many as bins, however many examples

    def demands(self, node: Node) -> tuple[Demand, ...]:
        return (IconsOf(),)

    def icon_bound(self, node: Node) -> int:
        if node["bins"] % 2 ** (LEVELS - 1):
            help = "the coarser zooms have half and a quarter as many along each side: `bins=12`, `bins=20`"
            raise Fail("E214", f"`bins` is {node['bins']}, which is no multiple of 4", help, "bins")
        vectors = node.inputs[0].type.axis("example")
        most = vectors.size // node["least"] if vectors is not None else 0
        return sum(min((node["bins"] // 2**level) ** 2, most) for level in range(LEVELS))

    def prepared(self, node: Node, field: Field, run: Run) -> Field:
        from bbilang.runtime.styles.atlas_bins import binned

        return binned(node, field, run)

    def examples_of(self, field: Field) -> Field | None:
        from bbilang.runtime.styles.atlas_bins import examples_of

        assert isinstance(field, Binned)
        return examples_of(field)

    def objectives(self, node: Node, field: Field, run: Run) -> tuple[Named, list[Objective]]:
        from bbilang.runtime.featvis.element_objectives import of_directions

        assert isinstance(field, Binned)
        tables = field.tables
        (layer,) = node.type.layers
        numbers, made = of_directions(node, layer, [tuple(mean.tolist()) for mean in tables["mean"].data], run)
        index = np.full(field.values.data.shape, -1)
        index[tables["zoom"].data, tables["slot"].data] = numbers
        return Named(field.values.dims, index), made

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        counts = drawing.grid(drawing.field.values, drawing.slots)
        icons = drawing.grid(drawing.results.icon_sets[drawing.element.id].index, drawing.slots)
        sides = _sides(drawing)

        def frame(index: Index) -> Frame:
            side = sides[index[0]]
            own, shown = counts[index][: side * side], icons[index][: side * side].tolist()
            most = float(np.nanmax(own, initial=1.0))
            return Frame(
                tuple(_atom(drawing, side, slot) if icon >= 0 else -1 for slot, icon in enumerate(shown)),
                tuple(icon_picture(drawing, icon) for icon in shown),
                tuple((rounded(float(count)),) for count in own),
                notes=tuple(remark_of(drawing, icon) for icon in shown),
                sizes=tuple(0.0 if count != count else max(float(count) / most, SMALLEST) for count in own),
            )

        return drawing.panels(frame)

    def selections(self, drawing: Drawing) -> tuple[Selection, ...]:
        (zoom,) = (axis.name for axis in drawing.states)
        atoms = tuple(PageAtom(f"bins={side}", f"{side} × {side} bins") for side in _sides(drawing))
        return (Selection(zoom, "pick", "Zoom", atoms, start=1, zooms=drawing.element.id, spoken=True),)

    def details(self, drawing: Drawing) -> tuple[Detail, ...]:
        field = drawing.field
        assert isinstance(field, Binned)
        sides, zooms, slots = _sides(drawing), field.tables["zoom"].data.tolist(), field.tables["slot"].data.tolist()
        made = {_atom(drawing, sides[zooms[cell]], slots[cell]): cell for cell in range(len(slots))}
        return tuple(_detail(drawing, made[atom], drawing.atoms[atom].label) for atom in range(len(drawing.atoms)))

    def options(self, drawing: Drawing) -> dict[str, object]:
        from bbilang.runtime.styles.atlas_bins import plain

        assert isinstance(drawing.field, Binned)
        return {"sides": _sides(drawing), "bins": plain(drawing.field)}

    def quantity(self, drawing: Drawing) -> str:
        return "number of activations in a bin, which the area of its icon shows"

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        smallest = f"no icon is smaller than {round(100 * SMALLEST)} % of its cell"
        return (f"areas are relative to the fullest bin at each zoom; {smallest}", *check_notes(drawing))

    def title(self, drawing: Drawing) -> str:
        return f"An atlas of {drawing.field.type.layers[0]}"

    def answer(self, shown: Shown) -> Answer | None:
        field = shown.drawing.field
        assert isinstance(field, Binned)
        examples = len(np.unique(field.tables["example"].data))
        own = field.values.data[shown.state[0]]
        bins, side = int((own == own).sum()), _sides(shown.drawing)[shown.state[0]]
        what = f"{int(np.nansum(own)):,} activations of {field.type.layers[0]}, from {examples:,} pictures"
        where = f"lie in {bins} of {side} × {side} bins"
        return (
            Piece(f"{what}, {where}. Bins near each other hold similar ones; an icon shows what raises their mean."),
        )

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.atlas import chart

        return chart(element, theme)

    def preferred_width(self, element: Element) -> int | None:
        return WIDE


def _sides(drawing: Drawing) -> tuple[int, ...]:
    assert isinstance(drawing.field, Binned)
    return tuple(drawing.field.tables["side"].data.tolist())


def _atom(drawing: Drawing, side: int, slot: int) -> int:
    """Return the number of a bin, whose key no other atlas of the layer has."""
    row, column = divmod(slot, side)
    components = {"atlas": int(drawing.node.digest[:7], 16), "bins": side, "row": row, "column": column}
    words = f"row {row + 1}, column {column + 1} of {side} × {side}"
    return drawing.atom(components, drawing.field.type.layers[0], words)


def _detail(drawing: Drawing, cell: int, label: str) -> Detail:
    """Return what is known of one bin."""
    field = drawing.field
    assert isinstance(field, Binned)
    tables = {name: array.data for name, array in field.tables.items()}
    count, start = int(tables["count"][cell]), int(tables["start"][cell])
    members = tables["member"][start : start + count]
    pictures = len(np.unique(tables["example"][members]))
    facts = [f"{_plural(count, 'activation')} from {_plural(pictures, 'picture')}."]
    labels = Counter([str(word) for word in tables["label"][members] if word] if "label" in tables else [])
    if "class" in tables:
        bars = tuple(_bar(drawing, tables, cell, rank, count) for rank in range(tables["class"].shape[1])
                     if tables["class"][cell, rank] >= 0)  # fmt: skip
        title = "Mean contribution to the score of"
        if labels:
            facts.append(f"Labels: {', '.join(f'{word} {number}' for word, number in labels.most_common(4))}.")
    else:
        bars = tuple((word, number / count, f"{number} of {count}") for word, number in labels.most_common(5))
        title = "Labels of their pictures"
    icon = drawing.results.icon_sets[drawing.element.id].index.data[tables["zoom"][cell], tables["slot"][cell]]
    return Detail(
        label[:1].upper() + label[1:], tuple(facts), title if bars else "", bars, icon_picture(drawing, int(icon)),
        "Nearest to its mean, with what is around", _thumbnails(drawing, cell),
    )  # fmt: skip


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bar(drawing: Drawing, tables: dict[str, np.ndarray], cell: int, rank: int, count: int) -> tuple[str, float, str]:
    known = int(tables["known"][cell, rank])
    of = "" if known == count else f"mean of {known} of its {count}"
    value = rounded(float(tables["attribution"][cell, rank])) or 0.0
    return drawing.results.labels(int(tables["class"][cell, rank])), value, of


def _thumbnails(drawing: Drawing, cell: int) -> tuple[tuple[int, str], ...]:
    """Return the thumbnails of the vectors nearest to the mean of a bin."""
    from bbilang.runtime.execution.thumbnails import thumbnail

    field, made = drawing.field, drawing.results.thumbnails.get(drawing.element.id)
    if made is None:
        return ()
    assert isinstance(field, Binned)
    shown = []
    for rank, vector in enumerate(field.tables["shown"].data[cell].tolist()):
        number = int(made["index"].data[cell, rank])
        if vector < 0 or number < 0:
            continue
        data, width, height = thumbnail(made, number)
        name = str(field.tables["file"].data[vector]) if "file" in field.tables else "an example"
        label = str(field.tables["label"].data[vector]) if "label" in field.tables else ""
        words = label or name
        shown.append((drawing.picture(data, "image/webp", width, height, f"a part of {name}"), words))
    return tuple(shown)


STYLES = (Atlas(),)
