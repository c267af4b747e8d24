"""Vector-Jacobian products: many cotangents at once, one graph for every layer; no parameter gets a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.node import Node

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.device.memory import chunks, is_out_of_memory
from bbilang.runtime.passes.autograd import grad, graph_of
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit_vjp import Network, Transposed
from bbilang.runtime.passes.forward import Captured
from bbilang.runtime.passes.fx_graph import out_of_place, through_normalization, traced
from bbilang.runtime.passes.hooks import INPUT, borrowed, check_gradients, error, guard_memory
from bbilang.runtime.passes.module.memo import remembered
from bbilang.runtime.passes.module.precision import all_outside
from bbilang.runtime.passes.replay_above import OUTPUT, same
from bbilang.runtime.passes.saved_values import KeptValues

AT_MOST = {"cpu": 16, "cuda": 256}  # cotangents at once: more were not faster
FEWEST, CACHED = 4, 10 << 20  # on a CPU fewer, down to so many, until the largest gradient has so many bytes: a larger
# one leaves the caches, and its memory goes back to the system each time and is cleared anew (12 ms a cotangent or 15)
WORTH, WORTH_FIRST = 3, 8  # cotangents from which on it pays to write the backward out; where it must be looked at
AGREE = 1e-5  # of the largest: how far a backward that is written out may be from autograd
_LIVE = 4  # gradients as large as the largest that a backward holds at once


def vjp_chunks(
    captured: Captured,
    outputs: Tensor,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
    chunk: int | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """`vjp` in pieces: yields (start, layer -> (chunk, input, *layer shape)), so that not all are in memory at once.

    The graph is freed after the last chunk unless ``keep``. Raises BbiError as `vjp` does.
    """
    missing = [layer for layer in layers if layer not in captured.graph]
    if missing or not outputs.requires_grad:
        name = missing[0] if missing else "output"
        raise error("E505", f"no graph for `{name}`", "run `forward(..., grad=True)` again; `keep=True` keeps a graph")
    counter = counter if counter is not None else Passes()
    holders = captured.parts or (captured,)
    inputs = [holder.graph[layer] for layer in layers for holder in holders]
    rows = len(outputs) if outputs.dim() else 1
    largest = _largest(outputs)
    each = sum(x.numel() * x.element_size() for x in inputs) + _LIVE * largest

    def by_layer(found: Sequence[Tensor]) -> dict[str, Tensor]:
        """Gradients (chunk, row, *shape) of every layer of every holder, joined along the rows."""
        size = len(holders)
        each = [found[at : at + size] for at in range(0, len(found), size)]
        return {layer: torch.cat(tuple(x), 1) if size > 1 else x[0] for layer, x in zip(layers, each, strict=True)}

    batched, rule = True, captured.relevance
    written = None if create_graph or chunk == 1 else transposed(captured, outputs, layers, len(cotangents), counter)

    def work(start: int, stop: int) -> dict[str, Tensor]:
        nonlocal batched, written
        some = cotangents[start:stop].to(outputs)
        if written is not None:
            try:
                with torch.inference_mode(False), torch.no_grad(), guard_memory("a backward pass"):
                    found = _pulled(written, captured, some.detach(), layers)
                counter.backward(rows, stop - start)
                return found
            except BbiError as e:  # not even one fits: the graph, which needs less
                if stop - start > 1 or not is_out_of_memory(e):
                    raise
                written = None
        with torch.inference_mode(False), torch.enable_grad(), guard_memory("a backward pass"):
            if batched and stop - start > 1:
                try:
                    found = pull(outputs, inputs, some, create_graph)
                    counter.backward(rows, stop - start)
                    return by_layer(found)
                except RuntimeError as e:  # an operation without a batching rule: one by one
                    if is_out_of_memory(e):
                        raise
                    batched = False
            result = [value.new_empty(len(some), *value.shape) for value in inputs]
            for at, one in enumerate(some):
                for into, gradient in zip(result, _one(outputs, inputs, one, create_graph), strict=True):
                    into[at] = gradient
                counter.backward(rows)
            return by_layer(result)

    size = chunk if chunk else 1 if create_graph else None
    limit = AT_MOST.get(outputs.device.type, 16)
    if outputs.device.type == "cpu":
        limit = min(limit, max(FEWEST, CACHED // max(1, largest)))
    for start, result in chunks(len(cotangents), each, work, limit, outputs.device, size):
        result = all_outside(result, captured.images)
        for layer, value in result.items():
            check_gradients(layer, value, rule)
        yield start, result
        del result
    if not (keep or create_graph):
        captured.free()


def transposed(
    captured: Captured, outputs: Tensor, layers: Sequence[str], total: int, counter: Passes
) -> Transposed | None:
    """The backward written out, where it pays, there is a rule for everything, and it gives what autograd gives: looked
    at once for a model, a place and layers, with a random cotangent."""
    places = [OUTPUT] if outputs is captured.score_graph else [x for x, v in captured.graph.items() if v is outputs]
    kept = captured.kept
    if kept is None or not places:
        return None
    key = (places[0], *layers)
    known: dict[Any, bool] = remembered(kept.adapter.module).setdefault("written out", {})
    if key in captured.written or total < (WORTH if key in known else WORTH_FIRST):
        return captured.written.get(key)
    made = None
    if known.get(key, True):
        try:
            with torch.inference_mode(False), torch.no_grad(), guard_memory("a backward pass"):
                made = _written(captured, places[0], layers)
            if key not in known:
                counter.probes += 1
                if not _agrees(made, captured, outputs, layers):
                    made = None
        except Exception as e:  # Uncut, no rule, and what else a graph can meet that the model's own code does not
            if is_out_of_memory(e):
                raise
            made = None
        known[key] = made is not None
    captured.written[key] = made
    return made


def _written(captured: Captured, place: str, layers: Sequence[str]) -> Transposed:
    kept = captured.kept
    assert kept is not None
    adapter, module = kept.adapter, kept.adapter.module
    graph = traced(module)
    names = kept.names
    at = {x: graph.input if x == INPUT else graph.layer(names[adapter.module_of(x)]) for x in layers}
    head = adapter.description.output
    path = head if place == OUTPUT else names[adapter.module_of(place)]
    end = graph.result if place == OUTPUT and not head else graph.single(path)
    if not isinstance(end, Node):
        raise NotImplementedError("a place that is not one tensor")
    network = Network(kept.modules, graph.nodes, at, end)
    values = KeptValues(kept, graph.nodes, graph.input)
    values.values |= {node: captured[x] for x, node in at.items() if x != INPUT}  # even if written over
    if place != OUTPUT:
        values.values[end] = captured[place]
    made = Transposed(network, len(kept.images), {layer: captured[layer].shape for layer in layers})
    with borrowed(module), out_of_place(module):
        for node in network.run:
            made.add(node, values)
    return made


def _pulled(made: Transposed, captured: Captured, cotangents: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    found = made.pull(cotangents, layers)
    if INPUT in found and captured.kept is not None:
        found[INPUT] = through_normalization(captured.kept.adapter, captured.kept.images, found[INPUT])
    return found


def _agrees(made: Transposed, captured: Captured, outputs: Tensor, layers: Sequence[str]) -> bool:
    generator = torch.Generator().manual_seed(0)
    seed = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype).to(outputs)
    with torch.inference_mode(False):
        found = _pulled(made, captured, seed[None], layers)
        with torch.enable_grad():
            want = _one(outputs, [captured.graph[x] for x in layers], seed, False)
        return same({x: found[x][0] for x in layers}, dict(zip(layers, want, strict=True)), AGREE)


def _one(outputs: Tensor, inputs: Sequence[Tensor], cotangent: Tensor, create_graph: bool) -> list[Tensor]:
    """One plain backward; zero where the outputs do not depend on an input."""
    found = grad(outputs, inputs, cotangent, retain_graph=True, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def pull(outputs: Tensor, inputs: Sequence[Tensor], cotangents: Tensor, create_graph: bool = False) -> list[Tensor]:
    """One batched backward: cotangents (target, *outputs shape) -> (target, *shape) of each input. Keeps the graph."""
    found = grad(outputs, inputs, cotangents, True, create_graph, allow_unused=True, is_grads_batched=True)
    zero = (len(cotangents),)
    return [x.new_zeros(zero + x.shape) if g is None else g for g, x in zip(found, inputs, strict=True)]


def _largest(outputs: Tensor) -> int:
    """Bytes of the largest gradient that a backward from here meets."""
    most = outputs.numel() * outputs.element_size()
    for node in graph_of(outputs):
        for value in node._input_metadata:
            most = max(most, math.prod(value.shape) * value.dtype.itemsize)
    return most


def vjp(
    captured: Captured,
    outputs: Tensor,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """Vector-Jacobian products: for every target and layer, the gradient of <cotangent, outputs>.

    ``outputs`` is any function of ``captured.graph`` and ``captured.score_graph``; ``cotangents``
    (target, *outputs shape). Gives layer -> (target, input, *layer shape), zero where a target does not depend on the
    layer. Every layer is served by the same backward, and ``chunk`` cotangents share one (None: as memory allows; 1 is
    the plain loop, which is also taken where an operation cannot be batched). The graph is freed after the last target
    unless ``keep``; ``create_graph`` keeps it and makes the result differentiable (an attribution to an attribution).

    Raises BbiError E503 (not finite), E504 (out of memory), E505 (the graph is spent, or was never recorded).
    """
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    values = dict(captured.graph)
    for _, found in vjp_chunks(captured, outputs, cotangents, layers, counter, keep, create_graph, chunk):
        for layer, value in found.items():
            parts[layer].append(value)
    return {
        layer: torch.cat(found) if len(found) > 1 else found[0] if found else torch.zeros(0, *values[layer].shape)
        for layer, found in parts.items()
    }


def gradients(
    captured: Captured,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """`vjp` that starts at the scores: ``cotangents`` (target, input, class), gives layer ->
    (target, input, *layer shape). A class is a one-hot cotangent, a difference of classes has +1 and -1."""
    return vjp(captured, scores_of(captured), cotangents, layers, counter, keep, create_graph, chunk)


def scores_of(captured: Captured) -> Tensor:
    """The scores, attached to the graph. Raises E505 where there are none."""
    if captured.score_graph is None:
        raise error("E505", "no graph for `output`", "run `forward(..., want_output=True, grad=True)` again")
    return captured.score_graph
