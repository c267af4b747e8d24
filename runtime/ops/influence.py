"""`influence(dataset)`: the training examples that moved a score."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.contract import Arguments, Operation, Parameter
from bbilang.compiler.ir.types import FieldType

DATASET = Parameter("dataset", "dataset", 'a dataset that the file names: `dataset photos = "folder/"`')


class Influence(Operation):
    """The examples that influenced a score, an atom or an attribution most, and by how much: along the axis `example`.

    Koh and Liang 2017; ekfac: Grosse et al. 2023; tracin: Pruthi et al. 2020.
    """

    name = "influence"
    available = False
    plan = "finds the examples that influenced a score"
    parameters = (
        DATASET,
        Parameter("method", "word", "the estimator", "ekfac", choices=("ekfac", "kfac", "tracin", "dot")),
    )
    example = 'dataset photos = "sample:shapes"\noutput | influence(photos, method=ekfac) | top(12) | present(image)'

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        axis = arguments["dataset"].type.axes[0]
        type = replace(
            field, content="influence", atom="example", signed=True, unit="change of the score", scope="", steps=()
        )
        return replace(type, axes=(*(a for a in field.axes if a.name != "class"), axis))


OPERATIONS = (Influence(),)
