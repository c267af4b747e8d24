"""Jacobian-vector products of the network above a layer: how values above change with the activations.

Where the network above is a traced graph its derivative is an explicit linear network (`explicit/jvp.py`), with the
values computed once and the tangents of a chunk as one batch. Elsewhere it is forward mode (torch.func.jvp) under a
chunked vmap or, for code that works in place, one batch of values and tangents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.autograd.forward_ad as dual
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from bbilang.runtime.device.memory import chunks, is_out_of_memory
from bbilang.runtime.passes.above import NetworkAbove
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit.jvp import ExplicitJvp
from bbilang.runtime.passes.fallback import log_fallback
from bbilang.runtime.passes.fx_graph import GraphSection
from bbilang.runtime.passes.gradient_path import all_zero
from bbilang.runtime.passes.hooks import check_gradients, guard_memory
from bbilang.runtime.passes.module.precision import promoted

MAX_CHUNK = {"cpu": 32, "cuda": 256}  # tangents at once; larger chunks were not faster
_LIVE = 4  # results as large as the largest that a forward holds at once, values and tangents


def tangent_chunks(
    upper: NetworkAbove,
    make: Callable[[int, int], Tensor],
    total: int,
    target_layers: Sequence[str] | None = None,
    counter: Passes | None = None,
    chunk: int | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield `tangents` in chunks, so that neither all tangents nor all results are in memory: ``make(start, stop)``
    returns tangents[start:stop], (chunk, input, *layer shape); yields (start, target layer -> (chunk, input, *its
    shape))."""
    counter = counter if counter is not None else upper.counter
    target_layers = upper.target_layers if target_layers is None else target_layers
    device = upper.activations.device
    each = upper.inputs * upper.cost.largest * _LIVE

    def work(start: int, stop: int) -> dict[str, Tensor]:
        batch = make(start, stop).to(upper.activations)
        counter.tangent(upper.inputs, stop - start)
        plain = sdpa_kernel(SDPBackend.MATH)  # the fused kernels of attention do not support forward mode
        with torch.inference_mode(False), torch.no_grad(), plain, guard_memory("a forward pass of tangents"):
            result = _push(upper, batch, chunk == 1)
        return {target_layer: promoted(result[target_layer], upper.pictures) for target_layer in target_layers}

    for start, result in chunks(total, each, work, MAX_CHUNK.get(device.type, 32), device, chunk):
        for target_layer, value in result.items():
            check_gradients(target_layer, value)
            if all_zero(value):
                upper.check_gradient_path(target_layer)
        yield start, result
        del result


def tangents(
    upper: NetworkAbove,
    directions: Tensor,
    target_layers: Sequence[str] | None = None,
    counter: Passes | None = None,
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """Compute Jacobian-vector products at the captured activations: ``directions`` (tangent, input, *layer shape),
    returns target layer -> (tangent, input, *its shape); zero where it does not depend on the layer.

    ``chunk`` tangents share one pass; None takes as many as memory allows, 1 is the plain loop over
    torch.func.jvp. Raises BbiError E503, E504.
    """
    pieces = tangent_chunks(
        upper, lambda start, stop: directions[start:stop], len(directions), target_layers, counter, chunk
    )
    parts: dict[str, list[Tensor]] = {
        target_layer: [] for target_layer in (upper.target_layers if target_layers is None else target_layers)
    }
    for _, chunk_values in pieces:
        for target_layer, value in chunk_values.items():
            parts[target_layer].append(value)
    return {target_layer: torch.cat(values) if len(values) > 1 else values[0] for target_layer, values in parts.items()}


def _push(upper: NetworkAbove, batch: Tensor, loop: bool) -> dict[str, Tensor]:
    """Push tangents in the fastest way that works for this network; ``loop``: without the explicit network."""
    functions = [push] if loop or not isinstance(upper.run, GraphSection) else [push_linear, push]
    for function in functions:
        if upper.batched.get(function.__name__, True):
            try:
                return function(upper, batch)
            except RuntimeError as e:  # an operation that cannot be batched, works in place, or has several results
                if is_out_of_memory(e):
                    raise
                log_fallback(f"{function.__name__} above `{upper.layer}`", "a slower way of forward mode runs", e)
                upper.batched[function.__name__] = False
    return push_rows(upper, batch)


def push_linear(upper: NetworkAbove, batch: Tensor) -> dict[str, Tensor]:
    """Push tangents through the explicit network, whose values were computed once."""
    if upper.linear is None:
        assert isinstance(upper.run, GraphSection)
        upper.linear = ExplicitJvp(upper.run, upper.activations)
    return upper.linear.push(batch)


def push(upper: NetworkAbove, batch: Tensor) -> dict[str, Tensor]:
    """Push tangents by vmap over jvp: values once, tangents as a batch."""

    def network(activations: Tensor) -> dict[str, Tensor]:
        return upper.run(activations, None)

    def one(tangent: Tensor) -> dict[str, Tensor]:
        return torch.func.jvp(network, (upper.activations,), (tangent,))[1]

    if len(batch) == 1:
        return {target_layer: value[None] for target_layer, value in one(batch[0]).items()}
    return torch.func.vmap(one)(batch)


def push_rows(upper: NetworkAbove, batch: Tensor) -> dict[str, Tensor]:
    """Push values and tangents as rows of a batch: twice the work, for code that torch.func cannot transform."""
    count, inputs = len(batch), upper.inputs
    rows = torch.arange(inputs, device=batch.device).repeat(count)
    with dual.dual_level():
        dual_values = dual.make_dual(upper.activations[rows], batch.flatten(0, 1))
        values = upper.run(dual_values, rows)
        parts = {target_layer: dual.unpack_dual(value) for target_layer, value in values.items()}
        return {
            target_layer: (torch.zeros_like(part.primal) if part.tangent is None else part.tangent.clone()).unflatten(
                0, (count, inputs)
            )
            for target_layer, part in parts.items()
        }
