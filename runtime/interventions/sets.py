"""The sets of atoms that an intervention changes in each input, and random sets of atoms of like magnitude."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.runtime.attribution.target_slots import atom_numbers
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.atoms import absent_atoms
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.interventions.layer import ChangedLayer

NEAR, SHARE = 20, 0.05  # how many atoms of the nearest magnitude a random one is drawn from; the share of the layer's


@dataclass
class Sets:
    """Sets of atoms of one layer, each of one input. ``index``: over (input, set, *dims), the number of a set; -1 for
    none. Of the axis `set`, the first is what was asked for, and the others are random ones."""

    dims: tuple[str, ...]
    index: np.ndarray
    atoms: list[np.ndarray] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    likes: list[np.ndarray] = field(default_factory=list)  # of each set, the one whose change has the same norm
    _known: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def notes(self, layer: ChangedLayer) -> tuple[str, ...]:
        """Describe how well the random sets are matched: the norm of their change beside that of what was asked."""
        if self.index.shape[1] == 1:
            return ()
        if layer.random_directions:
            same = "" if layer.operation.keeps else ", and the change along them has the same norm"
            return (f"the controls are random directions of the layer{same}",)
        norms = np.array(
            [np.sqrt((layer.norms[i, a] ** 2).sum()) for i, a in zip(self.inputs, self.atoms, strict=True)]
        )
        own, others = self.index[:, :1], self.index[:, 1:]
        both = (own >= 0) & (others >= 0)
        if not both.any():
            return ("there is no control: too few other atoms are left in the layer",)
        ratios = (norms[others] / np.maximum(norms[own], 1e-20))[both]
        low, middle, high = np.quantile(ratios, (0.1, 0.5, 0.9))
        return (f"random sets are matched by the norm of their change, {middle:.2g} of that of what was asked "
                f"(80 % within {low:.2g} to {high:.2g})",)  # fmt: skip

    def put(self, input: int, position: tuple[int, ...], atoms: np.ndarray, like: np.ndarray | None = None) -> None:
        """Put a set at a position of (set, *dims); equal sets of one input are one. like: what a random set stands
        beside."""
        key = (input, np.sort(atoms).tobytes())
        if key not in self._known:
            self._known[key] = len(self.atoms)
            self.atoms.append(atoms)
            self.inputs.append(input)
            self.likes.append(atoms if like is None else like)
        self.index[(input, *position)] = self._known[key]


def sets_of(frame: Field, layer: ChangedLayer, together: bool, controls: int) -> Sets:
    """Return the sets that a field's atoms make at one layer, with ``controls`` random ones for each."""
    numbers = atom_numbers(frame, layer.layer, layer.name)
    asked = list(_together(frame, numbers, layer) if together else _alone(frame, numbers, layer))
    inputs = len(layer.activation)
    dims, shape = asked[0][2] if asked else ((), ())
    sets = Sets(dims, np.full((inputs, 1 + controls, *shape), -1))
    others = _random_directions(asked, layer, controls) if layer.atom == directions.ATOM else {}
    for input, position, _, atoms in asked:
        sets.put(input, (0, *position), atoms)
        if others:
            for number in range(controls):
                own = np.array([next(others[input]) for _ in range(len(atoms))], np.int64)
                sets.put(input, (1 + number, *position), own, atoms)
        elif controls:
            random = np.random.default_rng([layer.seed, 4, 0, *position])  # whatever other inputs there are
            for number, chosen in enumerate(control_sets(atoms, layer.norms[input], controls, random)):
                sets.put(input, (1 + number, *position), chosen)
    return sets


def _random_directions(asked: Sequence[Asked], layer: ChangedLayer, controls: int) -> dict[int, Iterator[int]]:
    """Let a layer draw as many random directions as the sets of directions of an input need beside them; yield their
    numbers. They are the same for every input, whatever other inputs there are."""
    needed: dict[int, int] = {}
    for input, _, _, atoms in asked:
        needed[input] = needed.get(input, 0) + controls * len(atoms)
    known = layer.atoms
    layer.random_directions = max(needed.values(), default=0)
    del layer.units
    return {input: iter(range(known, known + count)) for input, count in needed.items()}


