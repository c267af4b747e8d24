"""The objectives that the icons of an element maximize, from its atoms and the options of its `featvis` style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bbilang.compiler.ir.program import Node, Program
from bbilang.compiler.optimize.cost import icon_option, octaves_of, tries_and_pictures
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.dream_options import as_dream, require_dream, start_of
from bbilang.runtime.featvis.regularization import NAMES, Regularization
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.field import Field, Named, combine, union_of

if TYPE_CHECKING:
    from bbilang.compiler.contract.run import Run
    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.featvis.icon import Objective, Recipe


class _HasRecipe(Protocol):
    """The part of the results that notes on icons need."""

    @property
    def program(self) -> Program: ...

    @property
    def recipe(self) -> Recipe | None: ...


def pictures_per_atom(node: Node, program: Program) -> int:
    """Return the number of pictures of each icon of an element, consecutive in its list; one for a grid's cell."""
    grid = {"y", "x"} <= set(node.type.names)
    if grid or node.type.atom == "whole":
        return 1
    return tries_and_pictures(node, program)[1]


def candidates_per_atom(node: Node, program: Program) -> int:
    """Return the number of candidate pictures for each atom of an element; 0 without a search."""
    return 0 if node.type.atom == "whole" else icon_option(node, program, "search", int) or 0


def regularization(node: Node, program: Program) -> Regularization | None:
    """Return the regularizers of an element's icons, None for the default engine. Raises BbiError E510 beside a
    search."""
    if node.type.atom == "whole":
        return None
    own = Regularization.of({name: icon_option(node, program, name, float) for name in NAMES})
    if own is not None and candidates_per_atom(node, program):
        text = "a search chooses its own regularizers"
        raise error("E510", text, "leave out `search=`, or the regularizers")
    if candidates_per_atom(node, program) and icon_option(node, program, "diversity", int):
        raise error("E510", "`search=` and `diversity=` do not go together", "leave out one of them")
    return own


def legend_notes(node: Node, results: _HasRecipe) -> tuple[str, ...]:
    """Write notes for the legend on how an element's icons differ from the default."""
    program, recipe = results.program, results.recipe
    notes: list[str] = []
    count, kind = pictures_per_atom(node, program), icon_option(node, program, "objective", str) or "caricature"
    if node.type.atom == "whole":
        dream = "a dream: it starts from the input and raises whatever the layer responds to"
        notes.append(dream if kind == "dream" else "a caricature: what the layer sees in the input, exaggerated")
    elif icon_option(node, program, "start", str) == "input":
        notes.append("the icons start from the input")
    if program.description is not None and program.description.reads == "audio":
        notes.append("an icon is a loop to which the response is largest, as loud as the others, repeated to a second")
        notes.append("frequencies of the spectrograms from 50 Hz at the bottom, each octave as high as the next")
    if signed_coefficients(node):
        notes.append("the icon of a negative number shows the other end of the component")
    if node.type.atom != "whole" and icon_option(node, program, "negative", bool):
        notes.append("the icons show the other end of the direction: as little of it as possible")
    if node.type.atom != "whole" and icon_option(node, program, "place", bool):
        notes.append("an icon of an atom with a position is made for that position")
    search, pixels = candidates_per_atom(node, program), regularization(node, program)
    if pixels is not None:
        notes.append(f"gradient steps on pixels, with {pixels.words()}")
    if search:
        notes.append(f"each tile holds the {count} most natural, by their spectrum, of {search} random settings")
    elif count > 1:
        notes.append(f"each tile holds {count} pictures of one atom, made to differ")
    if getattr(recipe, "transparency", False):
        notes.append("transparent: what the objective does not need")
    return tuple(notes)


def _require_clips(node: Node, program: Program) -> None:
    """Raise BbiError E371 for icons of sounds with options of pictures."""
    names = ("diversity", "place", "start", "objective", "octaves", "search", *NAMES)
    given = next((name for name in names if icon_option(node, program, name, object) is not None), None)
    what = f"`{given}=`" if given else "a dream or a caricature" if node.type.atom == "whole" else ""
    what = what or next((f"`{name}`" for name in ("parametrization", "transparency", "coherence", "check")
                         if program.setting(f"featvis.{name}") not in (None, False, "fourier")), "")  # fmt: skip
    if what:
        help = "`size=`, `steps=` and `negative=` are of clips too"
        raise error("E371", f"{what} is of pictures, and icons of this network are sounds", help)


