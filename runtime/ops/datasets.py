"""`across`, `examples`, `spectrum`, `influence`: fields over the examples of a dataset."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter
from bbilang.compiler.ir.types import Axis, FieldType

DATASET = Parameter("dataset", "dataset", 'a dataset that the file names: `dataset photos = "folder/"`')


class Across(Operation):
    """The field for every example of a dataset: adds the axis `example`."""

    name = "across"
    available = False
    plan = "takes a field for every example of a dataset"
    parameters = (DATASET,)
    example = (
        'dataset photos = "photos/"\nblock6a.expand.channel | across(photos) | mean(example) | top(8) | present(bars)'
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.axis("example") is not None:
            raise Fail("E231", "the field goes across a dataset already")
        return replace(field, axes=(*field.axes, arguments["dataset"].type.axes[0]))


class Examples(Operation):
    """The k examples of a dataset that activate each atom most: pictures, along the axis `example`."""

    name = "examples"
    available = False
    plan = "finds the examples that activate an atom most"
    parameters = (DATASET, Parameter("k", "integer", "how many examples for each atom", minimum=1, maximum=1000))
    example = (
        'dataset photos = "photos/"\n'
        "block6a.expand.channel | attribute(output) | top(8) | examples(photos, 9) | present(image, facet=channel)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return _pictures(field, self.name, Axis("example", arguments["k"]))


class Spectrum(Operation):
    """Examples over the whole range of an atom's activation, from the lowest to the highest, along the axis
    `example`."""

    name = "spectrum"
    available = False
    plan = "draws examples over the range of an atom's activation"
    parameters = (DATASET, Parameter("n", "integer", "how many examples over the range", 9, minimum=2, maximum=100))
    example = (
        'dataset photos = "photos/"\n'
        "block6a.expand.channel | attribute(output) | top(3) | spectrum(photos) | present(image, facet=channel)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return _pictures(field, self.name, Axis("example", arguments["n"]))


def _pictures(field: FieldType, name: str, axis: Axis) -> FieldType:
    if field.atom == "class" and name == "spectrum":
        raise Fail("E238", "`spectrum` is of a layer's atoms")
    axes = tuple(a for a in field.axes if a.name not in ("class", "input"))
    return replace(field, content="picture", axes=(*axes, axis), signed=False, unit="", scope="", steps=())


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
    example = 'dataset photos = "photos/"\noutput | influence(photos, method=ekfac) | top(12) | present(image)'

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        axis = arguments["dataset"].type.axes[0]
        type = replace(
            field, content="influence", atom="example", signed=True, unit="change of the score", scope="", steps=()
        )
        return replace(type, axes=(*(a for a in field.axes if a.name != "class"), axis))


OPERATIONS = (Across(), Examples(), Spectrum(), Influence())
