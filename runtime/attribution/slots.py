"""The three ways to derivatives: cotangents, tangents, and gradients where a method visits.

Each fills the tables of the operations that request them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bbilang.compiler.contract import bound
from bbilang.compiler.ir.program import OUTPUT, Backward, DerivativeRequest, Node, Rerun, Tangents
from bbilang.compiler.optimize.cost import SLOTS, flops_upto
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.runtime import passes
from bbilang.runtime.attribution.accumulators import gather
from bbilang.runtime.attribution.target_slots import Key, Keyed, atom_numbers, cotangents, keyed, single_scores
from bbilang.runtime.fields.atoms import numpy_of

ROWS = 256  # activations that are prepared together, likewise
CHUNK = SLOTS
Keys = list[list[Key | None]]  # slot -> input -> what the slot stands for there


@dataclass
class Found:
    """One operation's numbers for one target: ``slots`` (input, class or atom) -> slot; ``maps`` layer -> array (slot,
    input, *kept axes). ``checks``: layer -> (4, slot, input), of methods that are complete."""

    keyed: Keyed
    slots: dict[tuple[int, Key], int]
    count: int
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    checks: dict[str, np.ndarray] = field(default_factory=dict)  # layer -> what `_tried` says

    @classmethod
    def of(cls, run: Any, target: Node, target_layer: str, combined: bool = False) -> Found:
        key = (target.digest, target_layer, combined)
        if key not in run.keyed:
            run.keyed[key] = keyed(run, target, target_layer, combined)
        numbers = run.keyed[key]
        return cls(numbers, numbers.slots, numbers.count)

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
    slot_of: dict[tuple[int, Key], int]

    @classmethod
    def of(cls, wanted: list[list[Key]]) -> Slots:
        """wanted: input -> its keys."""
        count = max(map(len, wanted), default=0)
        keys = [[own[slot] if slot < len(own) else None for own in wanted] for slot in range(count)]
        return cls(keys, {(row, key): slot for row, own in enumerate(wanted) for slot, key in enumerate(own)})

    def shared(self, found: Found) -> np.ndarray:
        """(3, n): slot in ``found``, slot here, input, for everything that both have."""
        both = [(slot, self.slot_of[key], key[0]) for key, slot in found.slots.items() if key in self.slot_of]
        return np.array(both, np.int64).reshape(-1, 3).T


def backward(run: Any, step: Backward, captured: Any = None) -> None:
    """Reverse mode. Each class or atom is followed down to the earliest layer that requests it; each gradient is
    reduced to atoms as it arrives. ``captured``: of another forward than the step's own."""
    requests = [(request, run.table(request.node, request.target, step.target_layer)) for request in step.requests]
    captured = run.forward(step.forward) if captured is None else captured
    order = {name: flops_upto(run.adapter.description, name) for name in step.layers}
    groups: dict[str, list[list[Key]]] = {}
    lowest: dict[tuple[int, Key], str] = {}
    for request, found in requests:
        low = min(request.layers, key=order.__getitem__)
        for key in found.slots:
            lowest[key] = min(lowest.get(key, low), low, key=order.__getitem__)
    for (row, key), low in lowest.items():
        groups.setdefault(low, [[] for _ in range(len(run.images))])[row].append(key)
    outputs = run.target_value(captured, step.target_layer, step.targets)
    value = outputs.detach()
    led: set[str] = set()

    def check_gradient_path(layer: str) -> None:
        if layer not in led and not step.target_layer.startswith(CHAIN):
            passes.check_gradient_path(run.adapter, run.images, layer, step.target_layer, run.passes)
            led.add(layer)

    if not outputs.requires_grad:
        for layer in step.layers:
            check_gradient_path(layer)
    last = run.last_use(step)
    laid: dict[str, Any] = {}
    for number, (_, wanted) in enumerate(groups.items()):
        slots = Slots.of(wanted)
        tables = {id(found.slots): found for _, found in requests}  # those of equal targets are one
        both = {table: slots.shared(found) for table, found in tables.items()}
        shared = [(request, found, both[id(found.slots)]) for request, found in requests]
        layers = list(dict.fromkeys(x for request, _, places in shared if places.size for x in request.layers))
        reach = layers if step.stops else ["input", *(x for x in layers if x != "input")]
        for start in range(0, len(slots.keys), CHUNK):
            stop = min(start + CHUNK, len(slots.keys))
            keep = not (last and number + 1 == len(groups) and stop == len(slots.keys))
            cotangent = cotangents(run, step.target_layer, slots.keys[start:stop], value)
            if captured.relevance is not None:
                cotangent = captured.relevance.seed(outputs, cotangent, step.target_layer)
            chunk = None if step.batched else 1
            for offset, gradient in passes.vjp_chunks(
                captured, outputs, cotangent, reach, run.passes, keep=keep, chunk=chunk
            ):
                for layer in layers:
                    if passes.all_zero(gradient[layer]):
                        check_gradient_path(layer)
                for name in layers if not laid.keys() >= set(layers) else ():
                    laid[name] = _laid_alike(captured[name], gradient[name])
                _reduce(run, shared, laid, gradient, start + offset)


