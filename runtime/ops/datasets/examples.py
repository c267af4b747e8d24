"""`examples(dataset, k)`: the examples of a dataset that an atom answers to most."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import (
    Again,
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
from bbilang.runtime.errors import error
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.field import SHADE, Field, Named
from bbilang.runtime.ops.activation import activation_unit
from bbilang.runtime.ops.datasets import every_position, pipes
from bbilang.runtime.ops.datasets.duplicates import DUPLICATES, candidates, without_duplicates
from bbilang.runtime.ops.datasets.receptive import spans

if TYPE_CHECKING:
    from bbilang.runtime.statistics.strongest import StrongestExamples

CHUNK = 4096  # examples that are ranked at a time
DATASET = Parameter("dataset", "dataset", 'a dataset of the text: `dataset photos = "folder/"`')
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
        crop, sign = arguments["crop"], arguments["sign"]
        if crop == "none" or (field.atom == "channel" and sign != "magnitude"):
            return
        if field.atom == directions.ATOM and sign == "positive":
            if field.unit == activation_unit(directions.ATOM, "max"):
                return
            message = f"`crop={crop}` shows where the inner product with a direction is largest"
            raise Fail("E238", message, "rank by that: `activation(reduce=max)` before it", "crop")
        message = f"`crop={crop}` shows where a channel has its largest or smallest values"
        help = "start from `.channel`, with `sign=positive` or `negative`; directions have the positive end"
        raise Fail("E238", message, help, "crop")

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        content = pipes.content_of(node["each"].node, registry)
        if not summarized(node["each"].node, registry):
            return (*pipes.demanded(node["each"].node, node["dataset"], registry), *_again(node, content))
        return (ExamplesOf(node["dataset"], summaries=(content,)), *_again(node, content))

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
            field.coords |= largest_at(node, field, run, scanned)
        return cropped(node, field, run, scanned)


def _again(node: Node, content: Node) -> tuple[Demand, ...]:
    """Return the passes that a crop needs after the scan."""
    layers = content.type.layers
    if node["crop"] == "field":
        return (Again(f"the receptive field of {layers[0]}", 0, layers),)
    if node["crop"] == "map" and not directions.of(node["each"].node):  # those of directions the scan keeps
        pictures = math.prod(axis.size for axis in node.type.axes)
        return (Again(f"maps of {layers[0]} for the examples shown", pictures, layers, content),)
    return ()


def cropped(node: Node, field: Field, run: Run, scanned: Scanned) -> Field:
    """Add to a field of examples what its pictures are cut to, or how they are shaded."""
    layer, crop = node["each"].node.type.layers[0], node["crop"]
    if crop != "none" and "at.y" not in field.coords:
        raise error("E238", f"`{layer}` has no positions to show", f"leave out `crop={crop}`")
    if crop == "field":
        return cut_to_field(field, layer, run, scanned)
    return shaded(node, field, run, scanned) if crop == "map" else field


def shaded(node: Node, field: Field, run: Run, scanned: Scanned) -> Field:
    """Add to a field of examples each atom's own map of each picture, as shares of the largest value of the atom's
    maps: `SHADE` over the axes of the examples, and y and x."""
    rows, each = field.coords["example"], node["each"].node
    axis = directions.AXIS if directions.of(each) else "channel"
    atoms_shown = np.broadcast_to(field.coords[axis].spread(rows.dims), rows.data.shape)
    there = (rows.data >= 0) & (atoms_shown >= 0)
    maps = np.asarray(_maps(each, rows.data[there], atoms_shown[there], run, scanned))
    maps = np.maximum(-maps if node["sign"] == "negative" else maps, 0)
    shares = np.zeros((*rows.data.shape, *maps.shape[1:]), np.float32)
    shares[there] = maps
    atoms = (rows.dims.index("example"), -2, -1)
    largest = shares.max(atoms, keepdims=True)
    shares = np.divide(shares, largest, out=np.zeros_like(shares), where=largest > 0)
    of = "direction" if axis == directions.AXIS else "channel"
    ends = "negative values of " if node["sign"] == "negative" else ""
    note = (
        f"pictures are dimmed where {ends}the {of}'s map is low: in full where it is as large as anywhere in the "
        f"{of}'s examples shown, grey where it is zero; a cell of the map is {_cell(run, maps.shape[1:])} pixels"
    )
    shade = Named((*rows.dims, f"{SHADE}.y", f"{SHADE}.x"), shares)
    return replace(field, coords={**field.coords, SHADE: shade}, notes=(*field.notes, note))


def _maps(each: Node, rows: np.ndarray, atoms: np.ndarray, run: Run, scanned: Scanned) -> np.ndarray:
    """Return the map (pair, y, x) of an atom for each pair of an example and an atom."""
    if not directions.of(each):
        return scanned.maps(pipes.content_of(each, run.registry), rows, atoms)
    (content,), (layer,) = pipes.everywhere(each, run.registry), each.type.layers
    sizes = run.layer(layer).as_map.sizes
    flat = every_position.products(each, content, rows, atoms, run, scanned)
    return flat.reshape(len(flat), sizes["y"], sizes["x"])


def _cell(run: Run, shape: tuple[int, ...]) -> str:
    tall, wide = run.adapter.description.input_size
    return f"{tall / shape[0]:.3g} × {wide / shape[1]:.3g}"


def cut_to_field(field: Field, layer: str, run: Run, scanned: Scanned) -> Field:
    """Add to a field of examples what its pictures are cut to: the receptive field where the extreme value is."""
    coords, notes = {}, []
    sizes = []
    for span, at, ends in zip(
        spans(run, scanned, layer), ("at.y", "at.x"), (("top", "bottom"), ("left", "right")), strict=True
    ):
        positions = field.coords[at]
        low, high = span.of(positions.data)
        gone = positions.data < 0
        for name, values in zip(ends, (low, high), strict=True):
            coords[f"cut.{name}"] = Named(positions.dims, np.where(gone, -1, values))
        sizes.append((int((high - low)[~gone].max(initial=0)), span.size))
    if all(own == whole for own, whole in sizes):
        notes.append(f"a position of {layer} depends on the whole picture, so nothing is cut off")
    else:
        (deep, tall), (across, wide) = sizes
        where = f"up to {deep} × {across} of {tall} × {wide} pixels, less at the border"
        notes.append(f"pictures are cut to what the position with the extreme value depends on: {where}")
    return replace(field, coords={**field.coords, **coords}, notes=(*field.notes, *notes))


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
    axes = tuple(axis for axis in field.axes if axis.name != "input")
    several = tuple(axis.name for axis in axes if axis.size > 1 or not axis.exact)
    example = Axis("example", k, exact=False, varies=several, whole=False)
    unit = field.unit
    if field.atom == "channel" and field.content in ("activation", "attribution", "gradient"):
        extreme = by == "max" or (by is None and field.content == "activation")
        own = "the layer's own units" if field.content == "activation" else unit
        if extreme or field.content == "activation":
            unit = f"{own}, {EXTREMES[sign] if extreme else 'sum'} over positions"
    return replace(field, axes=(*axes, example), columns=dataset.type.columns, unit=unit)


def summarized(each: Node, registry: Registry) -> bool:
    """Return whether a pipe is of channels with positions, of which a scan keeps the extremes."""
    content = pipes.content_of(each, registry)
    if directions.of(each) or registry.operations[content.op].of_interventions:
        return False
    return content.type.atom == "channel" and content.op != "output" and not content.type.axis("class")


def numbers(node: Node, run: Run, scanned: Scanned) -> Field:
    """Return the numbers that examples are ranked by, over `example` and the axes of the atoms."""
    each = node["each"].node
    content = pipes.content_of(each, run.registry)
    if not summarized(each, run.registry):
        return pipes.of_examples(pipes.per_example(each, run, scanned), scanned.rows)
    by = node["by"] or ("max" if content.type.content == "activation" else "sum")
    if by == "sum":
        data = scanned.summary(content, "sum")
    elif node.get("sign") == "negative":
        data = scanned.summary(content, "min")
    elif node.get("sign") == "magnitude":
        low, high = scanned.summary(content, "min"), scanned.summary(content, "max")
        data = np.where(np.greater(np.negative(low), high), low, high)
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
        whole = pipes.restricted(whole, run.value(frame))
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


def extreme_at(node: Node, field: Field, run: Run, scanned: Scanned) -> dict[str, Named]:
    """Return the position (y, x) of the extreme value of each atom in each of its examples, by name of the axis."""
    content = pipes.content_of(node["each"].node, run.registry)
    (layer,) = content.type.layers
    sizes = run.layer(layer).as_map.sizes
    if not {"y", "x"} <= set(sizes) or node.get("sign") == "magnitude":
        return {}
    flat = scanned.summary(content, "argmin" if node.get("sign") == "negative" else "argmax")
    return _positions(flat, field.coords["example"], field.coords["channel"], sizes["x"], scanned)


def largest_at(node: Node, field: Field, run: Run, scanned: Scanned) -> dict[str, Named]:
    """Return the position (y, x) of the largest inner product with each direction in each of its examples."""
    each = node["each"].node
    (content,), (layer,) = pipes.everywhere(each, run.registry), each.type.layers
    sizes = run.layer(layer).as_map.sizes
    if not {"y", "x"} <= set(sizes):
        return {}
    flat = every_position.largest_at(each, content, run, scanned)
    return _positions(flat, field.coords["example"], field.coords[directions.AXIS], sizes["x"], scanned)


def _positions(flat: np.ndarray, rows: Named, atoms: Named, wide: int, scanned: Scanned) -> dict[str, Named]:
    """Return (y, x) of positions (example, atom) that are numbered row by row, for the rows that each atom has."""
    numbers = np.broadcast_to(atoms.spread(rows.dims), rows.data.shape)
    at = np.searchsorted(scanned.rows, np.maximum(rows.data, 0))
    y, x = np.divmod(flat[np.minimum(at, len(flat) - 1), np.maximum(numbers, 0)], wide)
    gone = rows.data < 0
    return {name: Named(rows.dims, np.where(gone, -1, values)) for name, values in (("at.y", y), ("at.x", x))}


OPERATIONS = (Examples(),)
