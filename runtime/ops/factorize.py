"""`factorize(method, n, of=, balance=, compatible=, along=)`: new atoms, groups of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bbilang.compiler.ir import Node
from bbilang.compiler.op import Fail, Operation, Parameter
from bbilang.compiler.types import Axis, FieldType

METHODS = ("nmf", "pca", "ica", "kmeans", "svd")


class Factorize(Operation):
    """Groups of channels by factorization of a layer's activations (or gradients, or attributions), flattened to
    positions x channels: spatial factors W and channel factors H. A group's part is W_g outer H_g, its
    direction H_g, its value |W_g| |H_g| (Olah et al. 2018). `g.spatial` and `g.channel` are the factors.

    NMF needs values that are never negative: a layer after its ReLU.
    """

    name = "factorize"
    available = False
    plan = "finds groups of channels by matrix factorization"
    content = True
    example = (
        "groups = block5c.expand | factorize(nmf, 6)\n"
        "groups | present(featvis)\n"
        "groups | attribute(output[top(5)]) | present(matrix)"
    )
    parameters = (
        Parameter("method", "word", "the factorization", choices=METHODS),
        Parameter("n", "integer", "how many groups", minimum=1, maximum=512, slides=True),
        Parameter(
            "of", "contents", "what is factorized: `activation`, `gradient(...)`, `attribute(...)`, or several", None
        ),
        Parameter("balance", "numbers*", "the weight of each of several contents", None),
        Parameter("compatible", "atoms", "groups of a later layer that these should lead to", None),
        Parameter("along", "axis", "`input`: one factorization for all inputs together", None),
    )

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        if field.atom not in ("whole", "neuron") or len(field.layers) != 1:
            raise Fail("E238", f"`factorize` takes a layer apart, and these are its {field.atom} atoms",
                       f"write the layer without an atom: `{field.layers[0]} | factorize(...)`")  # fmt: skip
        if arguments["method"] == "nmf" and field.signed and arguments["of"] in (None, "activation"):
            raise Fail("E239", f"`nmf` needs values that are never negative, and {field.layers[0]} has both signs",
                       "take a layer after its ReLU, or `pca`", argument="method")  # fmt: skip
        if arguments["along"] not in (None, "input"):
            raise Fail("E231", "`factorize` goes along `input` or not at all", argument="along")
        n = arguments["n"]
        states = n.type.axes if isinstance(n, Node) else ()
        size = n.type.axes[0].size if isinstance(n, Node) else n
        most = n.get("to") if isinstance(n, Node) else size
        group = Axis("group", int(most), exact=not isinstance(n, Node))
        compatible = arguments["compatible"]
        if compatible is not None and compatible.type.atom != "group":
            raise Fail("E235", "`compatible` is a factorization of a later layer", argument="compatible")
        axes = tuple(axis for axis in field.axes if axis.name == "input")
        type = replace(
            field, content="activation", atom="group", axes=(*axes, group), unit="|W| |H|", scope="", steps=()
        )
        return type.with_states(*field.states, *states)


class Factor(Operation):
    """`g.spatial` (group, y, x) and `g.channel` (group, channel): the factors W and H of a factorization."""

    name = "factor"
    available = False
    plan = "gives the factors of a factorization"
    head = True


OPERATIONS = (Factorize(), Factor())
