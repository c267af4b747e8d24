"""Lay a field out as panels and frames of the view model: what all styles share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.contract import Drawn
from bbilang.compiler.ir.models import CHECKPOINT_AXIS
from bbilang.compiler.ir.program import Element, Node
from bbilang.compiler.ir.types import PARTNER, Axis
from bbilang.runtime.factorization.layer import atom_noun
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.fields.method_axis import METHOD, scaled
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view.atom_words import (
    atom_key,
    atom_words,
    columns_of,
    differs,
    example_named,
    names_in,
    ordinal,
    partner_words,
    token_word,
)
from bbilang.runtime.view.model import Atom, Frame, Panel, Sound
from bbilang.runtime.view.names_in_words import with_names

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Results

Index: TypeAlias = tuple[int, ...]  # into the axes (states, facet) of an array
Shape: TypeAlias = tuple[int, int]  # (y, x)

TOKENS = {"token", "key"}  # components that are tokens of the text, or of the picture
CLASSES = {"class", "target"}  # atoms of the output, whatever layer was attributed to them
DIGITS = 4  # significant digits of the numbers on a page


@dataclass
class Drawing:
    """One element's field, laid out as states x facets x slots x series. ``picture`` puts an image on the page."""

    element: Element
    field: Field
    drawn: Drawn
    results: Results
    picture: Callable[[bytes, str, int, int, str], int]  # (data, mime, width, height, alt) -> index
    prefix: str = ""  # of the model, where there are several
    whole: bool = False  # every number of a map, however fine: for a table
    titles: Mapping[str, str] | None = None  # label of a method -> its name for readers
    heard: Callable[[int, Sound], int] = lambda number, sound: number  # lets a reader play the sound of a picture

    def __post_init__(self) -> None:
        self.node = self.element.node
        field = scaled(self.field, self.titles)  # of several methods, each to its own scale
        self.field = with_names(field, self.node, self.results)
        type = self.field.type
        facet = self.node["facet"]
        self.facet: Axis | None = type.axis(facet) if facet else None
        arrays = [self.field.values, *self.field.coords.values(), *self.field.names.values()]
        if self.element.id in self.results.icon_sets:
            arrays.append(self.results.icon_sets[self.element.id].index)
        if isinstance(self.field, Linked):
            arrays += [part.values for part in (*self.field.nodes, *self.field.pairs)]
        used = {d for array in arrays for d in array.dims}
        # A state on which nothing depends needs no frames of its own.
        self.states: tuple[Axis, ...] = tuple(axis for axis in type.states if axis.name in used)
        self.atoms: list[Atom] = []
        self._atom_numbers: dict[str, int] = {}
        self._cells: dict[tuple, tuple[int, ...]] = {}
        self._inputs: dict[int, int] = {}
        self.series_axis = self.drawn.series if self.drawn.series and self.drawn.series.name in used else None

    @property
    def slots(self) -> Axis:
        """The axis along the slots, for styles that draw one."""
        assert self.drawn.slots is not None
        return self.drawn.slots

    def input_picture(self, number: int) -> int:
        """Return the page's picture of an input, as the network sees it."""
        from bbilang.runtime.view.image_bytes import jpeg
        from bbilang.runtime.view.media.sounds import playable

        if number not in self._inputs:
            it = self.results.pictures[number]
            y, x = it.shown.shape[:2]
            self._inputs[number] = self.picture(jpeg(it.shown), "image/jpeg", x, y, f"the input {it.name}")
            if it.sound is not None:
                self.heard(self._inputs[number], playable(it.sound.samples, it.sound.rate))
        return self._inputs[number]

    def axis(self, name: str) -> Axis:
        """Return an axis of the field, for styles whose type rule requires it."""
        axis = self.field.type.axis(name)
        assert axis is not None, f"the type rule demands the axis {name}"
        return axis

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return tuple(self._size(axis) for axis in self.states)

    def _size(self, axis: Axis) -> int:
        if axis.name in self.results.selections:
            return self.results.selections[axis.name].values.data.shape[0]
        for array in (self.field.values, *self.field.coords.values(), *self.field.names.values()):
            if axis.name in array.dims:
                return array.sizes[axis.name]
        return axis.size

    def grid(self, array: Named, *axes: Axis) -> np.ndarray:
        """Broadcast the array to (states, facet, *axes); the axis of a single input is dropped."""
        every = [*self.states, *([self.facet] if self.facet else []), *axes]
        names = [axis.name for axis in every]
        if "input" in array.dims and "input" not in names:
            array = array.take("input", Named((), np.array(0)))
        data = array.spread(names)
        return np.broadcast_to(data, [self._size(axis) for axis in every])

    def each_state(self) -> Iterator[tuple[int, ...]]:
        yield from product(*(range(size) for size in self.state_sizes))

    def facets(self) -> range:
        return range(self._size(self.facet)) if self.facet else range(1)

    def index(self, state: tuple[int, ...], facet: int) -> Index:
        """Return the index of one state and facet into arrays over (states, facet, ...)."""
        return (*state, facet) if self.facet else state

    @property
    def slot_word(self) -> str:
        """Return the name of a slot for tables and hints: that of the axis, or "component" for pca, svd and ica."""
        name, family = self.drawn.slots.name if self.drawn.slots else "", self.field.type.family
        return atom_noun(family.partition("-")[0]) if family and name in grouping.MADE else name

    # --- atoms and words -------------------------------------------------------------------------------------------

    def atom(self, components: dict[str, int], layer: str, name: str = "", node: Node | None = None) -> int:
        """Return the number of an atom in this element, or in that of another ``node``; -1 if any coordinate is
        absent."""
        if any(value < 0 for value in components.values()):
            return -1
        key = atom_key(self.prefix, grouping.key_prefix(node or self.node, layer, components), components)
        several = len(self.field.type.layers) > 1 and layer in self.field.type.layers and layer != "output"
        several &= not (set(components) == {"token"} and self.facet is not None and self.facet.name == "layer")
        return self._number(key, (f"{layer}, " if several else "") + (name or self.words(components, layer, node)))

    def words(self, components: dict[str, int], layer: str = "", node: Node | None = None) -> str:
        """Describe an atom, of the field's own layer unless another is given, with the names that the text gives.
        ``node``: the other element's that it is an atom of."""
        type = self.field.type
        family = node.type.family if node is not None else type.family
        own = layer or (type.layers[components.get("layer", 0)] if type.layers else "")
        columns = columns_of(self.results) if own == "input" else ()
        linked = (type.linked or type.layers or ("",))[-1]
        names = names_in(self.results, components, own, linked, family, type.linked_family or family)
        return atom_words(components, family, columns, names)

    def named_atom(self, components: dict[str, int], layer: str, words: str = "") -> int:
        """Return the number of an atom; without components that of the layer itself. ``words`` replace its label."""
        return self.atom(components, layer, words) if components else self._number(layer, layer)

    def group_atom(self, node: Field, group: int, layer: str) -> int:
        """Return the number of a group of one of several factorizations, with its key from where it is drawn alone."""
        whole = grouping.key_prefix(grouping.member(self.node, layer), layer, {"group": group})
        key = atom_key(self.prefix, whole, {"group": group})
        names = names_in(self.results, {"group": group}, layer, family=node.type.family)
        return self._number(key, f"{layer}, {atom_words({'group': group}, node.type.family, names=names)}")

    def _number(self, key: str, label: str, more: str = "") -> int:
        if key not in self._atom_numbers:
            self._atom_numbers[key] = len(self.atoms)
            self.atoms.append(Atom(key, label, more=more))
        return self._atom_numbers[key]

    def coordinates(self, axis: Axis) -> dict[str, np.ndarray]:
        """Return component -> coordinates over (states, facet, slot)."""
        return {c: self.grid(self.field.coords[c], axis) for c in axis.components if c in self.field.coords}

    def layer_grid(self, *axes: Axis) -> np.ndarray:
        """Index of the layer that each number belongs to, over (states, facet, *axes)."""
        if "layer" in self.field.coords:
            return self.grid(self.field.coords["layer"], *axes)
        return np.broadcast_to(0, [self._size(a) for a in (*self.states, *([self.facet] if self.facet else []), *axes)])

    def slot_atoms(self, axis: Axis) -> np.ndarray:
        """Return atom numbers over (states, facet, slot)."""
        columns = {c: v for c, v in self.coordinates(axis).items() if c != "layer"}
        layers = self.layer_grid(axis)
        partner = self.field.coords.get(PARTNER)  # each checkpoint has its own, which no label of all of them names
        partners = None if partner is None or CHECKPOINT_AXIS in partner.dims else self.grid(partner, axis)
        names = self.field.names.get(axis.name, self.field.columns.get("label") if axis.name == "example" else None)
        words = self.grid(names, axis) if names is not None else None
        known = self.field.columns.get("file") if axis.name == "example" else None
        files = self.grid(known, axis) if known is not None else None
        numbers = np.full(layers.shape, -1)
        absent = np.isnan(self._any_value(axis))
        for at in np.ndindex(numbers.shape):
            if not absent[at]:
                here = {c: int(v[at]) for c, v in columns.items()}
                if here and all(c.startswith("to.") for c in here) and len(self.field.type.linked) == 1:
                    later = {c.removeprefix("to."): number for c, number in here.items()}
                    numbers[at] = self.atom(later, self.field.type.linked[0], node=grouping.later(self.node))
                    continue
                own = set(here) - {"example"} - CLASSES or not here
                layer = self.field.type.layers[int(layers[at])] if own and self.field.type.layers else "output"
                if set(here) == {"example"}:
                    said = (str(own[at]) if own is not None else "" for own in (words, files))
                    numbers[at] = self.example_atom(here["example"], *said)
                elif not here:
                    numbers[at] = self.named_atom({}, layer)
                elif len(here) == 1 and set(here) <= TOKENS and words is None:
                    numbers[at] = self.token_atom(next(iter(here.values())), layer, at)
                elif partners is not None:
                    pair = self.words(here, layer) + partner_words(self.field, layer, int(partners[at]))
                    numbers[at] = self.atom(here, layer, pair)
                else:
                    numbers[at] = self.atom(here, layer, str(words[at]) if words is not None else "")
        return numbers

    def example_atom(self, example: int, name: str = "", file: str = "") -> int:
        """Return the number of an example, whose key is the same wherever it is shown; -1 for none."""
        known = example_named(self.node, example, name, file)
        return self._number(known.key, known.label, known.more) if example >= 0 else -1

    def token_atom(self, token: int, layer: str, at: tuple[int, ...]) -> int:
        """Return the number of a token, labelled with its word; -1 for padding. Of several texts, each has its own
        tokens."""
        row = self._row(at)
        word = self._token_word(token, layer, at)
        own = {"input": row} if len(self.results.pictures) > 1 and self.results.pictures[row].words else {}
        return self.atom({**own, "token": token}, layer, word) if word else -1

    def _row(self, at: tuple[int, ...]) -> int:
        """Return the number of the input that a frame is of."""
        names = [axis.name for axis in (*self.states, *([self.facet] if self.facet else []))]
        return at[names.index("input")] if "input" in names else 0

    def _token_word(self, token: int, layer: str, at: tuple[int, ...]) -> str:
        return token_word(self.results, layer, token, self._row(at))

    def _any_value(self, axis: Axis) -> np.ndarray:
        """Return an array over (states, facet, slot) that is NaN where no series has a value."""
        values = self.values(axis)
        with np.errstate(all="ignore"):
            gone = np.isnan(values).all(-1)
        return np.where(gone, np.nan, 0.0)

    def values(self, axis: Axis) -> np.ndarray:
        """Return numbers over (states, facet, slot, series); one series if the field has no such axis."""
        if self.series_axis is not None:
            return self.grid(self.field.values, axis, self.series_axis)
        return self.grid(self.field.values, axis)[..., None]

    def series(self, index: Index) -> tuple[str, ...]:
        """Return the labels of one frame's series."""
        axis = self.series_axis
        if axis is None:
            return ("",)
        if differs(self):
            return tuple(ordinal(rank + 1) for rank in range(self._size(axis)))
        names = self.field.names.get(axis.name)
        if names is not None:
            return tuple(str(w) for w in self.grid(names, axis)[index])
        if axis.name == "input":
            return tuple(picture.name for picture in self.results.pictures)
        columns = self.coordinates(axis)
        if not columns:
            return tuple(f"{axis.name} {i}" for i in range(self._size(axis)))
        every = [{c: int(v[index][i]) for c, v in columns.items()} for i in range(self._size(axis))]
        if set(columns) <= TOKENS:
            layer = self.field.type.layers[-1]
            return tuple(self._token_word(token, layer, index) for one in every for token in one.values())
        return tuple(self.words(one) if min(one.values()) >= 0 else "" for one in every)

    def series_atoms(self, index: Index) -> tuple[int, ...]:
        """Return the atom numbers of one frame's series, if they are atoms: classes, channels, groups."""
        axis = self.series_axis
        if (
            axis is None
            or differs(self)
            or set(axis.components) & {"component", "method", "measure", "target", "input"}
        ):
            return ()
        columns = self.coordinates(axis)
        if not columns:
            return ()
        linked = any(c.startswith("to.") for c in columns)
        layers = self.field.type.linked if linked else self.field.type.layers
        node = grouping.later(self.node) if linked else self.node
        numbers = []
        for i, words in enumerate(self.series(index)):
            here = {c.removeprefix("to."): int(v[index][i]) for c, v in columns.items()}
            own = layers[here.pop("layer", -1)]
            numbers.append(self.atom(here, "output" if set(here) <= CLASSES else own, words, node))
        return tuple(numbers)

    def colours(self, index: Index, axis: Axis) -> tuple[str, ...]:
        """Return the colours of one frame's groups along an axis; empty if its atoms are not groups."""
        if axis.components != ("group",) or "group" not in self.field.coords:
            return ()
        numbers = self.grid(self.field.coords["group"], axis)[index]
        present = ~np.isnan(self.values(axis)[index]).all(-1)
        return self.group_colours(np.where(present, numbers, -1), int(self.group_counts()[index]), self.node)

    def group_colours(self, groups: np.ndarray, count: int, node: Node) -> tuple[str, ...]:
        """Return the colours of the groups with these numbers, of ``count`` in the factorization of ``node``."""
        source = grouping.factorization(node)
        first = self._first_colours.get(source.digest, 0) if source is not None else 0
        return grouping.colours(groups, count, self.field.type.family, first)

    @cached_property
    def _first_colours(self) -> dict[str, int]:
        return grouping.first_colours(self.results.program)

    def group_counts(self) -> np.ndarray:
        """Return the number of groups over (states, facet): the `n` of `factorize`, else the number drawn."""
        source = grouping.factorization(self.node)
        number = source["n"] if source is not None else None
        if isinstance(number, Node) and number.get("id") in self.results.selections:
            chosen = self.results.selections[number["id"]]
            return self.grid(chosen.coords.get("value", chosen.values)).astype(int)
        group = self.field.coords.get("group")
        known = number if isinstance(number, int) else 1 + int(group.data.max(initial=0)) if group is not None else 1
        return self.grid(Named((), np.array(known)))

    def cells(self, index: Index, shape: tuple[int, int], frames: bool = False) -> tuple[int, ...]:
        """Return the atom numbers of a map's positions, row by row; or of the ``frames`` of a sound."""
        layer, (y, x) = self.layer_at(index), shape
        if (layer, shape) not in self._cells:
            places = ({"frame": j} if frames else {"y": i, "x": j} for i in range(y) for j in range(x))
            self._cells[layer, shape] = tuple(self.atom(place, layer) for place in places)
        return self._cells[layer, shape]

    @cached_property
    def _layers(self) -> np.ndarray:
        return self.layer_grid()

    def layer_at(self, index: Index) -> str:
        return self.field.type.layers[int(self._layers[index])]

    def inside(self, cells: np.ndarray, index: Index) -> np.ndarray:
        """Crop a map (y, x, ...) to its layer, without the padding of a smaller one."""
        y, x = self.axis("y"), self.axis("x")
        if not y.sizes or len(set(y.sizes)) == 1:
            return cells
        layer = int(self._layers[index])
        return cells[: y.sizes[layer], : x.sizes[layer]]

    def panels(self, frame: Callable[[Index], Frame]) -> tuple[Panel, ...]:
        """Return one panel per facet, with slots in rows; ``frame`` draws one state."""
        return tuple(
            self.panel([frame(self.index(state, facet)) for state in self.each_state()], facet)
            for facet in self.facets()
        )

    def map_panels(self, frame: Callable[[Index], tuple[Frame, Shape]]) -> tuple[Panel, ...]:
        """Return one panel per facet, with cells over positions; ``frame`` draws one state and returns its (y, x)."""
        made = []
        for facet in self.facets():
            drawn = [frame(self.index(state, facet)) for state in self.each_state()]
            made.append(self.panel([one for one, _ in drawn], facet, drawn[-1][1]))
        return tuple(made)

    def panel(self, frames: Sequence[Frame], facet: int, shape: Shape = (0, 0)) -> Panel:
        """Return one panel with its label, which may change with the state."""
        labels = tuple(self.facet_words(state, facet) for state in self.each_state())
        keys = {shown: key for key, shown in (self.titles or {}).items()}
        return Panel(labels[0], tuple(frames), shape, labels if len(set(labels)) > 1 else (), keys.get(labels[0], ""))

    def facet_words(self, state: tuple[int, ...], facet: int) -> str:
        """Return the label of a panel in one state."""
        if self.facet is None:
            return ""
        names = self.field.names.get(self.facet.name)
        if names is not None:
            word = str(self.grid(names)[self.index(state, facet)])
            return (self.titles or {}).get(word, word) if self.facet.name == METHOD else word
        if self.facet.name == "input":
            return self.results.pictures[facet].name
        own = {c: int(self.grid(self.field.coords[c])[self.index(state, facet)])
               for c in self.facet.components if c in self.field.coords}  # fmt: skip
        if "layer" in own:
            layer = self.field.type.layers[own.pop("layer")]
            return ", ".join([layer, *([self.words(own, layer)] if own else [])])
        return self.words(own) if all(v >= 0 for v in own.values()) else ""


def rounded(value: float) -> float | None:
    """Round a number for the page; None for a missing one."""
    if value != value:
        return None
    return float(f"{value:.{DIGITS}g}") or 0.0  # and no minus before a zero
