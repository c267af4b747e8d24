"""Values of targets where the network above a layer runs again, on masked activations.

One run of the network serves every target. As written, without the optimizer, each target has all of the network run
for each mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Slots
from bbilang.runtime.attribution.target_slots import Key
from bbilang.runtime.fields.atoms import numpy_of, reduce_part

Keys = list[list[Key | None]]  # slot -> input -> what the slot stands for there


def values(run: Any, step: Rerun) -> None:
    """Runs the network again and puts what the targets' values say into the tables of the requests."""
    captured = run.forward(step.forward)
    requests = [(request, run.table(request.node, request.target, step.target_layer)) for request in step.requests]
    wanted = [
        list(dict.fromkeys(k for _, f in requests for r, k in f.slots if r == row)) for row in range(len(run.images))
    ]
    slots = Slots.of(wanted)
    activation = captured[step.layer]
    baseline = run.forward(step.baseline)[step.layer] if step.baseline >= 0 else None
    own = scores_at(run, step.target_layer, slots.keys, value_of(captured, step.target_layer))
    take = Masked(run, step, activation, baseline, own)
    for which, start, value, owners in (_above if step.above else _whole)(run, step, captured, take, len(slots.keys)):
        keys = [slots.keys[slot] for slot in which]
        take.take(which, start, scores_at(run, step.target_layer, keys, value, owners), owners)
    found = take.result()
    for _, table in requests:
        table.put(step.layer, slots.shared(table), found)


def value_of(captured: Any, target_layer: str) -> Any:
    """What a forward gave at the place: scores (input, class), or a later layer's activation."""
    return captured.scores if target_layer == OUTPUT else captured[target_layer]


Chunk = tuple[list[int], int, Any, Any]  # slots, number of the first row, value at the place, input of each row


def _above(run: Any, step: Rerun, captured: Any, take: Masked, count: int) -> Iterator[Chunk]:
    """Rows, input by input of each mask, through the network above the layer; for all slots at once."""
    inputs, every = len(run.images), list(range(count))
    total = step.visits * inputs
    for start, value, owners in passes.score_chunks(
        run.adapter, captured, step.layer, rows_of(take.changed, inputs), total, step.target_layer, run.passes
    ):
        run.report_progress(f"{take.name} at {step.layer}", start + len(value), total)
        yield every, start, value, owners


def rows_of(changed: Callable[[int, int], Any], inputs: int) -> Callable[[int, int], tuple[Any, Any]]:
    """Rows number start to stop, (activations, inputs), from ``changed(start, stop)`` that gives whole changes,
    (visit, input, *layer axes). Rows are counted input by input of each change."""
    import torch

    def make(start: int, stop: int) -> tuple[Any, Any]:
        first, last = start // inputs, -(-stop // inputs)
        rows = changed(first, last).flatten(0, 1)[start - first * inputs : stop - first * inputs]
        return rows, torch.arange(start, stop) % inputs

    return make


def _whole(run: Any, step: Rerun, captured: Any, take: Masked, count: int) -> Iterator[Chunk]:
    """The same from the whole network, one mask and one target at a time: as a call without an optimizer runs."""
    import torch

    inputs = len(run.images)
    layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
    for visit in range(step.visits):
        for slot in range(count):
            changed = take.changed(visit, visit + 1)[0]
            again = passes.forward(run.adapter, run.images, layers, counter=run.passes, replace={step.layer: changed})
            yield [slot], visit * inputs, value_of(again, step.target_layer), torch.arange(inputs)


@dataclass
class Masked:
    """Masks of a method: maps (slot, input, y, x)."""

    run: Any
    step: Rerun
    activation: Any  # (input, *layer axes)
    baseline: Any
    own: Any  # (slot, input)
    _made: tuple[int, int, Any] = field(default=(0, 0, None), repr=False)

    def __post_init__(self) -> None:
        name, given = self.step.method
        self.method, self.parameters, self.name = self.run.registry.methods[name], dict(given), name
        self.layer = self.run.layer(self.step.layer)
        sizes = self.layer.as_map.sizes
        self.size = sizes["y"], sizes["x"]
        self.total = self.activation.new_zeros(*self.own.shape, *self.size)
        self.hidden = self.activation.new_zeros(self.size)
        self.mean = self.activation.new_zeros(self.own.shape)

    def masks(self, start: int, stop: int) -> Any:
        """Masks number start to stop, (mask, y, x), on the layer's device; the last ones are kept."""
        if self._made[:2] != (start, stop):
            seed = int(self.run.program.setting("seed", 0))
            made = self.method.mask(self.parameters, start, stop, self.size, seed).to(self.activation)
            self._made = (start, stop, made)
        return self._made[2]

    def changed(self, start: int, stop: int) -> Any:
        masks = over_axes(self.masks(start, stop), self.layer).unsqueeze(1)
        return masks * self.activation + (1 - masks) * self.baseline

    def take(self, slots: list[int], start: int, scores: Any, owners: Any) -> None:
        """scores (slot, row), of the rows from number start."""
        import torch

        inputs, owners = self.own.shape[1], owners.to(self.activation.device)
        first, last = start // inputs, -(-(start + len(owners)) // inputs)
        masks = self.masks(first, last)
        visits = (start + torch.arange(len(owners), device=owners.device)) // inputs - first
        weights = self.method.credit(self.parameters, scores, self.own[slots][:, owners])
        for number in range(inputs):
            mine = owners == number
            if bool(mine.any()):
                own = masks[visits[mine]]
                part = own if self.method.keeps else 1 - own
                self.mean[slots, number] += weights[:, mine].sum(1) / self.step.visits
                self.total[slots, number] += torch.einsum("tr,ryx->tyx", weights[:, mine], part)
                if number == 0 and 0 in slots:
                    self.hidden += (1 - own).sum(0)

    def result(self) -> np.ndarray:
        return numpy_of(self.method.settle(self.parameters, self.total, self.hidden, self.mean))


