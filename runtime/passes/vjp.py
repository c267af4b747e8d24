"""Vector-Jacobian products: many cotangents at once, one graph for every layer; no parameter gets a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.fx.node import Node

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.device.memory import chunks, is_out_of_memory
from bbilang.runtime.errors import error
from bbilang.runtime.passes.autograd import grad, graph_of
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit.graph import DerivativeGraph
from bbilang.runtime.passes.explicit.saved_values import NodeValues
from bbilang.runtime.passes.explicit.vjp import ExplicitVjp
from bbilang.runtime.passes.fallback import OPERATION_ERRORS, NotTraceable, log_fallback
from bbilang.runtime.passes.forward import Captured
from bbilang.runtime.passes.fx_graph import out_of_place, through_normalization, traced
from bbilang.runtime.passes.hooks import INPUT, check_gradients, frozen_module, guard_memory
from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.precision import all_promoted
from bbilang.runtime.passes.replay_above import OUTPUT, nearly_equal

MAX_CHUNK = {"cpu": 16, "cuda": 256}  # cotangents at once; larger chunks were not faster
MIN_CHUNK, CACHE_BYTES = 4, 10 << 20  # on a CPU chunks shrink, to MIN_CHUNK at least, until the largest gradient has at
# most CACHE_BYTES: a larger one does not fit the caches, and the system clears its memory each time (15 ms, not 12)
EXPLICIT_FROM = 3  # cotangents from which an explicit VJP pays off
EXPLICIT_FROM_FIRST = 8  # the same, where it has to be checked first
TOLERANCE = 1e-5  # of the largest value: how much an explicit VJP may differ from autograd's
KERNELS = "kernels of the explicit VJP"  # in the memo of a module, with the target layer and the layers
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
    repeated: bool = False,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield `vjp` in chunks, so that not all are in memory at once: (start, layer -> (chunk, input, *layer shape)).

    The graph is freed after the last chunk unless ``keep``. ``repeated``: many such calls for the same layers follow,
    as in a scan, so that what can be prepared once is. Raises BbiError as `vjp` does.
    """
    missing = [layer for layer in layers if layer not in captured.graph]
    if missing or not outputs.requires_grad:
        name = missing[0] if missing else "output"
        raise error("E505", f"no graph for `{name}`", "run `forward(..., grad=True)` again; `keep=True` keeps a graph")
    counter = counter if counter is not None else Passes()
    rule = captured.relevance
    backward = _Backward(captured, outputs, layers, counter, create_graph)
    if not create_graph and chunk != 1:
        backward.explicit = explicit_vjp_of(captured, outputs, layers, len(cotangents), counter, repeated)

    def work(start: int, stop: int) -> dict[str, Tensor]:
        return backward(cotangents[start:stop].to(outputs))

    size = chunk if chunk else 1 if create_graph else None
    limit, largest = MAX_CHUNK.get(outputs.device.type, 16), _largest(outputs)
    if outputs.device.type == "cpu":
        limit = min(limit, max(MIN_CHUNK, CACHE_BYTES // max(1, largest)))
    bytes_each = sum(x.numel() * x.element_size() for x in backward.inputs) + _LIVE * largest
    for start, result in chunks(len(cotangents), bytes_each, work, limit, outputs.device, size):
        result = all_promoted(result, captured.images)
        for layer, value in result.items():
            check_gradients(layer, value, rule)
        yield start, result
        del result
    if not (keep or create_graph):
        captured.free()


class _Backward:
    """Backward passes from ``outputs`` to ``layers`` for some cotangents, in the fastest way that works: the explicit
    VJP, one batched autograd pass, or one pass each. A way that failed once is not tried again."""

    def __init__(self, captured: Captured, outputs: Tensor, layers: Sequence[str], counter: Passes, create_graph: bool):
        self.captured, self.outputs, self.layers = captured, outputs, layers
        self.counter, self.create_graph = counter, create_graph
        self.holders = captured.parts or (captured,)
        self.inputs = [holder.graph[layer] for layer in layers for holder in self.holders]
        self.rows = len(outputs) if outputs.dim() else 1
        self.explicit: ExplicitVjp | None = None
        self.batched = True

    def __call__(self, cotangents: Tensor) -> dict[str, Tensor]:
        """Map (chunk, *outputs shape) to layer -> (chunk, input, *layer shape)."""
        if self.explicit is not None:
            try:
                return self._by_explicit_vjp(self.explicit, cotangents)
            except BbiError as e:  # not even one cotangent fits; the graph needs less memory
                if len(cotangents) > 1 or not is_out_of_memory(e):
                    raise
                log_fallback("the explicit VJP is out of memory", "autograd goes through the graph", e)
                self.explicit = None
        with torch.inference_mode(False), torch.enable_grad(), guard_memory("a backward pass"):
            if self.batched and len(cotangents) > 1:
                try:
                    gradients = pull(self.outputs, self.inputs, cotangents, self.create_graph)
                    self.counter.backward(self.rows, len(cotangents))
                    return self._by_layer(gradients)
                except RuntimeError as e:  # an operation without a batching rule
                    if is_out_of_memory(e):
                        raise
                    log_fallback("a batched backward pass", "one pass for each cotangent", e)
                    self.batched = False
            return self._by_layer(self._one_by_one(cotangents))

    def _by_explicit_vjp(self, explicit: ExplicitVjp, cotangents: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode(False), torch.no_grad(), guard_memory("a backward pass"):
            gradients = _pulled(explicit, self.captured, cotangents.detach(), self.layers)
        self.counter.backward(self.rows, len(cotangents))
        return gradients

    def _one_by_one(self, cotangents: Tensor) -> list[Tensor]:
        result = [value.new_empty(len(cotangents), *value.shape) for value in self.inputs]
        for index, one in enumerate(cotangents):
            gradients = _one(self.outputs, self.inputs, one, self.create_graph)
            for into, gradient in zip(result, gradients, strict=True):
                into[index] = gradient
            self.counter.backward(self.rows)
        return result

    def _by_layer(self, gradients: Sequence[Tensor]) -> dict[str, Tensor]:
        """Join the gradients (chunk, row, *shape) of every layer along the rows of all holders."""
        size = len(self.holders)
        each = [gradients[start : start + size] for start in range(0, len(gradients), size)]
        return {layer: torch.cat(tuple(x), 1) if size > 1 else x[0] for layer, x in zip(self.layers, each, strict=True)}


def explicit_vjp_of(
    captured: Captured, outputs: Tensor, layers: Sequence[str], total: int, counter: Passes, repeated: bool = False
) -> ExplicitVjp | None:
    """Return the explicit VJP, where it pays for ``total`` cotangents, every operation has a rule, and it equals
    autograd: checked once for a model, a target layer and layers, with a random cotangent. ``repeated``: see
    `vjp_chunks`."""
    targets = [OUTPUT] if outputs is captured.score_graph else [x for x, v in captured.graph.items() if v is outputs]
    saved = captured.saved
    if saved is None or not targets:
        return None
    key = (targets[0], *layers)
    known = cast("dict[tuple[str, ...], bool]", memo_of(saved.adapter.module).setdefault("explicit vjp", {}))
    least = 1 if repeated else EXPLICIT_FROM if key in known else EXPLICIT_FROM_FIRST
    if key in captured.explicit_vjps or total < least:
        return captured.explicit_vjps.get(key)
    explicit = None
    if known.get(key, True):
        try:
            with torch.inference_mode(False), torch.no_grad(), guard_memory("a backward pass"):
                explicit = _explicit_vjp(captured, targets[0], layers, repeated)
            if key not in known:
                counter.probes += 1
                if not _agrees(explicit, captured, outputs, layers):
                    explicit = None
        except (NotTraceable, BbiError, *OPERATION_ERRORS) as e:
            if is_out_of_memory(e):
                raise
            log_fallback(f"no explicit VJP from {', '.join(key[1:])} to {key[0]}", "autograd goes through the graph", e)
            explicit = None
        known[key] = explicit is not None
    captured.explicit_vjps[key] = explicit
    return explicit


def _explicit_vjp(captured: Captured, target_layer: str, layers: Sequence[str], repeated: bool = False) -> ExplicitVjp:
    """Return the rules of all operations between the layers and the target; the kernels of ``repeated`` ones are kept
    for the next. Raises NotTraceable or NotImplementedError where one has none."""
    saved = captured.saved
    assert saved is not None
    adapter, module, names = saved.adapter, saved.adapter.module, saved.names
    graph = traced(module)
    nodes = {x: graph.input if x == INPUT else graph.layer(names[adapter.module_of(x)]) for x in layers}
    head = adapter.description.output
    path = head if target_layer == OUTPUT else names[adapter.module_of(target_layer)]
    end = graph.result if target_layer == OUTPUT and not head else graph.single(path)
    if not isinstance(end, Node):
        raise NotImplementedError("a target layer that is not one tensor")
    network = DerivativeGraph(saved.modules, graph.nodes, nodes, end)
    if repeated:
        network.weights = memo_of(module).setdefault((KERNELS, target_layer, *layers), network.weights)
    values = NodeValues(saved, graph.nodes, graph.input)
    values.values |= {node: captured[x] for x, node in nodes.items() if x != INPUT}  # even if overwritten
    if target_layer != OUTPUT:
        values.values[end] = captured[target_layer]
    explicit = ExplicitVjp(network, len(saved.images), {layer: captured[layer].shape for layer in layers})
    with frozen_module(module), out_of_place(module):
        for node in network.run:
            explicit.add(node, values)
    return explicit


def _pulled(explicit: ExplicitVjp, captured: Captured, cotangents: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    gradients = explicit.pull(cotangents, layers)
    if INPUT in gradients and captured.saved is not None:
        saved = captured.saved
        gradients[INPUT] = through_normalization(saved.adapter, saved.images, gradients[INPUT])
    return gradients


def _agrees(explicit: ExplicitVjp, captured: Captured, outputs: Tensor, layers: Sequence[str]) -> bool:
    """Return whether an explicit VJP equals autograd's, for a random cotangent."""
    generator = torch.Generator().manual_seed(0)
    seed = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype).to(outputs)
    with torch.inference_mode(False):
        gradients = _pulled(explicit, captured, seed[None], layers)
        with torch.enable_grad():
            expected = _one(outputs, [captured.graph[x] for x in layers], seed, False)
        return nearly_equal({x: gradients[x][0] for x in layers}, dict(zip(layers, expected, strict=True)), TOLERANCE)


def _one(outputs: Tensor, inputs: Sequence[Tensor], cotangent: Tensor, create_graph: bool) -> list[Tensor]:
    """Run one plain backward; zero where the outputs do not depend on an input."""
    gradients = grad(outputs, inputs, cotangent, retain_graph=True, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, inputs, strict=True)]


def pull(outputs: Tensor, inputs: Sequence[Tensor], cotangents: Tensor, create_graph: bool = False) -> list[Tensor]:
    """Run one batched backward: cotangents (target, *outputs shape) -> (target, *shape) of each input. Keeps the
    graph."""
    gradients = grad(outputs, inputs, cotangents, True, create_graph, allow_unused=True, is_grads_batched=True)
    count = (len(cotangents),)
    return [x.new_zeros(count + x.shape) if g is None else g for g, x in zip(gradients, inputs, strict=True)]


def _largest(outputs: Tensor) -> int:
    """Return the bytes of the largest gradient that a backward from here meets."""
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
    """Compute vector-Jacobian products: for every target and layer, the gradient of <cotangent, outputs>.

    ``outputs`` is any function of ``captured.graph`` and ``captured.score_graph``; ``cotangents``
    (target, *outputs shape). Returns layer -> (target, input, *layer shape), zero where a target does not depend on the
    layer. Every layer is served by the same backward, and ``chunk`` cotangents share one (None: as memory allows; 1 is
    the plain loop, which also runs where an operation cannot be batched). The graph is freed after the last target
    unless ``keep``; ``create_graph`` keeps it and makes the result differentiable (an attribution to an attribution).

    Raises BbiError E503 (not finite), E504 (out of memory), E505 (the graph was freed, or never recorded).
    """
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    values = dict(captured.graph)
    for _, some in vjp_chunks(captured, outputs, cotangents, layers, counter, keep, create_graph, chunk):
        for layer, value in some.items():
            parts[layer].append(value)
    return {
        layer: torch.cat(some) if len(some) > 1 else some[0] if some else torch.zeros(0, *values[layer].shape)
        for layer, some in parts.items()
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
    """Compute `vjp` from the scores: ``cotangents`` (target, input, class), returns layer -> (target, input, *layer
    shape). A class is a one-hot cotangent, a difference of classes has +1 and -1."""
    return vjp(captured, scores_of(captured), cotangents, layers, counter, keep, create_graph, chunk)


def scores_of(captured: Captured) -> Tensor:
    """Return the scores attached to the graph. Raises E505 if there are none."""
    if captured.score_graph is None:
        raise error("E505", "no graph for `output`", "run `forward(..., want_output=True, grad=True)` again")
    return captured.score_graph
