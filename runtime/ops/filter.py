"""`filter(condition)`: keep atoms by value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.contract import Arguments, Demand, ExamplesOf, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.comparisons import COMPARE
from bbilang.runtime.data.labels import CLASS, CLASS_OF_LABEL, CLASSES
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named, combine
from bbilang.runtime.fields.ranking import by_input
from bbilang.runtime.ops.datasets.by_column import unknown
from bbilang.runtime.ops.datasets.columns import dataset_of, looked_up, named, of_other_models, of_others

CONSTANT = ("column", "text", "flag")  # operands whose parts are not read as operands again
SEEN = 6  # words of a column that an error names


class Filter(Operation):
    """Keeps the atoms that satisfy the condition, in the same order: `value > 0.1 and channel < 100`.

    `value` and `magnitude` refer to the number; `channel`, `y`, `x`, `class` and so on to the coordinates of the atom.
    Of the examples of a dataset it keeps those whose columns satisfy it: `predicted != label`. An example of which a
    column is not known is left out, and counted in the legend.
    """

    name = "filter"
    of_datasets = True
    adds_up = True
    selects = True
    parameters = (Parameter("condition", "condition", "comparisons joined by `and`, `or`, `not`"),)
    example = "block6a.expand.channel | attribute(output) | filter(value > 0.05) | top(8) | present(bars)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        own = field.atom_axes
        for axis in own:  # a single axis closes up; holes in several stay
            whole = axis.whole and len(own) > 1
            gap, sizes = (axis.gap, axis.sizes) if len(own) > 1 else (0, ())
            varies = axis.varies if len(own) > 1 else tuple(sorted({*axis.varies, *by_input(field)}))
            field = field.swap(replace(axis, exact=False, whole=whole, gap=gap, sizes=sizes, varies=varies))
        return field

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        dataset = dataset_of(node.inputs[0]) if node.inputs else None
        if dataset is None or not set(named(node["condition"])) & set(SCORED):
            return ()
        return (ExamplesOf(dataset, scores=True),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        if any(named(node["condition"])):
            return _of_examples(node, field, run)
        met = _evaluate(node["condition"], field)
        masked = combine(lambda value, condition: np.where(condition, value, np.nan), field.values, met)
        field = field.with_values(masked, node.type)
        own = [axis.name for axis in node.type.atom_axes]
        return _closed_up(field, own[0]) if len(own) == 1 else field


def _of_examples(node: Node, field: Field, run: Run) -> Field:
    """Keep the examples whose columns satisfy the condition."""
    from bbilang.runtime.data.conditions import evaluate

    condition, dataset = of_classes(node["condition"]), dataset_of(node.inputs[0])
    assert dataset is not None, "only examples have columns"
    names = (*named(node["condition"]), *named(condition))
    known = looked_up(names, field, dataset, run)
    elsewhere = of_other_models(of_others(node["condition"]), field.coords["example"], run)
    field = replace(field, columns=known | elsewhere)
    dims = field.values.dims
    shape = field.values.data.shape
    tables: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(named(condition)):
        if name not in field.columns:
            message, help = f"there is no column `{name}`", f"its columns are {', '.join(sorted(field.columns))}"
            raise error("E215", message, help)
        tables[name] = np.broadcast_to(field.columns[name].spread(dims), shape).ravel()
    tables |= {name: np.broadcast_to(_operand(name, field).spread(dims), shape).ravel() for name in _plain(condition)}
    met, undefined = evaluate(_of_columns(condition), tables)
    shares, count = undefined.reshape(shape), int(undefined.sum())
    if "example" in dims:
        others = tuple(n for n, d in enumerate(dims) if d != "example")
        count = int(shares.all(others).sum()) if others else count
    if node.type.content == "dataset" and not met.any():
        lacking = f"; of {count:,} a column is not known" if count else ""
        raise error("E451", f"no example meets the condition{lacking}", _seen(field, node["condition"], condition))
    notes = (unknown(count, "a column of the condition"),) if count else ()
    masked = Named(dims, np.where(met.reshape(shape), field.values.data, np.nan))
    columns = {name: column for name, column in field.columns.items() if not name.endswith(CLASSES)}
    notes = tuple(dict.fromkeys((*field.notes, *notes)))
    field = replace(field.with_values(masked, node.type), notes=notes, columns=columns)
    own = [axis.name for axis in node.type.atom_axes]
    return _closed_up(field, own[0]) if len(own) == 1 else field


def of_classes(condition: tuple) -> tuple:
    """Return a condition in which what a model predicts is compared by classes: with another model's prediction, and
    with the class that a label stands for, where it is one. A label has synonyms, a folder may be called something else
    altogether, and classes may share their first name."""
    word, *parts = condition
    if word in ("and", "or", "not"):
        return (word, *map(of_classes, parts))
    names = [part[1].rpartition(":") if isinstance(part, tuple) and part[0] == "column" else None for part in parts]
    columns = [name[2] for name in names if name is not None]
    if sorted(columns) not in (["label", "predicted"], ["predicted", "predicted"]):
        return condition
    said = parts[columns.index("predicted")]
    made = [_of_class(said if column == "label" else part, CLASS_OF_LABEL if column == "label" else CLASS)
            for part, column in zip(parts, columns, strict=True)]  # fmt: skip
    return (word, *made)


def _of_class(said: tuple, column: str) -> tuple:
    """Return a column of classes of the model whose prediction is ``said``."""
    alias, colon, _ = said[1].rpartition(":")
    return ("column", f"{alias}{colon}{column}", *said[2:])


def _seen(field: Field, condition: tuple, compared: tuple) -> str:
    """Say which words the first column of a condition has, or that the labels it is about are no classes.
    ``compared``: the condition with the classes of labels."""
    classes = [field.columns[name] for name in named(compared) if name.endswith(CLASS_OF_LABEL)]
    if classes and not any(word for column in classes for word in column.data.ravel().tolist()):
        words = [word for word in dict.fromkeys(field.columns["label"].data.ravel().tolist()) if word]
        if not words:
            return "the examples have no labels"
        return f"no label is a class of the network: {_listed(words)}"
    name = next(iter(named(condition)))
    every = [value for value in field.columns[name].data.ravel().tolist() if value == value and value != ""]
    if not every:
        return f"`{name}` is known of no example"
    if isinstance(every[0], str):
        words = sorted(set(every))
        return f"`{name}` is {_listed(words)}"
    return f"`{name}` lies between {min(every):g} and {max(every):g}"


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:SEEN])}{' and so on' if len(words) > SEEN else ''}"


def _plain(condition: tuple) -> Iterator[str]:
    """Iterate over the words of a condition that are no columns: `value`, or a coordinate."""
    operator_word, *parts = condition
    for part in parts:
        if isinstance(part, str) and operator_word not in CONSTANT:
            yield part
        elif isinstance(part, tuple) and part[0] not in CONSTANT:
            yield from _plain(part)


def _of_columns(part: object) -> Any:
    """Return a condition in the form of `data.conditions`."""
    if isinstance(part, str):
        return ("column", part)
    if not isinstance(part, tuple):
        return ("constant", part)
    word, *parts = part
    if word in ("text", "flag"):
        return ("constant", parts[0])
    if word == "column":
        return part[:2]
    if word in COMPARE:
        return ("compare", word, *map(_of_columns, parts))
    return (word, *map(_of_columns, parts))


def _evaluate(condition: tuple, field: Field) -> Named:
    op, *parts = condition
    if op == "not":
        inner = _evaluate(parts[0], field)
        return Named(inner.dims, ~inner.data)
    if op in ("and", "or"):
        return combine(np.logical_and if op == "and" else np.logical_or, *(_evaluate(p, field) for p in parts))
    return combine(COMPARE[op], *(_operand(p, field) for p in parts))


def _operand(part: float | str, field: Field) -> Named:
    if part == "value":
        return field.values
    if part == "magnitude":
        return Named(field.values.dims, np.abs(field.values.data))
    return field.coords[part] if isinstance(part, str) else Named((), np.array(part))


def _closed_up(field: Field, axis: str) -> Field:
    """Compact the axis: close the holes, and drop positions that are empty in every state."""
    values = field.values
    apart = [d for d in values.dims if d == "input" or d not in field.type.names]
    others = tuple(i for i, d in enumerate(values.dims) if d != axis and d not in apart)
    there = ~np.isnan(values.data).all(others) if others else ~np.isnan(values.data)
    dims = tuple(d for i, d in enumerate(values.dims) if i not in others)
    there = Named(dims, there).ordered((*(d for d in dims if d != axis), axis)).data
    order = np.argsort(~there, axis=-1, kind="stable")
    order = np.where(np.take_along_axis(there, order, -1), order, -1)[..., : max(1, int(there.sum(-1).max(initial=0)))]
    index = Named((*(d for d in dims if d != axis), axis), order)
    return field.take(axis, index)


OPERATIONS = (Filter(),)
