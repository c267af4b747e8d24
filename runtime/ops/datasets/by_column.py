"""`photos | top(20, by=loss)`: rankings of the examples of a dataset, or along `example`, by a column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.contract import Arguments, Demand, ExamplesOf, Fail, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.columns import dataset_of, looked_up, of_other_models, of_others
from bbilang.runtime.ops.datasets.pipes import chain


def is_column(by: object) -> bool:
    """Return whether a ranking is by a column of examples."""
    return isinstance(by, tuple) and by[:1] == ("column",)


def check(name: str, field: FieldType, arguments: Arguments, axes: tuple[Axis, ...]) -> None:
    """Check what is ranked by a column. Raises `Fail` E231."""
    if field.content == "dataset":
        if not is_column(arguments["by"]) and arguments["by"] != "value":
            message = f"the examples of a dataset have no numbers of their own for `by={_words(arguments['by'])}`"
            raise Fail("E231", message, f"name a column: `{name}(by=loss)`", "by")
    elif is_column(arguments["by"]) and [axis.name for axis in axes] != ["example"]:
        message = f"a column is of examples, and this ranks {', '.join(axis.name for axis in axes)}"
        raise Fail("E231", message, f"rank them: `{name}(along=example, by={arguments['by'][1]})`", "by")


def _words(by: object) -> str:
    return by if isinstance(by, str) else "output"


def with_column(name: str, field: Node, arguments: Arguments) -> Arguments:
    """Return the arguments of a ranking; one of a dataset without `by=` is by the column of the ranking before it.
    Raises `Fail` E212 where there is none."""
    if field.type.content != "dataset" or is_column(arguments["by"]):
        return arguments
    before = last_ranking(field)
    if before is None:
        help = "as in `photos | top(20, by=loss)`, or `photos | sort(by=loss) | top(20)`"
        raise Fail("E212", f"`{name}` of a dataset needs `by`: a column of numbers", help)
    return {**arguments, "by": before["by"]}


def demands(node: Node) -> tuple[Demand, ...]:
    """Return the scan that a column takes which the network says."""
    by = node["by"]
    dataset = dataset_of(node.inputs[0]) if is_column(by) else None
    if dataset is None or by[1] not in SCORED:
        return ()
    return (ExamplesOf(dataset, scores=True),)


def known_by(node: Node, field: Field, run: Run) -> tuple[Field, Field, Arguments]:
    """Return (a field with the column that it is ranked by, the same with the numbers of that column, the arguments of
    their ranking). Raises BbiError E458 for words, E451 where it is known of no example."""
    by, dataset = node["by"], dataset_of(node.inputs[0])
    assert dataset is not None, "only examples have columns"
    known = looked_up([by[1]], field, dataset, run) | of_other_models(of_others(by), field.coords["example"], run)
    dims, shape = field.values.dims, field.values.data.shape
    column = np.broadcast_to(known[by[1]].spread(dims), shape)
    if column.dtype.kind not in "bifu":
        raise error("E458", f"`{by[1]}` holds words, and examples are ranked by numbers", "choose another column")
    numbers = np.where(np.isnan(field.values.data), np.nan, column.astype(np.float64))
    if not np.isfinite(numbers).any():
        raise error("E451", f"`{by[1]}` is known of no example", _why(by[1]))
    lost = int((np.isnan(numbers) & ~np.isnan(field.values.data)).any(_besides(dims)).sum())
    notes = (unknown(lost, f"`{by[1]}`"),) if lost else ()
    kept = {name: it for name, it in known.items() if name in field.columns or name == by[1]}
    field = replace(field, columns=kept, notes=tuple(dict.fromkeys((*field.notes, *notes))))
    return field, replace(field, values=Named(dims, numbers)), {**dict(node.parameters), "by": "value"}


def unknown(count: int, what: str) -> str:
    """Say how many examples are left out of which something is not known."""
    if count == 1:
        return f"1 example is left out, since {what} is not known of it"
    return f"{count:,} examples are left out, since {what} is not known of them"


def without_unknown(order: Named, count: np.ndarray) -> Named:
    """Return an order (..., rank) without the places at its end that no row fills. ``count``: of known examples."""
    return Named(order.dims, order.data[..., : max(1, int(count.max(initial=0)))])


def _besides(dims: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(n for n, dim in enumerate(dims) if dim != "example")


def _why(column: str) -> str:
    if column in ("loss", "correct", "label_probability"):
        return "it takes labels that are classes of the network"
    return "choose another column"


def last_ranking(node: Node) -> Node | None:
    """Return the last stage of a pipe that ranks the examples by a column; None where none does."""
    return next((stage for stage in chain(node) if is_column(stage.get("by"))), None)


def shown_by(node: Node) -> str:
    """Return the column that the examples of a pipe were last ranked by; empty for none."""
    ranking = last_ranking(node)
    return "" if ranking is None else str(ranking["by"][1])
