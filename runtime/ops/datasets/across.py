"""`across(dataset)`: a pipe for every example of a dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.check.datasets import MEMBER, SCORED
from bbilang.compiler.contract import Arguments, Demand, Fail, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node, source_dataset
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import ABSENT, Field, Named
from bbilang.runtime.ops.datasets import pipes


class Across(pipes.OfPipe):
    """The pipe so far for every example of a dataset: the axis `example` takes the place of `input`.

    Everything before it is computed for each example, `output` for each example's own prediction; what chooses atoms
    (`top`, `filter`, `only`) chooses them once, on the page's own input. A list of datasets adds the axis `subset`;
    those of several folders are then reduced (`mean(example)`) or counted (`histogram`).
    """

    name = "across"
    takes_parts = True
    parameters = (
        Parameter(
            "dataset",
            "datasets",
            'a dataset of the text (`dataset photos = "folder/"`), what a reader encloses: `lasso(map)`, or a list',
        ),
    )
    example = (
        'dataset photos = "sample:shapes"\n'
        "block6a.expand.channel | across(photos) | mean(example) | top(8) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.axis("example") is not None:
            raise Fail("E231", "the field goes across a dataset already")
        datasets = _listed(arguments["dataset"])
        joined = len({source_dataset(dataset) for dataset in datasets}) > 1
        sizes = [dataset.type.axes[0] for dataset in datasets]
        example = replace(sizes[0], size=max(a.size for a in sizes), exact=all(a.exact for a in sizes))
        axes: tuple[Axis, ...] = (replace(example, whole=False),)
        if isinstance(arguments["dataset"], tuple):
            axes = (Axis("subset", len(datasets)), replace(axes[0], exact=False, varies=("subset",)))
        rest = (axis for axis in field.axes if axis.name != "input")
        if joined:  # numbers side by side: which file one is of depends on the subset
            axes = tuple(replace(axis, components=(MEMBER,)) if axis.name == "example" else axis for axis in axes)
        enclosed = tuple(dict.fromkeys(state for dataset in datasets for state in dataset.type.states))
        if len(enclosed) > 1:
            raise Fail("E260", "these parts are of several lassos", "draw around points of one map", argument="dataset")
        if enclosed and joined:
            message = "what a lasso encloses stands beside parts of its own dataset, and these are of several"
            raise Fail("E258", message, "one element for each: `across([photos, lasso(map)])`", argument="dataset")
        columns = _common(datasets) if joined else datasets[0].type.columns
        made = replace(field, axes=(*axes, *rest), columns=columns)
        return made.with_states(*enclosed)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        each = node["each"].node
        datasets = _listed(node["dataset"])
        return tuple(demand for one in datasets for demand in pipes.demanded(each, whole(one), registry))

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        each, datasets = node["each"].node, _listed(node["dataset"])
        parts = [_of(dataset, each, run) for dataset in datasets]
        if not isinstance(node["dataset"], tuple):
            (field,) = parts
        else:
            field = _stacked(parts)
            if any(MEMBER in axis.components for axis in node.type.axes):
                own = field.coords.pop("example")
                numbers = np.arange(own.sizes["example"])
                field.coords[MEMBER] = Named(own.dims, np.where(own.data >= 0, numbers, ABSENT))
                known = dict(node.type.columns)
                field = replace(field, columns={name: it for name, it in field.columns.items() if name in known})
            called = [str(dataset.get("called") or f"subset {n}") for n, dataset in enumerate(datasets)]
            field.names["subset"] = Named(("subset",), np.array(called, object))
        return field.with_values(field.values, node.type)


def _listed(datasets: Node | tuple[Node, ...]) -> tuple[Node, ...]:
    return datasets if isinstance(datasets, tuple) else (datasets,)


def _common(datasets: tuple[Node, ...]) -> tuple[tuple[str, int], ...]:
    """Return the columns that all of several datasets have from their tables and folders."""
    names = set.intersection(*({name for name, _ in dataset.type.columns} for dataset in datasets))
    names -= {"file", "width", "height", *SCORED}  # of one file, and what is asked of one scan
    return tuple((name, 0) for name in sorted(names))


def whole(dataset: Node) -> Node:
    """Return the dataset of which a lasso encloses a part; any other as it is."""
    return dataset.inputs[0] if dataset.type.lasso is not None else dataset


def _of(dataset: Node, each: Node, run: Run) -> Field:
    """Return the numbers of a pipe for the examples of one dataset that could be read."""
    scanned, kept = run.scanned(dataset, each), run.value(dataset)
    rows = kept.coords["example"].data
    index = np.searchsorted(scanned.rows, rows)
    there = (index < len(scanned.rows)) & (scanned.rows[np.minimum(index, len(scanned.rows) - 1)] == rows)
    field = pipes.of_examples(pipes.per_example(each, run, scanned, rows=index[there]), scanned.rows)
    field = field.take("example", Named(("example",), index[there]))
    columns = {name: array.take("example", Named(("example",), np.flatnonzero(there)))
               for name, array in kept.columns.items()}  # fmt: skip
    notes = tuple(dict.fromkeys((*field.notes, *kept.notes, *scanned.notes)))
    return replace(field, columns=columns, notes=notes)


def _stacked(parts: list[Field]) -> Field:
    """Stack the fields of several subsets along the axis `subset`; the shorter ones are filled up with NaN."""
    longest = max(part.values.sizes["example"] for part in parts)

    def stacked(arrays: list[Named]) -> Named:
        if "example" not in arrays[0].dims:
            return arrays[0]
        padded = []
        for array in arrays:
            index = np.arange(longest)
            own = np.where(index < array.sizes["example"], index, ABSENT)
            padded.append(array.take("example", Named(("example",), own)))
        return Named(("subset", *padded[0].dims), np.stack([array.data for array in padded]))

    first = parts[0]
    tables = {
        name: {
            key: stacked([getattr(part, name)[key] for part in parts])
            for key in getattr(first, name)
            if all(key in getattr(part, name) for part in parts)
        }
        for name in ("coords", "names", "columns")
    }
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    coords = {**tables["coords"], "subset": Named(("subset",), np.arange(len(parts)))}
    return Field(
        first.type, stacked([part.values for part in parts]), coords, tables["names"], notes=notes,
        columns=tables["columns"],
    )  # fmt: skip


OPERATIONS = (Across(),)
