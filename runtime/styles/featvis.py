"""`featvis`: each atom as a picture that excites it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.check.present import one_atom_axis
from bbilang.compiler.check.settings import GUIDE, OBJECTIVE
from bbilang.compiler.contract import Activations, Demand, Drawn, Fail, IconsOf, Parameter, Redraw, Run, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import PARTNER, VECTORS, FieldType
from bbilang.compiler.optimize.cost import octaves_of
from bbilang.compiler.optimize.lower import shown_bound
from bbilang.runtime.featvis import pairs
from bbilang.runtime.featvis.dream_options import dream_notes, guide_name
from bbilang.runtime.featvis.element_objectives import legend_notes, objectives
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.styles import grid, lasso_icon
from bbilang.runtime.styles.swatches import is_pair
from bbilang.runtime.view.atom_words import partner_words
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.icon_checks import check_notes, remark_of
from bbilang.runtime.view.icon_tiles import guide_picture, icon_areas, icon_picture
from bbilang.runtime.view.model import Answer, Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Icon, Objective
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown


WIDEST = 1116  # pixels of a page


class Featvis(Style):
    """Icons in a row with their numbers below; a `grid` if the field has all positions. An icon maximizes the mean
    response along the atom's direction: that of a channel, the activation vector of a position, the channel factor of a
    group. Draws `class` as bars around zero, and for two classes their net, which `color=` omits. With `size=value` the
    area shows the magnitude, with `size=norm` the norm of the atom's part.

    `negative=`, `diversity=`, `place=` and `start=` request other pictures, for one element here or for a whole file by
    `set featvis(...)` (Olah, Mordvintsev, Schubert 2017). The picture of a `.whole` layer is a caricature of the input,
    which exaggerates what the layer responds to (Carter et al. 2019), or a dream (Mordvintsev, Olah, Tyka 2015).

    Of matched channels (`match`) it draws pairs: the icon of each channel beside that of its partner.

    Of a map of examples after `at(lasso(...))` it is one icon: that of the bin of the map nearest to the mean of what
    the reader draws around. `bins=` is how many the map has along each side."""

    name = "featvis"
    encoding = "area"
    drawn_as = "icons of what each responds to"
    portrays = True
    spends = "one axis of atoms, or `y` and `x`"
    takes = ("class",)
    coloured = True  # `color=` is for its bars
    parameters = (
        *OBJECTIVE, GUIDE,
        Parameter("bins", "integer", f"of the icon of a lasso, bins of the map along each side; {lasso_icon.BINS} by "
                  "default", None, minimum=1, maximum=30),
    )  # fmt: skip
    selects_positions = True  # where it draws every position, as `grid` does
    enlarges_cells = True
    example = "block6a.expand.channel | attribute(output) | top(8) | present(featvis)"

    def spend(self, field: FieldType) -> Drawn:
        if lasso_icon.is_enclosed(field):
            return lasso_icon.spend(field)
        if field.atom == "whole" and field.content == "activation" and field.layers != ("input",):
            return Drawn(())  # one picture of each layer
        if field.atom == "class" and field.content == "score":
            classes = field.axis("class")
            return Drawn(("class",) if classes else (), classes)
        if field.atom in ("class", "pixel", "whole"):
            raise Fail(
                "E304",
                f"`featvis` shows what excites channels, neurons, positions or scores, and these are `{field.atom}`",
                "use `bars`, `heatmap` or `image`",
            )
        needed = ("channel",) if field.atom in ("neuron", "channel") else ("y", "x", "token", "frame")
        lost = next((c for c in needed if c in field.spent), None)
        if lost is not None:
            raise Fail("E304", f"`featvis` needs to know the `{lost}`, which arithmetic spent", "draw `bars`")
        series = field.axis("class")
        own = [axis for axis in field.atom_axes if axis.name != "layer"]
        if not own and not field.axis("layer"):
            return Drawn(("class",), None, series)  # one atom, chosen by the reader
        if field.atom == "spatial" and {"y", "x"} <= set(field.names):
            return grid.spend(field, self.name)
        slots = one_atom_axis(field, self.name)
        return Drawn((slots.name, "class"), slots, series)

    def demands(self, node: Node) -> tuple[Demand, ...]:
        if node.type.atom in VECTORS:
            return (IconsOf(), Activations(node.type.layers))
        return (IconsOf(),)

    def redraws(self, field: FieldType) -> Redraw:
        return "nearest" if lasso_icon.is_enclosed(field) else ""

    def icon_bound(self, node: Node) -> int | None:
        if lasso_icon.is_enclosed(node.inputs[0].type):
            return lasso_icon.bound(node)
        if node.type.partner and not node.type.partner[0]:
            return 2 * shown_bound(node)
        if node["bins"] is not None:
            help = "leave it out, or let a reader choose: `... | project(pca, 2, along=channel) | at(lasso(map))`"
            raise Fail("E231", "`bins=` is of the icon of a lasso, which is that of a bin of a map", help, "bins")
        return None

    def prepared(self, node: Node, field: Field, run: Run) -> Field:
        return lasso_icon.gathered(node, field, run) if lasso_icon.is_enclosed(node.inputs[0].type) else field

    def objectives(self, node: Node, field: Field, run: Run) -> tuple[Named, list[Objective]]:
        if lasso_icon.is_enclosed(node.inputs[0].type):
            return lasso_icon.objectives(node, field, run)
        partner = node.type.partner
        if partner and not partner[0]:  # of the same network
            others = Node(node.op, node.inputs, node.parameters, replace(node.type, layers=partner[1:]))
            return pairs.with_partners(field, lambda own, partners: objectives(others if partners else node, own, run))
        return objectives(node, field, run)

    def chosen_from(self, drawing: Drawing) -> Frame:
        return lasso_icon.of_cells(drawing)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        from bbilang.runtime.view.answers.matched import next_numbers, next_words

        if _of_lasso(drawing):
            return lasso_icon.panels(drawing)
        if drawing.drawn.cells is not None:
            return grid.panels(drawing)
        if drawing.drawn.slots is None:
            return self._single(drawing)
        axis = drawing.slots
        atoms, values = drawing.slot_atoms(axis), drawing.values(axis)
        numbers = drawing.results.icon_sets[drawing.element.id].index
        sizes = icon_areas(drawing, axis)
        paired = pairs.PAIR in numbers.dims
        own, *others = numbers.parts(pairs.PAIR) if paired else (numbers,)
        icons = drawing.grid(own, axis)
        partners = drawing.grid(others[0], axis) if others else None
        nexts = next_numbers(drawing)

        def frame(index: Index) -> Frame:
            chosen = [int(icon) if atom >= 0 else -1 for icon, atom in zip(icons[index], atoms[index], strict=True)]
            remarks = tuple(remark_of(drawing, icon) for icon in chosen)
            if nexts is not None:
                remarks = tuple(own or next_words(other) for own, other in zip(remarks, nexts[index], strict=True))
            beside = () if partners is None else tuple(icon_picture(drawing, int(icon)) for icon in partners[index])
            return Frame(
                tuple(int(atom) for atom in atoms[index]),
                tuple(icon_picture(drawing, icon) for icon in chosen),
                tuple(tuple(map(rounded, row)) for row in values[index]),
                drawing.series(index),
                remarks,
                tuple(round(float(size), 3) for size in sizes[index]) if sizes is not None else (),
                drawing.colours(index, axis),
                partners=beside,
            )

        return drawing.panels(frame)

    def options(self, drawing: Drawing) -> dict[str, object]:
        if _of_lasso(drawing):
            return {"icon": lasso_icon.SIDE}
        if drawing.field.type.partner:
            return {"pairs": True}
        dreams = _dreams(drawing)
        if not dreams:
            return {}
        own: dict[str, object] = {"dream": True, "width": max(icon.picture.shape[1] for icon in dreams)}
        guide = guide_picture(drawing)
        return own if guide < 0 else own | {"guide": guide, "guide_name": guide_name(drawing.node)}

    def quantity(self, drawing: Drawing) -> str:
        if _of_lasso(drawing):
            return f"what raises the response along a bin's mean activation of {drawing.node.type.layers[0]}"
        return "a dream: the input, optimized step by step for the layer" if _dreams(drawing) else ""

    def title(self, drawing: Drawing) -> str:
        return "The icon of what you draw around" if _of_lasso(drawing) else ""

    def answer(self, shown: Shown) -> Answer | None:
        if _of_lasso(shown.drawing):
            return lasso_icon.answer(shown)
        if not _dreams(shown.drawing):
            return None
        from bbilang.runtime.view.answers.dreams import raised

        return raised(shown, guide_name(shown.drawing.node))

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        if drawing.drawn.cells is not None:
            return (*grid.notes(drawing), *legend_notes(drawing.node, drawing.results), *check_notes(drawing))
        classes = drawing._size(drawing.series_axis) if drawing.series_axis is not None else 1
        bars = () if classes < 2 or drawing.node["color"] is not None else _bar_notes(drawing)
        dreams = dream_notes(drawing.node, drawing.results.program, _dreams(drawing))
        return (*bars, *legend_notes(drawing.node, drawing.results), *dreams, *check_notes(drawing))

    def _single(self, drawing: Drawing) -> tuple[Panel, ...]:
        """Return one icon per state: the vector at the selected position, or the channel that is chosen, with its
        partner where it has one."""
        from bbilang.runtime.view.answers.matched import next_numbers, next_words

        numbers = drawing.results.icon_sets[drawing.element.id].index
        paired = numbers.parts(pairs.PAIR) if pairs.PAIR in numbers.dims else (numbers,)
        icons, *others = (drawing.grid(each) for each in paired)
        partners = drawing.grid(drawing.field.coords[PARTNER]) if others else None
        nexts = next_numbers(drawing)
        series = drawing.series_axis
        values = drawing.grid(drawing.field.values, series) if series else drawing.grid(drawing.field.values)[..., None]
        coords = {
            c: drawing.grid(a)
            for c, a in drawing.field.coords.items()
            if c in ("y", "x", "channel", "token", "frame", "class")
        }
        layers = drawing.layer_grid()

        def frame(index: Index) -> Frame:
            components = {component: int(numbers[index]) for component, numbers in coords.items()}
            words = drawing.results.labels(components["class"]) if "class" in components else ""
            layer = drawing.field.type.layers[int(layers[index])]
            icon = int(icons[index])
            if partners is not None:
                pair = partner_words(drawing.field, layer, int(partners[index]))
                atom = drawing.atom(components, layer, drawing.words(components, layer) + pair)
            else:
                atom = drawing.named_atom(components, layer, words)
            note = remark_of(drawing, icon) or (next_words(float(nexts[index])) if nexts is not None else "")
            numbers = (tuple(rounded(value) for value in np.atleast_1d(values[index])),)
            beside = tuple(icon_picture(drawing, int(each[index])) for each in others)
            made = Frame((atom,), (icon_picture(drawing, icon),), numbers, drawing.series(index), (note,))
            return replace(made, partners=beside)

        first = (0,) * len(drawing.states)  # a panel is named as in the first state
        made = drawing.panels(frame)
        return tuple(Panel(drawing.facet_words(first, facet), panel.frames) for facet, panel in enumerate(made))

    def preferred_width(self, element: Element) -> int | None:
        from bbilang.runtime.vega.element import slots
        from bbilang.runtime.view.styles import is_map

        if "dream" in element.options:
            from bbilang.runtime.charts.maps import number_option

            return min(int(number_option(element, "width", WIDEST)) * len(element.panels), WIDEST)
        if is_map(element):
            return None
        wide, most = (280, WIDEST) if "pairs" in element.options else (128, 900)
        return min(max(slots(element), 2) * wide, most)

    def chart(self, element: Element, theme: Theme) -> Chart:
        if "dream" in element.options:
            from bbilang.runtime.charts.dream import chart
        else:
            from bbilang.runtime.charts.featvis import chart

        return chart(element, theme)


def _of_lasso(drawing: Drawing) -> bool:
    return lasso_icon.is_enclosed(drawing.node.inputs[0].type)


def _dreams(drawing: Drawing) -> list[Icon]:
    """Return the element's dreams by octaves, which are as large as their photos; none if it has other icons."""
    if octaves_of(drawing.node, drawing.results.program) == 1:
        return []
    numbers = drawing.results.icon_sets[drawing.element.id].index.data
    return [drawing.results.icons[number] for number in np.unique(numbers[numbers >= 0]).tolist()]


def _bar_notes(drawing: Drawing) -> tuple[str, ...]:
    """Explain in the legend how to read the bars of several classes."""
    signed = drawing.field.type.signed
    notes = ["bars to the right speak for their class, to the left against it"] if signed else []
    return (*notes, "the net has the colour of the class that it favours") if is_pair(drawing) else tuple(notes)


STYLES = (Featvis(),)
