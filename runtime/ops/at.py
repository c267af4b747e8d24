"""`at(selection)`: turn axes into states that the reader chooses from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import LASSO, Axis, FieldType
from bbilang.runtime.fields.field import Field, Named, union_of
from bbilang.runtime.ops.datasets.columns import source_of

EXAMPLE = "example"


class At(Operation):
    """Turns the axes that a selection ranges over into states: later operations work within each state, and the page
    shows one of them.

    An atom that the reader can choose but that is not in the field gives an empty state. Where positions of examples
    are chosen and the field has none, it is the example that counts. The examples that a `lasso`
    encloses are no states: the axis `example` stays, and the page itself computes again what follows.
    """

    name = "at"
    of_datasets = hands_over = True
    adds_up = True
    parameters = (
        Parameter(
            "selection", "selection", "what the reader chooses: `hover(...)`, `click(...)`, `pick(...)`, `lasso(...)`"
        ),
    )
    example = (
        "photo = input | present(image)\n"
        "block6a.expand.neuron | activation | at(hover(block6a.expand.spatial)) | top(4) | present(featvis)"
    )

    def follows(self, field: FieldType, arguments: Arguments) -> bool:
        return True

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        selection: Node = arguments["selection"]
        if EXAMPLE in field.type.names and EXAMPLE in (selection.type.atom, *selection.type.axes[0].components):
            theirs, own = source_of(selection["over"]), source_of(field)
            if theirs is not None and own is not None and _files(theirs) != _files(own):
                help = "select among examples of the same `dataset`"
                raise Fail("E309", "the selection ranges over examples of another dataset", help, argument="selection")
        return arguments

    def phrase(self, node: Node, registry: Registry) -> str:
        return "where the reader chooses"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        selection: Node = arguments["selection"]
        state = selection.type.axes[0]
        if state.components == (LASSO,):
            return _enclosed(field, selection.type)
        touched = _touched(field, selection.type)
        other = any(c.startswith("to.") for axis in touched for c in axis.components)
        layers, family = (field.linked, field.linked_family) if other else (field.layers, field.family)
        if EXAMPLE in state.components:
            theirs_are = selection["over"].type.columns
            if theirs_are != field.columns:
                help = "select among examples of the same `dataset`"
                raise Fail("E309", "the selection ranges over examples of another dataset", help, argument="selection")
        alone = all(axis.components == (EXAMPLE,) for axis in touched)  # of a position, the example that it is in
        if not alone and "class" not in state.components and selection.type.layers != layers:
            theirs, own = ", ".join(selection.type.layers), ", ".join(layers)
            raise Fail(
                "E309",
                f"the selection ranges over atoms of {theirs}, and the field is of {own}",
                f"select among atoms of {own}",
                argument="selection",
            )
        if "group" in state.components and selection.type.family != family:
            message = "the selection ranges over the groups of another factorization"
            raise Fail("E309", message, "select among groups of the same one", argument="selection")
        names = {axis.name for axis in touched}
        field = field.without(*names).with_states(state)
        for axis in field.axes:  # what differs along an axis that is a state now differs from state to state
            field = field.swap(replace(axis, varies=tuple(v for v in axis.varies if v not in names)))
        if field.content == "dataset":  # the example that is chosen is still one
            field = replace(field, axes=(*field.axes, Axis("example", 1)))
        return field

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        selection = node["selection"]
        if selection.type.axes[0].components == (LASSO,):  # all examples, of which the page chooses
            return field.with_values(field.values, node.type)
        chosen = run.value(selection)
        for axis in _touched(field.type, selection.type):
            component = axis.components[0]
            coordinates = chosen.coords[component.removeprefix("to.")]
            if len(axis.components) == 1:
                field = field.take(axis.name, field.positions(component, coordinates, axis.name))
            else:
                field = _take_fused(field, axis, chosen)
        return field.with_values(field.values, node.type)


def _files(source: Node) -> tuple[str, str]:
    return source["path"], source["digest"]


def _enclosed(field: FieldType, selection: FieldType) -> FieldType:
    """Return the type of a field for the examples in a lasso: the same axes, in a state of their own."""
    if field.axis(EXAMPLE) is None:
        has = ", ".join(axis.name for axis in field.axes if axis.name != "input") or "none"
        message = "a lasso encloses examples of a dataset, and the field has no axis `example`"
        raise Fail("E309", message, f"its axes are: {has}; as in `across(photos)`", argument="selection")
    if selection.columns != field.columns:
        help = "draw around examples of the same `dataset`"
        raise Fail("E309", "the lasso encloses examples of another dataset", help, argument="selection")
    (state,) = selection.axes
    if field.lasso is not None and field.lasso != state:
        raise Fail("E309", "the field follows another lasso already", "follow one of them", argument="selection")
    return field.with_states(state)


def _touched(field: FieldType, selection: FieldType) -> list[Axis]:
    """Return the axes of the field that the selection stands for. Raises `Fail` if one is missing or only half
    covered."""
    state = selection.axes[0]
    touched = []
    for component in state.components:
        # Of linked fields the other end's atoms are chosen, where they are those; and the field's own stay.
        theirs = (selection.layers, selection.family) == (field.linked, field.linked_family)
        axis = next((axis for axis in field.axes if theirs and f"to.{component}" in axis.components), None)
        axis = axis or next((axis for axis in field.axes if component in axis.components), None)
        if axis is None and component != EXAMPLE and EXAMPLE in state.components and field.axis(EXAMPLE) is not None:
            continue  # a position of an example, and a field that has the example as a whole
        if axis is None and component == "class" and field.axis("class") is not None:
            raise Fail(
                "E309",
                "the selection ranges over classes, and this field is attributed to sums or differences of them",
                "select inside the target, as in `output[a] - output[b]`",
                argument="selection",
            )
        if axis is None:
            has = ", ".join(axis.name for axis in field.axes if axis.name != "input") or "none"
            raise Fail(
                "E309",
                f"the selection ranges over {', '.join(state.components)}, and the field has no axis `{component}`",
                f"its axes are: {has}",
                argument="selection",
            )
        if not {c.removeprefix("to.") for c in axis.components} <= set(state.components):
            raise Fail(
                "E309",
                f"the field's axis `{axis.name}` is {', '.join(axis.components)} together, and the selection "
                f"ranges over {', '.join(state.components)} only",
                "put `at(...)` before `top(...)`",
                argument="selection",
            )
        if axis not in touched:
            touched.append(axis)
    return touched


def _take_fused(field: Field, axis: Axis, chosen: Field) -> Field:
    """Return positions along an axis of several components, all of which must match."""
    own = [field.coords[c] for c in axis.components]
    coordinates = [chosen.coords[c.removeprefix("to.")] for c in axis.components]
    dims = tuple(d for d in union_of([*coordinates, *own]) if d != axis.name)
    hit = np.array(True)
    for a, b in zip(own, coordinates, strict=True):
        hit = hit & (a.spread((*dims, axis.name)) == b.spread((*dims, axis.name)))
    return field.take(axis.name, Named(dims, np.where(hit.any(-1), hit.argmax(-1), -1)))


OPERATIONS = (At(),)
