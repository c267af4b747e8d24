"""`link(to)`: attribution between the atoms of several layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, Operation, Parameter, Run, Writer, Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Linked, Named, coalesce, combine, replace_where
from bbilang.runtime.ops.activation import content_type, rebuilt, require_layer
from bbilang.runtime.ops.attribute import with_linked


class Link(Operation):
    """Attribution between the atoms of layers: from the earlier layer to the later one, computed once for each pair of
    layers and readable in both directions.

    Linked to a field, the result has that field's axes under the names `to.layer`, `to.y` and so on; linked to a
    selection, it has the selection's states; without an argument, neighbours in a list of fields are linked. The score
    of a position is the L2 norm of its vector; of a channel, the sum over positions; of a group, <its part / |its
    part|, activation>. Atoms of one layer are not linked with each other. An atom that the reader chooses appears in
    its own layer with its own score, so that it can be seen and clicked again.
    """

    name = "link"
    content = True
    decomposable = False
    example = (
        "layers = [block4c.expand, block6a.expand]\n"
        "known  = layers.channel | attribute(output) | top(40, per=layer) | present(featvis, facet=layer)\n"
        "layers.channel | link(click(known)) | top(3, per=layer) | present(bars, facet=layer)"
    )
    parameters = (
        Parameter(
            "to",
            "linked",
            "the atoms to link to: a field or a selection; by default, neighbouring fields of a list are linked",
            None,
        ),
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        to: Node | None = arguments["to"]
        if (field.atom == "list") != (to is None):
            help = "as in `[early, late, output[top(5)]] | link()`, or say what to link to: `link(layers.spatial)`"
            raise Fail("E238", "`link()` without an argument links the neighbours of a list, and only of a list", help)
        type = content_type(field, "attribution", signed=True, unit="of the later atom's score")
        if to is None:
            return type
        require_layer(field, self.name)
        if to.type.atom == "class":
            raise Fail("E238", "`link` is between layers; to classes it is `attribute(...)`", argument="to")
        if to.type.model != field.model:
            raise Fail("E235", "`link` is between layers of one model", argument="to")
        if {axis.name for axis in to.type.axes} & {axis.name for axis in field.states}:
            help = "link before the atoms are chosen"
            raise Fail(
                "E238", "which atoms these are depends on the choice that they are linked to", help, argument="to"
            )
        if to.type.content == "selection":
            return type.with_states(*to.type.axes)
        return with_linked(type, to.type)

    def written(self, node: Node, writer: Writer) -> Written | None:
        """Write the stage for the atom that the reader chose, if linked to a selection; each member of a list has a
        stage of its own (view/pipes/)."""
        to: Node | None = node["to"]
        if to is None or to.type.content != "selection":
            return None
        return ("link(", to, ")")

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        """Add the attribution of each field of a list to the next; else both directions, and where the selection starts
        at the output, the attribution to that."""
        to: Node | None = arguments["to"]
        if to is None:
            pairs = tuple(_pair(a, b, make) for a, b in zip(field.inputs[:-1], field.inputs[1:], strict=True))
            return {**arguments, "pairs": pairs, **_whole(field, make)}
        atoms = make("chosen", to) if to.type.content == "selection" else to
        nodes = {"down": make("attribute", field, to=atoms), "up": make("attribute", atoms, to=field)}
        start = to.get("start") if to.type.content == "selection" else None
        if to.type.content == "selection":
            nodes["own"] = make("activation", field)
        if isinstance(start, Node):
            nodes["start"] = make("attribute", field, to=start)
        return {**arguments, **nodes}

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if node["to"] is None:
            nodes = tuple(run.value(child) for child in node.inputs[0].inputs)
            pairs = tuple(run.value(pair) for pair in node["pairs"])
            return Linked(node.type, Named((), np.array(0.0)), nodes=nodes, pairs=pairs)
        return _both_ways(node, inputs[0], run)


def _pair(earlier: Node, later: Node, make: Make) -> Node:
    if earlier.type.content == "score":
        raise Fail("E238", "classes come last in a list of links", "as in `[early, late, output[top(5)]] | link()`")
    return make("attribute", earlier, to=later)


def _whole(field: Node, make: Make) -> Arguments:
    """Attribute the classes to the whole last layer, including what the groups of a factorization leave out."""
    if len(field.inputs) < 2:  # not a list of layers
        return {}
    earlier, classes = field.inputs[-2:]
    if classes.type.content != "score" or earlier.op != "factorize" or earlier.get("of") is not None:
        return {}
    return {"whole": make("attribute", earlier.inputs[0], to=classes)}


def _both_ways(node: Node, frame: Field, run: Run) -> Field:
    """Attribute the later atom's score to the earlier one, whichever of the two is the field's own."""
    to: Node = node["to"]
    down, up = run.value(node["down"]), run.value(node["up"])
    own = [axis.name for axis in frame.type.axes if axis.name != "input"]
    chosen = to.type.content == "selection"
    other = [axis.name for axis in to.type.axes if axis.name != "input"]
    # In `up` the ends are swapped: `to.y` is the field's own y, and y the other end's.
    names = {f"to.{name}": name for name in own} | {name: f"to.{name}" for name in other}
    sizes = {axis.name: axis.size for axis in frame.type.axes}
    turned = _with_ones(up.values, [f"to.{n}" for n in own if f"to.{n}" not in up.values.dims and sizes[n] == 1])
    turned = turned.renamed(names)
    values = _with_ones(down.values, [])
    if chosen:
        states = {f"to.{name}": name for name in other}
        values, turned = values.renamed(states), turned.renamed(states)
    own_axes = {axis.name for axis in (*node.type.axes, *node.type.states)}
    for name in set(turned.dims) - set(values.dims) - own_axes:  # a single atom has no axis
        turned = turned.take(name, Named((), np.array(0)))
    values = combine(coalesce, values, turned)
    if chosen:
        itself = _itself(frame, to, run)
        values = combine(replace_where, values, run.value(node["own"]).values, itself)
    if node.get("start") is not None:
        state = to.type.axes[0].name
        outside = Named((state,), (run.value(to).coords[to.type.axes[0].components[0]].data < 0))
        values = combine(replace_where, values, run.value(node["start"]).values, outside)
    result = rebuilt(frame, node.type, values)
    result.coords |= {c: a for c, a in down.coords.items() if c.startswith("to.")} if not chosen else {}
    return result


def _itself(frame: Field, to: Node, run: Run) -> Named:
    """Return the mask over (state, the atoms' axes) of the chosen atom."""
    theirs, own = to.type.layers, frame.type.layers
    state, chosen = to.type.axes[0], run.value(to).coords
    # a layer's number is its index in the field's own list; -1 is the output
    numbers = np.array([*(own.index(name) if name in own else -2 for name in theirs), -1])
    layer = chosen.get("layer", Named((), np.array(0)))
    coordinates = {"layer": Named(layer.dims, numbers[layer.data])}
    coordinates |= {c: chosen[c] for c in state.components if c != "layer"}
    is_chosen = Named((), np.array(True))
    for component, number in coordinates.items():
        known = frame.coords.get(component, Named((), np.array(0)))
        is_chosen = combine(lambda a, b, c: a & (b == c), is_chosen, known, number)
    return is_chosen


def _with_ones(array: Named, names: list[str]) -> Named:
    """Append axes of size 1."""
    return Named((*array.dims, *names), array.data.reshape(*array.data.shape, *[1] * len(names)))


class Chosen(Operation):
    """The atoms that a reader can choose, as a field with one axis, named like the selection."""

    name = "chosen"
    head = True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return replace(field, content="substrate")

    def written(self, node: Node, writer: Writer) -> Written | None:
        return (node.inputs[0],)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        return field.with_values(field.values, node.type)


class Fields(Operation):
    """`[early, late, output[top(5)]]`: fields in a row, for `link()`. By itself it has no numbers."""

    name = "fields"
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        return Field(node.type, Named((), np.array(0.0)))


OPERATIONS = (Link(), Chosen(), Fields())
