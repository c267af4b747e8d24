"""`examples(dataset, k)`: the examples of a dataset that an atom answers to most."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import (
    Arguments,
    Demand,
    ExamplesOf,
    Fail,
    Parameter,
    Registry,
    Run,
    Scanned,
)
from bbilang.compiler.ir.program import Node, source_dataset
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.activation import activation_unit
from bbilang.runtime.ops.datasets import pipes
from bbilang.runtime.ops.datasets.crops import below, cropped, extreme_at, inner_extreme_at, passes_again
from bbilang.runtime.ops.datasets.duplicates import DUPLICATES, candidates, without_duplicates

if TYPE_CHECKING:
    from bbilang.runtime.statistics.strongest import StrongestExamples

CHUNK = 4096  # examples that are ranked at a time
DATASET = Parameter("dataset", "dataset", 'a dataset of the text: `dataset photos = "folder/"`')
CONTENTS = ("activation", "attribution", "gradient")  # of which a scan keeps the extremes over positions
EXTREMES = {"positive": "largest", "negative": "smallest", "magnitude": "of largest magnitude"}
SIGN = Parameter(
    "sign",
    "word",
    "which end: the largest values, the smallest, or those of the largest magnitude",
    "positive",
    choices=("positive", "negative", "magnitude"),
)
BY = Parameter(
    "by",
    "word",
    "what a channel is ranked by: the extreme over positions, or the sum over them; by default the extreme of an "
    "activation, and the sum of an attribution or gradient",
    None,
    choices=("max", "sum"),
)
CROP = Parameter(
    "crop",
    "word",
    "what is shown of an example: all of it; the receptive field of the position with the extreme value; or all of it, "
    "dimmed where the channel's own map is low, which takes another pass over the examples shown",
    "none",
    choices=("none", "field", "map"),
)


class Examples(pipes.OfPipe):
    """The k examples of a dataset with the largest value of each atom, with the value, along the axis `example`.

    Of an activation they are those that activate it most (ActMax), of an attribution those in which it contributes most
    to the target (RelMax, Achtibat et al. 2023). Equal values, as at the ceiling of a ReLU6, are ordered by the value
    before the nonlinearity where that is known, then by the content of the files; the legend says how many there are.
    """

    name = "examples"
    retrieves = True
    parameters = (
        DATASET,
        Parameter("k", "integer", "how many examples of each atom", 9, minimum=1, maximum=1000),
        SIGN,
        BY,
        CROP,
        DUPLICATES,
    )
    example = (
        'dataset photos = "sample:shapes"\nblock6a.expand.channel | attribute(output) | top(8) | activation\n'
        "    | examples(photos, 9) | present(image, facet=channel)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        self._check_crop(field, arguments)
        return examples_type(field, self.name, arguments["dataset"], arguments["k"], arguments["by"], arguments["sign"])

    def _check_crop(self, field: FieldType, arguments: Arguments) -> None:
        crop = arguments["crop"]
        if crop == "none" or (field.atom == "channel" and not changed(field)) or by_extreme(field):
            return
        if field.atom == directions.ATOM:
            message = f"`crop={crop}` shows where the inner product with a direction is largest or smallest"
            raise Fail("E238", message, "rank by that: `activation(reduce=max)` before it", "crop")
        message = f"`crop={crop}` shows where a channel or a direction has its largest or smallest values"
        help = "leave out the arithmetic before it" if changed(field) else "start from `.channel`"
        raise Fail("E238", message, help, "crop")

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        content = pipes.content_of(node["each"].node, registry)
        if not summarized(node["each"].node, registry):
            return (*pipes.demanded(node["each"].node, node["dataset"], registry), *passes_again(node, content))
        return (ExamplesOf(node["dataset"], summaries=(content,)), *passes_again(node, content))

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        each, dataset = node["each"].node, run.value(node["dataset"])
        scanned = run.scanned(node["dataset"], each)
        values = numbers(node, run, scanned)
        inside = np.isin(scanned.rows, dataset.coords["example"].data)
        atoms = tuple(d for d in values.values.dims if d != "example")
        shape = tuple(values.values.sizes[d] for d in atoms)
        table = values.values.ordered(("example", *atoms)).data.reshape(len(scanned.rows), -1)
        second = second_numbers(node, run, scanned)
        before = None if second is None else second.values.ordered(("example", *atoms)).data.reshape(table.shape)
        collapse = node["duplicates"] == "collapse"
        most = candidates(node["k"]) if collapse else node["k"]
        more = strongest(table, scanned, inside, most, node["sign"], before)
        best = more.first(node["k"])
        shown, strengths, repeated = best.rows, best.values, 0
        if collapse:
            files = run.dataset(source_dataset(node["dataset"]))
            shown, strengths, repeated = without_duplicates(more, node["k"], files)
        rows = Named((*atoms, "example"), shown.reshape(*shape, -1))
        found = Named(rows.dims, strengths.astype(np.float32).reshape(rows.data.shape))
        coords = {name: array for name, array in values.coords.items() if name != "example"}
        columns = {name: array.take("example", rows_in(rows, dataset)) for name, array in dataset.columns.items()}
        own = (*tie_notes(best, before is not None), *_repeated_notes(repeated))
        notes = tuple(dict.fromkeys((*values.notes, *dataset.notes, *scanned.notes, *own)))
        field = Field(node.type, found, {**coords, "example": rows}, values.names, notes=notes, columns=columns)
        field = of_rows(field, rows, scanned)
        if summarized(each, run.registry):
            field.coords |= extreme_at(node, field, run, scanned)
        elif node["crop"] != "none":
            field.coords |= inner_extreme_at(node, field, run, scanned)
        return cropped(node, field, run, scanned)


def examples_type(
    field: FieldType, name: str, dataset: Node, k: int, by: str | None, sign: str = "positive"
) -> FieldType:
    """Return the type of k examples of each atom. Raises `Fail`."""
    if field.axis("example") is not None:
        raise Fail("E231", "the field goes across a dataset already", "leave out `across(...)`")
    if field.content == "picture":
        raise Fail("E238", f"`{name}` is of numbers, and these are pictures", "start from atoms of a layer")
    if by is not None and field.atom != "channel":
        raise Fail("E238", "`by=` is of channels, which have several positions", argument="by")
    if by is not None and changed(field):
        message = "`by=` is of a channel's own values, and arithmetic made others of them"
        raise Fail("E238", message, "leave it out: the examples are ranked by what stands before", "by")
    axes = tuple(axis for axis in field.axes if axis.name != "input")
    several = tuple(axis.name for axis in axes if axis.size > 1 or not axis.exact)
    example = Axis("example", k, exact=False, varies=several, whole=False)
    unit = field.unit
    if field.atom == "channel" and field.content in CONTENTS and not changed(field):
        extreme = by == "max" or (by is None and field.content == "activation")
        own = "the layer's own units" if field.content == "activation" else unit
        if extreme or field.content == "activation":
            unit = f"{own}, {EXTREMES[sign] if extreme else 'sum'} over positions"
    if by_extreme(field):
        unit = f"the layer's own units, {EXTREMES[sign]} over positions"
    return replace(field, axes=(*axes, example), columns=dataset.type.columns, unit=unit)


def changed(field: FieldType) -> bool:
    """Return whether arithmetic made other numbers of those that a content gave: `abs`, `normalize(...)`."""
    return bool(field.steps or field.scope)


def by_extreme(field: FieldType) -> bool:
    """Return whether the numbers of directions are extremes over positions, which `sign=` chooses."""
    return field.atom == directions.ATOM and field.unit == activation_unit(directions.ATOM, "max")


def summarized(each: Node, registry: Registry) -> bool:
    """Return whether a pipe is of channels with positions, of which a scan keeps the extremes."""
    content = pipes.content_of(each, registry)
    if directions.of(each) or changed(each.type) or registry.operations[content.op].of_interventions:
        return False
    return content.type.atom == "channel" and content.op != "output" and not content.type.axis("class")


def numbers(node: Node, run: Run, scanned: Scanned) -> Field:
    """Return the numbers that examples are ranked by, over `example` and the axes of the atoms."""
    each = node["each"].node
    content = pipes.content_of(each, run.registry)
    if not summarized(each, run.registry):
        return pipes.of_examples(pipes.per_example(each, run, scanned, node.get("sign", "positive")), scanned.rows)
    by = node["by"] or ("max" if content.type.content == "activation" else "sum")
    if by == "sum":
        data = scanned.summary(content, "sum")
    elif node.get("sign") == "negative":
        data = scanned.summary(content, "min")
    elif node.get("sign") == "magnitude":
        data = np.where(below(scanned, content), scanned.summary(content, "min"), scanned.summary(content, "max"))
    else:
        data = scanned.summary(content, "max")
    return of_channels(node, content, data, run, scanned)


def of_channels(node: Node, content: Node, data: np.ndarray, run: Run, scanned: Scanned) -> Field:
    """Return numbers (example, channel) of a layer's channels for the atoms of a pipe."""
    channels = {"channel": Named(("channel",), np.arange(data.shape[1]))}
    whole = Field(content.type, Named(("input", "channel"), data), channels)
    if node.inputs:
        whole = pipes.restricted(whole, run.value(node.inputs[0]))
    elif (frame := pipes.frame_of(node["each"].node, run.registry)).inputs:  # of single atoms
        whole = pipes.restricted(whole, run.value(run.shown(frame)))
    return pipes.of_examples(whole, scanned.rows)