def _laid_alike(activation: Any, gradient: Any) -> Any:
    """An activation (input, channel, y, x) in the order of memory that its gradients (slot, input, channel, y, x) have,
    which come channels last: a product of unlike ones takes three times as long, and there is one for each chunk."""
    import torch

    if activation.dim() == 4 and gradient.dim() == 5 and gradient.stride(2) == 1:
        return activation.contiguous(memory_format=torch.channels_last)
    return activation


def _reduce(run: Any, shared: list[Any], captured: Any, gradient: dict[str, Any], start: int) -> None:
    """Gradients of some slots, (slot, input, *layer axes), into the tables of the requests; of each its own slots.
    Those with equal parts are served by one product with all slots that any of them requests. ``captured``: layer ->
    its activation."""
    count = len(next(iter(gradient.values())))
    asked = []
    together: dict[Any, set[int]] = {}
    cut: dict[int, tuple[np.ndarray, list[int]]] = {}  # of places, those of these slots, and the slots
    for number, (request, found, places) in enumerate(shared):
        if id(places) not in cut:
            here, there, rows = places[:, (places[1] >= start) & (places[1] < start + count)]
            cut[id(places)] = np.stack([here, there - start, rows]), (there - start).tolist()
        own, listed = cut[id(places)]
        for name in request.layers if listed else ():
            key = (request.node.op, request.parts, name) if request.parts else (number, name)
            together.setdefault(key, set()).update(listed)
            asked.append((key, request, found, name, own))
    reduced: dict[Any, tuple[np.ndarray, np.ndarray]] = {}
    for key, request, found, name, (here, there, rows) in asked:
        if key not in reduced:
            slots = np.array(sorted(together[key]))
            operation = run.registry.operations[request.node.op]
            part = gradient[name][_slice(slots)]
            reduced[key] = slots, numpy_of(operation.reduce(request.node, run.layer(name), captured[name], part, run))
        slots, values = reduced[key]
        found.put(name, np.stack([here, np.searchsorted(slots, there), rows]), values)


def _slice(slots: np.ndarray) -> Any:
    """Places in order as a slice where they are neighbours, so that nothing is copied."""
    first, last = int(slots[0]), int(slots[-1]) + 1
    return slice(first, last) if last - first == len(slots) else slots.tolist()


def in_reverse(run: Any, step: Tangents) -> None:
    """What tangents would give by cotangents, for a network that forward mode does not know: more passes, same numbers.
    The forward runs again, since nothing was recorded for it."""
    layers = [step.layer, *([] if step.target_layer == OUTPUT else [step.target_layer])]
    again = passes.forward(
        run.adapter, run.images, layers, step.target_layer == OUTPUT, grad=True, counter=run.passes
    )  # fmt: skip
    backward(run, Backward(step.requests, step.forward, True, step.target_layer, True), again)


def tangents(run: Any, step: Tangents) -> None:
    """Forward mode. One tangent for each atom that is asked for; what comes out serves every target. A network with
    custom autograd functions, or with an operation that has no forward mode, has derivatives in reverse mode only."""
    if not passes.behaviour_of(run.adapter).opaque:
        try:
            return _in_forward(run, step)
        except RuntimeError as e:  # of torch: a fused LSTM, a quantized product
            if passes.is_out_of_memory(e):
                raise
    in_reverse(run, step)


