"""Arrays with named axes, and fields: values with the coordinates of their atoms, which kernels take and return."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen

ABSENT = -1  # the coordinate of a missing atom; its values are NaN
CONTROLS, CONTROL = "controls", "control"  # what random sets do, beside an effect's numbers; the axis of these sets
DISTANCES = "distances"  # how far the changed layer of each example lies from natural ones, beside an effect's numbers
TERM = "term"  # the axis of the classes that one score is made of


@frozen
class Named:
    """An array with named axes. Axes of the same name are paired; the others broadcast."""

    dims: tuple[str, ...]
    data: np.ndarray

    def __post_init__(self) -> None:
        if isinstance(self.data, np.generic):  # numpy's functions of arrays without axes return plain numbers
            object.__setattr__(self, "data", np.asarray(self.data))
        if self.data.ndim != len(self.dims) or len(set(self.dims)) != len(self.dims):
            raise ValueError(f"axes {self.dims} for an array of shape {self.data.shape}")

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.dims, self.data.shape, strict=True))

    def spread(self, dims: Sequence[str]) -> np.ndarray:
        """Return the data with one axis for each of ``dims``, in that order; size 1 for an axis that it lacks."""
        if self.dims == dims:
            return self.data
        position = {d: i for i, d in enumerate(self.dims)}
        own = [position[d] for d in dims if d in position]
        if len(own) != len(position):
            raise ValueError(f"axes {self.dims} do not all stand in {tuple(dims)}")
        data = self.data.transpose(own)
        if len(own) == len(dims):
            return data
        return data[tuple([slice(None) if d in position else None for d in dims])]

    def ordered(self, dims: Sequence[str]) -> Named:
        """Transpose to this order of axes."""
        if self.dims == dims:
            return self
        if set(dims) != set(self.dims):
            raise ValueError(f"axes {self.dims} are not {tuple(dims)}")
        return Named(tuple(dims), self.spread(dims))

    def renamed(self, names: Mapping[str, str]) -> Named:
        return Named(tuple(names.get(d, d) for d in self.dims), self.data)

    def parts(self, dim: str) -> tuple[Named, ...]:
        """Return the array at each position of an axis, without that axis."""
        at, rest = self.dims.index(dim), tuple(d for d in self.dims if d != dim)
        return tuple(Named(rest, self.data.take(number, at)) for number in range(self.data.shape[at]))

    def summed(self, dim: str, dtype: type[np.floating] | None = None) -> Named:
        """Return the sum along one axis."""
        return Named(tuple(d for d in self.dims if d != dim), self.data.sum(self.dims.index(dim), dtype=dtype))

    def take(self, dim: str, index: Named) -> Named:
        """Index along one axis, which the axes of ``index`` replace; axes that both have are paired.

        A negative index gives a missing value: NaN, ABSENT or the empty string.
        """
        at = self.dims.index(dim)
        others = self.dims[:at] + self.dims[at + 1 :]
        new = [d for d in index.dims if d not in others]
        dims = (*others, *new)
        sizes = index.sizes
        if (same := self._taken_everywhere(at, index, new)) is not None:
            return same
        if math.prod([sizes[d] for d in index.dims if d in others]) == 1:  # the same positions everywhere
            positions = index.data if len(new) == len(sizes) else index.data.reshape([sizes[d] for d in new])
            data = np.asarray(self.data.take(positions, at))  # indexing an object array may return a bare element
            if at + 1 < len(self.dims):
                last = at + positions.ndim
                data = data.transpose([*range(at), *range(last, data.ndim), *range(at, last)])
            missing = positions < 0
        else:
            sizes = self.sizes | sizes
            spread = index.spread(dims)
            shape = [sizes[d] if d in index.dims or d in others else 1 for d in dims]
            indices = [
                np.broadcast_to(spread, shape) if d == dim
                else np.arange(sizes[d]).reshape([sizes[d] if x == d else 1 for x in dims])
                for d in self.dims
            ]  # fmt: skip
            data = np.asarray(self.data[tuple(indices)])
            missing = np.broadcast_to(spread < 0, data.shape)
        if missing.any():
            data = np.where(missing, absent_like(data), data)
        return Named(dims, data)

    def _taken_everywhere(self, at: int, index: Named, new: Sequence[str]) -> Named | None:
        """Return the result of `take` where every index is the same, as for the only class of each input: a copy of one
        slice, many times faster than indexing by arrays. None for any other index."""
        own, sizes = self.sizes, index.sizes
        first = int(index.data.flat[0]) if index.data.size else -1
        alone = all(sizes[d] == (1 if d in new else own[d]) for d in index.dims)
        if first < 0 or not alone or not (index.data == first).all():
            return None
        data = self.data.take([first], at)  # a list, or an array of objects would lose its type
        shape = data.shape[:at] + data.shape[at + 1 :] + (1,) * len(new)
        return Named((*self.dims[:at], *self.dims[at + 1 :], *new), data.reshape(shape))


def absent_like(data: np.ndarray) -> np.generic | str | int:
    """Return the missing value of such an array: NaN, the empty string or ABSENT."""
    if data.dtype.kind == "f":
        return data.dtype.type(np.nan)
    return "" if data.dtype.kind in "OU" else ABSENT


def union_of(arrays: Iterable[Named]) -> tuple[str, ...]:
    """Return the axes of several arrays, in order of appearance."""
    return tuple(dict.fromkeys(d for array in arrays for d in array.dims))


def combine(function: Callable[..., np.ndarray], *arrays: Named) -> Named:
    """Apply an elementwise function to arrays, paired by the names of their axes."""
    dims = union_of(arrays)
    return Named(dims, function(*(array.spread(dims) for array in arrays)))


def coalesce(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the first array, with the second where the first is missing (NaN)."""
    return np.where(np.isnan(first), second, first)


