"""What the icons of an element maximize: from its atoms and what the text wishes of them to a list of objectives."""

from __future__ import annotations

from typing import Any

import numpy as np

from bbilang.compiler.ir.program import Node, Program
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named, combine, union_of


def wish(node: Node, program: Program, name: str) -> Any:
    """What an element says of its icons, else the file; None for nothing."""
    own = node.get(name)
    return program.setting(f"featvis.{name}") if own is None else own


def diversity(node: Node, program: Program) -> int:
    """How many pictures each of an element's icons is: they follow each other in its list. A grid has one a cell."""
    grid = {"y", "x"} <= set(node.type.names)
    return 1 if grid or node.type.atom == "whole" else wish(node, program, "diversity") or 1


def words_of(node: Node, results: Any) -> tuple[str, ...]:
    """What a reader has to know of an element's icons, for the legend; nothing where they are the usual ones."""
    program, recipe, found = results.program, results.recipe, []
    count, kind = diversity(node, program), wish(node, program, "objective") or "caricature"
    if node.type.atom == "whole":
        dream = "a dream: it starts from the input and raises whatever the layer responds to"
        found.append(dream if kind == "dream" else "a caricature: what the layer sees in the input, exaggerated")
    elif wish(node, program, "start") == "input":
        found.append("the icons start from the input")
    if node.type.atom != "whole" and wish(node, program, "negative"):
        found.append("the icons show the other end of the direction: as little of it as possible")
    if node.type.atom != "whole" and wish(node, program, "place"):
        found.append("an icon of an atom with a position is made for that position")
    if count > 1:
        found.append(f"each tile holds {count} pictures of one atom, made to differ")
    if getattr(recipe, "transparency", False):
        found.append("transparent: what the objective does not need")
    return tuple(found)


def objectives(node: Node, field: Field, run: Any) -> tuple[Named, list[Any]]:
    """Numbers into a list of objectives, over the axes that the atoms depend on; -1 where there is no atom. Raises
    BbiError E510 for wishes that do not go together."""
    from bbilang.runtime.featvis.icon import Objective, Start

    whole = node.type.atom == "whole"
    known = (("group",), ("channel",), ("y", "x"), ("token",))
    components = () if whole else next(c for c in known if set(c) <= field.coords.keys())
    placed = not whole and bool(wish(node, run.program, "place")) and {"y", "x"} <= field.coords.keys()
    begins = whole or wish(node, run.program, "start") == "input"
    apart = _apart(node, components, run) | ({"input": len(run.images)} if begins else {})
    if placed:
        components = tuple(dict.fromkeys((*components, "y", "x")))
    pictures, negative = diversity(node, run.program), bool(wish(node, run.program, "negative"))
    kind = (wish(node, run.program, "objective") or "caricature") if whole else "direction"
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
            atom = dict(zip(components, key, strict=False))
            direction = () if whole else _direction(node, atom, layer, place, run)
            where = _share(atom, run.layer(layer)) if placed else None
            start = Start.of(run.pictures[place["input"]]) if begins else None
            numbers[key] = len(objectives)
            for number in range(pictures):
                objectives.append(Objective(layer, direction, kind, where, negative, number, pictures, start))
        index[at] = numbers[key]
    groups = run.program.setting("featvis.coherence")
    if groups and {"y", "x"} <= set(dims):
        if placed or begins or negative:
            asked = next(name for name, on in (("place", placed), ("start", begins), ("negative", negative)) if on)
            help = "leave out one of them: the cells of a coherent grid share parts of their pictures"
            raise error("E510", f"`coherence=` and `{asked}=` do not go together", help)
        objectives = _coherent(list(numbers), objectives, groups)
    return Named(dims, index), objectives


def _coherent(keys: list[tuple], objectives: list[Any], groups: int) -> list[Any]:
    """The cells of each layer and input, which share parts of their pictures. keys: (y, x, ...) of each cell."""
    from dataclasses import replace

    from bbilang.runtime.featvis.icon import Grid

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
    if components in ((), ("channel",)):
        return {}
    if components == ("group",):
        from bbilang.runtime.fields.groups import directions

        return {d: s for d, s in directions(node, run).sizes.items() if d not in ("group", "channel")}
    return {"input": len(run.images)}


def _direction(
    node: Node, atom: dict[str, int], layer: str, place: dict[str, int], run: Any
) -> int | tuple[float, ...]:
    """What an atom's icon maximizes: a channel's number, a group's channel factor, or the vector of a place."""
    if "channel" in atom:
        return atom["channel"]
    if "group" in atom:
        from bbilang.runtime.fields.groups import directions

        factors = directions(node, run)
        wanted = {**place, "group": atom["group"]}
        vector = factors.data[tuple(slice(None) if d == "channel" else wanted[d] for d in factors.dims)]
        return tuple(vector.tolist())
    cube = run.activation(node, layer)[place["input"]]
    vector = cube[tuple(atom.get(axis, slice(None)) for axis in run.layer(layer).axes)]
    return tuple(vector.float().cpu().tolist())


def _share(atom: dict[str, int], layer: Any) -> tuple[float, float]:
    """The middle of an atom's position, (y, x) of the picture from 0 to 1."""
    return tuple((atom[name] + 0.5) / layer.sizes[name] for name in ("y", "x"))  # type: ignore[return-value]


def _absent(field: Field, dims: tuple[str, ...], sizes: dict[str, int]) -> np.ndarray:
    """Where every value that belongs to an atom is missing."""
    missing = Named(field.values.dims, np.isnan(field.values.data))
    others = tuple(i for i, d in enumerate(missing.dims) if d not in dims)
    kept = Named(tuple(d for d in missing.dims if d in dims), missing.data.all(others) if others else missing.data)
    whole = combine(lambda a, b: a | b, Named(dims, np.zeros([sizes[d] for d in dims], bool)), kept)
    return whole.ordered(dims).data
