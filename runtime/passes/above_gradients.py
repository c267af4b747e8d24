"""Gradients of the network above a layer at given activations: interpolated, perturbed, optimized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.fx.node import Node

from bbilang.runtime.device.memory import chunks, is_out_of_memory
from bbilang.runtime.passes.above import NetworkAbove
from bbilang.runtime.passes.autograd import grad
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit.graph import DerivativeGraph
from bbilang.runtime.passes.explicit.vjp import ExplicitVjp, to_layout
from bbilang.runtime.passes.fallback import OPERATION_ERRORS, NotTraceable, log_fallback
from bbilang.runtime.passes.forward import Context, rule_of
from bbilang.runtime.passes.fx_graph import GraphSection, NodeTable
from bbilang.runtime.passes.gradient_path import all_zero
from bbilang.runtime.passes.hooks import INPUT, check_gradients, guard_memory
from bbilang.runtime.passes.module.precision import promoted
from bbilang.runtime.passes.replay_above import nearly_equal
from bbilang.runtime.passes.vjp import TOLERANCE, pull

MAX_CHUNK = {"cpu": 32, "cuda": 512}  # rows at once; larger chunks were not faster

Cotangents = Tensor | Callable[[Tensor, Tensor], Tensor]


def rerun_gradient_chunks(
    upper: NetworkAbove,
    activations: Tensor,
    rows: Tensor | None,
    cotangents: Cotangents,
    target_layer: str = "output",
    counter: Passes | None = None,
    chunk: int | None = None,
    targets: int = 1,
    around: Callable[[], Context] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield `rerun_gradients` in chunks of rows: (start, (target, chunk, *layer shape)).

    ``cotangents`` may depend on the result: a function of the target layer's value (chunk, *target shape) and the
    inputs that its rows belong to, which returns (target, chunk, *target shape) for about ``targets`` of them.
    ``around``: returns the context that the network runs in, which may give operations another backward.
    """
    counter = counter if counter is not None else upper.counter
    device = upper.activations.device
    count = targets if callable(cotangents) else len(cotangents)
    bytes_each = upper.cost.sum + count * (upper.cost.largest * 2 + upper.activations[0].numel() * 4)
    owners = rows if rows is not None else torch.arange(len(activations))

    def work(start: int, stop: int) -> Tensor:
        point = activations[start:stop].to(upper.activations).detach()
        own = owners[start:stop]

        def seeds_of(value: Tensor) -> Tensor:
            return cotangents(value, own) if callable(cotangents) else cotangents[:, start:stop]

        explicit = _explicit_network(upper, target_layer, point, own) if around is None else None
        if explicit is not None:
            return _by_explicit_vjp(upper, *explicit, point, own, seeds_of, counter)
        return _by_autograd(upper, point, own, seeds_of, target_layer, counter, around)

    for start, gradients in chunks(len(activations), bytes_each, work, MAX_CHUNK.get(device.type, 32), device, chunk):
        gradients = promoted(gradients, upper.pictures)
        check_gradients(upper.layer, gradients, around() if around else None)
        if all_zero(gradients):
            upper.check_gradient_path(target_layer)
        yield start, gradients
        del gradients


def _by_explicit_vjp(
    upper: NetworkAbove,
    section: GraphSection,
    network: DerivativeGraph,
    point: Tensor,
    rows: Tensor,
    seeds_of: Callable[[Tensor], Tensor],
    counter: Passes,
) -> Tensor:
    """Compute gradients (target, row, *layer shape) at ``point`` (row, *layer shape) by the explicit VJP."""
    with torch.inference_mode(False), torch.no_grad(), guard_memory("the network above a layer"):
        value, explicit = _forward(section, upper.layer, network, point, rows.to(point.device))
        counter.rerun(len(point))
        seeds = seeds_of(value)
        gradients = explicit.pull(seeds.to(value), [upper.layer])[upper.layer]
        counter.backward(len(point), len(seeds))
        return section.gradients_at_layer(point, gradients)


def _by_autograd(
    upper: NetworkAbove,
    point: Tensor,
    rows: Tensor,
    seeds_of: Callable[[Tensor], Tensor],
    target_layer: str,
    counter: Passes,
    around: Callable[[], Context] | None,
) -> Tensor:
    """Compute the same gradients by autograd, in the context that ``around`` returns."""
    with torch.inference_mode(False), torch.enable_grad(), guard_memory("the network above a layer"):
        point = point.clone().requires_grad_()
        context = around() if around else None
        rule = rule_of(context)
        if rule is not None and upper.layer == INPUT:
            rule.begin(point)
        with context or nullcontext():
            value = upper.run(point, rows.to(point.device))[target_layer]
        counter.rerun(len(point))
        seeds = seeds_of(value.detach())
        if not value.requires_grad:
            upper.check_gradient_path(target_layer)
            return torch.zeros(len(seeds), *point.shape, device=point.device, dtype=point.dtype)
        seeds = seeds.to(value) if rule is None else rule.seed(value, seeds.to(value), target_layer)
        return _pull(upper, value, point, seeds, counter)


