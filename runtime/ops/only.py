"""`only(field)`: keep the atoms of another field or element."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field


class Only(Operation):
    """Keeps the atoms that another field or element has, in its order and states: for example, maps of the channels
    that an element shows."""

    name = "only"
    adds_up = True
    selects = True
    parameters = (Parameter("field", "atoms", "the field or element whose atoms are kept"),)
    example = (
        "icons = block6a.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block6a.expand.neuron | attribute(output) | only(icons) | present(heatmap, facet=channel)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        other: FieldType = arguments["field"].type
        pairs = shared_axes(field, other)
        if not pairs:
            other_names, own_names = (", ".join(n for n in t.names if n != "input") or "none" for t in (other, field))
            raise Fail(
                "E230",
                "the two have no axis of atoms in common",
                f"the axes of those atoms: {other_names}; of the field: {own_names}",
                argument="field",
            )
        if other.layers != field.layers and any(own.components != ("class",) for own, _ in pairs):
            raise Fail(
                "E235",
                f"these are atoms of {', '.join(other.layers)}, and the field is of {', '.join(field.layers)}",
                argument="field",
            )
        for own, theirs in pairs:
            missing = [v for v in theirs.varies if v == "class" or field.axis(v) is None]
            if missing:
                message = f"those atoms differ along `{missing[0]}`, which the field does not share"
                raise Fail("E231", message, f"leave out `per={missing[0]}`", argument="field")
            varies = tuple(sorted({*own.varies, *theirs.varies}))
            new = replace(theirs, name=own.name, components=own.components, varies=varies)
            if not own.whole:  # of atoms that were chosen before, some may be missing
                new = replace(new, exact=False, whole=False)
            field = field.swap(new)
        # The picker of inputs that an element shows is an axis of this field: each input keeps its own atoms.
        # A lasso changes numbers, and not which atoms there are.
        states = (state for state in other.states if field.axis(state.name) is None and state != other.lasso)
        return field.with_states(*states)

    def follows(self, field: FieldType, arguments: Arguments) -> bool:
        return True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        other = run.value(node["field"])
        for own, theirs in shared_axes(field.type, other.type):
            component = own.components[0]
            others = other.coords[component]
            index = field.positions(component, others, own.name)
            field = field.take(own.name, index.renamed({theirs.name: own.name} if theirs.name != own.name else {}))
        return field.with_values(field.values, node.type)


def shared_axes(field: FieldType, other: FieldType) -> list[tuple[Axis, Axis]]:
    """Pair axes of the field with those of the other that hold the same single coordinate."""
    pairs = []
    for axis in field.axes:
        match = next(
            (o for o in other.axes if o.components == axis.components and axis.name not in ("input", "layer")), None
        )
        if match is not None and len(axis.components) == 1:
            pairs.append((axis, match))
    return pairs


OPERATIONS = (Only(),)
