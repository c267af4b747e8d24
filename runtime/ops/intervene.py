"""`ablate`, `steer`, `effect`: change the atoms, run the network again, show what changed."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter
from bbilang.compiler.ir.types import FieldType


class Ablate(Operation):
    """Sets each atom's part to a value, one atom at a time; `effect(on)` gives the resulting change of a target."""

    name = "ablate"
    available = False
    plan = "sets atoms to a value and runs the network again"
    parameters = (Parameter("value", "word", "what replaces the part", "zero", choices=("zero", "mean", "noise")),)
    example = "block6a.expand.channel | attribute(output) | top(8) | ablate(zero) | effect(output) | present(bars)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return intervention(field, self.name)


class Steer(Operation):
    """Adds an amount of each atom's direction to the activations, one atom at a time."""

    name = "steer"
    available = False
    plan = "adds to atoms and runs the network again"
    parameters = (
        Parameter(
            "amount",
            "number",
            "how much of the direction is added",
            unit="x the part's norm",
            minimum=-100,
            maximum=100,
        ),
    )
    example = "block6a.expand.channel | attribute(output) | top(8) | steer(2) | effect(output) | present(bars)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return intervention(field, self.name)


def intervention(field: FieldType, name: str) -> FieldType:
    """Return the type of a field's atoms changed by an intervention. Raises `Fail` E238."""
    if field.atom in ("class", "example"):
        raise Fail("E238", f"`{name}` changes atoms of a layer, and these are {field.atom} atoms")
    axes = tuple(axis for axis in field.axes if axis.name != "class")
    return replace(field, content="intervention", axes=axes, unit="", scope="", steps=(*field.steps, name))


class Effect(Operation):
    """The effect of an intervention on a target: its score with the change minus its score without."""

    name = "effect"
    available = False
    plan = "shows what a change did"
    parameters = (Parameter("on", "target", "the target whose change is shown"),)
    example = (
        "block6a.expand.channel | attribute(output) | top(8) | ablate(zero)\n"
        "    | effect(output.class) | top(5, along=class) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.content != "intervention":
            raise Fail("E238", "`effect` follows an intervention", "as in `... | ablate(zero) | effect(output)`")
        on = arguments["on"]
        classes = on.type.axis("class")
        axes = (*field.axes, classes) if classes else field.axes
        type = replace(field, content="effect", axes=axes, signed=True, unit=on.type.unit)
        return type.with_states(*on.type.states)


OPERATIONS = (Ablate(), Steer(), Effect())