def _explicit_network(
    upper: NetworkAbove, target_layer: str, point: Tensor, rows: Tensor
) -> tuple[GraphSection, DerivativeGraph] | None:
    """Return the network of the explicit VJP, where every operation has a rule and the result equals autograd's;
    checked once."""
    section = upper.run
    if not isinstance(section, GraphSection) or not upper.batched.get("explicit vjp", True):
        return None
    if target_layer in upper.networks:
        return section, upper.networks[target_layer]
    upper.batched["explicit vjp"] = False
    try:
        end = section.ends[target_layer]
        if not isinstance(end, Node):
            return None
        network = DerivativeGraph(section.modules, section.traced.nodes, {upper.layer: section.layer}, end)
        known, key = upper.checks.explicit_vjp, (upper.layer, target_layer)
        if key not in known:
            known[key] = _agrees(upper, section, network, point[:2], rows[:2].to(point.device), target_layer)
        if not known[key]:
            return None
    except (NotTraceable, *OPERATION_ERRORS) as e:
        if is_out_of_memory(e):
            raise
        log_fallback(f"no explicit VJP above `{upper.layer}`", "autograd goes through the network above", e)
        return None
    upper.batched["explicit vjp"] = True
    upper.networks[target_layer] = network
    return section, network


def _forward(
    section: GraphSection, layer: str, network: DerivativeGraph, point: Tensor, rows: Tensor
) -> tuple[Tensor, ExplicitVjp]:
    """Return the target layer's value at the rows, and its VJP; every value is released after its last use."""
    explicit = ExplicitVjp(network, len(point), {layer: point.shape})
    values, run = section.start(to_layout(point), rows), set(network.run)
    for node in section.run:
        values[node] = section.step(node, values)
        if node in run:
            explicit.add(node, _RowValues(values))
        for done in section.frees.get(node, ()):
            values.pop(done, None)
    return values[network.target_layer], explicit


class _RowValues:
    """The values of the nodes that have run."""

    def __init__(self, values: NodeTable):
        self.values = values

    def value(self, node: Node) -> Tensor:
        return self.values[node]

    like = value


def _agrees(
    upper: NetworkAbove,
    section: GraphSection,
    network: DerivativeGraph,
    point: Tensor,
    rows: Tensor,
    target_layer: str,
) -> bool:
    """Return whether the explicit VJP equals that of autograd for a random cotangent."""
    upper.counter.probes += 1
    with torch.inference_mode(False):
        with torch.no_grad():
            value, explicit = _forward(section, upper.layer, network, point, rows)
            seed = torch.randn(value.shape, generator=torch.Generator().manual_seed(0), dtype=value.dtype).to(value)
            gradients = section.gradients_at_layer(point, explicit.pull(seed[None], [upper.layer])[upper.layer])[0]
        with torch.enable_grad():
            point = point.clone().requires_grad_()
            (expected,) = grad(upper.run(point, rows)[target_layer], point, seed)
    return nearly_equal({target_layer: gradients}, {target_layer: expected}, TOLERANCE)


def _pull(upper: NetworkAbove, value: Tensor, point: Tensor, seeds: Tensor, counter: Passes) -> Tensor:
    """Run one batched backward for all seeds, or one each where an operation cannot be batched."""
    if len(seeds) > 1 and upper.batched.get("vjp", True):
        try:
            (gradients,) = pull(value, [point], seeds)
            counter.backward(len(point), len(seeds))
            return gradients
        except RuntimeError as e:
            if is_out_of_memory(e):
                raise
            log_fallback(f"a batched backward pass above `{upper.layer}`", "one pass for each cotangent", e)
            upper.batched["vjp"] = False
    parts = []
    for target, seed in enumerate(seeds):
        (gradient,) = grad(value, point, seed, target + 1 < len(seeds), allow_unused=True)
        parts.append(torch.zeros_like(point) if gradient is None else gradient)
        counter.backward(len(point))
    return torch.stack(parts) if parts else point.new_zeros(0, *point.shape)


def rerun_gradients(
    upper: NetworkAbove,
    activations: Tensor,
    rows: Tensor | None,
    cotangents: Tensor,
    target_layer: str = "output",
    counter: Passes | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Compute gradients of <cotangent, target layer> at ``activations`` (row, *layer shape) of the inputs ``rows``
    (row,); ``cotangents`` (target, row, *target shape), returns (target, row, *layer shape).

    One forward of the network above and one backward a target for ``chunk`` rows at once; None takes as many as memory
    allows. Raises BbiError E503, E504.
    """
    pieces = rerun_gradient_chunks(upper, activations, rows, cotangents, target_layer, counter, chunk)
    parts = [gradients for _, gradients in pieces]
    return torch.cat(parts, 1) if parts else activations.new_zeros(len(cotangents), *activations.shape)
