"""`featvis`: each atom as a picture that excites it."""

from __future__ import annotations

from typing import Any

import numpy as np

from bbilang.compiler.ir import Node
from bbilang.compiler.op import Activations, Demand, Drawn, Fail, IconsOf, Style
from bbilang.compiler.present import one_atom_axis
from bbilang.compiler.types import FieldType
from bbilang.runtime.drawing import Drawing, rounded
from bbilang.runtime.field import Field, Named, combine, union_of
from bbilang.runtime.styles import grid
from bbilang.runtime.viewmodel import Frame, Panel


class Featvis(Style):
    """Icons in a row, numbers under them; a `grid` where all positions are left. An icon maximizes the mean response of
    the atom's direction: a channel's own, the activation vector of a position, a group's channel factor. Takes
    `class` as rows of swatches, the more opaque the larger the magnitude, and for two classes their net; as bars with
    `color=`. `size=value`: area shows magnitude, `size=norm` the norm of the atom's part."""

    name = "featvis"
    spends = "one axis of atoms, or `y` and `x`"
    takes = ("class",)
    coloured = True  # `color=` is for its bars
    example = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"

    def spend(self, field: FieldType) -> Drawn:
        if field.atom in ("class", "pixel", "whole"):
            raise Fail(
                "E304",
                f"`featvis` shows what excites channels, neurons or positions, and these are atoms `{field.atom}`",
                "use `bars`, `heatmap` or `image`",
            )
        needed = ("channel",) if field.atom in ("neuron", "channel") else ("y", "x", "token")
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
        if node.type.atom in ("spatial", "token"):
            return (IconsOf(), Activations(node.type.layers))
        return (IconsOf(),)

    def objectives(self, node: Node, field: Field, run: Any) -> tuple[Named, list[Any]]:
        return objectives(node, field, run)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axis = drawing.drawn.slots
        if drawing.drawn.cells is not None:
            return grid.panels(drawing)
        if axis is None:
            return self._single(drawing)
        atoms = drawing.slot_atoms(axis)
        values = drawing.values(axis)
        icons = drawing.grid(drawing.results.icon_sets[drawing.element.id].index, axis)
        sizes = areas(drawing, axis)
        panels = []
        for facet in drawing.facets():
            frames = []
            for state in drawing.each_state():
                at = drawing.place(state, facet)
                chosen = [int(i) if a >= 0 else -1 for i, a in zip(icons[at], atoms[at], strict=True)]
                frames.append(
                    Frame(
                        tuple(int(a) for a in atoms[at]),
                        tuple(icon_picture(drawing, i) for i in chosen),
                        tuple(tuple(rounded(v) for v in row) for row in values[at]),
                        drawing.series(at),
                        tuple(drawing.results.icons[i].reason if i >= 0 else "" for i in chosen),
                        tuple(round(float(s), 3) for s in sizes[at]) if sizes is not None else (),
                        drawing.colours(at, axis),
                    )
                )
            panels.append(drawing.panel(frames, facet))
        return tuple(panels)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        if drawing.drawn.cells is not None:
            return grid.notes(drawing)
        classes = drawing._size(drawing.series_axis) if drawing.series_axis is not None else 1
        if classes < 2 or drawing.node["color"] is not None:
            return ()
        net = "; the net is the difference of the two, in the colour of the class that it speaks for"
        return (f"the more opaque a swatch, the larger the magnitude{net if classes == 2 else ''}",)

    def _single(self, drawing: Drawing) -> tuple[Panel, ...]:
        """One icon a state: the vector at the position that the reader points at."""
        icons = drawing.grid(drawing.results.icon_sets[drawing.element.id].index)
        series = drawing.series_axis
        values = drawing.grid(drawing.field.values, series) if series else drawing.grid(drawing.field.values)[..., None]
        coords = {c: drawing.grid(a) for c, a in drawing.field.coords.items() if c in ("y", "x", "channel", "token")}
        layers = drawing.layer_grid()
        panels = []
        for facet in drawing.facets():
            frames = []
            for state in drawing.each_state():
                at = drawing.place(state, facet)
                here = {c: int(v[at]) for c, v in coords.items()}
                atom = drawing.atom(here, drawing.field.type.layers[int(layers[at])])
                icon = int(icons[at])
                note = drawing.results.icons[icon].reason if icon >= 0 else ""
                numbers = (tuple(rounded(v) for v in np.atleast_1d(values[at])),)
                frames.append(Frame((atom,), (icon_picture(drawing, icon),), numbers, drawing.series(at), (note,)))
            panels.append(Panel(drawing.facet_words((0,) * len(drawing.states), facet), tuple(frames)))
        return tuple(panels)


