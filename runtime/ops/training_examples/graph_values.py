"""Numbers of a pipe with their graph down to the weights, for gradients by the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Fail, Registry, Run, TensorField
from bbilang.compiler.ir.program import Node, walk
from bbilang.runtime.fields.field import TERM, Field, Named
from bbilang.runtime.ops.datasets.pipes import chain, content_of, is_content

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.losses.batch import TrainingBatch
    from bbilang.runtime.models.adapter import Adapter


def check_graph(field: Node, name: str, registry: Registry) -> None:
    """Check that each number of a pipe is one that a content or the network gives. Raises `Fail` E238."""
    for node in chain(field):
        if is_content(node, registry):
            break
        if not registry.operations[node.op].selects:
            message = f"`{node.op}` stands between `{name}` and the number that the network computes"
            raise Fail("E238", message, f"put it after `{name}`, or leave it out")
    if field.type.atom in ("group", "direction"):
        raise Fail("E238", f"`{name}` is on numbers of a layer's own atoms, and these are {field.type.atom}s",
                   "take the channels that they are made of")  # fmt: skip


def values_with_graph(pipes: Sequence[tuple[Node, Field]], run: Run, adapter: Adapter) -> Tensor:
    """Return the numbers that the network gave for the page's inputs, of several pipes one after another, each in the
    order of its field's own: (number,) with the graph of one forward pass. adapter: the network, or it with other
    weights."""
    import torch

    from bbilang.runtime.losses.batch import TrainingBatch

    substrates = (each for node, _ in pipes for each in walk(node) if each.op == "substrate")
    layers = tuple(dict.fromkeys(layer for each in substrates for layer in each.type.layers))
    with adapter.evaluating():
        labels = torch.as_tensor(run.scores.argmax(1)).to(adapter.device)
        batch = TrainingBatch(adapter, adapter.normalize(run.images), labels, layers)
        every = [_scores(field, batch) if node.type.content == "score" else _content(node, field, run, batch)
                 for node, field in pipes]  # fmt: skip
    return torch.cat([values.flatten() for values in every])


def _scores(field: Field, batch: TrainingBatch) -> Tensor:
    """Return the scores of a field over its own axes."""
    import torch

    from bbilang.runtime.models.score_output import probabilities

    scores = batch.scores
    if field.type.unit == "probability":
        scores = probabilities(scores, batch.adapter.description.scores)
    dims, shape = field.values.dims, field.values.data.shape
    inputs = _spread(Named(("input",), np.arange(len(scores))), (*dims, TERM), (*shape, 1))
    if field.index is not None and field.weight is not None:
        wide = (*shape, field.index.sizes[TERM])
        index, weight = (_spread(each, (*dims, TERM), wide) for each in (field.index, field.weight))
    else:
        index, weight = _spread(field.coords["class"], dims, shape)[..., None], np.ones((*shape, 1))
    picked = scores[torch.from_numpy(inputs), torch.from_numpy(index)]
    return (picked * torch.from_numpy(weight).to(picked)).sum(-1)


def _content(node: Node, field: Field, run: Run, batch: TrainingBatch) -> Tensor:
    """Return the atoms of a field, of the content of all atoms of its layer."""
    import torch

    value: TensorField | None = None
    for each in reversed(list(chain(content_of(node, run.registry)))):
        value = run.registry.operations[each.op].differentiable(each, value, batch, run.registry)
    assert value is not None
    dims, shape = field.values.dims, field.values.data.shape
    index = [_spread(Named(("input",), np.arange(len(value.data))), dims, shape)]
    for axis in value.dims:
        own = field.coords.get(axis)
        if own is None:
            own = Named((axis,), np.arange(value.data.shape[1 + value.dims.index(axis)]))
        index.append(_spread(own, dims, shape))
    return value.data[tuple(torch.from_numpy(each) for each in index)]


def _spread(array: Named, dims: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return an array over some axes; those that the field lacks have one position."""
    for extra in [name for name in array.dims if name not in dims]:
        array = array.take(extra, Named((), np.array(0)))
    return np.array(np.broadcast_to(array.spread(dims), shape))
