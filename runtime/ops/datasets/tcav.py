"""`tcav(concepts, against=, split=)`: whether a score answers to concepts that sets of examples define."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
)
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.findings import Findings
from bbilang.runtime.fields.prose import p_value, percent
from bbilang.runtime.ops.datasets.concept import AGAINST, SPLIT, both_sets, sets_of, told_apart
from bbilang.runtime.ops.datasets.pipes import chain
from bbilang.runtime.ops.datasets.splits import check_split
from bbilang.runtime.statistics.concepts import Concept, concept
from bbilang.runtime.statistics.intervals import holm
from bbilang.runtime.statistics.tcav import PERMUTATIONS, RESAMPLES, Tcav, tcav

LEVEL = 0.05
MEASURES = {
    "rises on": ".0%",
    "from": ".0%",
    "to": ".0%",
    "at zero": ".0%",
    "chance from": ".0%",
    "chance to": ".0%",
    "p": ".2~g",
    "told apart": ".0%",
}


class TestConcepts(Operation):
    """On how many examples a score rises along a concept: a direction of the layer that tells the examples of a set
    from those of `against`, by logistic regression on their activations, averaged over positions (Testing with Concept
    Activation Vectors, Kim et al. 2018, which flattens the positions).

    The derivative along the direction is that of the score, summed over positions. `from` and `to` hold the middle 95 %
    of 30 bootstrap samples of the sets, `chance` that of 99 directions of permuted labels; p is corrected for the
    number of concepts (Holm). A t-test over resamples, as in the paper, would take sets that share examples for
    independent.
    `told apart` is the part of held-out examples that the direction tells right; the legend has its interval (Wilson,
    95 %) and that of random sets.
    """

    name = "tcav"
    parameters = (
        Parameter("concepts", "datasets", "a dataset of examples of a concept, or a list of several"),
        Parameter("against", "dataset", AGAINST),
        SPLIT,
    )
    example = (
        'dataset shapes = "sample:shapes"\n'
        'dataset striped = shapes | filter(texture == "striped")\n'
        'dataset plain = shapes | filter(texture == "plain")\n'
        'block6a.expand.channel | gradient(output["zebra"]) | across(shapes)\n'
        "    | tcav(striped, against=plain) | present(table)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        channel = field.axis("channel")
        if field.content != "gradient" or field.atom != "channel" or channel is None or not channel.whole:
            raise Fail("E238", "`tcav` takes the gradients of all channels of a layer",
                       "as in `block6a.expand.channel | gradient(output) | across(photos) | tcav(...)`")  # fmt: skip
        if set(field.names) != {"example", "channel"} or field.states or len(field.layers) != 1:
            raise Fail("E238", "`tcav` takes the gradients of one score, of each example of one dataset",
                       'name the class: `gradient(output["zebra"]) | across(photos)`')  # fmt: skip
        check_split(arguments["split"], (*sets_of(arguments["concepts"]), arguments["against"]))
        sets = len(sets_of(arguments["concepts"]))
        axes = (Axis("concept", sets), Axis("measure", len(MEASURES)))
        return replace(field, content="statistic", atom="class", axes=axes, signed=False, columns=(), unit="", steps=())

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        each = next(value for node in chain(field) for _, value in node.parameters if isinstance(value, PerExample))
        head = next(node for node in chain(each.node) if node.type.content == "substrate")
        return {**arguments, "activation": PerExample(make("activation", head))}

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        datasets = dict.fromkeys((*sets_of(node["concepts"]), node["against"]))
        return tuple(ExamplesOf(dataset, summaries=(node["activation"].node,)) for dataset in datasets)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        gradients = field.values.ordered(("example", "channel")).data.astype(np.float64)
        gradients = gradients[np.isfinite(gradients).all(1)]
        seed = int(run.program.setting("seed", 0))
        found: list[tuple[str, Concept, Tcav]] = []
        notes: list[str] = []
        for number, dataset in enumerate(sets_of(node["concepts"])):
            name = str(dataset.get("called") or f"concept {number + 1}")
            sets = both_sets(dataset, node, name, run)
            told = concept(*sets.fitted, seed, held_out=sets.held_out)
            found.append((name, told, tcav(gradients, *sets.fitted, seed=seed)))
            notes += sets.notes
        return _table(node, field, found, len(gradients), notes)


def _table(
    node: Node, field: Field, found: list[tuple[str, Concept, Tcav]], examples: int, of_split: list[str]
) -> Findings:
    p = holm(np.array([each.p for _, _, each in found]))
    rows = []
    for (_, told, each), corrected in zip(found, p, strict=True):
        chance = np.quantile(each.permuted.above, [0.025, 0.975])
        accuracy = np.nan if told.too_few else told.accuracy
        rows.append((each.own.above[0], *each.interval, each.own.zero[0], *chance, corrected, accuracy))
    values = Named(("concept", "measure"), np.array(rows, np.float32))
    names = {"concept": [name for name, _, _ in found], "measure": list(MEASURES)}
    notes = [*field.notes, f"{RESAMPLES} bootstrap samples, {PERMUTATIONS} permutations, {examples:,} examples"]
    notes += [*(told_apart(name, told) for name, told, _ in found), *of_split]
    return Findings(
        node.type,
        values,
        {name: Named((name,), np.arange(size)) for name, size in values.sizes.items()},
        {name: Named((name,), np.array(words, object)) for name, words in names.items()},
        notes=tuple(dict.fromkeys(notes)),
        title="On how many examples the score rises along each concept",
        finding=_sentence(found, p, examples),
        formats=tuple(MEASURES.values()),
    )


def _sentence(found: list[tuple[str, Concept, Tcav]], p: np.ndarray, examples: int) -> str:
    sure = [(name, each, value) for (name, _, each), value in zip(found, p, strict=True) if value <= LEVEL]
    if not sure:
        return f"the score answers to no concept more than to permuted labels (smallest p {p.min():.2g})"
    parts = []
    for name, each, value in sure:
        above = float(each.own.above[0])
        parts.append(f"{name} on {percent(above)} ({p_value(value)})")
    return f"of {examples:,} examples the score rises along {', along '.join(parts)}"


OPERATIONS = (TestConcepts(),)