Asked: TypeAlias = "tuple[int, tuple[int, ...], tuple[tuple[str, ...], tuple[int, ...]], np.ndarray]"
"""An input, a position, the axes of positions with their sizes, and the atoms of a set."""


def _alone(frame: Field, numbers: Named, layer: ChangedLayer) -> Iterator[Asked]:
    """Yield every atom that the field has, in some state, as a set of its own; positions are those of the atom in the
    layer."""
    from bbilang.runtime.fields.atoms import axes_of_atoms

    dims, shape = axes_of_atoms(layer.atom, layer.layer), layer.sizes
    for input in range(len(layer.activation)):
        for atom in _of_input(frame, numbers, input):
            position = tuple(int(n) for n in np.unravel_index(atom, shape)) if shape else ()
            yield input, position, (dims, shape), np.array([atom])


def _together(frame: Field, numbers: Named, layer: ChangedLayer) -> Iterator[Asked]:
    """Yield all atoms of the field as one set, in each state that they depend on."""
    full = _present(frame, numbers)
    own = atom_axes(frame)
    dims = tuple(d for d in full.dims if d not in own and d != "input")
    shape = tuple(full.sizes[d] for d in dims)
    rest = tuple(d for d in full.dims if d in own)
    table = full.ordered((*(["input"] if "input" in full.dims else []), *dims, *rest)).data
    for input in range(len(layer.activation)):
        mine = table[min(input, len(table) - 1)] if "input" in full.dims else table
        for position in np.ndindex(shape):
            atoms = np.unique(mine[position])
            atoms = atoms[atoms >= 0]
            if len(atoms) or "layer" not in dims:  # else they are another layer's
                yield input, position, (dims, shape), atoms


def atom_axes(frame: Field) -> set[str]:
    """Return the axes that a set of atoms of one layer spends."""
    return {axis.name for axis in frame.type.atom_axes if axis.components != ("layer",)}


def dims_together(frame: Field, layer: LayerDescription, name: str) -> tuple[str, ...]:
    """Return the axes over which there is a set of atoms each."""
    full, own = _present(frame, atom_numbers(frame, layer, name)), atom_axes(frame)
    return tuple(d for d in full.dims if d not in own and d != "input")


def _present(frame: Field, numbers: Named) -> Named:
    """Return the numbers of the field's atoms, -1 where it has none."""
    missing = absent_atoms(frame)
    if missing is None:
        return numbers
    values = tuple(d for d in missing.dims if d in numbers.dims or d == "input" or d in _states(frame))
    gone = np.asarray(missing.data.all(tuple(i for i, d in enumerate(missing.dims) if d not in values)))
    dims = tuple(dict.fromkeys((*numbers.dims, *values)))
    return Named(dims, np.where(Named(values, gone).spread(dims), -1, numbers.spread(dims)))


def _states(frame: Field) -> set[str]:
    return {axis.name for axis in frame.type.states}


def _of_input(frame: Field, numbers: Named, input: int) -> np.ndarray:
    """Return the numbers of all atoms that a field has for one input, each once."""
    full = _present(frame, numbers)
    data = full.data.take(input, full.dims.index("input")) if "input" in full.dims else full.data
    unique = np.unique(data)
    return unique[unique >= 0]


def control_sets(own: np.ndarray, norms: np.ndarray, count: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return random sets of as many atoms, none of them ``own``, each atom drawn among those whose change is of nearly
    the same norm. Single atoms are drawn once each, so there may be fewer than ``count``; there are none where too few
    others are left."""
    others = np.setdiff1d(np.arange(len(norms)), own)
    if len(others) < len(own) or not len(own):
        return []
    order = others[np.argsort(norms[others], kind="stable")]
    near = min(max(NEAR, round(SHARE * len(norms)), 2 * len(own)), len(order))
    places = np.searchsorted(norms[order], norms[own])
    starts = np.clip(places - near // 2, 0, len(order) - near)
    if len(own) == 1:
        chosen = random.permutation(near)[:count]
        return [order[starts[0] + chosen[n : n + 1]] for n in range(len(chosen))]
    sets = []
    for _ in range(count):
        taken: set[int] = set()
        for start in starts[random.permutation(len(own))]:
            free = [n for n in range(start, start + near) if n not in taken]
            taken.add(int(random.choice(free)))
        sets.append(np.sort(order[sorted(taken)]))
    return sets
