"""`project(method, n, along=, fit=)`: fewer dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bbilang.compiler.op import Fail, Operation, Parameter
from bbilang.compiler.types import Axis, FieldType

VECTORS = ("spatial", "pixel", "token", "example")


class Project(Operation):
    """Lowers the dimension of each atom's part (the vector at a position) or, with `along=`, of an axis of the field.

    The result has an axis `component`. `fit=` names the field, or the member of this field's `layer` axis, on which the
    projection is fitted; the others are transformed. tsne (van der Maaten 2008) and umap (McInnes 2018) have no `fit=`.
    """

    name = "project"
    available = False
    plan = "lowers the dimension of the part or of an axis"
    example = "photo = input | present(image)\nblock5c.expand.spatial | project(pca, 3) | present(rgb, over=photo)"
    parameters = (
        Parameter("method", "word", "the projection", choices=("pca", "nmf", "tsne", "umap")),
        Parameter("n", "integer", "how many components are kept", minimum=1, maximum=64),
        Parameter("along", "axis", "the axis that is lowered; the atoms' parts unless said", None),
        Parameter("fit", "fit", "a field, or a layer of this field, on which the projection is fitted", None),
    )

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        fit, method, n = arguments["fit"], arguments["method"], arguments["n"]
        if fit is not None and method in ("tsne", "umap"):
            raise Fail(
                "E231", f"`{method}` cannot be fitted on one field and applied to another", "use `pca` or `nmf`", "fit"
            )
        if isinstance(fit, str) and fit not in field.layers:
            raise Fail(
                "E235", f"`{fit}` is not one of this field's layers", f"they are {', '.join(field.layers)}", "fit"
            )
        signed = method != "nmf"
        steps = (*field.steps, f"{method}, {n} components")
        if arguments["along"] is not None:
            axis = field.axis(arguments["along"])
            if axis.size < n:
                raise Fail("E214", f"`n` is {n}, and `{axis.name}` has {axis.size} places", argument="n")
            new = Axis("component", n)
            axes = tuple(new if a.name == axis.name else a for a in field.axes)
            return replace(field, axes=axes, signed=signed, steps=steps)
        if field.atom not in VECTORS:
            raise Fail(
                "E238", f"`project` lowers vectors, and a {field.atom} is none", "use `.spatial` atoms, or say `along=`"
            )
        return replace(field, axes=(*field.axes, Axis("component", n)), signed=signed, steps=steps)


OPERATIONS = (Project(),)