def _in_forward(run: Any, step: Tangents) -> None:
    captured = run.forward(step.forward)
    value = captured.scores if step.target_layer == OUTPUT else captured[step.target_layer]  # a chain has no tangents
    layer, activation = run.layer(step.layer), captured[step.layer]
    with passes.above(run.adapter, captured, step.layer, [step.target_layer], counter=run.passes) as upper:
        for parts in dict.fromkeys(request.parts for request in step.requests):
            requests = [request for request in step.requests if request.parts == parts]
            founds = [run.table(request.node, request.target, step.target_layer) for request in requests]
            wanted = [
                list(dict.fromkeys(k for f in founds for r, k in f.slots if r == row)) for row in range(len(value))
            ]
            slots = Slots.of(wanted)
            single = single_scores(step.target_layer, slots.keys)
            cotangent = cotangents(run, step.target_layer, slots.keys, value) if single is None else None
            first = requests[0].node
            operation = run.registry.operations[first.op]
            numbers, total = atoms_asked(run, requests, step.layer)

            def make(
                start: int, stop: int, operation: Any = operation, node: Node = first, numbers: Any = numbers
            ) -> Any:
                return operation.parts(node, layer, activation, numbers[start:stop], run)

            table = np.full((len(slots.keys), len(value), total), np.nan, np.float32)
            for start, out in passes.tangent_chunks(upper, make, len(numbers), [step.target_layer], run.passes):
                moved = out[step.target_layer]
                product = _contract(cotangent, moved) if single is None else _chosen(moved, single)
                table[:, :, numbers[start : start + product.shape[-1]]] = numpy_of(product)
            for request, found in zip(requests, founds, strict=True):
                shape = run.kept_shape(request.node, step.layer)
                found.put(step.layer, slots.shared(found), table.reshape(*table.shape[:2], *shape))


def _contract(cotangent: Any, out: Any) -> Any:
    """(slot, input, *place axes) and (atom, input, *place axes) -> inner products (slot, input, atom)."""
    import torch

    return torch.einsum("sip,kip->sik", cotangent.flatten(2), out.flatten(2))


def _chosen(out: Any, single: np.ndarray) -> Any:
    """`_contract` with cotangents of one 1 each: (atom, input, class) -> (slot, input, atom). ``single``: (slot, input)
    -> the class, -1 for none."""
    import torch

    places = torch.from_numpy(single).to(out.device)
    rows = [out[:, row].index_select(1, places[:, row].clamp_min(0)).T for row in range(out.shape[1])]
    return torch.stack(rows, 1).masked_fill_((places < 0)[..., None], 0)


def atoms_asked(run: Any, requests: list[DerivativeRequest], layer: str) -> tuple[np.ndarray, int]:
    """(the numbers of the requested atoms, how many the layer has)."""
    total = int(np.prod(run.kept_shape(requests[0].node, layer)))
    found: set[int] = set()
    for request in requests:
        if not request.narrow:
            return np.arange(total), total
        numbers = atom_numbers(run.value(request.node.inputs[0]), run.layer(layer), layer).data
        found |= set(np.unique(numbers[numbers >= 0]).tolist())
    return np.array(sorted(found), np.int64), total


def rerun(run: Any, step: Rerun) -> None:
    """What a method makes of the gradients at the activations that it visits, reduced to atoms."""
    seed = int(run.program.setting("seed", 0))
    kind, parameters = bound(run.registry, step.method, seed=(seed,), at=run.layer(step.layer))
    captured = run.forward(step.forward)
    activation = captured[step.layer]
    baseline = run.forward(step.baseline)[step.layer] if step.baseline >= 0 else None
    work = _Rerun(run, step, kind, captured, activation, baseline)
    requests = [(request, run.table(request.node, request.target, step.target_layer)) for request in step.requests]
    wanted = [
        list(dict.fromkeys(k for _, f in requests for r, k in f.slots if r == row)) for row in range(len(run.images))
    ]
    own = max(map(len, wanted))
    if step.rivals:
        wanted = [_with_rivals(run, row, keys, step.rivals) for row, keys in enumerate(wanted)]
    slots = Slots.of(wanted)
    ends = _Ends(work) if kind.completes else None
    size = CHUNK if step.above else 1
    held: list[tuple[int, Any]] = []
    highest = lowest = None
    for start in range(0, len(slots.keys), size):
        cube, check = _tried(work, parameters, slots.keys[start : start + size], ends)
        if not step.rivals:
            _put(run, step, requests, slots, start, cube, check)
            continue
        high, low = cube.amax(0), cube.amin(0)
        highest = high if highest is None else highest.maximum(high)
        lowest = low if lowest is None else lowest.minimum(low)
        if start < own:
            held.append((start, cube[: own - start].clone()))
    for start, cube in held:
        _put(run, step, requests, slots, start, kind.compete(cube, highest, lowest), None)


