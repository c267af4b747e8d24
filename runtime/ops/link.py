"""`link(to)`: attribution between the atoms of several layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bbilang.compiler.ir import Node
from bbilang.compiler.op import Fail, Operation, Parameter
from bbilang.compiler.types import FieldType
from bbilang.runtime.ops.attribute import linked_axes


class Link(Operation):
    """Attribution between atoms, each pair of layers once, from the earlier to the later; readable from either side.

    To a field it adds that field's axes under the names `to.layer`, `to.y` ...; to a selection, its states; without an
    argument, on a list of fields, it links neighbours. A position's score is the L2 norm of its vector, a channel's the
    sum over positions.
    """

    name = "link"
    available = False
    plan = "attributes between the atoms of several layers"
    content = True
    example = (
        "layers = [block4c.expand, block5c.expand]\n"
        "known  = layers.channel | attribute(output) | top(40, per=layer) | present(featvis, facet=layer)\n"
        "layers.channel | link(click(known)) | top(3, per=layer) | present(bars, facet=layer)"
    )
    parameters = (
        Parameter("to", "linked", "the atoms linked to: a field, or a selection; neighbours unless said", None),
    )

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        to: Node | None = arguments["to"]
        if field.atom == "class" or (to is None and field.atom != "list"):
            help = "as in `[early, late, output[top(5)]] | link()`, or say what to link to: `link(layers.spatial)`"
            raise Fail("E238", "`link()` without an argument links the neighbours of a list", help)
        type = replace(field, content="attribution", signed=True, unit="of the later atom's score", scope="", steps=())
        if to is None:
            return type
        if to.type.content == "selection":
            return type.with_states(*to.type.axes)
        if to.type.atom == "class":
            raise Fail("E238", "`link` is between layers; to classes it is `attribute(...)`", argument="to")
        return replace(type, axes=(*type.axes, *linked_axes(to.type))).with_states(*to.type.states)


OPERATIONS = (Link(),)