def second_numbers(node: Node, run: Run, scanned: Scanned) -> Field | None:
    """Return what orders examples of equal numbers: the largest value before the layer's nonlinearity. None where that
    is not known, or the ranking is of something else."""
    content = pipes.content_of(node["each"].node, run.registry)
    if not summarized(node["each"].node, run.registry) or content.type.content != "activation":
        return None
    if node["by"] == "sum" or node.get("sign", "positive") != "positive":
        return None
    data = scanned.before(content)
    return None if data is None else of_channels(node, content, np.asarray(data), run, scanned)


def strongest(
    table: np.ndarray, scanned: Scanned, inside: np.ndarray, k: int, sign: str, second: np.ndarray | None = None
) -> StrongestExamples:
    """Rank the examples of every atom: table and second (example, atom)."""
    from bbilang.runtime.statistics.strongest import Strongest  # which loads numpy

    digests = scanned.digests()
    ranking = Strongest(k, sign)  # type: ignore[arg-type]
    for start in range(0, len(table), CHUNK):
        own = slice(start, start + CHUNK)
        chosen = np.flatnonzero(inside[own])
        if len(chosen):
            names = [digests[start + n] for n in chosen.tolist()]
            before = None if second is None else second[own][chosen]
            ranking.add(table[own][chosen], names, scanned.rows[own][chosen], before)
    return ranking.result()


