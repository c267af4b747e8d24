"""Forward or reverse mode: attribution of A atoms to T targets needs the lesser of A tangents and T cotangents.

A cotangent serves every layer on its way down; a tangent serves every target, and only its own layer. The
choice is, for each kind of atoms at each layer, whether tangents serve it; cotangents serve the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import combinations

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Backward, DerivativeRequest, Node, Program, Tangents, walk
from bbilang.compiler.ir.speeds import Speed
from bbilang.compiler.optimize.cost import Cost, earliest, flops_upto, passes_cost
from bbilang.compiler.optimize.target_slots import Key, atom_count, atoms_of, request_keys
from bbilang.grammar.frozen import frozen

Unit = tuple[str, str]  # a layer, and the name of the parts of its atoms; empty where only cotangents will do
MOST = 10  # units of which every choice is tried


@frozen
class Way:
    """One way to serve a group, and what it would cost."""

    words: str
    backward: Backward | None
    tangents: tuple[Tangents, ...]
    cost: Cost
    chosen: bool = False


def ways(program: Program, backward: Backward) -> tuple[Way, ...]:
    """Return the ways to serve a group of backwards that a plan compares: reverse mode throughout; then the best
    mixture and, if different, forward mode wherever it applies. The cheapest, or the mode that is forced, is chosen."""
    if program.description is None or not backward.stops:
        return (Way("reverse", backward, (), Cost(), True),)
    group = _Group(program, backward, program.description)
    best = group.best()
    compared = list(dict.fromkeys([frozenset(), best, group.movable]))
    chosen = {"reverse": frozenset(), "forward": group.movable, None: best}[program.choices.force]
    return tuple(group.way(forward, forward == chosen) for forward in compared)


class _Group:
    """A group of backwards by the units that request each class or atom."""

    def __init__(self, program: Program, backward: Backward, description: ModelDescription):
        self.program, self.description = program, description
        self.inputs = max(len(program.inputs), 1)
        nodes = set(backward.serves)
        backward = replace(backward, requests=tuple(replace(a, narrow=_narrow(a, nodes)) for a in backward.requests))
        units: dict[Unit, list[DerivativeRequest]] = {}
        for request in backward.requests:
            for layer in request.layers:
                units.setdefault((layer, request.parts), []).append(request)
        units_by_key: dict[Key, frozenset[Unit]] = {}
        for same in _by_target(backward.requests):
            own = frozenset((layer, request.parts) for request in same for layer in request.layers)
            for key in request_keys(same[0], backward.target_layer, description):
                units_by_key[key] = units_by_key[key] | own if key in units_by_key else own
        self.backward = backward
        self.unit_counts = Counter(units_by_key.values())
        self.movable = frozenset(unit for unit in units if unit[1])
        self.counts = {unit: _atoms(requests, unit[0], description, likely=True) for unit, requests in units.items()}

        speeds = program.choices.speeds
        layers = {unit[0] for unit in units}
        self.depth = {layer: flops_upto(description, layer) for layer in layers}
        self.values = {layer: replace(self._passes(speeds.forward, 1, layer), passes=0) for layer in layers}
        self.tangents = {unit: self._passes(speeds.tangent, self.counts[unit], unit[0]) for unit in units}
        self.known: dict[frozenset[Unit], Cost] = {}

    def _passes(self, speed: Speed, count: int, low: str) -> Cost:
        return passes_cost(self.description, speed, count, self.inputs, low, self.backward.target_layer)

    def cost(self, forward: frozenset[Unit]) -> Cost:
        """Return the cost if tangents serve these units and cotangents the rest."""
        if forward not in self.known:
            self.known[forward] = self._cost(forward)
        return self.known[forward]

    def _cost(self, forward: frozenset[Unit]) -> Cost:
        total = Cost()
        for layer in {unit[0] for unit in forward}:
            total += self.values[layer]  # the tangents' own forward costs time, and counts as no pass
        for unit in forward:
            total += self.tangents[unit]
        stops: Counter[str] = Counter()
        for units, count in self.unit_counts.items():
            if rest := units - forward:
                stops[min((unit[0] for unit in rest), key=self.depth.__getitem__)] += count
        for low, count in stops.items():
            total += self._passes(self.program.choices.speeds.reverse, count, low)
        return total

    def best(self) -> frozenset[Unit]:
        """Return the cheapest choice: by exhaustive search if there are few, else by local search."""
        units = sorted(self.movable)
        if len(units) <= MOST:
            every = (frozenset(some) for count in range(len(units) + 1) for some in combinations(units, count))
            return min(every, key=lambda forward: self.cost(forward).seconds)
        best: frozenset[Unit] = frozenset()
        moves = [frozenset([unit]) for unit in units] + [self.movable]
        while True:
            near = min((best ^ move for move in moves), key=lambda forward: self.cost(forward).seconds)
            if self.cost(near).seconds >= self.cost(best).seconds:
                return best
            best = near

    def way(self, forward: frozenset[Unit], chosen: bool) -> Way:
        backward, tangents = self.backward, []
        for layer in sorted({unit[0] for unit in forward}):
            requests = [
                replace(a, layers=(layer,))
                for a in backward.requests
                if layer in a.layers and (layer, a.parts) in forward
            ]
            tangents.append(Tangents(tuple(requests), backward.forward, layer, backward.target_layer))
        left = (
            replace(
                request,
                layers=tuple(layer for layer in request.layers if (layer, request.parts) not in forward),
                narrow=False,
            )
            for request in backward.requests
        )
        rest = tuple(request for request in left if request.layers)
        words = "reverse"
        if forward:
            words = "forward" if not rest else f"forward at {', '.join(t.layer for t in tangents)}"
        reverse = replace(backward, requests=rest) if rest else None
        return Way(words, reverse, tuple(tangents), self.cost(forward), chosen)


def cotangents(backward: Backward, description: ModelDescription) -> dict[str, int]:
    """Return how many cotangents stop at each layer, each at the earliest layer that requests it."""
    count: dict[str, int] = {}
    for low in lowest_layers(backward.requests, backward.target_layer, description).values():
        count[low] = count.get(low, 0) + 1
    return count


def lowest_layers(
    requests: Iterable[DerivativeRequest], target_layer: str, description: ModelDescription
) -> dict[Key, str]:
    """Return, for every class or atom among the targets, the earliest layer that requests it."""
    lowest: dict[Key, str] = {}
    for same in _by_target(requests):
        low = earliest(description, tuple(layer for request in same for layer in request.layers))
        for key in request_keys(same[0], target_layer, description):
            lowest[key] = earliest(description, (lowest[key], low)) if key in lowest else low
    return lowest


def _by_target(requests: Iterable[DerivativeRequest]) -> list[list[DerivativeRequest]]:
    """Group requests that follow the same classes or atoms in the same way."""
    groups: dict[tuple[Node, bool], list[DerivativeRequest]] = {}
    for request in requests:
        groups.setdefault((request.target, request.combined), []).append(request)
    return list(groups.values())


def tangent_count(tangents: Tangents, description: ModelDescription) -> int:
    """Count the requested atoms at the layer, those with equal parts once."""
    kinds = dict.fromkeys(request.parts for request in tangents.requests)
    requests = ([request for request in tangents.requests if request.parts == parts] for parts in kinds)
    return sum(_atoms(some, tangents.layer, description) for some in requests)


def _atoms(
    requests: Iterable[DerivativeRequest], layer: str, description: ModelDescription, likely: bool = False
) -> int:
    """Return the largest number of atoms of one kind that is requested at a layer. ``likely``: the expected number, for
    a choice between modes."""
    counts, most = {}, 0
    for request in requests:
        frame = _frame(request)
        total = atoms_of(frame, layer, description)
        counts[frame] = atom_count(frame, layer, description, likely) if request.narrow else total
        most = max(most, total)
    return min(sum(counts.values()), most)


def _frame(request: DerivativeRequest) -> Node:
    """Return the field whose atoms a request concerns."""
    return request.node.inputs[0] if request.node.inputs else request.node


def _narrow(request: DerivativeRequest, group: Collection[Node]) -> bool:
    """Return whether the field's atoms are known before the group's own derivatives."""
    return not any(node in group for node in walk(_frame(request)))


def divided(program: Program, backward: Backward) -> tuple[Backward, ...]:
    """Split a group in two if that costs less: first the derivatives that fields of the rest depend on, so that the
    rest needs tangents only of its own atoms."""
    group = set(backward.serves)
    later = tuple(request for request in backward.requests if request.parts and not _narrow(request, group))
    first = tuple(request for request in backward.requests if request not in later)
    if not later or not first or program.description is None or not backward.stops:
        return (backward,)
    parts = tuple(replace(backward, requests=requests) for requests in (first, later))
    costs = [next(way for way in ways(program, b) if way.chosen).cost.seconds for b in (backward, *parts)]
    return parts if sum(costs[1:]) < costs[0] else (backward,)


def joined(requests: Iterable[DerivativeRequest]) -> tuple[DerivativeRequest, ...]:
    """Merge the requests of each node for each target, target by target: an order that joining again keeps."""
    merged: dict[tuple[Node, Node], DerivativeRequest] = {}
    for request in requests:
        key = (request.target, request.node)
        known = merged.get(key)
        merged[key] = replace(request, layers=union([known.layers, request.layers])) if known else request
    targets = dict.fromkeys(request.target for request in merged.values())
    rank = {target: number for number, target in enumerate(targets)}
    return tuple(sorted(merged.values(), key=lambda request: rank[request.target]))


def union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return every layer of some groups once, in a fixed order."""
    return tuple(sorted({layer for group in groups for layer in group}))
