"""`spectrum(dataset, n)`: examples over the whole range of an atom's values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Demand, ExamplesOf, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets import pipes
from bbilang.runtime.ops.datasets.examples import (
    BY,
    DATASET,
    examples_type,
    extreme_at,
    numbers,
    of_rows,
    rows_in,
    summarized,
)
from bbilang.runtime.statistics.spectrum import Spectrum, shared_ceiling, spectrum

SAID = 3  # atoms whose range the legend describes one by one


class SpectrumOf(pipes.OfPipe):
    """Examples over the whole range of each atom's values, from the lowest to the highest, along the axis `example`.

    They stand at n quantiles of the values that are neither zero nor at the layer's ceiling; how many examples are is
    said in the legend. A channel's value is its maximum over positions, unless `by=sum`.
    """

    name = "spectrum"
    parameters = (DATASET, Parameter("n", "integer", "how many examples over the range", 9, minimum=2, maximum=100), BY)
    example = (
        'dataset photos = "sample:shapes"\nblock6a.expand.channel | attribute(output) | top(3) | activation\n'
        "    | spectrum(photos) | present(image, facet=channel)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return examples_type(field, self.name, arguments["dataset"], arguments["n"], arguments["by"])

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        each = node["each"].node
        if summarized(each, registry):
            return (ExamplesOf(node["dataset"], summaries=(pipes.content_of(each, registry),)),)
        return pipes.demanded(each, node["dataset"], registry)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        dataset, scanned = run.value(node["dataset"]), run.scanned(node["dataset"], node["each"].node)
        values = numbers(node, run, scanned)
        inside = np.flatnonzero(np.isin(scanned.rows, dataset.coords["example"].data))
        atoms = tuple(d for d in values.values.dims if d != "example")
        shape = tuple(values.values.sizes[d] for d in atoms)
        table = values.values.ordered(("example", *atoms)).data.reshape(len(scanned.rows), -1)[inside]
        order = np.array([int(digest[:12], 16) for digest in scanned.digests()])[inside]
        every = [spectrum(own, node["n"], shared_ceiling(own), order=order) for own in table.T]
        rows = np.full((table.shape[1], node["n"]), -1)
        data = np.full(rows.shape, np.nan, np.float32)
        for number, one in enumerate(every):
            rows[number, : len(one.rows)] = scanned.rows[inside[one.rows]]
            data[number, : len(one.rows)] = one.values
        found = Named((*atoms, "example"), rows.reshape(*shape, -1))
        coords = {name: array for name, array in values.coords.items() if name != "example"}
        columns = {name: array.take("example", rows_in(found, dataset)) for name, array in dataset.columns.items()}
        notes = tuple(dict.fromkeys((*values.notes, *dataset.notes, *scanned.notes, *_range_notes(every))))
        field = Field(node.type, Named(found.dims, data.reshape(found.data.shape)), {**coords, "example": found},
                      values.names, notes=notes, columns=columns)  # fmt: skip
        field = of_rows(field, found, scanned)
        if summarized(node["each"].node, run.registry) and node["by"] != "sum":
            field.coords |= extreme_at(node, field, run, scanned)
        return replace(field, type=node.type)


def _range_notes(every: list[Spectrum]) -> tuple[str, ...]:
    """Say for which examples an atom is zero or saturated; of many atoms, of how many there are such examples."""
    if len(every) <= SAID:
        return tuple(dict.fromkeys(one.sentence for one in every if one.sentence))
    dead, zero = sum(one.dead for one in every), sum(one.zeros > 0 and not one.dead for one in every)
    full = sum(one.saturated > 0 for one in every)
    counts = ((dead, "zero on all examples scanned"), (zero, "zero on some examples"), (full, "at a ceiling on some"))
    return tuple(f"{count} of the {len(every)} atoms are {words}" for count, words in counts if count)


OPERATIONS = (SpectrumOf(),)
