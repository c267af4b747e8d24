"""`match(other, by=)`: match the atoms of one model or layer with those of another."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter
from bbilang.compiler.ir.types import Axis, FieldType


class Match(Operation):
    """Pairs each atom with the most similar atom of another layer or model: adds an axis `model` of size 2.

    Similarity: correlation of activations over the inputs, or centred kernel alignment (Kornblith 2019).
    """

    name = "match"
    crosses_models = True
    available = False
    plan = "matches atoms of two models or layers"
    parameters = (
        Parameter("other", "atoms", "the atoms to match with"),
        Parameter(
            "by", "word", "the measure of similarity", "correlation", choices=("correlation", "cka", "direction")
        ),
    )
    example = "block6a.expand.channel | match(block5b.expand.channel) | top(12) | present(featvis, facet=model)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        other: FieldType = arguments["other"].type
        if other.atom != field.atom:
            message = f"{field.atom} atoms are matched with {field.atom} atoms, and these are {other.atom} atoms"
            raise Fail("E235", message, argument="other")
        axes = (*(a for a in field.axes if a.name != "class"), Axis("model", 2))
        return replace(field, content="similarity", axes=axes, signed=True, unit=arguments["by"], scope="", steps=())


OPERATIONS = (Match(),)