def _with_rivals(run: Any, row: int, keys: list[Key], count: int) -> list[Key]:
    """An input's own classes, and those with the highest scores besides."""
    kinds = dict.fromkeys(kind for kind, _ in keys)
    order = np.argsort(-run.scores[row], kind="stable")[:count].tolist()
    return list(dict.fromkeys([*keys, *((kind, number) for kind in kinds for number in order)]))


def _put(run: Any, step: Rerun, requests: list[Any], slots: Slots, start: int, cube: Any, check: Any) -> None:
    """Contributions of some slots, (slot, input, *layer axes), into the tables of the requests."""
    for request, found in requests:
        places = slots.shared(found)
        mine = places[:, (places[1] >= start) & (places[1] < start + len(cube))] - np.array([[0], [start], [0]])
        if mine.size:
            operation = run.registry.operations[request.node.op]
            found.put(step.layer, mine, numpy_of(operation.collect(request.node, run.layer(step.layer), cube, run)))
            if check is not None:
                here, there, rows = mine
                table = found.checks.setdefault(step.layer, np.full((4, found.count, len(run.images)), np.nan))
                table[:, here, rows] = check[:, there, rows]


@dataclass
class _Rerun:
    """What all parts of a rerun work on."""

    run: Any
    step: Rerun
    kind: Any
    captured: Any
    activation: Any  # (input, *layer axes)
    baseline: Any


def _tried(work: _Rerun, parameters: Any, keys: Keys, ends: _Ends | None) -> tuple[Any, np.ndarray | None]:
    """Contributions (slot, input, *layer axes), and where the scores at both ends are known (error, difference of the
    scores, steps, tolerance), (4, slot, input). A slot of an input keeps what the first attempt below the tolerance
    found."""
    attempts = work.kind.attempts(parameters)
    cube: Any = None
    check: np.ndarray | None = None
    pending, left = list(range(len(keys))), keys
    for own in attempts:
        found = _visited(work, own, left)
        if ends is None:
            return found, None
        difference = ends.difference(left)
        error = np.abs(found.double().flatten(2).sum(-1).cpu().numpy() - difference)
        asked = own["tolerance"] if len(attempts) > 1 else np.nan
        now = np.stack([error, difference, *(np.full(error.shape, float(x)) for x in (own["n_steps"], asked))])
        if cube is None or check is None:
            cube, check = found, now
        else:
            for number, slot in enumerate(pending):
                for row, key in enumerate(left[number]):
                    if key is not None:
                        cube[slot, row], check[:, slot, row] = found[number, row], now[:, number, row]
        open_ = check[0] > float(own["tolerance"]) * np.abs(check[1])
        pending = [slot for slot in range(len(keys)) if any(open_[slot, r] for r, k in enumerate(keys[slot]) if k)]
        left = [[k if open_[slot, r] else None for r, k in enumerate(keys[slot])] for slot in pending]
        if not pending:
            break
    return cube, check


def _visited(work: _Rerun, parameters: Any, keys: Keys) -> Any:
    """Contributions (slot, input, *layer axes) of one attempt."""
    takes = gather(work.kind, parameters, work.activation, work.baseline)
    pieces = (_above if work.step.above else _whole)(work, parameters, keys)
    for number, (point, gradient) in enumerate(_by_visit(pieces, len(work.activation))):
        takes.add(number, point, gradient)
    return takes.result()


