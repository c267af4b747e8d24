"""The type of a field: its content over named axes, the atoms it describes, and its states on a page."""

from __future__ import annotations

from dataclasses import field, replace

from bbilang.grammar.frozen import frozen

LASSO = "lasso"  # the component of a state that is a part of the examples: the page itself computes with it
DIFFERENCE = "difference over "  # how the step of a difference begins, before the axis that it spends
ATOMS = ("neuron", "spatial", "channel", "group", "whole", "pixel", "class", "token", "frame", "head", "example")
APART = {"prediction": ("layer", "token", "y", "x")}  # content -> axes along each of which its classes are ranked anew
SIMILARITY = "similarity"  # the content of layers compared with layers, whose numbers lie between 0 and 1
PARTNER = "partner.channel"  # the coordinate of matched channels: those that they are matched with
MADE = ("group", "direction")  # atoms that an operation makes: their numbers mean nothing without it

LAYER_AXES = ("y", "x", "frame", "token", "head", "channel")  # of layers, in the order of a field's axes
VECTORS = ("spatial", "token", "frame")  # atoms of a layer whose part is the vector, or the vectors, at a place

# The axes that a full substrate of each atom has, before any operation.
ATOM_AXES = {
    "neuron": ("y", "x", "channel"),
    "spatial": ("y", "x"),
    "channel": ("channel",),
    "whole": (),
    "pixel": ("y", "x"),
    "class": ("class",),
    "token": ("token",),
    "frame": ("frame",),
    "head": ("head",),
}

OF_LAYERS = frozenset((*LAYER_AXES, "layer", "group", "example", "to.channel"))  # coordinates that identify atoms
IDENTIFYING = {"class": OF_LAYERS | {"class", "target"}, "direction": OF_LAYERS | {"concept"}}

PRINTED = "_printed"  # in the dictionary of an axis or a type


def _printed_once(value: Axis | FieldType) -> str:
    """Print every field. A node's digest is of that: nodes share axes and types, which print it once."""
    text: str | None = value.__dict__.get(PRINTED)
    if text is None:
        kind = type(value)
        shown = ", ".join([f"{name}={value.__dict__[name]!r}" for name in kind.__dataclass_fields__])
        text = value.__dict__[PRINTED] = f"{kind.__name__}({shown})"
    return text


@frozen
class Axis:
    """One named axis. ``size`` is an upper bound where ``exact`` is False: what `filter` or a union of states leaves.

    ``components`` are the coordinates of a position on the axis: (channel,), or (y, x, channel) where `top` ranked
    whole neurons. ``sizes`` gives the size in each layer where layers differ. ``gap`` is the slot before which `both`
    leaves a gap. ``varies`` names other axes along which the atoms differ (`top(3, per=layer)`); ``whole`` says that
    the positions are all of the layer's, in its order, as a map needs them.
    """

    name: str
    size: int
    components: tuple[str, ...] = ()
    exact: bool = True
    sizes: tuple[int, ...] = ()
    gap: int = 0
    varies: tuple[str, ...] = ()
    whole: bool = True

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"axis {self.name} has size {self.size}")
        if not self.components:
            object.__setattr__(self, "components", (self.name,))

    def __repr__(self) -> str:
        return _printed_once(self)

    def __str__(self) -> str:
        return f"{self.name}: {'' if self.exact else 'up to '}{self.size}"


