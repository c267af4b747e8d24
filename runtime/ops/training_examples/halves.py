"""`influence(photos) | trust(lds)`: what it needs, what it costs, and its result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from bbilang.compiler.contract import Again, Arguments, Fail, Run
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.ops.training_examples.influence import BATCH, UNCHECKED, kind_of, of_inputs
from bbilang.runtime.trust.datamodeling import DatamodelingScore, agreement, halves

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run as FullRun
    from bbilang.runtime.models.adapter import Adapter

HALVES, FEWEST, FEWEST_EXAMPLES = 32, 8, 16
MOST_FLOPS = 10**14  # of all trainings together: about an hour of two cores
MOST_BYTES = 1 << 31  # of the examples' pixels
BOTH_WAYS = 3  # a forward, and the gradients by the activations and by the weights
VERSION = 1  # of what is kept: raise it when results change
TRAINING = "`set training(loss=cross_entropy, epochs=20, lr=0.01)` says how; nothing is trained without it"
FOR_HALVES = ("settings", "flops")  # arguments that only decide whether halves can be trained on
CHECKED = "an estimate; it takes these examples for the training set"


def check_influence(field: FieldType, arguments: Arguments) -> None:
    """Check a measure of influence before a field's node is known. Raises `Fail` E238, E354."""
    names = arguments["measure"]
    listed = names if isinstance(names, tuple) else (names,)
    if set(listed) != {DatamodelingScore.name}:
        message = "`lds` measures influence" if DatamodelingScore.name in listed else "only `lds` measures influence"
        raise Fail("E238", f"{message}, and the other measures attributions",
                   "as in `output | influence(photos) | trust(lds)`", "measure")  # fmt: skip
    if field.content != "influence":
        raise Fail("E238", f"`lds` measures influence, and this field is {field.content}",
                   "as in `output | influence(photos) | trust(lds)`", "measure")  # fmt: skip
    if arguments["boxes"] is not None:
        raise Fail("E238", "`lds` looks at no `boxes`", "leave them out", "boxes")
    if (arguments["n"] or HALVES) < FEWEST:
        raise Fail("E238", f"a rank correlation over {arguments['n']} halves tells nothing",
                   f"take {FEWEST} or more, usually {HALVES}", "n")  # fmt: skip
    if arguments["settings"] is None:
        raise Fail("E354", "`lds` trains the network again, and the text does not say how", TRAINING, "measure")


def of_halves(field: Node, arguments: Arguments) -> Arguments:
    """Return the arguments of a measure of influence, with how it trains. Raises `Fail` E238, E355, E356."""
    if field.op != "influence":
        raise Fail("E238", "`lds` needs the influence of all examples",
                   "put it right behind `influence(...)`, and what chooses after it")  # fmt: skip
    if field.inputs[0].type.content != "score":
        what = field.inputs[0].type
        raise Fail("E355", f"in a network that is trained again, the {what.atom}s of {what.layers[0]} are others",
                   "`lds` is of scores: `output | influence(photos) | trust(lds)`")  # fmt: skip
    axis, flops = field["dataset"].type.axes[0], arguments["flops"]
    recipe, count = Recipe(**dict(arguments["settings"])), arguments["n"] or HALVES
    if axis.exact and (refused := _too_much(axis.size, recipe, count, flops)):
        raise Fail("E356", *refused, "measure")
    own = {name: value for name, value in arguments.items() if name not in FOR_HALVES}
    return {**own, "training": arguments["settings"]}


def with_cost(arguments: Arguments, description: ModelDescription) -> Arguments:
    """Add to the arguments what one pass through the network costs."""
    return {**arguments, "flops": description.flops}


def training_again(node: Node) -> Again:
    """Say how often examples run through the network and back, while it is trained on all halves."""
    dataset, recipe, count = _dataset(node), Recipe(**dict(node["training"])), _count(node)
    each = dataset.type.axes[0].size // 2
    epochs = f"{recipe.epochs} epoch{'' if recipe.epochs == 1 else 's'}"
    words = f"training again on {count} random halves of {_called(dataset)}, {epochs} of {each:,} examples each"
    return Again(words, count * recipe.epochs * each, (), returns=True, shares=node.digest)


