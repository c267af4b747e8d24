"""`trust(measure)`: how far an attribution can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bbilang.compiler.op import Fail, Operation, Parameter
from bbilang.compiler.types import Axis, FieldType

OF_ATOMS = ("path_dependence", "input_sensitivity", "shift_invariance", "falsifiability")
OF_ELEMENTS = (
    "completeness", "agreement", "random_weights", "class_sensitivity", "infidelity", "deletion", "insertion",
    "pointing_game", "road",
)  # fmt: skip


class Trust(Operation):
    """Measures an attribution: for each atom (path dependence ...) or as a whole (deletion, insertion ...), which goes
    to the element's legend. Several measures are an axis `measure`.

    Random weights: Adebayo 2018; infidelity and sensitivity: Yeh 2019; ROAD: Rong 2022; pointing game: Zhang 2018.
    """

    name = "trust"
    available = False
    plan = "measures how far an attribution can be believed"
    parameters = (Parameter("measure", "measures", "one measure or a list", choices=(*OF_ATOMS, *OF_ELEMENTS)),)
    example = "block5c.expand.channel | attribute(output) | top(8) | trust(path_dependence) | present(bars)"

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        if field.content != "attribution":
            raise Fail(
                "E238",
                f"`trust` measures attributions, and this field is {field.content}",
                "put `attribute(...)` before it",
            )
        measures = arguments["measure"]
        if isinstance(measures, str):
            return replace(
                field, signed=False, unit=measures.replace("_", " "), steps=(*field.steps, f"trust: {measures}")
            )
        return replace(
            field,
            axes=(*field.axes, Axis("measure", len(measures))),
            signed=False,
            unit="",
            steps=(*field.steps, "trust"),
        )


OPERATIONS = (Trust(),)
