"""`dataset photos = "sample:shapes"`: the examples of a dataset with their columns, and parts of it: `sample(n)`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Operation, Parameter, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named


class Source(Operation):
    """The examples of a folder, a table or an archive. Values are 0; what is known of them stands in the columns."""

    name = "dataset"
    head = True
    of_datasets = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        dataset = run.dataset(node)
        axis = ("example",)
        every = dataset.columns
        columns = {name: Named(axis, every[name]) for name in every if name not in every.costly}
        values = Named(axis, np.zeros(len(dataset), np.float32))
        return Field(node.type, values, {"example": Named(axis, np.arange(len(dataset)))}, columns=columns)


class Sample(Operation):
    """Some examples of a dataset, drawn at random: which ones depends on `set seed` and on the names of the files, not
    on their order."""

    name = "sample"
    of_datasets = of_datasets_only = True
    parameters = (
        Parameter("n", "integer", "how many examples; all of them if there are fewer", minimum=1, maximum=10_000_000,
                  candidates=(500,)),
    )  # fmt: skip
    example = (
        'dataset photos = "sample:shapes"\ndataset few = photos | sample(500)\n'
        "block6a.expand.channel | across(few) | mean(example) | top(8) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        axis = field.axes[0]
        return field.swap(replace(axis, size=min(axis.size, arguments["n"])))

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.data.sampling import sampled

        (field,) = inputs
        names = [str(name) for name in field.columns["file"].data]
        chosen = sampled(names, node["n"], int(run.program.setting("seed", 0)))
        kept = field.take("example", Named(("example",), chosen))
        return kept.with_values(kept.values, node.type)


OPERATIONS = (Source(), Sample())
