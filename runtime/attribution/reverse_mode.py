"""Reverse mode: one cotangent for each class or atom, followed down to every layer that requests it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.ir.identity_map import IdentityMap
from bbilang.compiler.ir.program import Backward, DerivativeRequest
from bbilang.compiler.optimize.cost import SLOTS, flops_upto
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import DerivativeTable, Requested, Slots, tables_of, within
from bbilang.runtime.attribution.target_slots import Key, cotangents
from bbilang.runtime.fields.atoms import numpy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured


def backward(run: Run, step: Backward, captured: Captured | None = None) -> None:
    """Fill the tables of a backward step. Each key is propagated down to the earliest layer that requests it; each
    gradient is reduced to atoms as it arrives.

    captured: the result of a forward other than the step's own.
    """
    requested = tables_of(run, step)
    captured = run.forward(step.forward) if captured is None else captured
    outputs = run.target_value(captured, step.target_layer, step.targets)
    value = outputs.detach()
    paths = _GradientPaths(run, step)
    if not outputs.requires_grad:
        for layer in step.layers:
            paths.check(layer)
    groups = _by_lowest_layer(run, step, requested)
    last = run.last_use(step)
    activations: dict[str, Tensor] = {}
    for number, row_keys in enumerate(groups):
        slots = Slots.of(row_keys)
        shares = _shares(slots, requested)
        layers = list(dict.fromkeys(x for share in shares if share.positions.size for x in share.request.layers))
        reach = layers if step.stops else ["input", *(x for x in layers if x != "input")]
        for start in range(0, len(slots.keys), SLOTS):
            stop = min(start + SLOTS, len(slots.keys))
            keep = not (last and number + 1 == len(groups) and stop == len(slots.keys))
            cotangent = cotangents(run, step.target_layer, slots.keys[start:stop], value)
            if captured.relevance is not None:
                cotangent = captured.relevance.seed(outputs, cotangent, step.target_layer)
            chunk = None if step.batched else 1
            for offset, gradient in passes.vjp_chunks(
                captured, outputs, cotangent, reach, run.passes, keep=keep, chunk=chunk, repeated=run.repeated
            ):
                for layer in layers:
                    if passes.all_zero(gradient[layer]):
                        paths.check(layer)
                for name in layers if not activations.keys() >= set(layers) else ():
                    activations[name] = _as_laid_out(captured[name], gradient[name])
                _reduce(run, shares, activations, gradient, start + offset)


class _GradientPaths:
    """Checks, once per layer, that a zero gradient is genuine and not due to a path missing from the graph."""

    def __init__(self, run: Run, step: Backward):
        self.run, self.step = run, step
        self.checked: set[str] = set()

    def check(self, layer: str) -> None:
        if layer not in self.checked and not self.step.target_layer.startswith(CHAIN):
            passes.check_gradient_path(
                self.run.adapter, self.run.images, layer, self.step.target_layer, self.run.passes
            )
            self.checked.add(layer)


def _by_lowest_layer(run: Run, step: Backward, requested: Requested) -> list[list[list[Key]]]:
    """Group the keys of every input by the layer that they are propagated down to: the earliest that requests them."""
    order = {name: flops_upto(run.adapter.description, name) for name in step.layers}
    lowest: dict[tuple[int, Key], str] = {}
    for request, table in requested:
        low = min(request.layers, key=order.__getitem__)
        for input_key in table.slots:
            lowest[input_key] = min(lowest.get(input_key, low), low, key=order.__getitem__)
    groups: dict[str, list[list[Key]]] = {}
    for (row, key), low in lowest.items():
        groups.setdefault(low, [[] for _ in range(len(run.images))])[row].append(key)
    return list(groups.values())


@dataclass(eq=False)
class _Share:
    """The part of a pass that a request takes. ``positions`` (3, n): slot in its table, slot in the pass, input."""

    request: DerivativeRequest
    table: DerivativeTable
    positions: np.ndarray


def _shares(slots: Slots, requested: Requested) -> list[_Share]:
    """Return the share of every request; requests with equal targets have the same positions."""
    positions: IdentityMap[Any, np.ndarray] = IdentityMap()
    for _, table in requested:
        if table.keyed not in positions:
            positions[table.keyed] = slots.positions(table)
    return [_Share(request, table, positions[table.keyed]) for request, table in requested]


def _as_laid_out(activation: Tensor, gradient: Tensor) -> Tensor:
    """Return an activation (input, channel, y, x) in the memory format of its gradients (slot, input, channel, y, x),
    often channels last: a product of different formats takes three times as long, and every chunk has one."""
    import torch

    if activation.dim() == 4 and gradient.dim() == 5 and gradient.stride(2) == 1:
        return activation.contiguous(memory_format=torch.channels_last)
    return activation


def _reduce(
    run: Run, shares: list[_Share], activations: Mapping[str, Tensor], gradient: Mapping[str, Tensor], start: int
) -> None:
    """Reduce the gradients of some slots, (slot, input, *layer axes), into the tables of the requests. Requests with
    equal parts share one product, over all slots that any of them requests."""
    count = len(next(iter(gradient.values())))
    cut: IdentityMap[np.ndarray, tuple[np.ndarray, list[int]]] = (
        IdentityMap()
    )  # positions of these slots, and the slots
    together: dict[Any, set[int]] = {}  # product -> its slots
    products = []
    for number, share in enumerate(shares):
        if share.positions not in cut:
            own = within(share.positions, start, start + count)
            cut[share.positions] = own, own[1].tolist()
        own, listed = cut[share.positions]
        request = share.request
        for name in request.layers if listed else ():
            key = (request.node.op, request.parts, name) if request.parts else (number, name)
            together.setdefault(key, set()).update(listed)
            products.append((key, share, name, own))
    reduced: dict[Any, tuple[np.ndarray, np.ndarray]] = {}
    for key, share, name, (here, there, rows) in products:
        if key not in reduced:
            slots = np.array(sorted(together[key]))
            node = share.request.node
            part = gradient[name][_slice(slots)]
            operation = run.registry.operations[node.op]
            reduced[key] = slots, numpy_of(operation.reduce(node, run.layer(name), activations[name], part, run))
        slots, values = reduced[key]
        share.table.put(name, (here, slots.searchsorted(there), rows), values)


def _slice(slots: np.ndarray) -> slice | list[int]:
    """Return the slots as a slice where they are consecutive, so that nothing is copied."""
    first, last = int(slots[0]), int(slots[-1]) + 1
    return slice(first, last) if last - first == len(slots) else slots.tolist()
