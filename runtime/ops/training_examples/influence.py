"""`influence(dataset, method=)`: which training examples a number rests on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from bbilang.compiler.contract import Again, Arguments, Demand, Fail, Make, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import prose
from bbilang.runtime.influence.declared import METHODS, TYPICAL, Method
from bbilang.runtime.mending.recipe import LOSSES, Recipe
from bbilang.runtime.ops.datasets.examples import rows_in
from bbilang.runtime.ops.training_examples.graph_values import check_graph, values_with_graph

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.influence.curvature import Curvature, Pairs
    from bbilang.runtime.influence.methods import Settings
    from bbilang.runtime.influence.weights import Coverage, Weighted
    from bbilang.runtime.influence.work import Network
    from bbilang.runtime.models.adapter import Adapter

MOST = 256  # numbers whose influences are asked for together
BATCH = 32
UNCHECKED = "an estimate, not checked by training again; it takes these examples for the training set"


class Influence(Operation):
    """How much each example of a dataset, taken for one of those that the network was trained on, moved a number that
    the network computes: a score, an atom's activation, or an attribution. Positive: training with the example makes
    the number larger (a proponent); negative: smaller (an opponent).

    `ekfac`: gradients of the number and of the example's loss, with the curvature of the loss between them (Koh and
    Liang 2017), approximated by Kronecker factors whose eigenvalues are corrected (Grosse et al. 2023). `dot` and
    `cosine`: without curvature. `tracin`: `dot` summed over checkpoints of the training (Pruthi et al. 2020). `trak`:
    randomly projected gradients (Park et al. 2023). `exact`: the example left out at the last layer, by one Newton
    step.

    The loss is what `set training(loss=...)` says, or else cross-entropy. Gradients are by the weights of convolutions
    and linear layers; normalization layers are left out. An example whose label is no class of the network has no
    influence.
    """

    name = "influence"
    settings = "training"
    parameters = (
        Parameter("dataset", "dataset", "the examples that the network was trained on, or some of them"),
        Parameter("method", "word", "how influence is estimated", "ekfac", choices=tuple(METHODS)),
        Parameter("damping", "number", "what is added to the curvature's eigenvalues, as a part of their mean; usually "
                  "0.1 for `ekfac`, 0.001 for `trak` and `exact`", None, minimum=1e-8, maximum=10),
        Parameter("checkpoints", "checkpoints", "files of the weights that the network had while it was trained, for "
                  "`tracin`: `\"runs/*.safetensors\"`", None),
    )  # fmt: skip
    example = (
        "# in place of the sample: the pictures that the network was trained on, with its labels\n"
        'dataset photos = "sample:shapes"\n'
        "output | influence(photos) | both(6, along=example) | present(image)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.content not in ("score", "activation", "attribution", "gradient"):
            raise Fail("E238", f"`influence` is on a number that the network computes, and this is {field.content}",
                       "as in `output | influence(photos)`")  # fmt: skip
        if field.states:
            raise Fail("E238", "`influence` is on numbers that are known beforehand, and a reader chooses these",
                       "name the class or the atom: `output[\"cat\"]`")  # fmt: skip
        count = math.prod(axis.size for axis in field.axes)
        if count > MOST:
            help = "choose some of them before it: `top(4)`, or one: `.channel[447]`"
            raise Fail("E238", f"each of these {count:,} numbers has influences of its own", help)
        _check_damping(arguments)
        _check_checkpoints(arguments)
        dataset = arguments["dataset"].type
        example = replace(dataset.axes[0], whole=False)
        unit = METHODS[arguments["method"]].unit
        return replace(field, content="influence", signed=True, unit=unit, scope="", steps=(), columns=dataset.columns,
                       axes=(example, *field.axes))  # fmt: skip

    def fed(self, field: Node, arguments: Arguments, registry: Registry) -> tuple[Node, ...]:
        check_graph(field, self.name, registry)
        return (field,)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return with_loss(arguments)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        times = len(node["checkpoints"] or (1,))
        return (_gradients_of(node["dataset"], METHODS[node["method"]], " ".join(map(str, _family(node))), times),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        examples = run.examples(node["dataset"])
        together = [node]
        if run.program.optimized:  # one pass over the examples for all that ask for the same
            every = walk(*run.program.roots, *(bound for _, bound in run.program.bindings))
            together = [each for each in every if each.op == self.name and _family(each) == _family(node)]
        key = " ".join(each.digest for each in together)
        if key not in examples.memo:
            examples.memo[key] = _estimated(together, run)
        rows, values, notes = examples.memo[key]
        sizes = [run.value(each.inputs[0]).values.data.size for each in together]
        place = next(number for number, each in enumerate(together) if each.digest == node.digest)
        own = values[:, sum(sizes[:place]) : sum(sizes[: place + 1])]
        if node.type.unit == TYPICAL:
            own, notes = own / _typical(own), (*notes, _of_scale(own))
        return _field(node, node["dataset"], field, run, own, np.asarray(examples.numbers)[rows], notes)


def with_loss(arguments: Arguments) -> Arguments:
    """Return the arguments with the loss that the text sets for training, None where it sets none."""
    settings = arguments["settings"]
    own = {name: value for name, value in arguments.items() if name != "settings"}
    return {**own, "loss": None if settings is None else Recipe(**dict(settings)).loss}


def _check_damping(arguments: Arguments) -> None:
    """Raise `Fail` E238 where there is no curvature."""
    if arguments["damping"] is not None and not METHODS[arguments["method"]].damping:
        raise Fail("E238", f"`{arguments['method']}` has no curvature to damp", "leave it out", "damping")


def _check_checkpoints(arguments: Arguments) -> None:
    """Raise `Fail` E280 where a method that needs checkpoints has none, or another has some."""
    method, given = arguments["method"], arguments["checkpoints"]
    if METHODS[method].along and not given:
        raise Fail("E280", f"`{method}` sums over checkpoints of the training, and none are given",
                   'name the files: `checkpoints="runs/*.safetensors"`', "method")  # fmt: skip
    if given and not METHODS[method].along:
        raise Fail("E280", f"`{method}` is of the network as it is, and takes no checkpoints", "take `method=tracin`",
                   "checkpoints")  # fmt: skip


def _gradients_of(dataset: Node, method: Method, shares: str = "", times: int = 1) -> Again:
    """Say what a method runs over a dataset, at so many checkpoints."""
    words = f"gradients of the weights for {dataset.get('called') or 'the examples'}"
    return Again(words, times * method.runs * dataset.type.axes[0].size, (), returns=method.returns, shares=shares)


def _typical(values: np.ndarray) -> np.ndarray:
    """Return the root mean square of each number's influences (example, number)."""
    squares = np.nanmean(np.square(values, dtype=np.float64), 0)
    return np.where(squares > 0, np.sqrt(squares), 1.0)


