"""Numbers over named axes, with the atoms that they belong to. What kernels take and give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen

ABSENT = -1  # a coordinate where there is no atom; values are NaN there


@frozen
class Named:
    """An array whose axes have names. Axes that two arrays share are paired; the others spread out."""

    dims: tuple[str, ...]
    data: np.ndarray

    def __post_init__(self) -> None:
        if self.data.ndim != len(self.dims) or len(set(self.dims)) != len(self.dims):
            raise ValueError(f"axes {self.dims} for an array of shape {self.data.shape}")

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.dims, self.data.shape, strict=True))

    def spread(self, dims: Sequence[str]) -> np.ndarray:
        """The data with one axis for each of ``dims``, in that order; size 1 where this array has no such axis."""
        if self.dims == dims:
            return self.data
        own = [d for d in dims if d in self.dims]
        if len(own) != len(self.dims):
            raise ValueError(f"axes {self.dims} do not all stand in {tuple(dims)}")
        moved = self.data.transpose([self.dims.index(d) for d in own])
        shape = iter(moved.shape)
        return moved.reshape([next(shape) if d in self.dims else 1 for d in dims])

    def ordered(self, dims: Sequence[str]) -> Named:
        """The same array with its own axes in this order."""
        if self.dims == dims:
            return self
        if set(dims) != set(self.dims):
            raise ValueError(f"axes {self.dims} are not {tuple(dims)}")
        return Named(tuple(dims), self.spread(dims))

    def renamed(self, names: Mapping[str, str]) -> Named:
        return Named(tuple(names.get(d, d) for d in self.dims), self.data)

    def take(self, dim: str, index: Named) -> Named:
        """Pick along one axis: the axes of ``index`` take its place, paired with those that both have.

        A negative index is an absent place: NaN, ABSENT or the empty text.
        """
        at = self.dims.index(dim)
        others = self.dims[:at] + self.dims[at + 1 :]
        dims = (*others, *(d for d in index.dims if d not in others))
        sizes = index.sizes
        if all(sizes[d] == 1 for d in index.dims if d in others):  # the same places everywhere
            own = [n for d, n in sizes.items() if d not in others]
            places = index.data if len(own) == index.data.ndim else index.data.reshape(own)
            data = np.asarray(self.data.take(places, at))  # a lone word of an object array comes bare
            if at + 1 < len(self.dims):
                last = at + places.ndim
                data = data.transpose([*range(at), *range(last, data.ndim), *range(at, last)])
            gone = places < 0
        else:
            sizes = self.sizes | sizes
            spread = index.spread(dims)
            shape = [sizes[d] if d in index.dims or d in others else 1 for d in dims]
            own = [
                np.broadcast_to(spread, shape) if d == dim
                else np.arange(sizes[d]).reshape([sizes[d] if x == d else 1 for x in dims])
                for d in self.dims
            ]  # fmt: skip
            data = np.asarray(self.data[tuple(own)])
            gone = np.broadcast_to(spread < 0, data.shape)
        if gone.any():
            data = np.where(gone, absent_like(data), data)
        return Named(dims, data)


def absent_like(data: np.ndarray) -> Any:
    """What stands at an absent place of such an array."""
    if data.dtype.kind == "f":
        return data.dtype.type(np.nan)
    return "" if data.dtype.kind in "OU" else ABSENT


def union_of(arrays: Iterable[Named]) -> tuple[str, ...]:
    """All axes of some arrays, in order of appearance."""
    return tuple(dict.fromkeys(d for array in arrays for d in array.dims))


def combine(function: Any, *arrays: Named) -> Named:
    """An elementwise function of arrays, paired by the names of their axes."""
    dims = union_of(arrays)
    return Named(dims, function(*(array.spread(dims) for array in arrays)))


@dataclass
class Field:
    """A field: values, and for every component of its atoms (channel, y, x, class, layer) the coordinates.

    coords: component -> integers over some of the value's axes. names: axis -> words for its places (classes).
    index, weight: for targets, the classes and coefficients that make up each score, with a last axis `term`.
    notes: what a reader has to know of the numbers, for the legend. shares: (words with a `{}` in them, shares of 1
    over some of the value's axes, the note whose place they take where all of those axes are states): what is true of
    each state by itself, as "the neurons shown hold {} of the vector". trust: what measures of trust found, each
    (title, words, what it means, source, a warning or the empty text). curves: measure -> what `present(curve)` draws.
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

    def take(self, dim: str, index: Named) -> Field:
        """Pick along one axis, values and coordinates alike."""

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
        )

    def with_values(self, values: Named, type: FieldType) -> Field:
        return Field(
            type, values, self.coords, self.names, self.index, self.weight, self.notes, self.shares, self.trust,
            self.curves,
        )  # fmt: skip

    def drop(self, *dims: str) -> Field:
        """Without what is known of some axes, after they were summed away."""
        gone = set(dims)
        coords = {c: a for c, a in self.coords.items() if not gone & set(a.dims)}
        names = {n: a for n, a in self.names.items() if not gone & set(a.dims)}
        shares = tuple(share for share in self.shares if not gone & set(share[1].dims))
        told = {"notes": self.notes, "shares": shares, "trust": self.trust, "curves": self.curves}
        return Field(self.type, self.values, coords, names, **told)

    def positions(self, component: str, wanted: Named, axis: str) -> Named:
        """Where along an axis the places with these coordinates are; ABSENT where they are not."""
        own = self.coords[component]
        if own.dims == (axis,):
            table = np.full(int(max(own.data.max(initial=0), wanted.data.max(initial=0))) + 2, ABSENT)
            table[own.data[own.data >= 0]] = np.flatnonzero(own.data >= 0)
            return Named(wanted.dims, np.where(wanted.data < 0, ABSENT, table[np.maximum(wanted.data, 0)]))
        dims = tuple(d for d in union_of((wanted, own)) if d != axis)
        grid = (*dims, axis)
        left = wanted.renamed({axis: f"{axis}'"}) if axis in wanted.dims else wanted
        if left is not wanted:
            dims = tuple(d for d in union_of((left, own)) if d != axis)
            grid = (*dims, axis)
        hit = (left.spread(grid) == own.spread(grid)) & (left.spread(grid) >= 0)
        found = np.where(hit.any(-1), hit.argmax(-1), ABSENT)
        return Named(dims, found).renamed({f"{axis}'": axis})


@dataclass
class Linked(Field):
    """Fields in columns and the links between neighbours: what `link()` gives for a list, and `sankey` draws.

    nodes: one field a column, values over (group) or (class): a group's |W| |H|, a class's score. pairs: one field for
    each two neighbouring columns, values over (group, to.group), or (group, class) where the later is `output`: the
    attribution of the earlier atom to the later one. All of them may have an axis `input` and axes of states besides.
    """

    nodes: tuple[Field, ...] = ()
    pairs: tuple[Field, ...] = ()

    def take(self, dim: str, index: Named) -> Linked:
        """Pick along one axis of every column and every pair that has it."""
        nodes, pairs = (tuple(part.take(dim, index) for part in parts) for parts in (self.nodes, self.pairs))
        return replace(self, nodes=nodes, pairs=pairs)

    def with_values(self, values: Named, type: FieldType) -> Linked:
        return replace(self, values=values, type=type)