def replace_where(values: np.ndarray, other: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the values, with the other array where the mask is set."""
    return np.where(mask, other, values)


SHADE = "shade"  # the coordinate of maps by which pictures of examples are dimmed: shares over y and x


@dataclass
class Field:
    """Values, and the coordinates of their atoms for every component (channel, y, x, class, layer).

    coords: component -> integers over some of the value's axes. names: axis -> labels along it (classes).
    index, weight: for targets, the classes and coefficients that make up each score, with a last axis `term`.
    notes: sentences about the numbers, for the legend. shares: notes that differ from state to state, each (words with
    a `{}`, shares of 1 over some of the value's axes, the note that they replace where all of those axes are states),
    as "the neurons shown hold {} of the vector". trust: results of measures of trust, each (title, words, meaning,
    source, a warning or ""). curves: measure -> the field that `present(curve)` draws. columns: what is known of
    examples, strings or float64, each over some of the value's axes. beside: of an intervention, `before`, the target
    without it, and `controls`, what random sets do, with a last axis `control`; lost where the values become others.
    """

    type: FieldType
    values: Named
    coords: dict[str, Named] = field(default_factory=dict)
    names: dict[str, Named] = field(default_factory=dict)
    index: Named | None = None
    weight: Named | None = None
    notes: tuple[str, ...] = ()
    shares: tuple[tuple[str, Named, str], ...] = ()
    trust: tuple[tuple[str, ...], ...] = ()
    curves: dict[str, Field] = field(default_factory=dict)
    columns: dict[str, Named] = field(default_factory=dict)
    beside: dict[str, Named] = field(default_factory=dict)

    def take(self, dim: str, index: Named) -> Field:
        """Index along one axis, values and coordinates alike."""

        def pick(array: Named) -> Named:
            return array.take(dim, index) if dim in array.dims else array

        return Field(
            self.type,
            pick(self.values),
            {c: pick(a) for c, a in self.coords.items()},
            {n: pick(a) for n, a in self.names.items()},
            pick(self.index) if self.index is not None else None,
            pick(self.weight) if self.weight is not None else None,
            self.notes,
            tuple((words, pick(share), note) for words, share, note in self.shares),
            self.trust,
            {name: c.take(dim, index) for name, c in self.curves.items()},
            {name: pick(a) for name, a in self.columns.items()},
            {name: pick(a) for name, a in self.beside.items()},
        )

    def with_values(self, values: Named, type: FieldType) -> Field:
        """Return the field with other values of the same axes; everything else stays."""
        same = (type.steps, type.scope) == (self.type.steps, self.type.scope)
        return Field(
            type, values, self.coords, self.names, self.index, self.weight, self.notes, self.shares, self.trust,
            self.curves, self.columns, self.beside if same else {},
        )  # fmt: skip

    def drop(self, *dims: str) -> Field:
        """Remove the coordinates, names and shares of some axes, after a reduction over them."""
        gone = set(dims)
        coords = {c: a for c, a in self.coords.items() if not gone & set(a.dims)}
        names = {n: a for n, a in self.names.items() if not gone & set(a.dims)}
        shares = tuple(share for share in self.shares if not gone & set(share[1].dims))
        columns = {n: a for n, a in self.columns.items() if not gone & set(a.dims)}
        beside = {n: a for n, a in self.beside.items() if not gone & set(a.dims)}
        return Field(
            self.type, self.values, coords, names, notes=self.notes, shares=shares, trust=self.trust,
            curves=self.curves, columns=columns, beside=beside,
        )  # fmt: skip

    def positions(self, component: str, coordinates: Named, axis: str) -> Named:
        """Return the index along an axis of each of these coordinates; ABSENT where the field does not have it."""
        own = self.coords[component]
        if own.dims == (axis,):
            table = np.full(int(max(own.data.max(initial=0), coordinates.data.max(initial=0))) + 2, ABSENT)
            table[own.data[own.data >= 0]] = np.flatnonzero(own.data >= 0)
            return Named(
                coordinates.dims, np.where(coordinates.data < 0, ABSENT, table[np.maximum(coordinates.data, 0)])
            )
        dims = tuple(d for d in union_of((coordinates, own)) if d != axis)
        grid = (*dims, axis)
        left = coordinates.renamed({axis: f"{axis}'"}) if axis in coordinates.dims else coordinates
        if left is not coordinates:
            dims = tuple(d for d in union_of((left, own)) if d != axis)
            grid = (*dims, axis)
        hit = (left.spread(grid) == own.spread(grid)) & (left.spread(grid) >= 0)
        index = np.where(hit.any(-1), hit.argmax(-1), ABSENT)
        return Named(dims, index).renamed({f"{axis}'": axis})


@dataclass
class Linked(Field):
    """Fields in columns and the links between neighbours: the result of `link()` on a list, drawn by `sankey`.

    nodes: one field per column, values over (group) or (class): a group's |W| |H|, a class's score. pairs: one field
    for each pair of neighbouring columns, values over (group, to.group), or (group, class) where the later is `output`:
    the attribution of the earlier atom to the later one. All may have an axis `input` and axes of states in addition.
    """

    nodes: tuple[Field, ...] = ()
    pairs: tuple[Field, ...] = ()

    def take(self, dim: str, index: Named) -> Linked:
        """Index along one axis of every column and pair that has it."""
        nodes, pairs = (tuple(part.take(dim, index) for part in parts) for parts in (self.nodes, self.pairs))
        return replace(self, nodes=nodes, pairs=pairs)

    def with_values(self, values: Named, type: FieldType) -> Linked:
        return replace(self, values=values, type=type)
