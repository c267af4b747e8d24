"""Columns of examples that need a forward pass: what the network predicts, and how well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.contract import Run
from bbilang.compiler.ir.program import Node, source_dataset
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
        if len(condition) == 2 and condition[0] == "column":
            yield condition[1]
        else:
            for part in condition:
                yield from named(part)


def looked_up(names: Iterable[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    """Return the columns of a field's examples, and those of the named ones that cost something to know: what the
    network says of an example, and the sizes of pictures, from the headers of their files."""
    wanted = [name for name in dict.fromkeys(names) if name not in field.columns]
    return field.columns | _scored(wanted, field, dataset, run) | _measured(wanted, field, dataset, run)


def _measured(names: list[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    source, rows = run.dataset(source_dataset(dataset)), field.coords["example"]
    needed = [name for name in names if name in source.columns.costly]
    if not needed:
        return {}
    own = np.unique(rows.data[rows.data >= 0])
    known = source.subset(own).columns
    at = Named(rows.dims, np.where(rows.data >= 0, np.searchsorted(own, rows.data), -1))
    return {name: Named(("own",), known[name]).take("own", at) for name in needed}


def _scored(names: list[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    needed = [name for name in names if name in SCORED]
    if not needed:
        return {}
    scanned, rows = run.scanned(dataset), field.coords["example"]
    at = np.minimum(np.searchsorted(scanned.rows, np.maximum(rows.data, 0)), len(scanned.rows) - 1)
    at = np.where((rows.data >= 0) & (scanned.rows[at] == rows.data), at, -1)
    known = scanned.columns()
    return {name: Named(("scanned",), known[name]).take("scanned", Named(rows.dims, at)) for name in needed}
