"""Pipes that are computed for every example: what a scan keeps for them, and their numbers from what it kept.

Contents (activation, gradient, attribution, scores) are computed for each example anew. What chooses atoms (`top`,
`filter`, `only`) chooses them on the input of the page, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from bbilang.compiler.contract import Arguments, Demand, ExamplesOf, Fail, Make, Operation, Registry, Run, Scanned
from bbilang.compiler.ir.program import Node, PerExample, walk
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.field import DISTANCES, Field, Named
from bbilang.runtime.interventions import stand_ins
from bbilang.runtime.ops.datasets import every_position
from bbilang.runtime.ops.datasets.fixed_atoms import frames_of, with_fixed_atoms
from bbilang.runtime.ops.datasets.restricted import restricted

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run as ProgramRun


class OfPipe(Operation):
    """An operation on the pipe before it, which is computed for each example; `each` of its node holds that pipe. The
    pipe is computed on the page's own input only where it chooses atoms."""

    over_examples = True

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        own: dict[str, object] = {"directions": directions.origin(field)} if directions.of(field) else {}
        each = stand_ins.with_stand_ins(with_fixed_atoms(field))
        if sources := stand_ins.sources_of(each):
            own["sources"] = sources
        return {**arguments, "each": PerExample(each), **own}

    def fed(self, field: Node, arguments: Arguments, registry: Registry) -> tuple[Node, ...]:
        check(field, self.name, registry)
        each = arguments["each"].node
        return (*((each,) if chooses(each, registry) else ()), *frames_of(each))


def chain(field: Node) -> Iterator[Node]:
    """Iterate over the stages of a pipe, from the last to its head."""
    yield field
    while field.inputs:
        field = field.inputs[0]
        yield field


def is_content(node: Node, registry: Registry) -> bool:
    """Return whether a node gives numbers that are computed for each example: a content, or scores."""
    operation = registry.operations[node.op]
    return operation.content or (operation.head and node.type.content == "score")


def head_of(content: Node, registry: Registry) -> Node:
    """Return all atoms of the kind that a content is of; of directions, the layer's channels, which they combine."""
    if directions.of(content):
        (channels,) = directions.origin(content).inputs
        return channels
    head = next(node for node in chain(content) if registry.operations[node.op].head)
    return head.inputs[0] if head.inputs and head.type.atom == "channel" else head


def content_of(field: Node, registry: Registry) -> Node:
    """Return the last content of a pipe, of all atoms of its head: what a scan keeps. Of a single channel it keeps all
    of the layer's, and of directions those of the channels, so that others need no other scan."""
    content = next(node for node in chain(field) if is_content(node, registry))
    if not content.inputs or content.type.content == "score" or registry.operations[content.op].of_interventions:
        return content
    head = head_of(content, registry)
    if content.inputs == (head,):
        return content
    operation, arguments = registry.operations[content.op], dict(content.parameters)
    type = operation.refined(operation.type(head.type, arguments), arguments, registry)
    return Node(content.op, (head,), content.parameters, type)


def everywhere(field: Node, registry: Registry) -> tuple[Node, ...]:
    """Return the contents of a layer's channels whose neurons give the last content of a pipe of directions, where that
    is not the sum of those of the channels; () for all others."""
    content = next(node for node in chain(field) if is_content(node, registry))
    operation = registry.operations[content.op]
    if not directions.of(content) or operation.of_interventions or operation.linear(dict(content.parameters)):
        return ()
    head, made = head_of(content, registry), []
    for name, arguments in operation.everywhere(content, registry):
        own = registry.operations[name]
        type = own.refined(own.type(head.type, arguments), arguments, registry)
        made.append(Node(name, (head,), tuple(arguments.items()), type))
    return tuple(made)


def demanded(field: Node, dataset: Node, registry: Registry) -> tuple[Demand, ...]:
    """Return what a scan keeps for the numbers of a pipe, and what has to be found before it."""
    cubes = everywhere(field, registry)
    own = ExamplesOf(dataset, cubes=cubes) if cubes else ExamplesOf(dataset, (content_of(field, registry),))
    return (own, *stand_ins.demanded(field, registry))


def frame_of(field: Node, registry: Registry) -> Node:
    """Return the atoms of a pipe's last content, as they were chosen before it."""
    content = next(node for node in chain(field) if is_content(node, registry))
    return content.inputs[0] if content.inputs else content


def chooses(field: Node, registry: Registry) -> bool:
    """Return whether some stage of a pipe chooses among its atoms."""
    return any(registry.operations[node.op].selects for node in chain(field))