@frozen
class FieldType:
    """Values over axes. ``axes`` must be spent by a presentation; ``states`` are shown one at a time.

    content: activation, gradient, attribution, score or picture.
    states: one axis a selection, named by the selection's id.
    """

    content: str
    atom: str
    layers: tuple[str, ...]
    axes: tuple[Axis, ...]
    states: tuple[Axis, ...] = ()
    model: str = ""
    signed: bool = True
    unit: str = ""
    scope: str = ""  # how `normalize` scaled, in words; empty where values are as measured
    steps: tuple[str, ...] = field(default=())  # arithmetic done since the content, in words, for the legend
    spent: tuple[str, ...] = ()  # components that arithmetic spent: the atoms are no longer those of the layer
    family: str = ""  # of groups: which factorization of the layer they are of, as in `nmf-6`
    linked: tuple[str, ...] = ()  # the layers of the atoms whose coordinates begin with `to.`
    linked_family: str = ""  # and, where those are groups, their factorization
    partner: tuple[str, ...] = ()  # of matched channels: the model (empty for their own) and the layer of the others
    curves: tuple[str, ...] = ()  # measures of `trust` that `present(curve)` can draw instead
    columns: tuple[tuple[str, int], ...] = ()  # of examples: each column, with how many values it has; 0 for unknown

    def __repr__(self) -> str:
        return _printed_once(self)

    def _with(self, **changed: object) -> FieldType:
        """Return a copy with other values, as `replace` does; many are made while a text is checked."""
        made = FieldType.__new__(FieldType)
        made.__dict__.update(self.__dict__, **changed)
        made.__dict__.pop(PRINTED, None)
        return made

    def axis(self, name: str) -> Axis | None:
        return next((axis for axis in self.axes if axis.name == name), None)

    @property
    def of_groups(self) -> bool:
        """Whether directions are groups as each example of a dataset has them: a text calls their axis `group`."""
        return self.atom == "direction" and self.family.partition("-")[0] not in ("", "concept", "direction")

    def called(self, axis: str) -> str:
        """Return what a text calls an axis."""
        return "group" if axis == "concept" and self.of_groups else axis

    @property
    def atom_axes(self) -> tuple[Axis, ...]:
        """The axes that identify the atoms, `layer` included."""
        own = IDENTIFYING.get(self.atom, OF_LAYERS)
        return tuple([axis for axis in self.axes if not own.isdisjoint(axis.components)])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def state_count(self) -> int:
        """The number of states of the reader's choices: the product of the sizes of their axes."""
        count = 1
        for axis in self.states:
            count *= axis.size
        return count

    @property
    def lasso(self) -> Axis | None:
        """The state that is a part of the examples, which a reader encloses."""
        return next((axis for axis in self.states if axis.components == (LASSO,)), None)

    def without(self, *names: str) -> FieldType:
        """Return the type without some axes."""
        return self._with(axes=tuple([axis for axis in self.axes if axis.name not in names]))

    def panel(self, facet: str | None) -> FieldType:
        """Return the type of one panel: without the axis that is laid out; and of the examples of a single atom without
        that atom's axis, which has nothing to show."""
        type = self if facet is None else self.without(facet)
        if type.axis("example") is None:
            return type
        kept = ("input", "example", "component")
        return type.without(*(a.name for a in type.axes if a.size == 1 and a.exact and a.name not in kept))

    def varying(self, name: str) -> Axis | None:
        """Return the axis whose atoms differ along the axis ``name``, so that ``name`` cannot be reduced alone; or
        None."""
        return next((axis for axis in self.axes if name in axis.varies), None)

    def swap(self, new: Axis) -> FieldType:
        """Return the type with the axis of the same name replaced."""
        return replace(self, axes=tuple(new if axis.name == new.name else axis for axis in self.axes))

    def with_steps(self, steps: tuple[str, ...]) -> FieldType:
        """Return the type with other steps."""
        return self._with(steps=steps)

    def with_states(self, *more: Axis) -> FieldType:
        """Return the type with more states, joined by name: a selection used twice is one axis."""
        known = {axis.name for axis in self.states}
        fresh: list[Axis] = []
        for axis in more:
            if axis.name not in known:
                known.add(axis.name)
                fresh.append(axis)
        return replace(self, states=self.states + tuple(fresh)) if fresh else self

    def __str__(self) -> str:
        where = f" of {', '.join(self.layers)}" if self.layers else ""
        axes = ", ".join(map(str, self.axes)) or "no axes"
        states = f"; states {', '.join(map(str, self.states))}" if self.states else ""
        return f"{self.content}{where} ({axes}{states})"