def objectives(node: Node, field: Field, run: Any) -> tuple[Named, list[Any]]:
    """Numbers into a list of objectives, over the axes that the atoms depend on; -1 where there is no atom."""
    from bbilang.runtime.visualize import Objective

    components = next(c for c in (("group",), ("channel",), ("y", "x"), ("token",)) if set(c) <= field.coords.keys())
    apart = _apart(node, components, run)
    layered = "layer" in field.coords
    coords = [field.coords[c] for c in (*components, *(("layer",) if layered else ()))]
    coords += [Named((name,), np.arange(size)) for name, size in apart.items()]
    dims = union_of(coords)
    sizes = {d: s for c in coords for d, s in c.sizes.items()}
    full = [np.broadcast_to(c.spread(dims), [sizes[d] for d in dims]) for c in coords]
    absent = _absent(field, dims, sizes)
    objectives: list[Objective] = []
    numbers: dict[tuple, int] = {}
    index = np.full([sizes[d] for d in dims], -1)
    for at in np.ndindex(index.shape):
        key = tuple(int(column[at]) for column in full)
        if min(key) < 0 or absent[at]:
            continue
        if key not in numbers:
            layer = node.type.layers[key[len(components)] if layered else 0]
            place = dict(zip(apart, key[len(key) - len(apart) :], strict=True))
            direction = _direction(node, components, key[: len(components)], layer, place, run)
            numbers[key] = len(objectives)
            objectives.append(Objective(layer, direction))
        index[at] = numbers[key]
    groups = run.program.setting("featvis.coherence")
    if groups and {"y", "x"} <= set(dims):
        objectives = _coherent(list(numbers), objectives, groups)
    return Named(dims, index), objectives


def _coherent(keys: list[tuple], objectives: list[Any], groups: int) -> list[Any]:
    """The cells of each layer and input, which share parts of their pictures. keys: (y, x, ...) of each cell."""
    from dataclasses import replace

    from bbilang.runtime.icon import Grid

    grids: dict[tuple, list[int]] = {}
    for number, key in enumerate(keys):
        grids.setdefault(key[2:], []).append(number)
    found = list(objectives)
    for numbers in grids.values():
        cells = Grid.of(np.array([objectives[number].direction for number in numbers]), groups)
        for cell, number in enumerate(numbers):
            found[number] = replace(objectives[number], grid=cells, cell=cell)
    return found


def _apart(node: Node, components: tuple[str, ...], run: Any) -> dict[str, int]:
    """The axes besides the atoms' own on which their directions depend: the input, states of a factorization."""
    if components == ("channel",):
        return {}
    if components == ("group",):
        from bbilang.runtime.factors import directions

        return {d: s for d, s in directions(node, run).sizes.items() if d not in ("group", "channel")}
    return {"input": len(run.images)}


def _direction(
    node: Node, components: tuple[str, ...], atom: tuple[int, ...], layer: str, place: dict[str, int], run: Any
) -> int | tuple[float, ...]:
    """What an atom's icon maximizes: a channel's number, a group's channel factor, or the vector of a place."""
    if components == ("channel",):
        return atom[0]
    if components == ("group",):
        from bbilang.runtime.factors import directions

        factors = directions(node, run)
        wanted = {**place, "group": atom[0]}
        vector = factors.data[tuple(slice(None) if d == "channel" else wanted[d] for d in factors.dims)]
        return tuple(vector.tolist())
    cube = run.activation(node, layer)[place["input"]]
    where = dict(zip(components, atom, strict=True))
    vector = cube[tuple(where.get(axis, slice(None)) for axis in run.layer(layer).axes)]
    return tuple(vector.float().cpu().tolist())


def areas(drawing: Drawing, axis: Any) -> np.ndarray | None:
    """Areas relative to the largest, over (states, facet, slot), where `size=` asks for them."""
    if drawing.node["size"] is None:
        return None
    field = drawing.results.sizes.get(drawing.element.id)
    values = np.abs(drawing.grid(field.values, axis)) if field is not None else np.abs(drawing.values(axis)).max(-1)
    values = np.nan_to_num(values)
    return values / max(float(values.max(initial=0)), 1e-12)


def _absent(field: Field, dims: tuple[str, ...], sizes: dict[str, int]) -> np.ndarray:
    """Where every value that belongs to an atom is missing."""
    missing = Named(field.values.dims, np.isnan(field.values.data))
    others = tuple(i for i, d in enumerate(missing.dims) if d not in dims)
    kept = Named(tuple(d for d in missing.dims if d in dims), missing.data.all(others) if others else missing.data)
    whole = combine(lambda a, b: a | b, Named(dims, np.zeros([sizes[d] for d in dims], bool)), kept)
    return whole.ordered(dims).data


def icon_picture(drawing: Drawing, number: int) -> int:
    """The page's picture of an icon, as WebP: a third of a PNG's bytes at no visible loss."""
    if number < 0:
        return -1
    from bbilang.runtime.encode import webp

    icon = drawing.results.icons[number]
    y, x = icon.picture.shape[:2]
    return drawing.picture(webp(icon.picture), "image/webp", x, y, "a picture that the network responds to")


STYLES = (Featvis(),)
