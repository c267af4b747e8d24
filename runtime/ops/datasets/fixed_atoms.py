"""Atoms that are chosen on the page's own input, for what is computed with them for every example of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Operation, Run
from bbilang.compiler.ir.program import ON_PAGE, STAND_IN, Node, PerExample, Scan, walk
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.interventions import stand_ins
from bbilang.runtime.ops.datasets import fixed_directions
from bbilang.runtime.ops.datasets.restricted import restricted

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run as ProgramRun

NAME = "fixed_atoms"


class FixedAtoms(Operation):
    """The atoms of a head that a pipe chose on the page's own input. ``of``: that pipe; ``atoms``: what it chose, once
    that is known: (component, axes, sizes, numbers) of each coordinate."""

    name = NAME
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        if node["atoms"] is None:
            coords = run.value(run.shown(node[ON_PAGE].node)).coords
        else:
            coords = {name: Named(dims, np.array(numbers, np.int64).reshape(sizes))
                      for name, dims, sizes, numbers in node["atoms"]}  # fmt: skip
        chosen = restricted(field, Field(node.type, field.values, coords))
        return chosen.with_values(chosen.values, node.type)


def with_fixed_atoms(pipe: Node) -> Node:
    """Return a pipe in which the atoms of an intervention are those that were chosen on the page's own input, where
    something chooses them, and directions those that were made there."""
    if len(pipe.inputs) == 1:  # sums of scores have two, and no atoms
        (before,) = pipe.inputs
        if pipe.type.content == "intervention" and directions.of(before):
            return replace(pipe, inputs=(fixed_directions.fixed(before),))
        if pipe.type.content == "intervention" and before.type.content != "substrate":
            return replace(pipe, inputs=(_fixed(before),))
        fixed = with_fixed_atoms(before)
        return pipe if fixed is before else replace(pipe, inputs=(fixed,))
    return pipe


def _fixed(frame: Node) -> Node:
    head = frame
    while head.type.content != "substrate":
        (head,) = head.inputs
    axes = tuple(replace(a, varies=tuple(n for n in a.varies if n != "input")) for a in frame.type.axes)
    type = replace(head.type, axes=axes, spent=frame.type.spent)
    return Node(NAME, (head,), (("atoms", None), (ON_PAGE, PerExample(frame))), type)


def frames_of(pipe: Node) -> Iterator[Node]:
    """Yield the pipes that choose atoms on the page's own input, or make directions."""
    for node in walk(pipe):
        if isinstance(node.get(ON_PAGE), PerExample):
            yield node[ON_PAGE].node


def resolved(node: Node, run: ProgramRun) -> Node:
    """Return a pipe with the atoms in it that were chosen, and with what its interventions put in the place of
    atoms."""
    if node.op == NAME and node["atoms"] is None:
        frame = run.value(run.shown(node[ON_PAGE].node))
        own = {component for axis in node.type.atom_axes for component in axis.components}
        first = {c: a.take("input", Named((), np.array(0))) if "input" in a.dims else a
                 for c, a in frame.coords.items() if c in own}  # fmt: skip
        atoms = tuple((c, a.dims, a.data.shape, tuple(a.data.ravel().tolist())) for c, a in sorted(first.items()))
        return replace(node, parameters=(("atoms", atoms), (ON_PAGE, None)))
    if node.op == fixed_directions.NAME and node["vectors"] is None:
        return fixed_directions.resolved(node, run)
    inputs = tuple(resolved(part, run) for part in node.inputs)
    node = node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else replace(node, inputs=inputs)
    return stand_ins.resolved(node, run) if isinstance(node.get(STAND_IN), PerExample) else node


def resolved_scan(scan: Scan, run: ProgramRun) -> Scan:
    """Return a scan of pipes with what the page finds for them (`resolved`); the scan itself where that is nothing."""
    fields = tuple(resolved(node, run) for node in scan.fields)
    return replace(scan, fields=fields) if fields != scan.fields else scan


OPERATIONS = (FixedAtoms(),)