def _of_scale(values: np.ndarray) -> str:
    scales = _typical(values)
    span = " to ".join(prose(float(one)) for one in sorted({float(scales.min()), float(scales.max())}))
    return f"1 is the root mean square over the examples: {span} in the method's own unit"


def _family(node: Node) -> tuple[object, ...]:
    """Return what influences must have in common to be computed together."""
    return (node.op, node["dataset"].digest, node["method"], node["damping"], node["checkpoints"], node["loss"])


def _estimated(together: list[Node], run: Run) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return (places of the readable examples, (example, number) of all nodes side by side, words for the legend)."""
    from bbilang.runtime.influence.checkpoints import at_checkpoint
    from bbilang.runtime.influence.weights import Coverage

    node = together[0]
    dataset = node["dataset"]
    network, settings, method = _prepared(node, dataset, run)
    labels = np.asarray(run.examples(dataset).labels)
    parts = []
    for path, digest in node["checkpoints"] or (("", ""),):
        at = at_checkpoint(network, path) if path else network
        parts.append(_of_network(together, run, at, settings, digest))
    rows, values = parts[0][0], np.sum([own for _, own in parts], 0)
    values[labels[rows] < 0] = np.nan
    notes = _notes(method, settings, labels[rows], Coverage.of(run.adapter.module, network.layers), node["loss"])
    if node["checkpoints"]:
        names = [Path(path).name for path, _ in node["checkpoints"]]
        notes = (*notes, f"{len(names)} checkpoints: {names[0]} to {names[-1]}" if len(names) > 1 else
                 f"1 checkpoint: {names[0]}")  # fmt: skip
    return rows, values, notes


def _of_network(
    together: list[Node], run: Run, network: Network, settings: Settings, checkpoint: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the readable examples, and (example, number), for the network as it is or as it was at a
    checkpoint, by its digest."""
    from bbilang.runtime.influence.methods import ESTIMATES, Queries, Question

    dataset, method = together[0]["dataset"], METHODS[together[0]["method"]]
    examples, queries = run.examples(dataset), Queries(partial(_values, together, run, network.adapter))
    labels = np.asarray(examples.labels)
    curvature = partial(_curvature, run, dataset, network, settings)
    estimate = ESTIMATES[method.name](Question(network, queries, settings, curvature, int((labels >= 0).sum())))
    drawn = [settings.damping, settings.seed, *([checkpoint] if checkpoint else [])]
    what = {"what": "influence", "of": [each.digest for each in together], "inputs": of_inputs(run), "settings": drawn}
    each = examples.each(what, estimate.batch, method.returns)
    (part,) = each.parts
    rows = np.asarray(each.rows)
    return rows, estimate.influence({name: each.array(part, name) for name in estimate.names}, labels[rows])


