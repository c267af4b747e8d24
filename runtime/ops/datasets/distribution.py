"""`distribution(dataset)`: which share of an atom's values lies in which range, over all positions of all examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Demand, ExamplesOf, Fail, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets import pipes
from bbilang.runtime.ops.datasets.examples import DATASET
from bbilang.runtime.scan.histogram import BINS, LEAST, MOST, ZERO, words_of

RANGE = "range"


class Distribution(pipes.OfPipe):
    """The share of a channel's values, over all positions of all examples of a dataset, in ranges along the axis
    `range`: zero, and each power of two of either sign. What `examples` and `spectrum` do not show: how rare a large
    value is, and how often the channel is zero.
    """

    name = "distribution"
    parameters = (DATASET,)
    example = (
        'dataset photos = "sample:shapes"\n'
        "block5c.expand.channel | attribute(output) | top(8) | activation | distribution(photos) | present(matrix)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.axis("example") is not None:
            raise Fail("E231", "the field goes across a dataset already", "leave out `across(...)`")
        if field.atom != "channel" or field.content == "score" or field.axis("class") is not None:
            message = f"`{self.name}` is of the values of a layer's channels at its positions"
            raise Fail("E238", message, "start from `.channel`, with one target at most")
        axes = tuple(axis for axis in field.axes if axis.name != "input")
        unit = "share of all positions of all examples"
        ranges = Axis(RANGE, BINS, exact=False, whole=False)
        return replace(field, axes=(*axes, ranges), content="distribution", signed=False, unit=unit)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (ExamplesOf(node["dataset"], histograms=(pipes.content_of(node["each"].node, registry),)),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        each, dataset, scanned = node["each"].node, run.value(node["dataset"]), run.scanned(node["dataset"])
        content = pipes.content_of(each, run.registry)
        counts, finite = scanned.histogram(content)
        inside = np.isin(scanned.rows, dataset.coords["example"].data) & np.asarray(finite, bool)
        if not inside.any():
            raise error("E451", "no example of the dataset has finite values", "take another layer")
        totals = counts[inside].sum(0, dtype=np.int64)  # (channel, bin)
        chosen = inputs[0] if inputs else None
        frame = pipes.frame_of(each, run.registry)
        if chosen is None and frame.inputs:  # single atoms
            chosen = run.value(frame)
        channels = {"channel": Named(("channel",), np.arange(len(totals)))}
        shares = (totals / totals.sum(1, keepdims=True)).T
        whole = Field(content.type, Named(("input", "channel"), shares.astype(np.float32)), channels)
        if chosen is not None:
            whole = pipes.restricted(whole, chosen)
        every = np.nan_to_num(whole.values.spread(("input", *_others(whole))))
        present = np.flatnonzero(every.reshape(BINS, -1).any(1))
        kept = slice(min(present.min(initial=ZERO), ZERO), max(present.max(initial=ZERO), ZERO) + 1)
        bins = np.arange(BINS)[kept]
        values = whole.values.take("input", Named((RANGE,), bins)).ordered((*_others(whole), RANGE))
        names = {**whole.names, RANGE: Named((RANGE,), np.array([words_of(n) for n in bins.tolist()], object))}
        examples = int(inside.sum())
        ends = f"magnitudes under {2.0**LEAST:.3g} and from {2.0**MOST:.3g} on have one range each"
        notes = (*dataset.notes, *scanned.notes, f"{examples:,} examples, all positions of each", ends)
        coords = {**whole.coords, RANGE: Named((RANGE,), bins)}
        return Field(node.type, values, coords, names, notes=tuple(dict.fromkeys(notes)))


def _others(field: Field) -> tuple[str, ...]:
    return tuple(d for d in field.values.dims if d != "input")


OPERATIONS = (Distribution(),)
