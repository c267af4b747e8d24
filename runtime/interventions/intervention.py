"""`Intervention`: the contract of an operation that says how atoms of a layer change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbilang.compiler.contract import Arguments, Demand, Fail, Operation, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import LAYER_AXES, FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import PLURALS, singular

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run as ProgramRun
    from bbilang.runtime.interventions.layer import ChangedLayer
    from bbilang.runtime.interventions.sets import Sets


class Intervention(Operation):
    """Says how the atoms of a field change: one at a time, or all of them ``together``. Computes no numbers: `effect`
    does, from what the network makes of it.

    ``keeps``: the atoms stay, and everything else of the layer changes.
    """

    content = True
    decomposable = False
    intervenes = True
    keeps: ClassVar[bool] = False

    def together(self, arguments: Arguments) -> bool:
        """Return whether all atoms of the field change at once."""
        return bool(arguments.get("together"))

    def repeats(self, node: Node) -> int:
        """Return at how many random draws each change is run; its effect is their mean."""
        return 1

    def amounts(self, node: Node, run: Run) -> Named:
        """Return what the difference is multiplied with, over the states of a slider."""
        return Named((), np.ones(()))

    def difference(self, node: Node, layer: ChangedLayer) -> Tensor:
        """Return what is added to each entry of the layer if it changes, (draw, input, *layer axes); 1 for what all
        draws, or all inputs, have in common."""
        raise NotImplementedError

    def of_groups(self, node: Node, layer: ChangedLayer) -> Tensor:
        """Return what is added to the layer if a group changes, (group, input, *layer axes)."""
        raise NotImplementedError

    def of_directions(self, node: Node, layer: ChangedLayer) -> Tensor | None:
        """Return what is added to the layer if a direction changes, (direction, input, *layer axes), 1 for what all
        positions have in common; None where the component of the difference along it changes."""
        return None

    def demands_outside(self, node: Node) -> tuple[Demand, ...]:
        """Return what a source needs of the model, where the intervention is computed for each example."""
        return ()

    def outside(self, node: Node, layer: str, run: ProgramRun) -> tuple[str, Callable[[], Tensor]]:
        """Return what a source puts in the place of a layer of every example: a digest of it, and what makes it, (draw,
        1, *layer axes), 1 for what all draws or positions have in common."""
        raise NotImplementedError

    def natural(self, node: Node, layer: str, run: ProgramRun) -> np.ndarray | None:
        """Return each channel's mean over positions in the examples of a source (example, channel), where `distances`
        compares with them."""
        return None

    def distances(self, layer: ChangedLayer, sets: Sets) -> np.ndarray | None:
        """Return how far the changed layer of each example (input,) lies from those of a source, for what the legend
        says over a dataset; None where nothing is said."""
        return None

    def said_of_examples(self, node: Node, distances: np.ndarray | None, run: ProgramRun) -> tuple[str, ...]:
        """Return what the legend says about the changed layers of the examples of a dataset. distances: theirs,
        (example,)."""
        return ()

    def evens_out(self, node: Node) -> bool:
        """Return whether parts become their mean over positions, which nothing may distinguish from the parts."""
        return False

    def words(self, arguments: Arguments, its: str) -> str:
        """Describe the change after the atoms that change: "set to zero". ``its``: "its" or "their"."""
        raise NotImplementedError

    def remarks(self, node: Node, layer: ChangedLayer, sets: Sets) -> tuple[str, ...]:
        """Return what the legend says about the changed layers."""
        return ()

    def changed(self, field: FieldType, arguments: Arguments) -> FieldType:
        """Return the type of a field's atoms under the intervention; all of them together spend their axes. Raises
        `Fail` E272."""
        together = self.together(arguments)
        type = replace(field, content="intervention", unit="", signed=True, scope="", linked=(), linked_family="")
        type = replace(type, steps=(self._said(field, together, arguments),))
        return _spent(type, field) if together else type

    def _said(self, field: FieldType, together: bool, arguments: Arguments) -> str:
        """Describe the change in words: "each channel set to zero", "these channels set to zero together"."""
        one = not together or field.atom == "whole"
        words = self.words(arguments, "its" if one else "their")
        along = field.atom == "direction"
        if one:
            return f"{'the component along ' if along else ''}each {singular(field.atom)} {words}"
        whom = f"{'the components along ' if along else ''}these {PLURALS.get(field.atom, 'atoms')}"
        return f"all but {whom} {words}" if self.keeps else f"{whom} {words} together"

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (frame,) = inputs
        return frame.with_values(frame.values, node.type)


def _spent(type: FieldType, field: FieldType) -> FieldType:
    """Return the type without the axes of the field's atoms. Raises `Fail` E272."""
    own = {*LAYER_AXES, "group", "concept"}
    mixed = next((axis for axis in field.axes if "layer" in axis.components and own & set(axis.components)), None)
    if mixed is not None:
        help = "choose them in each layer: `top(..., per=layer)`"
        raise Fail("E272", "atoms of several layers do not change together", help, "together")
    return type.without(*(axis.name for axis in field.axes if own & set(axis.components)))
