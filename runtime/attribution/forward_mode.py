"""Forward mode: one tangent for each atom of a layer serves every target."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import OUTPUT, Backward, DerivativeRequest, Tangents
from bbilang.runtime import passes
from bbilang.runtime.attribution.reverse_mode import backward
from bbilang.runtime.attribution.slots import Slots, requested_keys, tables_of
from bbilang.runtime.attribution.target_slots import atom_numbers, cotangents, single_scores
from bbilang.runtime.fields.atoms import numpy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from bbilang.runtime.attribution.slots import Requested
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured, NetworkAbove

log = logging.getLogger("bbilang.attribution")


def tangents(run: Run, step: Tangents) -> None:
    """Fill the tables of a forward-mode step. Networks with custom autograd functions, or with operations without a
    forward mode, are differentiated in reverse mode."""
    if not passes.behaviour_of(run.adapter).opaque:
        try:
            return _in_forward(run, step)
        except RuntimeError as e:  # torch has no jvp of a fused LSTM or a quantized product, and has no type for that
            if passes.is_out_of_memory(e):
                raise
            log.info("no forward mode above `%s`, reverse mode instead: %s", step.layer, e)
    in_reverse(run, step)


def in_reverse(run: Run, step: Tangents) -> None:
    """Compute the result of `tangents` in reverse mode: the same numbers with more passes. The forward runs again,
    since the first one recorded no graph."""
    layers = [step.layer, *([] if step.target_layer == OUTPUT else [step.target_layer])]
    again = passes.forward(
        run.adapter, run.images, layers, step.target_layer == OUTPUT, grad=True, counter=run.passes
    )  # fmt: skip
    backward(run, Backward(step.requests, step.forward, True, step.target_layer, True), again)


def _in_forward(run: Run, step: Tangents) -> None:
    captured = run.forward(step.forward)
    with passes.above(run.adapter, captured, step.layer, [step.target_layer], counter=run.passes) as upper:
        requested = tables_of(run, step)
        for parts in dict.fromkeys(request.parts for request, _ in requested):
            same = [(request, table) for request, table in requested if request.parts == parts]
            _push(run, step, same, captured, upper)


def _push(run: Run, step: Tangents, requested: Requested, captured: Captured, upper: NetworkAbove) -> None:
    """Push the tangents of all atoms that requests with equal parts need through the network above the layer."""
    value = captured.scores if step.target_layer == OUTPUT else captured[step.target_layer]  # a chain has no tangents
    assert value is not None
    slots = Slots.of(requested_keys((table for _, table in requested), len(value)))
    single = single_scores(step.target_layer, slots.keys)
    cotangent = cotangents(run, step.target_layer, slots.keys, value) if single is None else None
    node = requested[0][0].node
    operation, layer, activation = run.registry.operations[node.op], run.layer(step.layer), captured[step.layer]
    numbers, total = requested_atoms(run, [request for request, _ in requested], step.layer)

    def make(start: int, stop: int) -> Tensor:
        return operation.parts(node, layer, activation, numbers[start:stop], run)

    products = np.full((len(slots.keys), len(value), total), np.nan, np.float32)
    for start, out in passes.tangent_chunks(upper, make, len(numbers), [step.target_layer], run.passes):
        moved = out[step.target_layer]
        if single is not None:
            product = _select(moved, single)
        else:
            assert cotangent is not None
            product = _contract(cotangent, moved)
        products[:, :, numbers[start : start + product.shape[-1]]] = numpy_of(product)
    for request, table in requested:
        shape = run.kept_shape(request.node, step.layer)
        table.put(step.layer, slots.positions(table), products.reshape(*products.shape[:2], *shape))


def _contract(cotangent: Tensor, out: Tensor) -> Tensor:
    """Return the inner products (slot, input, atom) of (slot, input, *target axes) and (atom, input, *target axes)."""
    import torch

    return torch.einsum("sip,kip->sik", cotangent.flatten(2), out.flatten(2))


def _select(out: Tensor, classes: np.ndarray) -> Tensor:
    """Compute `_contract` for one-hot cotangents: (atom, input, class) -> (slot, input, atom). classes (slot, input):
    -1 for none."""
    import torch

    index = torch.from_numpy(classes).to(out.device)
    rows = [out[:, row].index_select(1, index[:, row].clamp_min(0)).T for row in range(out.shape[1])]
    return torch.stack(rows, 1).masked_fill_((index < 0)[..., None], 0)


def requested_atoms(run: Run, requests: Sequence[DerivativeRequest], layer: str) -> tuple[np.ndarray, int]:
    """Return (the numbers of the requested atoms, the layer's number of atoms)."""
    total = int(np.prod(run.kept_shape(requests[0].node, layer)))
    atoms: set[int] = set()
    for request in requests:
        if not request.narrow:
            return np.arange(total), total
        numbers = atom_numbers(run.value(request.node.inputs[0]), run.layer(layer), layer).data
        atoms |= set(np.unique(numbers[numbers >= 0]).tolist())
    return np.array(sorted(atoms), np.int64), total