def compared_with_training(node: Node, field: Field, run: Run) -> Field:
    """Train on random halves, and say in the legend how well the influences predict the scores then. Raises BbiError
    E356 to E358, E489, E554."""
    adapter, influence = cast("Adapter", run.adapter), node.inputs[0]
    recipe, count = Recipe(**dict(node["training"])), _count(node)
    images, labels = _examples(node, run)
    known = labels >= 0
    if known.sum() < FEWEST_EXAMPLES:
        raise error("E358", f"{known.sum()} examples have a label that is a class: too few to draw halves of",
                    f"take {FEWEST_EXAMPLES} or more")  # fmt: skip
    if refused := _too_much(int(known.sum()), recipe, count, adapter.description.flops):
        raise error("E356", *refused)
    own = field.values.spread(("example", *(d for d in field.values.dims if d != "example")))
    chosen = halves(known, count, recipe.seed)
    predicted = chosen.astype(np.float64) @ np.nan_to_num(own.reshape(len(own), -1).astype(np.float64))
    kind = kind_of(_dataset(node), run)
    kept: list[Mapping[str, np.ndarray]] = []
    examples = run.examples(_dataset(node))
    for number, half in enumerate(chosen):
        what = {"what": "trained again", "version": VERSION, "of": influence.inputs[0].digest, "half": number,
                "inputs": of_inputs(run), "training": _said(recipe), "halves of": known.tolist()}  # fmt: skip

        def again(number: int = number, half: np.ndarray = half) -> dict[str, np.ndarray]:
            return _scores_of(influence, run, (images, labels), half, recipe, kind, (number, count))

        kept.append(examples.kept(what, again))
        cast("FullRun", run).report_progress("networks trained again", number + 1, count)
    found = np.stack([each["scores"] for each in kept]).astype(np.float64)
    result = field.with_values(field.values, node.type)
    result.notes = tuple(CHECKED if note == UNCHECKED else note for note in field.notes)
    result.trust = (*field.trust, _line(predicted, found, kept, int(chosen[0].sum()), recipe))
    return result


def _scores_of(
    influence: Node, run: Run, data: tuple[Tensor, np.ndarray], half: np.ndarray, recipe: Recipe, kind: str,
    place: tuple[int, int],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Train on a half, and return its scores (query,), the share of the half that it then gets right, and the
    seconds."""
    import torch

    from bbilang.runtime.ops.training_examples.graph_values import values_with_graph
    from bbilang.runtime.trust.retraining import accuracy, retrained

    start, rows = time.monotonic(), torch.from_numpy(np.flatnonzero(half))
    number, count = place
    images, labels = data[0][rows], torch.from_numpy(data[1])[rows]

    def work(epoch: int) -> None:
        cast("FullRun", run).report_progress(
            "epochs of training again", number * recipe.epochs + epoch, count * recipe.epochs
        )

    network = retrained(cast("Adapter", run.adapter), images, labels, recipe, kind, number, work)
    pipe = influence.inputs[0]
    scores = values_with_graph([(pipe, run.value(pipe))], run, network).detach().double().cpu().numpy()
    fits = accuracy(network, images, labels)
    return {"scores": scores, "fits": np.array(fits), "seconds": np.array(time.monotonic() - start)}


def _line(
    predicted: np.ndarray, found: np.ndarray, kept: list[Mapping[str, np.ndarray]], size: int, recipe: Recipe
) -> tuple[str, str, str, str, str]:
    measure, result = DatamodelingScore(), agreement(predicted, found, recipe.seed)
    queries = f"the mean over {found.shape[1]} scores, " if found.shape[1] > 1 else ""
    seconds = sum(float(each["seconds"]) for each in kept)
    fits = float(np.mean([each["fits"] for each in kept]))
    words = (
        f"the rank correlation of the summed influences of a half with the score after training on it alone is "
        f"{result.words}, {queries}over {len(found)} random halves of {size:,} examples; {recipe.epochs} epochs each, "
        f"after which the networks get {percent(fits)} of their half right; {_duration(seconds)} of training"
    )
    warning = ""
    if not result.low > 0:
        warning = (
            "These influences are not told apart from chance. What they predict for random halves of the examples and "
            f"the scores after training on them have a rank correlation of {result.words}."
        )
    return measure.title, words, measure.means, measure.source, warning


def _examples(node: Node, run: Run) -> tuple[Tensor, np.ndarray]:
    """Return the pixels and the classes of all readable examples. Raises BbiError E356 where they take too much."""
    import torch

    images: list[Tensor] = []
    labels: list[Tensor] = []
    size = 0
    for own, classes in run.examples(_dataset(node)).batches(BATCH, "the examples to train with"):
        images.append(own)
        labels.append(classes)
        size += own.numel() * own.element_size()
        if size > MOST_BYTES:
            raise error("E356", f"the pixels of the examples take more than {MOST_BYTES / 2**30:.0f} GiB",
                        "take fewer examples: `| sample(500)`")  # fmt: skip
    return torch.cat(images), torch.cat(labels).numpy()


def _too_much(count: int, recipe: Recipe, times: int, flops: int) -> tuple[str, str] | None:
    """Return why a training is too large for this measure, and what helps; None where it is not."""
    total = BOTH_WAYS * flops * recipe.epochs * times * (count // 2)
    if total <= MOST_FLOPS:
        return None
    message = f"{times} trainings of {recipe.epochs} epochs on {count // 2:,} examples take {total:.1e} operations"
    return message, f"up to {MOST_FLOPS:.0e} are possible: fewer examples or epochs, or a smaller network"


def _said(recipe: Recipe) -> dict[str, object]:
    """Return what of a recipe training again depends on."""
    own = ("loss", "optimizer", "epochs", "batch", "seed")
    return {**{name: recipe.plain[name] for name in own}, "lr": recipe.rate}


def _dataset(node: Node) -> Node:
    dataset: Node = node.inputs[0]["dataset"]
    return dataset


def _called(dataset: Node) -> str:
    return str(dataset.get("called") or "the examples")


def _count(node: Node) -> int:
    return int(node["n"] or HALVES)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