def over_axes(masks: Any, layer: Any) -> Any:
    """(mask, y, x) -> (mask, *layer axes) with size 1 along channels; tokens that stand for no position are kept."""
    import torch

    if layer.grid:
        flat = masks.flatten(1)
        before = flat.new_ones(len(flat), layer.prefix)
        after = flat.new_ones(len(flat), layer.sizes["token"] - layer.prefix - flat.shape[1])
        tokens = torch.cat([before, flat, after], 1)
        return tokens.unsqueeze(1 + layer.axes.index("channel"))
    return masks.unsqueeze(1 + layer.axes.index("channel")) if "channel" in layer.axes else masks


def scores_at(run: Any, target_layer: str, keys: Keys, value: Any, owners: Any = None) -> Any:
    """The value of each target, (slot, row), from what the network gives at its place.

    value: scores (row, class) or a later layer's activation (row, *layer axes). owners (row,): the input that each row
    belongs to; the row itself unless said. 0 where a slot stands for nothing.
    """
    import torch

    rows = list(range(len(value))) if owners is None else owners.tolist()
    found = value.new_zeros(len(keys), len(value))
    every = [[by_input[owner] for owner in rows] for by_input in keys]
    kinds = {key[0] for row in every for key in row if key is not None}
    for kind in kinds:
        numbers = torch.tensor([[-1 if k is None or k[0] != kind else k[1] for k in row] for row in every])
        numbers = numbers.to(value.device)
        scores = scores_of_kind(run, target_layer, kind, value, numbers, rows)
        found = torch.where(numbers >= 0, scores.to(found), found)
    return found


def scores_of_kind(run: Any, target_layer: str, kind: Any, value: Any, numbers: Any, rows: list[int]) -> Any:
    """(slot, row), the scores of one kind; numbers (slot, row), negative for none."""
    import torch

    from bbilang.runtime.models.score_output import probabilities

    if kind == "probability":
        table = probabilities(value.double(), run.kind)
    elif isinstance(kind, tuple) and kind[0] == "combined":
        return _combined(run, target_layer, kind, value, numbers, rows)
    elif target_layer == OUTPUT:
        table = value
    else:
        layer, atom = run.layer(target_layer), kind[1]
        if atom == "group":
            return _groups(run, kind, layer, value, numbers, rows)
        table = reduce_part(value, layer, atom, "sum" if atom in ("channel", "neuron") else "norm")
        table = table.reshape(len(value), -1)
    return torch.gather(table.T, 0, numbers.clamp_min(0))


def _groups(run: Any, kind: Any, layer: Any, value: Any, numbers: Any, rows: list[int]) -> Any:
    """Inner products of the activation with part / |part| (runtime/attribution/target_slots.py)."""
    import torch

    parts = run.group_parts(kind[2], layer)[:, rows].to(value).flatten(2)  # (group, row, entry)
    table = (parts * value.flatten(1)).sum(2) / parts.norm(dim=2).clamp_min(1e-20)
    return torch.gather(table, 0, numbers.clamp_min(0))


def _combined(run: Any, target_layer: str, kind: Any, value: Any, numbers: Any, rows: list[int]) -> Any:
    """Sums and differences of classes as one score (`runtime.targets.keyed`)."""
    table, weights = run.combined[kind[1]]  # (input, sum, term)
    at = numbers.clamp_min(0).cpu().numpy()
    classes, factors = table[rows, at], weights[rows, at]  # (slot, row, term)
    parts = [
        scores_of_kind(run, target_layer, kind[2], value, numbers.new_tensor(classes[..., term]), rows)
        * value.new_tensor(factors[..., term])
        for term in range(classes.shape[-1])
    ]
    return sum(parts)
