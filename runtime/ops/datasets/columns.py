"""Columns of examples that need a forward pass: what the network predicts, and how well."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.contract import Run
from bbilang.compiler.ir.program import Node
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
    while source is not None and source.inputs:
        (source,) = source.inputs
    return source


def named(condition: object) -> Iterator[str]:
    """Iterate over the names of the columns in a condition."""
    if isinstance(condition, tuple):
        if len(condition) == 2 and condition[0] == "column":
            yield condition[1]
        else:
            for part in condition:
                yield from named(part)


def scored(names: Iterator[str] | list[str], field: Field, dataset: Node, run: Run) -> dict[str, Named]:
    """Return those of the named columns that need a forward pass, for the examples of a field."""
    needed = [name for name in dict.fromkeys(names) if name in SCORED]
    if not needed:
        return {}
    scanned, rows = run.scanned(dataset), field.coords["example"]
    at = np.minimum(np.searchsorted(scanned.rows, np.maximum(rows.data, 0)), len(scanned.rows) - 1)
    at = np.where((rows.data >= 0) & (scanned.rows[at] == rows.data), at, -1)
    known = scanned.columns()
    return {name: Named(("scanned",), known[name]).take("scanned", Named(rows.dims, at)) for name in needed}
