"""`circuit(k)`: weights between layers after each other, from chosen channels back along the largest ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, Operation, Parameter, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.ops.weights.weights import FROM, TO

MOST = 32  # channels of the last layer, each with a flow into it
EXAMPLE = (
    "[weights(block5b, block5c.expand), weights(block5c.expand, block5c.project, expanded=true)[to=3]]\n"
    "    | circuit(3) | present(sankey)"
)


class Circuit(Operation):
    """Channels of layers after each other, and the weights between them: of the last layer the channels that its
    weights lead to, and of each earlier layer the k channels with the largest weights, by magnitude, into each channel
    of the next.

    It is of a list of `weights`, each from the layer to which the one before leads. The last says which channels it is
    about: `weights(b, c)[to=3]`, or several, `weights(b, c) | top(2, along=to.channel, by=magnitude)`. All weights
    between the channels that are kept are shown, and `present(sankey)` draws them. The weights are not multiplied with
    each other: the nonlinearity of each layer between the two ends is between them.
    """

    name = "circuit"
    parameters = (
        Parameter(
            "k", "integer", "how many channels of the earlier layer to keep for each channel of the later one", 3,
            minimum=1, maximum=100, candidates=(3, 2, 5),
        ),
    )  # fmt: skip
    example = EXAMPLE

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.content != "weights":
            raise Fail(
                "E329", "`circuit` is of a list of weights", "as in `[weights(a, b), weights(b, c)[to=3]] | circuit(3)`"
            )
        type = FieldType("weight", "list", field.layers, (), model=field.model, signed=field.signed)
        return replace(type, linked=field.layers[-1:])

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        """Check what the list holds, and add how many channels each layer has at most."""
        members = field.inputs
        for earlier, later in pairwise(members):
            if earlier.type.model != later.type.model:
                raise Fail("E235", "a circuit is of layers of one model")
            if earlier.type.linked != later.type.layers:
                message = f"the weights into `{earlier.type.linked[0]}` are followed by those from "
                message += f"`{later.type.layers[0]}`"
                raise Fail("E329", message, "each of the list starts at the layer to which the one before leads")
        for number, member in enumerate(members):
            _check_member(member, number == len(members) - 1)
        counts = [_size(members[-1], TO)]
        for member in reversed(members):
            counts.insert(0, min(_size(member, FROM), arguments["k"] * counts[0]))
        return {**arguments, "columns": tuple(counts)}

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        members = [run.value(child) for child in node.inputs[0].inputs]
        channels = np.atleast_1d(members[-1].coords[TO].data)
        columns = [channels]
        tables: list[np.ndarray] = []
        for number, member in reversed(list(enumerate(members))):
            table = member.values.spread((FROM, TO))
            if number < len(members) - 1:  # the last has the channels that are asked for, and no others
                table = table[:, channels]
            kept = strongest(table, node["k"])
            tables.insert(0, table[kept])
            columns.insert(0, kept)
            channels = kept
        sums = [tables[0].sum(1), *(table.sum(0) for table in tables)]
        layers = node.type.layers
        nodes = tuple(_column(*column, node) for column in zip(layers, columns, sums, strict=True))
        pairs = tuple(_pair(member.type, table) for member, table in zip(members, tables, strict=True))
        return Linked(node.type, Named((), np.array(0.0)), notes=_notes(members), nodes=nodes, pairs=pairs)


def strongest(table: np.ndarray, k: int) -> np.ndarray:
    """Return the rows of the k largest numbers, by magnitude, of each column of a table: those of the first column
    first, each row once; ties: the lower row first. A zero is no weight; where all are zero, it is the first row."""
    sizes = np.abs(table)
    order = np.argsort(-sizes, axis=0, kind="stable")[:k]
    kept = order.T[np.take_along_axis(sizes, order, 0).T > 0]
    return np.array(list(dict.fromkeys(kept.tolist())) or [0], int)


def _check_member(member: Node, last: bool) -> None:
    """Check that a member of the list has a number for each pair of channels; the last may be of some later ones.
    Raises `Fail`."""
    own, layer = member.type, member.type.linked[0]
    between = f"from `{own.layers[0]}` to `{layer}`"
    if own.axis("y") is not None or own.axis("x") is not None:
        message = f"the weights {between} have a number for each offset"
        raise Fail("E330", message, "one number for each pair of channels: `kernel=sum` or `kernel=norm`")
    ends = {name: axis for name in (FROM, TO) if (axis := own.axis(name)) is not None}
    picked = {name for name in (FROM, TO) if name not in ends or not ends[name].whole}
    if own.steps or own.states or set(own.names) - set(ends) or picked - ({TO} if last else set()):
        help = "the last of the list alone is of chosen channels, of those that it leads to: `weights(b, c)[to=3]`"
        raise Fail("E330", f"the weights {between} are not all of those between the two layers", help)
    several = f"several, `top(2, along={TO}, by=magnitude)`"
    if last and TO in ends and not ends[TO].exact:
        raise Fail("E330", f"how many channels of `{layer}` are left is not known", f"pick {several}")
    if last and _size(member, TO) > MOST:
        help = f"pick one, `weights({own.layers[0]}, {layer})[to=3]`, or {several}"
        message = f"`{layer}` has {_size(member, TO):,} channels, and a circuit leads to {MOST} at most"
        raise Fail("E331", message, help)


def _size(member: Node, name: str) -> int:
    axis = member.type.axis(name)
    return axis.size if axis is not None else 1


def _column(layer: str, channels: np.ndarray, sums: np.ndarray, node: Node) -> Field:
    """Return a layer's channels, each with the sum of the weights that are drawn into it; in the first column, out of
    it."""
    axes = (Axis("channel", len(channels), whole=False),)
    type = FieldType("weight", "channel", (layer,), axes, signed=node.type.signed)
    return Field(type, Named(("channel",), sums.astype(np.float32)), {"channel": Named(("channel",), channels)})


def _pair(own: FieldType, table: np.ndarray) -> Field:
    axes = (Axis("channel", table.shape[0]), Axis(TO, table.shape[1], (TO,)))
    type = FieldType("weight", "list", own.layers, axes, signed=own.signed, unit=own.unit, linked=own.linked)
    return Field(type, Named(("channel", TO), table))


def _notes(members: Sequence[Field]) -> tuple[str, ...]:
    """Return what the maps leave out: what is said of all once, else with the layers that it is of."""
    every = [note for member in members for note in member.notes]
    said = [note for note in dict.fromkeys(every) if every.count(note) == len(members)]
    for member in members:
        ends = f"from {member.type.layers[0]} to {member.type.linked[0]}"
        said += [f"{ends}: {note}" for note in member.notes if note not in said]
    return tuple(said)


OPERATIONS = (Circuit(),)
