"""`similarity(other, by=)`: how alike layers answer to the same examples, each with each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.model_description import INPUT, ModelDescription
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import SIMILARITY, Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import prose
from bbilang.runtime.ops.comparing.responses import PRODUCTS, RESPONSES
from bbilang.runtime.ops.comparing.untrained import UNTRAINED

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run as FullRun
    from bbilang.runtime.matching.similarity import Answers

MEASURES = {"cka": "CKA", "rsa": "rank correlation of distances", "procrustes": "Procrustes similarity"}
MEAN, EACH = "mean", "each"
ROW, COLUMN, RANDOM = "layer", "to.layer", "random"
MOST = 4096  # examples that are all compared with each other (`runtime.matching.similarity`)
MOST_BYTES = 1 << 31  # of the means over positions of all examples, from which batches are drawn


class Similarity(Operation):
    """How alike the layers of a list answer to the examples of a dataset: each with each layer of another list, of the
    same network or of another one. 1 is the same but for a rotation and one factor.

    `cka` is linear centred kernel alignment (Kornblith et al. 2019) with the unbiased estimator of HSIC, averaged over
    minibatches drawn at random (Nguyen et al. 2021). `rsa` is the rank correlation of the distances between all pairs
    of examples (Kriegeskorte et al. 2008), `procrustes` the nuclear norm of the product of both, which is 1 where the
    best rotation turns one into the other (Ding et al. 2021). The last two compare all examples with each other, 4,096
    at most.

    An example's answer is the mean over positions of each channel; with `positions=each`, what every neuron does at
    every position, which a scan then keeps on the disk. Beside each number stands that of the same networks with random
    weights, whose layers see the same pictures through the same architecture.
    """

    name = "similarity"
    of_channels = without_input = True
    crosses_models = True
    parameters = (
        Parameter("other", "layers", "the layers to compare with, as in `b:layers` or `b:some_layer`"),
        Parameter("by", "word", "the measure", "cka", choices=tuple(MEASURES)),
        Parameter("source", "dataset", "the examples: a dataset, as in `source=photos`"),
        Parameter("positions", "word", "whether channels are averaged over positions", MEAN, choices=(MEAN, EACH)),
        Parameter("batch", "integer", "examples of a minibatch of `cka`, at most", 256, minimum=8, maximum=MOST,
                  candidates=(256, 64)),
        Parameter("random", "flag", "whether the same is computed with random weights, for comparison", True),
    )  # fmt: skip
    example = (
        'dataset photos = "sample:shapes" | sample(64)\n'
        "layers = [block1a, block3b, block5c]\n"
        "layers | similarity(layers, source=photos) | present(matrix)"
    )

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"how alike they are to {', '.join(layer.type.layers[0] for layer in channels_in(node['other']))}"

    def within(self, arguments: Arguments, description: ModelDescription) -> Arguments:
        return {**arguments, "description": description}

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.content != "substrate" or field.atom != "channel" or field.axis("layer") or INPUT in field.layers:
            message = "layers are compared whole, and this pipe is of some of their atoms"
            if INPUT in field.layers:
                message = "layers of a network are compared, and the input is none"
            raise Fail("E347", message, "start it with the layers alone: `layers | similarity(...)`")
        examples = arguments["source"].type.axes[0]
        everywhere = arguments["positions"] == EACH
        if (everywhere or arguments["by"] != "cka") and examples.exact and examples.size > MOST:
            raise Fail("E348", *_too_many(examples.size, arguments["positions"] == EACH), argument="source")
        others = channels_in(arguments["other"])
        columns = (Axis(COLUMN, len(others)),) if len(others) > 1 else ()
        return replace(
            field, content=SIMILARITY, atom="whole", axes=(Axis(ROW, len(field.layers)), *columns), unit="",
            steps=(MEASURES[arguments["by"]],),
            signed=arguments["by"] == "rsa", linked=tuple(layer.type.layers[0] for layer in others),
        )  # fmt: skip

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        description: ModelDescription = arguments["description"]
        own = tuple(_channels(field, description, name) for name in field.type.layers)
        others = channels_in(arguments["other"])
        model = others[0].type.model
        examples = arguments["source"].type.axes[0]
        refused = _no_room((*own, *others), examples.size, arguments["random"])
        if arguments["positions"] == MEAN and examples.exact and refused:
            raise Fail("E348", *refused, argument="source")
        given = {name: value for name, value in arguments.items() if name != "description"}
        given |= {"other": tuple(PerExample(layer) for layer in others), "model": model}
        seeds = (0, int(model != field.type.model))
        for name, layers, seed in (("own", own, seeds[0]), ("theirs", others, seeds[1])):
            given[name] = tuple(_answers(make, layer, arguments, None) for layer in layers)
            if arguments["random"]:
                given[f"random_{name}"] = tuple(_answers(make, layer, arguments, seed) for layer in layers)
        return given

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.matching.similarity import FEWEST, batches

        if node["positions"] == MEAN:
            count = len(cast("FullRun", run).scanned(node["source"]).rows)
            if refused := _no_room((*node["own"], *node["theirs"]), count, node["random"]):
                raise error("E348", *refused)
        own, theirs = _values(node, run, "")
        shared = np.intersect1d(own[0].coords["example"].data, theirs[0].coords["example"].data)
        if len(shared) < FEWEST:
            message = f"a similarity is of {FEWEST} examples or more, and there are {len(shared)}"
            raise error("E573", message, "take more of the dataset")
        if len(shared) > MOST and (node["by"] != "cka" or node["positions"] == EACH):
            raise error("E348", *_too_many(len(shared), node["positions"] == EACH))
        seed = int(run.program.setting("seed", 0))
        parts = batches(len(shared), node["batch"], seed)
        made = {"values": _compared(node, own, theirs, parts)}
        if node["random"]:
            untrained = _values(node, run, "random_")
            made[RANDOM] = _compared(node, *untrained, parts)
        dims = tuple(axis.name for axis in node.type.axes)
        arrays = {name: Named(dims, np.asarray(table if COLUMN in dims else table[:, 0], np.float32))
                  for name, table in made.items()}  # fmt: skip
        prefix = f"{node['model']}:" if node["model"] != node.type.model else ""
        names = {COLUMN: Named((COLUMN,), np.array([f"{prefix}{name}" for name in node.type.linked], object))}
        values = arrays.pop("values")
        coords = {ROW: Named((ROW,), np.arange(len(own)))}
        notes = (
            *_notes(node, len(shared), [len(part) for part in parts], seed),
            *_undefined(values, made),
            *own[0].notes,
        )
        return Field(node.type, values, coords, names if COLUMN in dims else {}, notes=notes, beside=arrays)


def channels_in(layers: Iterable[Node | PerExample]) -> list[Node]:
    """Return the channels of each layer of an argument."""
    return [layer.node if isinstance(layer, PerExample) else layer for layer in layers]


def _channels(field: Node, description: ModelDescription, name: str) -> Node:
    """Return all channels of one of the field's layers, as the text would name them."""
    layer = description.by_name[name]
    axes = (*(axis for axis in field.type.axes if axis.name == "input"), Axis("channel", layer.sizes["channel"]))
    type = replace(field.type, layers=(name,), axes=axes, signed=not layer.nonnegative)
    parameters = (("atom", "channel"), ("layers", (name,)), ("model", field.type.model))
    return Node("substrate", (), parameters, type)