def objectives(node: Node, field: Field, run: Run) -> tuple[Named, list[Objective]]:
    """Return (the number of each atom's objective, over the axes that the atoms depend on, -1 for no atom; the
    objectives). Raises BbiError E510 for options that exclude each other."""
    from dataclasses import replace

    from bbilang.runtime.featvis.icon import Objective

    if run.adapter.description.reads == "audio":
        _require_clips(node, run.program)
    whole = node.type.atom == "whole"
    components = () if whole else _components(field)
    positioned = not whole and bool(icon_option(node, run.program, "place", bool)) and {"y", "x"} <= field.coords.keys()
    from_input = whole or icon_option(node, run.program, "start", str) == "input"
    separate = _separate_axes(node, components, run) | ({"input": len(run.images)} if from_input else {})
    if positioned:
        components = tuple(dict.fromkeys((*components, "y", "x")))
    pictures, negative = pictures_per_atom(node, run.program), bool(icon_option(node, run.program, "negative", bool))
    pixels, search = regularization(node, run.program), candidates_per_atom(node, run.program)
    kind = (icon_option(node, run.program, "objective", str) or "caricature") if whole else "direction"
    require_dream(node, run.program)
    octaves = octaves_of(node, run.program)
    layered = "layer" in field.coords
    other_end = _negative_coefficients(field, node) if components == ("group",) else None
    coords = [field.coords[c] for c in (*components, *(("layer",) if layered else ()))]
    coords += [Named((name,), np.arange(size)) for name, size in separate.items()]
    coords += [other_end] if other_end is not None else []
    dims = union_of(coords)
    sizes = {d: s for c in coords for d, s in c.sizes.items()}
    full = [np.broadcast_to(c.spread(dims), [sizes[d] for d in dims]) for c in coords]
    absent = _absent(field, dims, sizes)
    objectives: list[Objective] = []
    numbers: dict[tuple[int, ...], int] = {}
    index = np.full([sizes[d] for d in dims], -1)
    for at in np.ndindex(index.shape):
        key = tuple(int(column[at]) for column in full)
        if min(key) < 0 or absent[at]:
            continue
        if key not in numbers:
            layer = "output" if components == ("class",) else node.type.layers[key[len(components)] if layered else 0]
            first = len(components) + layered
            position = dict(zip(separate, key[first : first + len(separate)], strict=True))
            atom = dict(zip(components, key, strict=False))
            direction = () if whole else _direction(node, atom, layer, position, run)
            if other_end is not None and key[-1] and not isinstance(direction, int):
                direction = tuple(-value for value in direction)
            position_in_picture = _centre(atom, run.layer(layer)) if positioned else None
            start = start_of(octaves, position["input"], run) if from_input else None
            numbers[key] = len(objectives)
            for number in range(pictures):
                how = Objective(layer, direction, kind, position_in_picture, negative, number, pictures, start)
                how = replace(how, regularization=pixels, search=search) if pixels or search else how
                objectives.append(as_dream(how, node, run))
        index[at] = numbers[key]
    groups = run.program.setting("featvis.coherence")
    if groups and {"y", "x"} <= set(dims):
        others = {"place": positioned, "start": from_input, "negative": negative, "search": bool(search)}
        _require_plain(others | {name: icon_option(node, run.program, name, float) is not None for name in NAMES})
        objectives = _coherent(list(numbers), objectives, groups)
    return Named(dims, index), objectives


def of_directions(
    node: Node, layer: str, vectors: Sequence[tuple[float, ...]], run: Run
) -> tuple[list[int], list[Objective]]:
    """Return (the number of each vector's first objective, the objectives) of icons along vectors of a layer that are
    no atoms of the field: means of bins."""
    from dataclasses import replace

    from bbilang.runtime.featvis.icon import Objective

    pictures, negative = pictures_per_atom(node, run.program), bool(icon_option(node, run.program, "negative", bool))
    pixels, search = regularization(node, run.program), candidates_per_atom(node, run.program)
    made = [
        Objective(layer, vector, "direction", None, negative, number, pictures, None)
        for vector in vectors for number in range(pictures)
    ]  # fmt: skip
    if pixels or search:
        made = [replace(how, regularization=pixels, search=search) for how in made]
    return [pictures * number for number in range(len(vectors))], made


def _require_plain(others: Mapping[str, bool]) -> None:
    """Raise BbiError E510 where an option that excludes a coherent grid is on."""
    conflicting = next((name for name, on in others.items() if on), None)
    if conflicting is not None:
        help = "leave out one of them: the cells of a coherent grid share parts of their pictures"
        raise error("E510", f"`coherence=` and `{conflicting}=` do not go together", help)


