"""One backward per target serves every layer; no parameter gets a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bbilang.runtime.passes.borrow import check_finite, error, guard_memory
from bbilang.runtime.passes.capture import Captured
from bbilang.runtime.passes.count import Passes


def vjp(
    captured: Captured,
    outputs: Tensor,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """Vector-Jacobian products: for every target and layer, the gradient of <cotangent, outputs>.

    ``outputs`` is any function of ``captured.graph`` and ``captured.score_graph``; ``cotangents``
    (target, *outputs shape). Gives layer -> (target, input, *layer shape), zero where a target does not depend on the
    layer. One backward per target serves every layer. The graph is freed after the last target unless ``keep``;
    ``create_graph`` keeps it and makes the result differentiable (an attribution to an attribution).

    Raises BbiError E503 (not finite), E504 (out of memory), E505 (the graph is spent, or was never recorded).
    """
    missing = [layer for layer in layers if layer not in captured.graph]
    if missing or not outputs.requires_grad:
        name = missing[0] if missing else "output"
        raise error("E505", f"no graph for `{name}`", "run `forward(..., grad=True)` again; `keep=True` keeps a graph")
    counter = counter if counter is not None else Passes()
    inputs = [captured.graph[layer] for layer in layers]
    cotangents = cotangents.to(outputs)
    gradients: list[list[Tensor]] = [[] for _ in layers]
    with torch.inference_mode(False), torch.enable_grad(), guard_memory("a backward pass"):
        for target, cotangent in enumerate(cotangents):
            retain = keep or create_graph or target + 1 < len(cotangents)
            counter.backward(len(outputs) if outputs.dim() else 1)
            found = torch.autograd.grad(
                outputs, inputs, cotangent, retain_graph=retain, create_graph=create_graph, allow_unused=True
            )
            for rows, gradient, value in zip(gradients, found, inputs, strict=True):
                rows.append(torch.zeros_like(value) if gradient is None else gradient)
        shapes = [(0, *value.shape) for value in inputs]
        result = {
            layer: torch.stack(rows) if rows else torch.zeros(shape)
            for layer, rows, shape in zip(layers, gradients, shapes, strict=True)
        }
    if not (keep or create_graph):
        captured.free()
    for layer, value in result.items():
        check_finite(f"{layer}, gradient", value)
    return result


def gradients(
    captured: Captured,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """`vjp` that starts at the scores: ``cotangents`` (target, input, class), gives layer ->
    (target, input, *layer shape). A class is a one-hot cotangent, a difference of classes has +1 and -1."""
    if captured.score_graph is None:
        raise error("E505", "no graph for `output`", "run `forward(..., want_output=True, grad=True)` again")
    return vjp(captured, captured.score_graph, cotangents, layers, counter, keep, create_graph)
