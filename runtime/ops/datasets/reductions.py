"""Reductions over the examples of a dataset, of all of them or of each group: `mean(example, per=label)`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.contract import Arguments, Demand, ExamplesOf, Fail, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.columns import dataset_of, looked_up
from bbilang.runtime.statistics.grouping import number_groups
from bbilang.runtime.statistics.reductions import Reduced, Reduction, quantiles

MOST_GROUPS = 10_000
EXAMPLE = "example"
WORDS = {"predicted": "predicted class"}  # what the legend calls the groups of a column, where that is not its name


def grouped(spent: FieldType, field: FieldType, arguments: Arguments) -> FieldType:
    """Return the type of a reduction over `example` with the axis that `per=` names. ``spent``: without it. Raises
    `Fail`."""
    per = arguments.get("per")
    if per is None:
        return spent
    if arguments["axis"] != EXAMPLE:
        raise Fail("E215", "`per=` groups the examples of a dataset", "as in `mean(example, per=label)`", "per")
    if spent.axis(per) is not None:
        raise Fail("E230", f"the field has an axis `{per}` already", argument="per")
    size = dict(field.columns).get(per, 0)
    examples = field.axis(EXAMPLE)
    most = MOST_GROUPS if examples is None else min(MOST_GROUPS, examples.size)
    axis = Axis(per, size or most, exact=False)
    return replace(
        spent, axes=(axis, *spent.axes), steps=(*spent.steps[:-1], f"{spent.steps[-1]} of each {WORDS.get(per, per)}")
    )


def demands(node: Node) -> tuple[Demand, ...]:
    """Return what a reduction needs of each example besides its numbers: scores, to group by what is predicted."""
    dataset = dataset_of(node.inputs[0]) if node.inputs and node.get("per") in SCORED else None
    return () if dataset is None else (ExamplesOf(dataset, scores=True),)


def over_examples(node: Node, field: Field, run: Run, kind: str, number: float = 0.0) -> Field:
    """Reduce the axis `example`. ``kind``: sum, mean, max, min, std, quantile (``number``) or fraction (above
    ``number``). What is not finite is left out, and counted in a note."""
    values, per = field.values, node.get("per")
    rest = tuple(d for d in values.dims if d != EXAMPLE)
    data = values.ordered((EXAMPLE, *rest)).data
    if per is None:
        reduced, groups = _reduced(data, None, 1, kind, number), None
        result = Named(rest, reduced.values[0].astype(np.float32))
    else:
        column = column_of(per, node, field, run)
        numbers, groups = number_groups(column.data.ravel())
        numbers = numbers.reshape(column.data.shape)
        if not groups:
            raise error("E264", f"no example has a value in the column `{per}`", "leave out `per=`")
        if numbers.ndim == 1:
            reduced = _reduced(data, numbers, len(groups), kind, number)
            result = Named((per, *rest), reduced.values.astype(np.float32))
        else:  # each subset has examples of its own
            at = rest.index("subset")
            own = np.moveaxis(data, 1 + at, 0)
            every = [_reduced(part, numbers[n], len(groups), kind, number) for n, part in enumerate(own)]
            reduced = every[0]
            others = tuple(d for d in rest if d != "subset")
            result = Named(("subset", per, *others), np.stack([each.values for each in every]).astype(np.float32))
    made = field.with_values(result, node.type).drop(EXAMPLE)
    made.type, made.beside = node.type, _means(field) if per is None and kind == "mean" else {}
    if groups is not None:
        names = np.array([f"{group:g}" if isinstance(group, float) else group for group in groups], object)
        made.names[per] = Named((per,), names)
        made.coords[per] = Named((per,), np.arange(len(groups)))
        if reduced.ungrouped:
            made.notes = (*made.notes, f"{reduced.ungrouped:,} examples have no {per}, and are left out")
    return made


def _means(field: Field) -> dict[str, Named]:
    """Return the means over the examples of what stands beside a field's numbers."""
    means = {}
    for name, array in field.beside.items():
        rest = tuple(d for d in array.dims if d != EXAMPLE)
        reduced = _reduced(array.ordered((EXAMPLE, *rest)).data, None, 1, "mean", 0.0)
        means[name] = Named(rest, reduced.values[0].astype(np.float32))
    return means


def _reduced(data: np.ndarray, numbers: np.ndarray | None, groups: int, kind: str, number: float) -> Reduced:
    if kind == "quantile":
        flat = data.reshape(len(data), -1)
        reduced = quantiles(lambda: iter([(flat, numbers)]), number, groups)
        shape = (groups, *data.shape[1:])
        return Reduced(reduced.values.reshape(shape), reduced.counts.reshape(shape), reduced.left_out.reshape(shape),
                       reduced.ungrouped)  # fmt: skip
    reduction = Reduction("mean" if kind == "sum" else kind, groups, number)
    reduction.add(data, numbers)
    reduced = reduction.result()
    if kind == "sum":
        reduced = replace(reduced, values=np.where(reduced.counts > 0, reduced.values * reduced.counts, np.nan))
    return reduced


def column_of(name: str, node: Node, field: Field, run: Run) -> Named:
    """Return the column of a field's examples by which a reduction (``node``) groups them."""
    dataset = dataset_of(node.inputs[0])
    assert dataset is not None, "the type rule asks for the axis `example`"
    known = looked_up([name], field, dataset, run)
    if name not in known:
        raise error("E215", f"there is no column `{name}`", f"its columns are {', '.join(sorted(known))}")
    return known[name]
