"""Gradients of the network above a layer at activations of one's own: interpolated, perturbed, optimized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.fx.node import Node

from bbilang.runtime.device.memory import chunks, is_out_of_memory
from bbilang.runtime.passes.above import Upper
from bbilang.runtime.passes.autograd import grad
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit_vjp import Network, Transposed, laid
from bbilang.runtime.passes.fx_graph import Section
from bbilang.runtime.passes.gradient_path import all_zero
from bbilang.runtime.passes.hooks import INPUT, check_gradients, guard_memory
from bbilang.runtime.passes.module.precision import outside
from bbilang.runtime.passes.replay_above import same
from bbilang.runtime.passes.vjp import AGREE, pull

AT_MOST = {"cpu": 32, "cuda": 512}  # rows at once: more were not faster


def rerun_gradient_chunks(
    upper: Upper,
    activations: Tensor,
    rows: Tensor | None,
    cotangents: Tensor | Callable[[Tensor, Tensor], Tensor],
    place: str = "output",
    counter: Passes | None = None,
    chunk: int | None = None,
    targets: int = 1,
    around: Callable[[], Any] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """`rerun_gradients` in pieces of some rows: yields (start, (target, chunk, *layer shape)).

    ``cotangents`` may depend on what comes out: a function of the place's value (chunk, *place shape) and the inputs
    that its rows belong to, which gives (target, chunk, *place shape) for about ``targets`` of them. ``around``: makes
    the context that the network runs in, for derivatives that are not its own.
    """
    counter = counter if counter is not None else upper.counter
    device = upper.activations.device
    count = targets if callable(cotangents) else len(cotangents)
    each = upper.cost.sum + count * (upper.cost.largest * 2 + upper.activations[0].numel() * 4)
    where = rows if rows is not None else torch.arange(len(activations))

    def work(start: int, stop: int) -> Tensor:
        point = activations[start:stop].to(upper.activations).detach()
        mine = where[start:stop]
        network = _network(upper, place, point, mine) if around is None else None
        if network is not None:
            with torch.inference_mode(False), torch.no_grad(), guard_memory("the network above a layer"):
                value, made = _forward(upper, network, point, mine.to(device), place)
                counter.rerun(len(point))
                seeds = cotangents(value, mine) if callable(cotangents) else cotangents[:, start:stop]
                found = made.pull(seeds.to(value), [upper.layer])[upper.layer]
                counter.backward(len(point), len(seeds))
                return upper.run.down(point, found)
        with torch.inference_mode(False), torch.enable_grad(), guard_memory("the network above a layer"):
            point = point.clone().requires_grad_()
            mode = around() if around else None
            relevance = mode if hasattr(mode, "seed") else None
            if relevance is not None and upper.layer == INPUT:
                relevance.begin(point)
            with mode or nullcontext():
                value = upper.run(point, where[start:stop].to(device))[place]
            counter.rerun(len(point))
            seeds = cotangents(value.detach(), mine) if callable(cotangents) else cotangents[:, start:stop]
            if not value.requires_grad:
                upper.check_way(place)
                return torch.zeros(len(seeds), *point.shape, device=device, dtype=point.dtype)
            seeds = seeds.to(value) if relevance is None else relevance.seed(value, seeds.to(value), place)
            return _pull(upper, value, point, seeds, counter)

    for start, found in chunks(len(activations), each, work, AT_MOST.get(device.type, 32), device, chunk):
        found = outside(found, upper.pictures)
        check_gradients(upper.layer, found, around() if around else None)
        if all_zero(found):
            upper.check_way(place)
        yield start, found
        del found


def _network(upper: Upper, place: str, point: Tensor, rows: Tensor) -> Network | None:
    """What `transposed` goes down, where it has a rule for everything and gives what autograd gives: looked at once."""
    section = upper.run
    if not isinstance(section, Section) or not upper.batched.get("transposed", True):
        return None
    network = upper.networks.get(place)
    if network is not None:
        return network
    upper.batched["transposed"] = False
    try:
        end = section.ends[place]
        if not isinstance(end, Node):
            return None
        network = Network(section.modules, section.traced.nodes, {upper.layer: section.layer}, end)
        key = ("transposed", upper.layer, place)
        if key not in upper.known:
            upper.known[key] = _agrees(upper, network, point[:2], rows[:2].to(point.device), place)
        if not upper.known[key]:
            return None
    except Exception as e:  # no rule
        if is_out_of_memory(e):
            raise
        return None
    upper.batched["transposed"] = True
    upper.networks[place] = network
    return network


def _forward(upper: Upper, network: Network, point: Tensor, rows: Tensor, place: str) -> tuple[Tensor, Transposed]:
    """The place's value at the rows, and the way down again; every value is let go after its last use."""
    section = upper.run
    assert isinstance(section, Section)
    made = Transposed(network, len(point), {upper.layer: point.shape})
    order = iter(network.run)
    following = next(order, None)
    values = section.start(laid(point), rows)
    for node in section.run:
        values[node] = section.step(node, values)
        if node is following:
            made.add(node, RowValues(values))
            following = next(order, None)
        for done in section.frees.get(node, ()):
            values.pop(done, None)
    return values[network.place], made


class RowValues:
    """The values of the nodes that have run."""

    def __init__(self, values: dict[Node, Any]):
        self.values = values

    def value(self, node: Node) -> Any:
        return self.values[node]

    like = value


def _agrees(upper: Upper, network: Network, point: Tensor, rows: Tensor, place: str) -> bool:
    upper.counter.probes += 1
    with torch.inference_mode(False):
        with torch.no_grad():
            value, made = _forward(upper, network, point, rows, place)
            seed = torch.randn(value.shape, generator=torch.Generator().manual_seed(0), dtype=value.dtype).to(value)
            found = upper.run.down(point, made.pull(seed[None], [upper.layer])[upper.layer])[0]
        with torch.enable_grad():
            point = point.clone().requires_grad_()
            (want,) = grad(upper.run(point, rows)[place], point, seed)
    return same({place: found}, {place: want}, AGREE)


def _pull(upper: Upper, value: Tensor, point: Tensor, seeds: Tensor, counter: Passes) -> Tensor:
    if len(seeds) > 1 and upper.batched.get("vjp", True):
        try:
            (found,) = pull(value, [point], seeds)
            counter.backward(len(point), len(seeds))
            return found
        except RuntimeError as e:
            if is_out_of_memory(e):
                raise
            upper.batched["vjp"] = False
    parts = []
    for target, seed in enumerate(seeds):
        (found,) = grad(value, point, seed, target + 1 < len(seeds), allow_unused=True)
        parts.append(torch.zeros_like(point) if found is None else found)
        counter.backward(len(point))
    return torch.stack(parts) if parts else point.new_zeros(0, *point.shape)


def rerun_gradients(
    upper: Upper,
    activations: Tensor,
    rows: Tensor | None,
    cotangents: Tensor,
    place: str = "output",
    counter: Passes | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Gradients of <cotangent, place> at ``activations`` (row, *layer shape) of the inputs ``rows`` (row,);
    ``cotangents`` (target, row, *place shape), gives (target, row, *layer shape).

    One forward of the network above and one backward a target for ``chunk`` rows at once; None takes as many as memory
    allows. Raises BbiError E503, E504.
    """
    found = rerun_gradient_chunks(upper, activations, rows, cotangents, place, counter, chunk)
    parts = [some for _, some in found]
    return torch.cat(parts, 1) if parts else activations.new_zeros(len(cotangents), *activations.shape)
