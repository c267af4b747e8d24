"""`effect(to)`: what an intervention does to a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bbilang.compiler.contract import (
    Arguments,
    Changes,
    Demand,
    Fail,
    Operation,
    Parameter,
    Registry,
    Run,
    Writer,
    Written,
)
from bbilang.compiler.contract.written import target_text, target_words
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import ATOM_AXES, LAYER_AXES, FieldType
from bbilang.compiler.optimize.target_slots import target_layer_of
from bbilang.runtime.fields.atoms import MADE_AXES, axes_of_atoms, gather
from bbilang.runtime.fields.field import CONTROL, CONTROLS, DISTANCES, Field, Named, coalesce, combine
from bbilang.runtime.interventions.intervention import Intervention
from bbilang.runtime.interventions.sets import atom_axes, dims_together
from bbilang.runtime.ops.attribute import derivative_type, of_atoms, of_slots

AMOUNT, SET = "amount", "set"  # axes of the engine's numbers
LEADING = ("slot", "input", AMOUNT, SET)
BEFORE = "before"  # the target's value, beside the numbers
ATOMS = {*LAYER_AXES, "group", "concept"}


class Effect(Operation):
    """The effect of an intervention on a target: its score with the change minus its score without.

    The target is a class, a sum, difference or list of classes, or the atoms of a later layer. What several atoms do
    one at a time need not add up to what they do `together`.
    """

    name = "effect"
    content = True
    decomposable = False
    of_interventions = True
    controls = "controls"
    parameters = (
        Parameter("to", "target", "the target whose change is measured: a score, or the atoms of a later layer"),
        Parameter("controls", "integer", "how many random sets of as many atoms of the layer, drawn among those whose "
                  "change is of like norm, or of as many random directions, are changed for comparison", 0,
                  minimum=0, maximum=10_000),
    )  # fmt: skip
    example = (
        "block6a.expand.channel | attribute(output) | top(8) | ablate(zero)\n"
        "    | effect(output.class) | top(5, along=class) | present(bars)"
    )

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"what that does to {target_words(node['to'])}"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.content != "intervention":
            raise Fail("E270", "`effect` follows an intervention", "as in `... | ablate(zero) | effect(output)`")
        to: Node = arguments["to"]
        if target_layer_of(to).startswith("chain "):
            raise Fail("E238", "`effect` is on a score, and this is an attribution", "name the class", "to")
        unit = to.type.unit if to.type.content == "score" else "the later layer's own units"
        type = replace(derivative_type(field, "effect", to, unit, signed=True), steps=field.steps)
        spent = _spent(field)
        return replace(type, spent=tuple(dict.fromkeys((*type.spent, *spent)))) if spent else type

    def written(self, node: Node, writer: Writer) -> Written | None:
        target = target_text(node["to"], writer)
        return None if target is None else ("effect(", *target, _controls(node), ")")

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        (change,) = node.inputs
        operation = registry.operations[change.op]
        assert isinstance(operation, Intervention)
        states = set(change.type.states) - set(change.inputs[0].type.states)
        each = operation.repeats(change)
        for state in states:
            each *= state.size
        together = operation.together(dict(change.parameters))
        return (Changes(node["to"], node.type.layers, change, together, each, node["controls"]),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (change,) = node.inputs
        operation = run.registry.operations[change.op]
        assert isinstance(operation, Intervention)
        frame, to = run.value(change.inputs[0]), node["to"]
        together = operation.together(dict(change.parameters))
        every = _Effects(frame, together, operation.amounts(change, run))
        bare = frame.drop(*atom_axes(frame)) if together else frame
        if to.type.content != "score":
            return of_atoms(node, to, bare, run, every)
        target_layer = target_layer_of(to)
        asked, random = every(node, bare, target_layer, run), replace(every, sets=CONTROL)
        assert asked is not None, "scores are above every layer"
        result = of_slots(node, to, bare, asked, run)
        result.beside = {BEFORE: run.value(to).values}
        controls = random(node, bare, target_layer, run) if node["controls"] else None
        if controls is not None:
            result.beside[CONTROLS] = of_slots(node, to, bare, controls, run).values
        if (distances := run.distances(node)) is not None:
            result.beside[DISTANCES] = Named(("input",), distances)
        result.notes += run.notes(node)
        return result


def _controls(node: Node) -> str:
    return f", controls={node['controls']}" if node["controls"] else ""


def _spent(field: FieldType) -> tuple[str, ...]:
    """Return the components of the atoms that changed together, which the field has no axes for."""
    known = {component for axis in (*field.axes, *field.states) for component in axis.components}
    return () if known & ATOMS else (*ATOM_AXES.get(field.atom, ()), *MADE_AXES.get(field.atom, ()))


@dataclass
class _Effects:
    """The engine's numbers of one operation, picked for its atoms or sets of atoms."""

    frame: Field
    together: bool
    amounts: Named
    sets: str = ""  # the axis of the random sets; empty for those that were asked for

    def __call__(self, node: Node, frame: Field, target_layer: str, run: Run) -> Named | None:
        """Return the numbers of every slot, (slot, input, ...); None if the target layer is above none of the
        field's."""
        maps = run.maps(node, target_layer)
        if not maps:
            return None
        asked, axis = slice(1, None) if self.sets else slice(0, 1), LEADING.index(SET)
        maps = {name: array[(slice(None),) * axis + (asked,)] for name, array in maps.items()}
        layers = {name: run.layer(name) for name in node.type.layers}
        every = self._of_sets(maps, layers) if self.together else self._of_atoms(maps, layers)
        every = every.renamed({SET: self.sets}) if self.sets else every.take(SET, Named((), np.array(0)))
        if self.amounts.dims:
            return every.renamed({AMOUNT: self.amounts.dims[0]})
        return every.take(AMOUNT, Named((), np.array(0)))

    def _of_atoms(self, maps: Mapping[str, np.ndarray], layers: Mapping[str, LayerDescription]) -> Named:
        some = next(iter(maps.values()))
        whole = {name: maps[name] if name in maps else self._nothing(some, layer) for name, layer in layers.items()}
        return gather(self.frame, whole, layers, LEADING)

    def _nothing(self, some: np.ndarray, layer: LayerDescription) -> np.ndarray:
        sizes = [layer.every_size[axis] for axis in axes_of_atoms(self.frame.type.atom, layer)]
        return np.full((*some.shape[: len(LEADING)], *sizes), np.nan, np.float32)

    def _of_sets(self, maps: Mapping[str, np.ndarray], layers: Mapping[str, LayerDescription]) -> Named:
        parts = [Named((*LEADING, *dims_together(self.frame, layers[name], name)), array)
                 for name, array in maps.items()]  # fmt: skip
        every = parts[0]
        for part in parts[1:]:
            every = combine(coalesce, every, part)
        return every


OPERATIONS = (Effect(),)