def check(field: Node, name: str, registry: Registry) -> None:
    """Check that a pipe can be computed for each example. Raises `Fail` E261, E262."""
    nodes = list(chain(field))
    if field.type.states or any(node.type.content == "selection" for node in walk(field)):
        help = f'put `at(...)` after `{name}`, or name the classes: `output["zebra"]`'
        raise Fail("E262", f"what a reader chooses cannot stand before `{name}`, which runs over a dataset", help)
    changed = any(node.type.content == "intervention" for node in nodes)
    for node in reversed(nodes):  # what is wrong is named where it comes from
        operation = registry.operations[node.op]
        if node.type.atom == "group":
            message = f"these groups are no directions that each example has, so they cannot stand before `{name}`"
            help = "take groups of activations, `block5c.expand | factorize(nmf, 6)`, and change their numbers later"
            raise Fail("E261", message, help)
        atoms = node.type.content == "substrate"
        if not (is_content(node, registry) or operation.selects or operation.pure or operation.head or atoms):
            message = f"`{node.op}` cannot stand before `{name}`: it is not computed for each example apart"
            raise Fail("E261", message, f"put it after `{name}`, or leave it out")
        linear = operation.linear(dict(node.parameters))
        of_neurons = directions.of(node) and is_content(node, registry) and not changed  # else it is of the page alone
        if of_neurons and not (linear or operation.everywhere(node, registry)):
            message = f"this `{node.op}` of a direction does not follow from the numbers of the layer's neurons"
            help = "take `activation`, `gradient(...)` or `attribute(...)` to classes with a method that is not of maps"
            raise Fail("E261", message, help)
    for node in nodes:
        if is_content(node, registry):
            _check_target(node, name)
    if not any(is_content(node, registry) for node in nodes):
        raise Fail("E261", f"`{name}` is of numbers, and this pipe has none", "as in `block5c.expand.channel`")
    own = next((a for node in nodes if registry.operations[node.op].selects for a in node.type.axes
                if "input" in a.varies), None)  # fmt: skip
    inputs = next((axis.size for axis in field.type.axes if axis.name == "input"), 1)
    if inputs > 1 and directions.of(field) and "input" in directions.origin(field).type.axes[-1].varies:
        message = f"each of the {inputs} inputs has directions of its own, so no dataset has them"
        help = "give the page one input, or take directions of `concept(...)` or `factorize(..., along=input)`"
        raise Fail("E262", message, help)
    if own is not None and inputs > 1:
        message = f"the atoms along `{own.name}` differ between the {inputs} inputs, so no dataset has them"
        raise Fail("E262", message, "choose them for all inputs together: `top(..., joint=input)`")


def _check_target(content: Node, name: str) -> None:
    """Check that the network of a content knows the classes that it is asked about. Raises `Fail` E482."""
    targets = [content, *(value for key, value in content.parameters if isinstance(value, Node))]
    for node in walk(*targets):
        which = node.get("which") if node.type.content == "score" else None
        if which and which[0] == "of":  # classes that another model chooses: on the page's input alone
            own, other = content.type.model, which[1].type.model
            message = f"`output` is what `{other}` predicts, and `{name}` runs the examples through `{own}` alone"
            raise Fail("E482", message, f"take what `{own}` predicts, `{own}:output`, or name a class: `output[281]`")


def per_example(
    field: Node, run: Run, scanned: Scanned, sign: str = "positive", rows: np.ndarray | None = None
) -> Field:
    """Return the numbers of a pipe for every example that was scanned, along the axis `input`. ``sign``: which extreme
    over positions stands for the largest one of a direction. ``rows``: which of the examples notes are about."""
    operation = run.registry.operations[field.op]
    if is_content(field, run.registry):
        content = content_of(field, run.registry)
        if kept := everywhere(field, run.registry):
            values = every_position.numbers(field, kept, run, scanned, sign)
        elif operation.of_interventions:
            values = _of_changes(scanned.field(content), field, run, rows)
        elif directions.of(field):
            values = directions.combined(scanned.field(content), field, run)
        else:
            values = scanned.field(content)
        if content.inputs and content.inputs != field.inputs:
            values = restricted(values, run.value(run.shown(field.inputs[0])))
    elif operation.selects:
        before = per_example(field.inputs[0], run, scanned, sign, rows)
        values = restricted(before, run.value(run.shown(field)))
    else:
        values = operation.kernel(field, (per_example(field.inputs[0], run, scanned, sign, rows),), run)
    return values.with_values(values.values, field.type)


def _of_changes(values: Field, field: Node, run: Run, rows: np.ndarray | None) -> Field:
    """Return the effects of an intervention in every example with notes: of the directions that change, and how far
    changed layers lie from natural ones."""
    origins = (directions.origin(frame) for frame in frames_of(field) if directions.of(frame))
    notes = [note for node in origins for note in run.value(run.shown(node)).notes]
    known = values.beside.get(DISTANCES)
    own = None if known is None else known.data if rows is None else known.data[rows]
    notes += [
        note for change in stand_ins.changes_of(field) for note in stand_ins.notes(change, own, cast("ProgramRun", run))
    ]
    beside = {name: array for name, array in values.beside.items() if name != DISTANCES}
    return replace(values, beside=beside, notes=tuple(dict.fromkeys((*values.notes, *notes))))


def of_examples(field: Field, rows: np.ndarray) -> Field:
    """Rename the axis `input` to `example`, with the numbers of the examples as its coordinates."""
    renamed = {name: array.renamed({"input": "example"}) for name, array in field.coords.items() if name != "input"}
    names = {name: array.renamed({"input": "example"}) for name, array in field.names.items()}
    values = field.values.renamed({"input": "example"})
    if "example" not in values.dims:  # constant over examples
        values = Named(("example", *values.dims), np.broadcast_to(values.data, (len(rows), *values.data.shape)))
    beside = {name: array.renamed({"input": "example"}) for name, array in field.beside.items()}
    coords = {**renamed, "example": Named(("example",), rows)}
    return replace(field, values=values, coords=coords, names=names, beside=beside)
