"""Columns of examples that need a forward pass: what the network predicts, and how well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bbilang.compiler.check.datasets import SAID, SCORED
from bbilang.compiler.contract import Demand, ExamplesOf, Operation, Registry, Run
from bbilang.compiler.ir.program import Node, source_dataset
from bbilang.runtime.data.labels import CLASSES
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.pipes import chain


def dataset_of(node: Node) -> Node | None:
    """Return the dataset whose examples a field has, or the first of several; None for a field without examples."""
    for stage in chain(node):
        if stage.type.content == "dataset":
            return stage
        dataset = stage.get("dataset")
        if dataset is not None:
            return dataset[0] if isinstance(dataset, tuple) else dataset
    return None


def source_of(node: Node) -> Node | None:
    """Return the files of those examples; None for a field without examples."""
    source = dataset_of(node)
    return None if source is None else source_dataset(source)


def named(condition: object) -> Iterator[str]:
    """Iterate over the names of the columns in a condition."""
    if isinstance(condition, tuple):
        if condition[:1] == ("column",):
            yield condition[1]
        else:
            for part in condition:
                yield from named(part)


def of_others(condition: object) -> Iterator[tuple[str, Node]]:
    """Iterate over the columns in a condition that are of another model, with the nodes that have them."""
    if isinstance(condition, tuple):
        if condition[:1] == ("column",) and len(condition) == 3:
            yield condition[1], condition[2]
        else:
            for part in condition:
                yield from of_others(part)


def looked_up(names: Iterable[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    """Return the columns of a field's examples, and those of the named ones that cost something to know: what the
    network says of an example, and the sizes of pictures, from the headers of their files."""
    wanted = [name for name in dict.fromkeys(names) if name not in field.columns]
    return field.columns | _scored(wanted, field, dataset, run) | _measured(wanted, field, dataset, run)


def of_other_models(columns: Iterable[tuple[str, Node]], rows: Named, run: Run) -> dict[str, Named]:
    """Return what other models say of a field's examples: columns as `b:predicted`, and by that model's names the
    classes that it predicts and that labels stand for."""
    made: dict[str, Named] = {}
    for name, node in columns:
        said = run.value(node)
        alias, _, column = name.rpartition(":")
        at = _places(said.coords["example"].data, rows)
        for own in dict.fromkeys((column, *CLASSES)):
            made[f"{alias}:{own}"] = said.columns[own].renamed({"example": "scanned"}).take("scanned", at)
    return made


class Said(Operation):
    """What a model says of each example of a dataset, for conditions that ask several models."""

    name = SAID
    head = True

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (ExamplesOf(node["dataset"], scores=True),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        scanned, axis = run.scanned(node["dataset"]), ("example",)
        columns = {name: Named(axis, column) for name, column in scanned.columns().items()}
        values = Named(axis, np.zeros(len(scanned.rows), np.float32))
        return Field(node.type, values, {"example": Named(axis, scanned.rows)}, columns=columns, notes=scanned.notes)


def _measured(names: list[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    source = run.dataset(source_dataset(dataset))
    needed = [name for name in names if name in source.columns.costly]
    if not needed:
        return {}
    rows = field.coords["example"]
    own = np.unique(rows.data[rows.data >= 0])
    known = source.subset(own).columns
    at = Named(rows.dims, np.where(rows.data >= 0, np.searchsorted(own, rows.data), -1))
    return {name: Named(("own",), known[name]).take("own", at) for name in needed}


def _scored(names: list[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    needed = [name for name in names if name in (*SCORED, *CLASSES)]
    if not needed:
        return {}
    scanned = run.scanned(dataset)
    at, known = _places(scanned.rows, field.coords["example"]), scanned.columns()
    return {name: Named(("scanned",), known[name]).take("scanned", at) for name in needed}


def _places(scanned: np.ndarray, rows: Named) -> Named:
    """Return where examples stand among those that were scanned; -1 for those that do not."""
    at = np.minimum(np.searchsorted(scanned, np.maximum(rows.data, 0)), len(scanned) - 1)
    return Named(rows.dims, np.where((rows.data >= 0) & (scanned[at] == rows.data), at, -1))


OPERATIONS = (Said(),)