def _by_visit(pieces: Iterator[tuple[Any, Any]], inputs: int) -> Iterator[tuple[Any, Any]]:
    """(activation (row, *layer axes), gradient (slot, row, *layer axes)) of any rows in order, as whole visits of
    ``inputs`` rows: what is gathered does not depend on the chunks."""
    import torch

    points: Any = None
    gradients: Any = None
    for point, gradient in pieces:
        points = point if points is None else torch.cat([points, point])
        gradients = gradient if gradients is None else torch.cat([gradients, gradient], 1)
        while points is not None and len(points) >= inputs:
            yield points[:inputs], gradients[:, :inputs]
            points, gradients = points[inputs:], gradients[:, inputs:]
            if not len(points):
                points = gradients = None


def _around(work: _Rerun, parameters: Any) -> Any:
    """Makes the context that the network runs in for the method's derivatives; None for plain ones."""
    return (lambda: work.kind.around(parameters)) if work.kind.ruled(parameters) else None


def _above(work: _Rerun, parameters: Any, keys: Keys) -> Iterator[tuple[Any, Any]]:
    """(activation, gradient) of rows in order from the network above the layer, many visits at a time."""
    import torch

    run, step, method, activation = work.run, work.step, work.kind, work.activation
    count, inputs = method.visits(parameters), len(activation)
    block = max(1, ROWS // inputs)
    with passes.above(run.adapter, work.captured, step.layer, [step.target_layer], counter=run.passes) as upper:

        def cotangent(value: Any, owners: Any) -> Any:
            return cotangents(run, step.target_layer, keys, value, owners)

        for start in range(0, count, block):
            stop = min(start + block, count)
            visited = method.visit(parameters, start, stop, activation, work.baseline).flatten(0, 1)
            owners = torch.arange(inputs, device=visited.device).repeat(stop - start)
            for row, gradient in passes.rerun_gradient_chunks(
                upper,
                visited,
                owners,
                cotangent,
                step.target_layer,
                targets=len(keys),
                around=_around(work, parameters),
            ):
                yield visited[row : row + gradient.shape[1]], gradient


def _whole(work: _Rerun, parameters: Any, keys: Keys) -> Iterator[tuple[Any, Any]]:
    """The same from the whole network, one visit and one target at a time: as a call without an optimizer runs."""
    run, step, method = work.run, work.step, work.kind
    reach = ["input", step.layer]
    layers = reach if step.target_layer == OUTPUT else [*reach, step.target_layer]
    around = _around(work, parameters)
    for number in range(method.visits(parameters)):
        visited = method.visit(parameters, number, number + 1, work.activation, work.baseline)[0]
        again = passes.forward(
            run.adapter, run.images, layers, grad=True, counter=run.passes, replace={step.layer: visited},
            around=around,
        )  # fmt: skip
        value = again.score_graph if step.target_layer == OUTPUT else again.graph[step.target_layer]
        cotangent = cotangents(run, step.target_layer, keys, value.detach())
        if again.relevance is not None:
            cotangent = again.relevance.seed(value, cotangent, step.target_layer)
        found = passes.vjp(again, value, cotangent, reach, run.passes, chunk=1)
        yield visited, found[step.layer]


class _Ends:
    """The scores at the picture and at the baseline, between which contributions should add up."""

    def __init__(self, work: _Rerun):
        self.work = work
        self.here = work.captured.scores if work.step.target_layer == OUTPUT else work.captured[work.step.target_layer]
        self.there: Any = None

    def difference(self, keys: Keys) -> np.ndarray:
        """(slot, input)."""
        from bbilang.runtime.attribution.perturbation import scores_at

        run, target_layer = self.work.run, self.work.step.target_layer
        if self.there is None or not self.work.step.above:
            self.there = self._there()
        return numpy_of(scores_at(run, target_layer, keys, self.here) - scores_at(run, target_layer, keys, self.there))

    def _there(self) -> Any:
        import torch

        run, step, point = self.work.run, self.work.step, self.work.baseline
        if not step.above:
            layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
            again = passes.forward(run.adapter, run.images, layers, counter=run.passes, replace={step.layer: point})
            return again.scores if step.target_layer == OUTPUT else again[step.target_layer]
        with (
            passes.above(run.adapter, self.work.captured, step.layer, [step.target_layer], counter=run.passes) as upper,
            torch.no_grad(),
        ):
            return upper(point, torch.arange(len(point), device=point.device))[step.target_layer]