def _components(field: Field) -> tuple[str, ...]:
    """Return the components that identify an atom of a field."""
    for known in (("group",), ("channel",), ("concept",), ("y", "x"), ("token",), ("frame",), ("class",)):
        if set(known) <= field.coords.keys():
            return known
    text = "a sum or difference of scores has no picture of its own"
    raise error("E510", text, 'name one class, or a list of them: `[output["tabby"], output["lynx"]]`')


def _coherent(keys: list[tuple[int, ...]], objectives: list[Objective], groups: int) -> list[Objective]:
    """Group the cells of each layer and input, which share parts of their pictures. keys: (y, x, ...) of each cell."""
    from dataclasses import replace

    from bbilang.runtime.featvis.icon import Grid

    grids: dict[tuple[int, ...], list[int]] = {}
    for number, key in enumerate(keys):
        grids.setdefault(key[2:], []).append(number)
    result = list(objectives)
    for numbers in grids.values():
        cells = Grid.of(np.array([objectives[number].direction for number in numbers]), groups)
        for cell, number in enumerate(numbers):
            result[number] = replace(objectives[number], grid=cells, cell=cell)
    return result


def _separate_axes(node: Node, components: tuple[str, ...], run: Run) -> dict[str, int]:
    """Return the axes on which directions depend besides the atoms' own: the input, states of a factorization."""
    if components in ((), ("channel",), ("class",)):
        return {}
    if components == ("group",):
        from bbilang.runtime.fields.groups import channel_factors

        return {d: s for d, s in channel_factors(node, run).sizes.items() if d not in ("group", "channel")}
    if components == ("concept",):
        return {d: s for d, s in directions.vectors(node, run).sizes.items() if d == "input"}
    return {"input": len(run.images)}


def _direction(
    node: Node, atom: dict[str, int], layer: str, position: dict[str, int], run: Run
) -> int | tuple[float, ...]:
    """Return the direction that an atom's icon maximizes: a channel's index, a group's channel factor, a direction
    itself, or the vector at a position."""
    if "channel" in atom or "class" in atom:
        return atom.get("channel", atom.get("class", 0))
    if "group" in atom:
        from bbilang.runtime.fields.groups import channel_factors

        factors = channel_factors(node, run)
        selected = {**position, "group": atom["group"]}
        vector = factors.data[tuple(slice(None) if d == "channel" else selected[d] for d in factors.dims)]
        return tuple(vector.tolist())
    if "concept" in atom:
        known = directions.vectors(node, run)
        return tuple(known.data[tuple({**position, **atom}.get(d, slice(None)) for d in known.dims)].tolist())
    cube = run.activation(node, layer)[position["input"]]
    activation = cube[tuple(atom.get(axis, slice(None)) for axis in run.layer(layer).axes)]
    return tuple(activation.float().cpu().tolist())


def signed_coefficients(node: Node) -> bool:
    """Return whether an element shows signed coefficients of components, so that icons depend on the sign."""
    type = node.type
    grouped = any("group" in axis.components for axis in type.axes)
    return grouped and type.content == "loading" and type.signed and type.axis("class") is None


def _negative_coefficients(field: Field, node: Node) -> Named | None:
    """Return 1 where an atom's coefficient is negative, over the axes of the values; None if they are unsigned."""
    if not signed_coefficients(node):
        return None
    return Named(field.values.dims, (field.values.data < 0).astype(int))


def _centre(atom: dict[str, int], layer: LayerDescription) -> tuple[float, float]:
    """Return the centre of an atom's position, (y, x) of the picture from 0 to 1."""
    y, x = ((atom[name] + 0.5) / layer.sizes[name] for name in ("y", "x"))
    return y, x


def _absent(field: Field, dims: tuple[str, ...], sizes: dict[str, int]) -> np.ndarray:
    """Return the mask of atoms all of whose values are missing."""
    missing = Named(field.values.dims, np.isnan(field.values.data))
    others = tuple(i for i, d in enumerate(missing.dims) if d not in dims)
    over_dims = Named(
        tuple(d for d in missing.dims if d in dims), np.asarray(missing.data.all(others)) if others else missing.data
    )
    whole = combine(lambda a, b: a | b, Named(dims, np.zeros([sizes[d] for d in dims], bool)), over_dims)
    return whole.ordered(dims).data
