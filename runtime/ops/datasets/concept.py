"""`concept(sets, against=, split=)`: directions of a layer that sets of examples define, as atoms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

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
from bbilang.compiler.ir.program import Node, PerExample, source_dataset
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.directions import ATOM, AXIS, directions
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.ops.datasets.splits import Split, check_split, split_of, split_parameter
from bbilang.runtime.statistics.concepts import LEAST, LOGISTIC, METHODS, Concept, Sets, concept, fit_direction

AGAINST = "a dataset of other examples, from which concepts are told; what is also in a concept's set counts as its own"
SPLIT = split_parameter("a column with two values: directions are fitted to the examples where it is `train`, or the "
                        "first, and told apart on the others; by default a third is held out", "concepts")  # fmt: skip


class Concepts(Operation):
    """New atoms on the axis `concept`: for each set of examples a direction of the layer, of length 1, that tells them
    from those of `against` by their activations, averaged over positions (concept activation vectors, Kim et al. 2018,
    which flattens the positions).

    A direction is an atom like a channel: its activation is the inner product with it, summed over positions; its
    gradient the directional derivative, with its sign, summed over positions; its attribution that of its part of the
    activation, the projection on it. `.spatial` is the inner product at each position of the page's input, `.channel`
    the direction. The legend gives how many held-out examples each tells right, with Wilson's interval (95 %), and the
    same of random sets. Directions add and subtract: `a - b + c`.
    """

    name = "concept"
    of_channels = True
    directs = True
    factors = ("spatial", "channel")
    factor = "of_direction"
    parameters = (
        Parameter("concepts", "datasets", "a dataset of examples of a concept, or a list of several"),
        Parameter("against", "dataset", AGAINST),
        Parameter("method", "word", "logistic regression, or the difference of the means", LOGISTIC, choices=METHODS),
        SPLIT,
    )
    example = (
        'dataset shapes = "sample:shapes"\n'
        'dataset striped = shapes | filter(texture == "striped")\n'
        'dataset plain = shapes | filter(texture == "plain")\n'
        "block6a.expand | concept(striped, against=plain) | across(shapes) | mean(example) | present(featvis)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        channel = field.axis("channel")
        if field.content != "substrate" or field.atom != "channel" or channel is None or not channel.whole:
            raise Fail("E238", "`concept` takes all channels of a layer", "as in `block6a.expand | concept(...)`")
        if len(field.layers) != 1 or field.axis("layer") is not None:
            raise Fail("E238", "`concept` takes one layer, and these are several", "name one of them")
        sets = sets_of(arguments["concepts"])
        check_split(arguments["split"], (*sets, arguments["against"]))
        known = Node("family", (), tuple(sorted(arguments.items())), FieldType("", "", (), ())).digest
        inputs = tuple(axis for axis in field.axes if axis.name == "input")
        family = f"concept-{hashlib.sha256(known.encode()).hexdigest()[:6]}"
        return replace(field, atom=ATOM, axes=(*inputs, Axis(AXIS, len(sets))), signed=True, family=family)

    def labels(self, node: Node) -> tuple[str, ...]:
        return tuple(called(dataset, number) for number, dataset in enumerate(sets_of(node["concepts"])))

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return {**arguments, "activation": PerExample(make("activation", field))}

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        datasets = dict.fromkeys((*sets_of(node["concepts"]), node["against"]))
        return tuple(ExamplesOf(dataset, summaries=(node["activation"].node,)) for dataset in datasets)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        seed, method = int(run.program.setting("seed", 0)), node["method"]
        found, notes, names = [], [], []
        for number, dataset in enumerate(sets_of(node["concepts"])):
            name = called(dataset, number)
            sets = both_sets(dataset, node, name, run)
            found.append(fit_direction(*sets.fitted, method))
            notes += [told_apart(name, concept(*sets.fitted, seed, method=method, held_out=sets.held_out)), *sets.notes]
            names.append(name)
        vectors = Named((AXIS, "channel"), np.array(found, np.float32))
        return directions(node, vectors, names, tuple(dict.fromkeys(notes)))


def sets_of(sets: Node | tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the datasets of a parameter that takes one or several."""
    return sets if isinstance(sets, tuple) else (sets,)


def called(dataset: Node, number: int) -> str:
    """Return the name of a set's concept: that of its dataset."""
    return str(dataset.get("called") or f"concept {number + 1}")


@dataclass(frozen=True)
class BothSets:
    """The examples of a concept and others that a direction is fitted to, and those that are held out, if the text says
    which."""

    fitted: Sets
    held_out: Sets | None = None
    notes: tuple[str, ...] = ()


def both_sets(dataset: Node, node: Node, name: str, run: Run) -> BothSets:
    """Return the activations of a set's examples and of those of `against` that are not in the set, averaged over
    positions (example, channel). Raises BbiError E466 where there are too few of either, E467 for a column that makes
    no halves."""
    against, column = node["against"], node["split"]
    if column is None:
        return BothSets(_both(dataset, node, name, run, None))
    split = split_of(column, (dataset, against), run)
    halves = [_both(dataset, node, name, run, (split, side)) for side in (0, 1)]
    return BothSets(halves[0], halves[1], split.notes("directions are fitted", "told apart", 0))


def _both(dataset: Node, node: Node, name: str, run: Run, half: tuple[Split, int] | None) -> Sets:
    """Return both sets, of the examples of one half where one is given."""
    activation, against = node["activation"].node, node["against"]
    inside, others = _rows(dataset, run, half), _rows(against, run, half)
    if source_dataset(against) == source_dataset(dataset):
        left = np.setdiff1d(others, inside)
        if len(others) and not len(left):
            message = f"all examples of {against.get('called') or 'against'} are in {name} too"
            raise error(
                "E466", message, "nothing is left to tell them from: give `against=` examples of something else"
            )
        others = left
    means = [_means(one, rows, activation, run) for one, rows in ((dataset, inside), (against, others))]
    words = name, str(against.get("called") or "against")
    few, said = min(zip(map(len, means), words, strict=True))
    if few < LEAST:
        where = "" if half is None else f' with the {half[0].column} "{(half[0].first, half[0].second)[half[1]]}"'
        raise error("E466", f"{said} has {few} examples{where}", f"a concept needs {LEAST}, better 45 or more")
    return means[0], means[1]


def _rows(dataset: Node, run: Run, half: tuple[Split, int] | None) -> np.ndarray:
    field = run.value(dataset)
    rows = field.coords["example"].data
    return rows if half is None else rows[half[0].sides(field.columns[half[0].column].data) == half[1]]


def _means(dataset: Node, rows: np.ndarray, activation: Node, run: Run) -> np.ndarray:
    scanned = run.scanned(dataset)
    means = np.asarray(scanned.summary(activation, "mean"))[np.isin(np.asarray(scanned.rows), rows)]
    return means[np.isfinite(means).all(1)]


def told_apart(name: str, told: Concept) -> str:
    """Say how well held-out examples are told apart, and random sets."""
    if told.too_few:
        return f"{name}: {told.held_out} held-out examples are too few to tell how well it can be told apart"
    low, high = told.interval
    random = f"; random sets {percent(told.random_accuracies.mean())}" if len(told.random_accuracies) else ""
    share = f"{percent(told.accuracy)} of {told.held_out} held-out examples ({percent(low)} to {percent(high)})"
    return f"{name}: {share}{random}"


OPERATIONS = (Concepts(),)