def _repeated_notes(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    words, verb = ("example shows", "is") if count == 1 else ("examples show", "are")
    return (f"{count:,} {words} nearly the same picture as a stronger one, and {verb} left out",)


def tie_notes(best: StrongestExamples, before: bool) -> tuple[str, ...]:
    """Say of how many atoms the last example shown has the value of others that are not shown. ``before``: equal values
    are ordered by the value before the nonlinearity."""
    hidden = best.hidden
    tied = int((hidden > 0).sum())
    if not tied:
        return ()
    most = int(hidden.max())
    which = "the atom shown" if len(hidden) == 1 else f"{tied} of the {len(hidden)} atoms"
    order = "; shown are those with the largest value before the nonlinearity" if before else ""
    return (f"of {which}, up to {most:,} more examples have exactly the value of the last one shown{order}",)


def of_rows(field: Field, rows: Named, scanned: Scanned) -> Field:
    """Return the field with the names and coordinates of the examples shown, where they are those of all examples."""
    at = np.searchsorted(scanned.rows, np.maximum(rows.data, 0))
    index = Named(rows.dims, np.where(rows.data < 0, -1, np.minimum(at, len(scanned.rows) - 1)))

    def picked(tables: dict[str, Named]) -> dict[str, Named]:
        return {
            name: array if name == "example" or "example" not in array.dims else array.take("example", index)
            for name, array in tables.items()
        }

    return replace(field, coords=picked(field.coords), names=picked(field.names))


def rows_in(rows: Named, dataset: Field) -> Named:
    """Return where each of the rows stands among the examples of a dataset."""
    own = dataset.coords["example"].data
    order = np.argsort(own, kind="stable")
    at = np.minimum(np.searchsorted(own, rows.data, sorter=order), len(own) - 1)
    return Named(rows.dims, np.where(rows.data < 0, -1, order[at]))


OPERATIONS = (Examples(),)