def _answers(make: Make, layer: Node, arguments: Arguments, seed: int | None) -> Node:
    """Return what a layer answers to the examples; with a ``seed``, that of a network with random weights."""
    everywhere = arguments["positions"] == EACH
    named: dict[str, Any] = {"reduce": "sum" if everywhere else "mean"}
    each = make("activation", layer, **named) if seed is None else make(UNTRAINED, layer, seed=seed, **named)
    return make(PRODUCTS if everywhere else RESPONSES, layer, source=arguments["source"], each=PerExample(each))


def _values(node: Node, run: Run, which: str) -> tuple[list[Field], list[Field]]:
    """Return what the field's own layers answer, and the others."""
    own, theirs = node[f"{which}own"], node[f"{which}theirs"]
    return [run.value(layer) for layer in own], [run.value(layer) for layer in theirs]


def _compared(node: Node, own: Sequence[Field], theirs: Sequence[Field], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the measure of each layer with each other layer, over the examples that both read."""
    from bbilang.runtime.matching.similarity import MEASURES as MEASURED

    first, second = (fields[0].coords["example"].data for fields in (own, theirs))
    _, mine, others = np.intersect1d(first, second, return_indices=True)
    return MEASURED[node["by"]](
        [_answered(one, mine) for one in own], [_answered(one, others) for one in theirs], parts
    )


def _answered(field: Field, rows: np.ndarray) -> Answers:
    from bbilang.runtime.matching.similarity import Answers

    data = field.values.data
    return (Answers(data) if "channel" in field.values.dims else Answers(gram=data)).restricted(rows)


def _no_room(layers: Iterable[Node], examples: int, random: bool) -> tuple[str, str] | None:
    """Return why the means over positions of all examples do not fit into memory, and what helps; None where they
    do."""
    channels = sum(next(axis.size for axis in layer.type.axes if axis.name == "channel") for layer in layers)
    total = channels * examples * 4 * (2 if random else 1)
    if total <= MOST_BYTES:
        return None
    message = f"the means of {channels:,} channels over {examples:,} examples take {total / 2**30:.1f} GiB"
    return message, f"take fewer: `dataset few = ... | sample({examples * MOST_BYTES // total})`"


def _too_many(count: int, everywhere: bool) -> tuple[str, str]:
    what = "neurons at every position" if everywhere else "all pairs of examples"
    help = f"take fewer: `dataset few = ... | sample({MOST})`" + ("" if everywhere else ", or compare by `cka`")
    return f"{what} are compared for {MOST:,} examples at most, and these are {count:,}", help


def _notes(node: Node, examples: int, sizes: Sequence[int], seed: int) -> list[str]:
    where = "means over positions" if node["positions"] == MEAN else "neurons at every position"
    notes = [f"{MEASURES[node['by']]} over {examples:,} examples, of {where}"]
    if node["by"] == "cka" and len(sizes) > 1:
        notes[0] += f", in {len(sizes):,} batches of {max(sizes):,} drawn at random"
    if node["random"]:
        seeds = f"seeds {seed} and {seed + 1}" if node["model"] != node.type.model else f"seed {seed}"
        notes.append(f"beside each number is that of the same architecture with random weights ({seeds})")
    if node["by"] == "procrustes":
        notes.append("with fewer examples than neurons, unrelated layers have much of it too")
    return notes


def _undefined(values: Named, made: dict[str, np.ndarray]) -> list[str]:
    """Say what has no number, and the mean over all that have one, with random weights too."""
    known = values.data[~np.isnan(values.data)]
    notes = []
    if known.size < values.data.size:
        notes.append("a layer that answers the same to all examples has no similarity, and its cells are empty")
    if RANDOM in made and known.size and not np.isnan(made[RANDOM]).all():
        mean = prose(float(np.nanmean(made[RANDOM])))
        notes.append(f"the mean of all is {prose(float(known.mean()))}, and {mean} with random weights")
    return notes


OPERATIONS = (Similarity(),)