def _prepared(node: Node, dataset: Node, run: Run) -> tuple[Network, Settings, Method]:
    """Return what a method needs of the network. Raises BbiError E489, E590, E592, E595."""
    from bbilang.runtime.influence.methods import Settings
    from bbilang.runtime.influence.training_loss import check_loss
    from bbilang.runtime.influence.weights import weighted_layers
    from bbilang.runtime.influence.work import Network

    method, adapter = METHODS[node["method"]], cast("Adapter", run.adapter)
    settings = Settings(node["damping"] or method.damping, int(run.program.setting("seed", 0)))
    if not (np.asarray(run.examples(dataset).labels) >= 0).any():
        raise error("E595", "no label of these examples is a class of the network, so that none has a loss",
                    "name the classes as the network does")  # fmt: skip
    kind = kind_of(dataset, run)
    check_loss(node["loss"], kind, method.name)
    return Network(adapter, weighted_layers(adapter.module), kind), settings, method


def kind_of(dataset: Node, run: Run) -> str:
    """Return the kind of the scores: those of the page's inputs, or of the first examples."""
    import torch

    from bbilang.runtime.models.score_output import kind_of_rows

    if len(run.images):
        return run.kind
    adapter = cast("Adapter", run.adapter)
    images, _ = next(iter(run.examples(dataset).batches(BATCH)))
    with adapter.evaluating(), torch.no_grad():
        scores = adapter.module(adapter.normalize(images.to(adapter.device)))
    return kind_of_rows(scores.float().cpu().numpy(), adapter.description.scores)


def _values(together: list[Node], run: Run, adapter: Adapter) -> Tensor:
    return values_with_graph([(node.inputs[0], run.value(node.inputs[0])) for node in together], run, adapter)


def _curvature(run: Run, dataset: Node, network: Network, settings: Settings) -> Curvature:
    """Return the curvature of the loss over the dataset, measured in two runs over it or from the cache."""
    import torch

    from bbilang.runtime.influence.curvature import Curvature, measured

    examples, generator = run.examples(dataset), torch.Generator()
    words = iter(("the factors of the curvature", "the curvature"))

    def batches() -> Iterator[Iterator[tuple[Weighted, Pairs]]]:
        generator.manual_seed(settings.seed)
        for images, _ in examples.batches(BATCH, next(words), returns=True):
            yield network.drawn(images, generator)

    count = len(examples.numbers)
    what = {"what": "curvature", "seed": settings.seed, "layers": [layer.name for layer in network.layers]}
    arrays = examples.kept(what, lambda: measured(batches, count).arrays())
    return Curvature.of_arrays(arrays, count, settings.damping)


