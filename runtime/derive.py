"""The three ways to derivatives: cotangents, tangents, and gradients where a method visits.

Each fills the tables of the operations that ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bbilang.compiler.cost import flops_upto
from bbilang.compiler.ir import OUTPUT, Ask, Backward, Node, Rerun, Tangents
from bbilang.runtime import passes
from bbilang.runtime.atoms import numpy_of
from bbilang.runtime.targets import Key, Keyed, atom_numbers, cotangents, keyed

ROWS = 256  # activations that are prepared together, likewise
CHUNK = 64  # cotangents or tangents that are prepared together; passes may take fewer at a time


@dataclass
class Found:
    """One operation's numbers for one target: ``slots`` (input, class or atom) -> slot; ``maps`` layer -> array (slot,
    input, *kept axes)."""

    keyed: Keyed
    slots: dict[tuple[int, Key], int]
    count: int
    maps: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Any, target: Node, place: str, combined: bool = False) -> Found:
        numbers = keyed(run, target, place, combined)
        slots: dict[tuple[int, Key], int] = {}
        count = 0
        for row in range(len(run.images)):
            own = numbers.of(row)
            slots |= {(row, key): slot for slot, key in enumerate(own)}
            count = max(count, len(own))
        return cls(numbers, slots, count)

    def put(self, layer: str, places: np.ndarray, values: np.ndarray) -> None:
        """places (3, n): slot here, slot in values, input. values (slot, input, *kept axes)."""
        here, there, rows = places
        if layer not in self.maps:
            self.maps[layer] = np.full((self.count, *values.shape[1:]), np.nan, np.float32)
        self.maps[layer][here, rows] = values[there, rows]


@dataclass
class Slots:
    """Classes or atoms packed side by side into the fewest passes: slot -> input -> key."""

    keys: list[list[Key | None]]
    place: dict[tuple[int, Key], int]

    @classmethod
    def of(cls, wanted: list[list[Key]]) -> Slots:
        """wanted: input -> its keys."""
        count = max(map(len, wanted), default=0)
        keys = [[own[slot] if slot < len(own) else None for own in wanted] for slot in range(count)]
        return cls(keys, {(row, key): slot for row, own in enumerate(wanted) for slot, key in enumerate(own)})

    def shared(self, found: Found) -> np.ndarray:
        """(3, n): slot in ``found``, slot here, input, for everything that both have."""
        both = [(slot, self.place[key], key[0]) for key, slot in found.slots.items() if key in self.place]
        return np.array(both, np.int64).reshape(-1, 3).T


def backward(run: Any, step: Backward) -> None:
    """Reverse mode. Each class or atom is followed down to the earliest layer that asks for it; each gradient is
    reduced to atoms as it arrives."""
    asks = [(ask, run.found(ask.node, ask.target, step.place)) for ask in step.asks]
    captured = run.forward(step.forward)
    order = {name: flops_upto(run.adapter.description, name) for name in step.layers}
    groups: dict[str, list[list[Key]]] = {}
    lowest: dict[tuple[int, Key], str] = {}
    for ask, found in asks:
        low = min(ask.layers, key=order.__getitem__)
        for key in found.slots:
            lowest[key] = min(lowest.get(key, low), low, key=order.__getitem__)
    for (row, key), low in lowest.items():
        groups.setdefault(low, [[] for _ in range(len(run.images))])[row].append(key)
    outputs = run.place(captured, step.place, step.targets)
    value = outputs.detach()
    last = run.last_use(step)
    for number, (_, wanted) in enumerate(groups.items()):
        slots = Slots.of(wanted)
        shared = [(ask, found, slots.shared(found)) for ask, found in asks]
        layers = list(dict.fromkeys(x for ask, _, places in shared if places.size for x in ask.layers))
        reach = layers if step.stops else ["input", *(x for x in layers if x != "input")]
        for start in range(0, len(slots.keys), CHUNK):
            stop = min(start + CHUNK, len(slots.keys))
            keep = not (last and number + 1 == len(groups) and stop == len(slots.keys))
            cotangent = cotangents(run, step.place, slots.keys[start:stop], value)
            if captured.relevance is not None:
                cotangent = captured.relevance.seed(outputs, cotangent, step.place)
            chunk = None if step.batched else 1
            for offset, gradient in passes.vjp_chunks(
                captured, outputs, cotangent, reach, run.passes, keep=keep, chunk=chunk
            ):
                _reduce(run, shared, captured, gradient, start + offset)


def _reduce(run: Any, shared: list[Any], captured: Any, gradient: dict[str, Any], start: int) -> None:
    """Gradients of some slots, (slot, input, *layer axes), into the tables of those who ask; of each its own slots.
    Those with equal parts are served by one product with all slots that any of them asks for."""
    count = len(next(iter(gradient.values())))
    asked = []
    together: dict[Any, set[int]] = {}
    for number, (ask, found, places) in enumerate(shared):
        here, there, rows = places[:, (places[1] >= start) & (places[1] < start + count)]
        for name in ask.layers if here.size else ():
            key = (ask.node.op, ask.parts, name) if ask.parts else (number, name)
            together.setdefault(key, set()).update((there - start).tolist())
            asked.append((key, ask, found, name, here, there - start, rows))
    reduced: dict[Any, tuple[np.ndarray, np.ndarray]] = {}
    for key, ask, found, name, here, there, rows in asked:
        if key not in reduced:
            slots = np.array(sorted(together[key]))
            operation = run.registry.operations[ask.node.op]
            part = gradient[name][_slice(slots)]
            reduced[key] = slots, numpy_of(operation.reduce(ask.node, run.layer(name), captured[name], part, run))
        slots, values = reduced[key]
        found.put(name, np.stack([here, np.searchsorted(slots, there), rows]), values)


def _slice(slots: np.ndarray) -> Any:
    """Places in order as a slice where they are neighbours, so that nothing is copied."""
    first, last = int(slots[0]), int(slots[-1]) + 1
    return slice(first, last) if last - first == len(slots) else slots.tolist()


def tangents(run: Any, step: Tangents) -> None:
    """Forward mode. One tangent for each atom that is asked for; what comes out serves every target."""
    captured = run.forward(step.forward)
    value = captured.scores if step.place == OUTPUT else captured[step.place]  # a chain has no tangents
    layer, activation = run.layer(step.layer), captured[step.layer]
    with passes.above(run.adapter, captured, step.layer, [step.place], counter=run.passes) as upper:
        for parts in dict.fromkeys(ask.parts for ask in step.asks):
            asks = [ask for ask in step.asks if ask.parts == parts]
            founds = [run.found(ask.node, ask.target, step.place) for ask in asks]
            wanted = [
                list(dict.fromkeys(k for f in founds for r, k in f.slots if r == row)) for row in range(len(value))
            ]
            slots = Slots.of(wanted)
            cotangent = cotangents(run, step.place, slots.keys, value)
            first = asks[0].node
            operation = run.registry.operations[first.op]
            numbers, total = atoms_asked(run, asks, step.layer)

            def make(
                start: int, stop: int, operation: Any = operation, node: Node = first, numbers: Any = numbers
            ) -> Any:
                return operation.parts(node, layer, activation, numbers[start:stop], run)

            table = np.full((len(slots.keys), len(value), total), np.nan, np.float32)
            for start, out in passes.tangent_chunks(upper, make, len(numbers), [step.place], run.passes):
                product = _contract(cotangent, out[step.place])
                table[:, :, numbers[start : start + product.shape[-1]]] = numpy_of(product)
            for ask, found in zip(asks, founds, strict=True):
                shape = run.kept_shape(ask.node, step.layer)
                found.put(step.layer, slots.shared(found), table.reshape(*table.shape[:2], *shape))


def _contract(cotangent: Any, out: Any) -> Any:
    """(slot, input, *place axes) and (atom, input, *place axes) -> inner products (slot, input, atom)."""
    import torch

    return torch.einsum("sip,kip->sik", cotangent.flatten(2), out.flatten(2))


def atoms_asked(run: Any, asks: list[Ask], layer: str) -> tuple[np.ndarray, int]:
    """(the numbers of the atoms that somebody asks for, how many the layer has)."""
    total = int(np.prod(run.kept_shape(asks[0].node, layer)))
    found: set[int] = set()
    for ask in asks:
        if not ask.narrow:
            return np.arange(total), total
        numbers = atom_numbers(run.value(ask.node.inputs[0]), run.layer(layer), layer).data
        found |= set(np.unique(numbers[numbers >= 0]).tolist())
    return np.array(sorted(found), np.int64), total


def rerun(run: Any, step: Rerun) -> None:
    """Gradients at the activations that a method visits, summed with its weights, finished, and reduced to atoms."""
    name, given = step.method
    method = run.registry.methods[name]
    parameters = dict(given)
    captured = run.forward(step.forward)
    activation = captured[step.layer]
    baseline = run.forward(step.baseline)[step.layer] if step.baseline >= 0 else None
    asks = [(ask, run.found(ask.node, ask.target, step.place)) for ask in step.asks]
    wanted = [list(dict.fromkeys(k for _, f in asks for r, k in f.slots if r == row)) for row in range(len(run.images))]
    slots = Slots.of(wanted)
    size = CHUNK if step.above else 1
    for start in range(0, len(slots.keys), size):
        keys = slots.keys[start : start + size]
        total = activation.new_zeros(len(keys), *activation.shape)
        gradients = _above if step.above else _whole
        weights = activation.new_tensor(method.weights(parameters))
        for visits, owners, gradient in gradients(run, step, method, parameters, captured, baseline, keys):
            shape = (1, -1, *[1] * (activation.dim() - 1))
            total.index_add_(1, owners, gradient * weights[visits].view(shape))
        cube = method.finish(parameters, total, activation, baseline)
        for ask, found in asks:
            places = slots.shared(found)
            mine = places[:, (places[1] >= start) & (places[1] < start + len(keys))] - np.array([[0], [start], [0]])
            if mine.size:
                operation = run.registry.operations[ask.node.op]
                found.put(step.layer, mine, numpy_of(operation.collect(ask.node, run.layer(step.layer), cube, run)))


def _above(
    run: Any, step: Rerun, method: Any, parameters: Any, captured: Any, baseline: Any, keys: Any
) -> Iterator[tuple[Any, Any, Any]]:
    """(visit (row,), input (row,), gradient (slot, row, *layer axes)) from the network above the layer, many visits at
    a time."""
    import torch

    activation = captured[step.layer]
    count, inputs = method.visits(parameters), len(activation)
    block = max(1, ROWS // inputs)
    with passes.above(run.adapter, captured, step.layer, [step.place], counter=run.passes) as upper:

        def cotangent(value: Any, owners: Any) -> Any:
            return cotangents(run, step.place, keys, value, owners)

        for start in range(0, count, block):
            stop = min(start + block, count)
            visited = method.visit(parameters, start, stop, activation, baseline).flatten(0, 1)
            owners = torch.arange(inputs, device=visited.device).repeat(stop - start)
            visits = torch.arange(start, stop, device=visited.device).repeat_interleave(inputs)
            for row, gradient in passes.rerun_gradient_chunks(
                upper, visited, owners, cotangent, step.place, targets=len(keys)
            ):
                mine = slice(row, row + gradient.shape[1])
                yield visits[mine], owners[mine], gradient


def _whole(
    run: Any, step: Rerun, method: Any, parameters: Any, captured: Any, baseline: Any, keys: Any
) -> Iterator[tuple[Any, Any, Any]]:
    """The same from the whole network, one visit and one target at a time: as a call without an optimizer runs."""
    import torch

    activation = captured[step.layer]
    owners = torch.arange(len(activation), device=activation.device)
    reach = ["input", step.layer]
    layers = reach if step.place == OUTPUT else [*reach, step.place]
    for number in range(method.visits(parameters)):
        visited = method.visit(parameters, number, number + 1, activation, baseline)[0]
        again = passes.forward(
            run.adapter, run.images, layers, grad=True, counter=run.passes, replace={step.layer: visited}
        )
        value = again.score_graph if step.place == OUTPUT else again.graph[step.place]
        cotangent = cotangents(run, step.place, keys, value.detach())
        found = passes.vjp(again, value, cotangent, reach, run.passes, chunk=1)
        yield torch.full_like(owners, number), owners, found[step.layer]
