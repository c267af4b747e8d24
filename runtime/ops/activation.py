"""`activation(reduce=)`: the activations of the atoms, the default content of a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bbilang.compiler.check.arguments.binding import SOME_LAYER
from bbilang.compiler.contract import (
    Activations,
    Arguments,
    Batch,
    Demand,
    Fail,
    Operation,
    Parameter,
    Registry,
    Run,
    TensorField,
    Writer,
    Written,
)
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.atoms import axes_of_atoms, gather, reduce_part
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.groups import sizes_of_groups

REPLACED = ("class", "method")  # axes that belong to a content
CLASSES = ("class", "target")  # components that belong to a content
SIGNED = ("neuron", "channel", directions.ATOM)  # atoms whose activation can be negative


class Activation(Operation):
    """The activation of each atom.

    For a neuron, a[y, x, channel]; for a position, pixel or token, the L2 norm of its vector; for a channel, the sum
    over positions, or their mean, maximum or L2 norm; for a direction, the same of the inner products with it; for a
    whole layer, the L2 norm.
    """

    name = "activation"
    content = True
    example = "block6a.expand.channel | activation(reduce=max) | top(8) | present(featvis)"
    parameters = (
        Parameter(
            "reduce",
            "word",
            "how a channel's map is reduced to one number",
            "sum",
            choices=("sum", "mean", "max", "norm"),
        ),
    )

    def phrase(self, node: Node, registry: Registry) -> str:
        return "activation"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        signed = field.signed if field.atom in SIGNED and arguments["reduce"] != "norm" else False
        return content_type(field, "activation", signed, unit=activation_unit(field.atom, arguments["reduce"]))

    def linear(self, arguments: Arguments) -> bool:
        return arguments["reduce"] in ("sum", "mean")

    def everywhere(self, node: Node, registry: Registry) -> tuple[tuple[str, Arguments], ...]:
        return ((self.name, {"reduce": "sum"}),)

    def along(self, node: Node, cubes: Sequence[np.ndarray], vectors: np.ndarray, registry: Registry) -> np.ndarray:
        products = vectors @ cubes[0]
        return products.max(-1) if node["reduce"] == "max" else np.linalg.norm(products, axis=-1)

    def written(self, node: Node, writer: Writer) -> Written | None:
        return (f"activation(reduce={node['reduce']})",) if node["reduce"] != "sum" else ()

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (Activations(node.type.layers),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (frame,) = inputs
        type = node.type
        if type.atom == "group":
            return rebuilt(frame, type, sizes_of_groups(frame, node, run))
        if type.atom == directions.ATOM:
            return rebuilt(frame, type, directions.activations(frame, node, node["reduce"], run))
        how = node["reduce"] if type.atom in ("channel", "neuron") else "norm"
        layers = {name: run.layer(name) for name in type.layers}
        maps = {name: run.reduced(node, name, type.atom, how) for name in layers}
        return rebuilt(frame, type, gather(frame, maps, layers, ("input",)))

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        (layer, *more), atom = node.type.layers, node.type.atom
        if more or atom == "group":
            raise Fail("E480", "a penalty is of one layer's atoms", "as in `block5c.expand.channel | norm`")
        how = node["reduce"] if atom in ("channel", "neuron") else "norm"
        own = batch.layer(layer)
        return TensorField(axes_of_atoms(atom, own), reduce_part(batch.activation(layer), own, atom, how))


OF_PART = "|W| |H|, the L2 norm of the part"  # the unit of what `factorize` gives, before any other content


def require_layer(field: FieldType, name: str) -> None:
    """Check that a field has atoms of a layer. Raises `Fail` for classes and pictures, factors and projections."""
    if field.content in ("weight", "weights"):
        help = f"start from the layer: `{SOME_LAYER}.channel | {name}(...)`"
        raise Fail("E238", f"`{name}` is of the atoms of a layer, and these are the weights between two", help)
    if field.content == "loading":
        whose = "groups: `groups | ...`" if field.family else "atoms, before they are projected"
        raise Fail("E238", f"`{name}` is of the atoms of a layer, and these are weights", f"take it of the {whose}")
    if field.atom == "group" and field.content != "activation" and field.unit == OF_PART:
        help = "factorize the activations too, as the first: `of=[activation, ...]`"
        raise Fail("E238", f"`{name}` is of parts of the activations, and these groups are of {field.content}s", help)
    if field.atom == "class":
        raise Fail(
            "E234",
            f"`{name}` is of the atoms of a layer, and these are classes",
            f"start the pipe with a layer: `{SOME_LAYER}.channel | ...`",
        )
    gone = [c for c in field.spent if c not in CLASSES]
    if gone:
        raise Fail(
            "E234",
            f"`{name}` is of the atoms of a layer, and arithmetic spent their {', '.join(f'`{c}`' for c in gone)}",
            f"put `{name}` before it",
        )
    mixed = next(
        (a for a in field.axes if 0 < sum(c.startswith("to.") for c in a.components) < len(a.components)), None
    )
    if mixed is not None:
        raise Fail(
            "E234",
            f"`{name}` is of the atoms of a layer, and `{mixed.name}` pairs them with later ones",
            f"put `{name}` before they are chosen together",
        )
    for replaced, words in zip(REPLACED, ("classes", "methods"), strict=True):
        varying = field.varying(replaced)
        if varying is not None:
            raise Fail(
                "E231",
                f"`{name}` replaces the {words}, and the atoms along `{varying.name}` differ by {replaced}",
                f"leave out `per={replaced}`",
            )


def activation_unit(atom: str, reduce: str) -> str:
    """Return the unit of an activation, for the legend."""
    own = "the layer's own units"
    if atom in ("channel", directions.ATOM):
        words = {"sum": "sum", "mean": "mean", "max": "maximum", "norm": "L2 norm"}
        return f"{own}, {words[reduce]} over positions"
    if atom == "head":
        return f"{own}, L2 norm of the head's output"
    if atom == "group":
        return OF_PART
    return own if atom == "neuron" else f"{own}, L2 norm of the vector"


def content_type(field: FieldType, content: str, signed: bool, unit: str) -> FieldType:
    """Return the type of another content for the same atoms, order and states, without the old content's axes."""
    own = (axis for axis in field.axes if field.atom != "head" or axis.name in ("input", "layer", "head"))  # no tokens
    axes = tuple(axis for axis in own if axis.name not in REPLACED and not axis.name.startswith("to."))
    return replace(field, content=content, axes=axes, signed=signed, unit=unit, scope="", steps=(), linked=(),
                   linked_family="", partner=())  # fmt: skip


def rebuilt(frame: Field, type: FieldType, values: Named, names: dict[str, Named] | None = None) -> Field:
    """Make a field of the frame's atoms with new values."""
    own_coords = ((c, array) for c, array in frame.coords.items() if not c.startswith(("to.", "partner.")))
    coords = {c: array for c, array in own_coords if c not in CLASSES}
    data = np.asarray(values.data, np.float32)
    own = {n: array for n, array in frame.names.items() if n not in REPLACED} if type.atom == directions.ATOM else {}
    own |= names or {}
    return Field(type, Named(values.dims, data), coords, own, notes=frame.notes, shares=frame.shares)


OPERATIONS = (Activation(),)