def of_inputs(run: Run) -> str:
    """Return a digest of the inputs of a page."""
    return hashlib.sha256(run.images.detach().cpu().numpy().tobytes()).hexdigest()


def _notes(
    method: Method, settings: Settings, labels: np.ndarray, covered: Coverage, loss: str | None
) -> tuple[str, ...]:
    known, lost = int((labels >= 0).sum()), int((labels < 0).sum())
    damping = f", damped by {settings.damping:g} of its mean" if method.damping else ""
    notes = [
        f"{method.words.format(count=f'{known:,}')}{damping}",
        f"by the weights of {covered.layers} convolutions and linear layers: {covered.weights:,} of "
        f"{covered.parameters:,} parameters",
        *(["of the binary cross-entropy of each class, the mean over classes"] if loss == LOSSES[1] else []),
        UNCHECKED,
    ]
    if lost:
        notes.append(
            f"{lost:,} {'example' if lost == 1 else 'examples'} left out: the label is no class of the network"
        )
    return tuple(notes)


def _field(
    node: Node, dataset: Node, field: Field, run: Run, values: np.ndarray, numbers: np.ndarray, notes: tuple[str, ...]
) -> Field:
    """Make a field of influences (example, query): for each readable example, by its number in the source."""
    dims = field.values.dims
    own = values.reshape(len(values), *field.values.data.shape).astype(np.float32)
    source = run.value(dataset)
    at = rows_in(Named(("example",), numbers), source)
    columns = {name: array.take("example", at) for name, array in source.columns.items()}
    return Field(
        node.type, Named(("example", *dims), own), {**field.coords, "example": Named(("example",), numbers)},
        field.names, notes=tuple(dict.fromkeys((*field.notes, *source.notes, *notes))), columns=columns,
    )  # fmt: skip


class SelfInfluence(Operation):
    """How much each example of a dataset moves its own loss: the length of the gradient of its loss by the weights, in
    the metric of the inverse curvature. It is largest for examples that are unlike the others of their class, and for
    those with a wrong label.
    """

    name = "self_influence"
    settings = "training"
    of_datasets = of_datasets_only = True
    parameters = (
        Parameter("method", "word", "with the curvature of the loss, or plain gradients", "ekfac",
                  choices=("ekfac", "dot")),
        Parameter("damping", "number", "what is added to the curvature's eigenvalues, as a part of their mean; usually "
                  "0.1", None, minimum=1e-8, maximum=10),
    )  # fmt: skip
    example = (
        "# in place of the sample: the pictures that the network was trained on, with its labels\n"
        'dataset photos = "sample:shapes"\n'
        "photos | self_influence | top(12) | present(image)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        _check_damping(arguments)
        example = replace(field.axes[0], whole=False)
        return replace(field, content="self-influence", atom="example", axes=(example,), signed=False, unit=TYPICAL)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return with_loss(arguments)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        (dataset,) = node.inputs
        return (_gradients_of(dataset, METHODS[node["method"]]),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.influence.weights import Coverage
        from bbilang.runtime.influence.work import OnItself

        (dataset,) = node.inputs
        examples = run.examples(dataset)
        network, settings, method = _prepared(node, dataset, run)
        curvature = _curvature(run, dataset, network, settings) if node["method"] == "ekfac" else None
        estimate = OnItself(network, curvature)
        what = {"what": "self-influence", "of": node.digest, "settings": [settings.damping, settings.seed]}
        each = examples.each(what, estimate.batch, method.returns)
        (part,) = each.parts
        rows = np.asarray(each.rows)
        labels = np.asarray(examples.labels)[rows]
        values = np.where(labels >= 0, np.asarray(each.array(part, estimate.names[0]), np.float64), np.nan)[:, None]
        field = Field(node.type, Named((), np.zeros((), np.float32)), {}, {})
        covered = Coverage.of(run.adapter.module, network.layers)
        notes = (*_notes(method, settings, labels, covered, node["loss"]), _of_scale(values))
        numbers = np.asarray(examples.numbers)[rows]
        return _field(node, dataset, field, run, values[:, 0] / _typical(values), numbers, notes)


OPERATIONS = (Influence(), SelfInfluence())
