"""`slices(n, by=, features=, split=)`: the kinds of examples that a network gets wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.contract import (
    Arguments,
    Demand,
    ExamplesOf,
    Fail,
    Make,
    Operation,
    Parameter,
    Registry,
    Run,
    Scanned,
)
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.findings import Findings
from bbilang.runtime.fields.prose import p_value, percent
from bbilang.runtime.ops.datasets.splits import Split, check_split, split_of, split_parameter
from bbilang.runtime.statistics.slices import Slice, Slices, find_slices

LEAST = 40  # examples; a half of fewer says nothing
LEVEL = 0.05
ERROR, LOSS = "error", "loss"
MORE = {"examples": ",d", "p": ".2~g"}
COLUMNS = {
    ERROR: {"wrong": ".0%", "from": ".0%", "to": ".0%", "the rest": ".0%", **MORE},
    LOSS: {"mean loss": ".2f", "the rest": ".2f", **MORE},
}

TITLES = {
    ERROR: "Kinds of examples, and how often the network is wrong on them",
    LOSS: "Kinds of examples, and the mean loss on them",
}


ROWS = 5  # slices that are looked for, where the text names no number
BY = Parameter("by", "word", "what is large in a slice: how often the network is wrong, or its loss", ERROR,
               choices=(ERROR, LOSS))  # fmt: skip
FEATURES = Parameter("features", "atoms", "the channels of a layer, whose largest activations make conditions, too",
                     None)  # fmt: skip
SPLIT = split_parameter("a column with two values: slices are found where it is `train`, or the first, and measured on "
                        "the other; by default two random halves")  # fmt: skip


class FindSlices(Operation):
    """The kinds of examples that the network gets wrong most often: up to n slices, each of up to three conditions on
    columns and on the largest activations of a layer's channels (SliceLine, Sagadeeva and Boehm 2021).

    Slices are found on one half of the examples (with `split=`, on those with one value of a column); every number
    shown is of the other half: the part that is wrong in the slice, with Wilson's interval (95 %), that of the rest,
    how many examples the slice has, and the p-value by permutation, corrected for all slices shown. Examples whose
    label is no class of the network are left out.
    """

    name = "slices"
    of_datasets = of_datasets_only = True
    parameters = (
        Parameter("n", "integer", "how many slices, at most", ROWS, minimum=1, maximum=50),
        BY,
        FEATURES,
        SPLIT,
    )
    example = (
        "# in place of the sample: a dataset whose labels are classes of the network\n"
        'dataset photos = "sample:shapes"\nphotos | slices(5, features=block5c.expand.channel) | present(table)'
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        features = arguments["features"]
        if features is not None and (features.type.content != "substrate" or features.type.atom != "channel"):
            raise Fail("E235", "`features=` are the channels of a layer", "as in `features=block5c.expand.channel`",
                       "features")  # fmt: skip
        if features is not None and len(features.type.layers) > 1:
            raise Fail("E235", "`features=` are the channels of one layer", "name one of them", "features")
        check_split(arguments["split"], ())
        measures = COLUMNS[arguments["by"]]
        axes = (Axis("slice", arguments["n"], exact=False), Axis("measure", len(measures)))
        return replace(field, content="statistic", atom="class", axes=axes, signed=False, columns=(),
                       layers=() if features is None else features.type.layers)  # fmt: skip

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        features = arguments["features"]
        return arguments if features is None else {**arguments, "features": PerExample(make("activation", features))}

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        (dataset,) = node.inputs
        features = node["features"]
        return (ExamplesOf(dataset, summaries=() if features is None else (features.node,), scores=True),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        found, _, rate, notes = _found(node, field, run, node["n"])
        return _table(node, found, (*field.notes, *run.scanned(node.inputs[0]).notes, *notes), rate)


class InSlice(FindSlices):
    """The examples of one of the kinds that `slices` finds: a part of the dataset, as one that a condition chooses. Its
    conditions stand in the legend. It was chosen for its errors, so measure those with `slices`, which does it on
    examples that the search did not see."""

    name = "slice"
    parameters = (Parameter("number", "integer", "which one: the number of its row", 1, minimum=1, maximum=50), BY,
                  FEATURES, SPLIT)  # fmt: skip
    example = (
        "# in place of the sample: a dataset whose labels are classes of the network\n"
        'dataset photos = "sample:shapes"\ndataset worst = photos | slice(1)\n'
        "block5c.expand.channel | across([photos, worst]) | mean(example) | top(8) | present(bars, facet=subset)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        super().type(field, {**arguments, "n": arguments["number"]})
        return field.swap(replace(field.axes[0], exact=False, whole=False))

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        number = node["number"]
        found, there, _, notes = _found(node, field, run, max(number, ROWS))
        if number > len(found.slices):
            message = f"`slices` finds {len(found.slices)} kinds of examples here, and this is number {number}"
            raise error("E451", message, "look at them first: `photos | slices(5) | present(table)`")
        chosen = found.slices[number - 1]
        kept = field.take("example", Named(("example",), np.flatnonzero(there)[chosen.examples]))
        words = f"{node.get('called') or f'slice {number}'}: {chosen}, {len(chosen.examples):,} examples"
        return replace(kept.with_values(kept.values, node.type), notes=(*field.notes, words, *notes))


def _found(node: Node, field: Field, run: Run, n: int) -> tuple[Slices, np.ndarray, float, tuple[str, ...]]:
    """Return (the slices of a dataset, which of its examples were asked, their mean error, words about the split)."""
    scanned = run.scanned(node.inputs[0])
    own = field.coords["example"].data
    at = np.searchsorted(scanned.rows, own)
    there = (at < len(scanned.rows)) & (scanned.rows[np.minimum(at, len(scanned.rows) - 1)] == own)
    split = split_of(node["split"], node.inputs, run) if node["split"] else None
    sides = np.zeros(len(own), np.int64) if split is None else split.sides(field.columns[split.column].data)
    lost = int((there & (sides < 0)).sum())
    there &= sides >= 0
    known = scanned.columns()
    column, wrong = ("correct", True) if node["by"] == ERROR else ("loss", False)
    errors = np.asarray(known[column], np.float64)[at[there]]
    errors = 1 - errors if wrong else errors
    defined = int(np.isfinite(errors).sum())
    if defined < LEAST:
        message = f"{defined} examples have a label that is a class of the network"
        raise error("E464", message, f"slices need {LEAST} or more")
    unused = (*SCORED, "file", node["split"])
    columns = {name: array.data[there] for name, array in field.columns.items() if name not in unused}
    seed = int(run.program.setting("seed", 0))
    searched = None if split is None else sides[there] == 0
    if split is not None:
        _enough(split, sides[there][np.isfinite(errors)])
    found = find_slices(errors, columns, _features(node, scanned, at[there]), n, seed=seed, searched=searched)
    notes = () if split is None else split.notes("found", "measured", lost)
    return found, there, float(np.nanmean(errors)), notes


def _enough(split: Split, sides: np.ndarray) -> None:
    """Raise BbiError E464 where a half has too few examples of which is known whether they are wrong."""
    for side, word in enumerate((split.first, split.second)):
        count = int((sides == side).sum())
        if count < LEAST // 2:
            message = f'{count} examples with the {split.column} "{word}" have a label that is a class of the network'
            raise error("E464", message, f"slices need {LEAST // 2} or more in each half")


def _features(node: Node, scanned: Scanned, rows: np.ndarray) -> Mapping[str, np.ndarray]:
    features = node["features"]
    if features is None:
        return {}
    maxima = np.asarray(scanned.summary(features.node, "max"))[rows]
    return {f"channel[{channel}]": maxima[:, channel] for channel in range(maxima.shape[1])}


def _table(node: Node, found: Slices, notes: tuple[str, ...], rate: float) -> Findings:
    by, columns = node["by"], COLUMNS[node["by"]]
    rows = [_numbers(each) for each in found.slices] or [(np.nan,) * len(columns)]
    names = [str(each) for each in found.slices] or ["none found"]
    values = Named(("slice", "measure"), np.array(rows, np.float32))
    coords = {name: Named((name,), np.arange(size)) for name, size in values.sizes.items()}
    words = {"slice": np.array(names, object), "measure": np.array(list(columns), object)}
    notes = (*notes, f"found on {found.searched:,} examples among {found.candidates:,} conditions, "
                     f"measured on {found.measured:,} others")  # fmt: skip
    if found.left_out:
        notes = (*notes, f"{found.left_out:,} examples are left out: their label is no class of the network")
    if not found.complete:
        notes = (*notes, "the most promising conjunctions of conditions were tried, not all")
    return Findings(
        node.type,
        values,
        coords,
        {name: Named((name,), array) for name, array in words.items()},
        notes=tuple(dict.fromkeys(notes)),
        title=TITLES[by],
        finding=_sentence(found, by, rate),
        formats=tuple(columns.values()),
    )


def _numbers(each: Slice) -> tuple[float, ...]:
    rates = (each.rate, *each.interval, each.rest) if each.interval is not None else (each.rate, each.rest)
    return (*rates, each.size, each.p)


def _sentence(found: Slices, by: str, rate: float) -> str:
    """Name the slice that is worst among those that chance does not explain."""
    sure = [each for each in found.slices if each.p <= LEVEL]
    overall = f"{percent(rate)} of the examples are wrong" if by == ERROR else f"the mean loss is {rate:.2g}"
    if not sure:
        smallest = min((each.p for each in found.slices), default=None)
        p = f" (smallest p {smallest:.2g})" if smallest is not None else ""
        return f"no kind of example was found that is worse than chance explains{p}; {overall}"
    best = max(sure, key=lambda each: each.rate)
    if by == ERROR:
        numbers = f"{percent(best.rate)} of {best.size:,} are wrong, against {percent(best.rest)} of the rest"
    else:
        numbers = f"the mean loss of {best.size:,} is {best.rate:.2g}, against {best.rest:.2g} of the rest"
    more = (
        f"; {len(sure) - 1} more {'kind is' if len(sure) == 2 else 'kinds are'} worse than chance explains"
        if len(sure) > 1
        else ""
    )
    return f"worst where {best}: {numbers} ({p_value(best.p)}){more}"


OPERATIONS = (FindSlices(), InSlice())
