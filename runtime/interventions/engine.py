"""Run changed activations of a layer through the network above it, and note what becomes of the targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Slots, requested_keys, tables_of
from bbilang.runtime.attribution.target_scores import scores_at, value_at
from bbilang.runtime.errors import error
from bbilang.runtime.fields.atoms import numpy_of
from bbilang.runtime.interventions.layer import ChangedLayer
from bbilang.runtime.interventions.sets import Sets, sets_of

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run

VAIN = 1e-6  # of the largest score: changes below are roundings
Chunk: TypeAlias = "tuple[Sequence[int], int, Tensor, Tensor]"
"""Slots, number of the first row, value at the target (row, ...), input of each row."""


def changes(run: Run, step: Rerun) -> None:
    """Fill the tables of a step with the targets' values after each change minus those before: (slot, input, amount,
    set, *dims of the sets), of which the first set is what was asked for and the others are random."""
    import torch

    captured = run.forward(step.forward)
    requested = tables_of(run, step)
    slots = Slots.of(requested_keys((table for _, table in requested), len(run.images)))
    change = step.requests[0].node.inputs[0]
    layer = ChangedLayer(run, change, step.layer, captured[step.layer])
    together = layer.operation.together(dict(change.parameters))
    sets = sets_of(run.value(layer.frame), layer, together, dict(step.method[1])["controls"])
    amounts = np.atleast_1d(layer.operation.amounts(change, run).data)
    rows = _Rows(layer, sets, amounts)
    own = scores_at(run, step.target_layer, slots.keys, value_at(captured, step.target_layer).double())
    total = torch.zeros(len(slots.keys), len(sets.atoms) * len(amounts), dtype=torch.float64)
    chunks = _above if step.above else _whole_network
    for which, start, value, owners in chunks(run, step, rows, len(slots.keys)):
        keys = [slots.keys[slot] for slot in which]
        after = scores_at(run, step.target_layer, keys, value.double(), owners)
        off = (after - own[list(which)][:, owners.to(own.device)]).cpu() / layer.draws
        total[list(which)] = total[list(which)].index_add(1, rows.places(start, len(value)), off)
    most = float(own.abs().max()) if own.numel() else 0.0
    if layer.operation.evens_out(change) and rows.count and float(total.abs().max()) <= VAIN * most:
        what = f"what follows `{step.layer}` reads only its mean over positions, so `position_mean` changes nothing"
        raise error("E540", what, "use `zero`, or `mean` with a dataset: `ablate(mean, source=photos)`")
    effects = _placed(numpy_of(total), sets, len(amounts))
    unmoved = bool(rows.count) and float(total.abs().max()) <= VAIN * most
    idle = ("nothing that is changed here reaches the target: its value stays the same, up to rounding",)
    notes = (*(idle if unmoved else ()), *layer.operation.remarks(change, layer, sets), *sets.notes(layer))
    distances = layer.operation.distances(layer, sets)
    for _, table in requested:
        table.put(step.layer, slots.positions(table), effects)
        table.notes = notes
        if distances is not None:
            table.distances[step.layer] = distances


class _Rows:
    """Every set of atoms, at every amount and draw, as rows of the layer."""

    def __init__(self, layer: ChangedLayer, sets: Sets, amounts: np.ndarray):
        import torch

        self.layer, self.sets, self.amounts = layer, sets, amounts
        self.inputs = torch.tensor(sets.inputs, dtype=torch.long)
        self.count = len(sets.atoms) * len(amounts) * layer.draws

    def places(self, start: int, count: int) -> Tensor:
        """Return (row,): the number of each row's set and amount together."""
        import torch

        return torch.arange(start, start + count) // self.layer.draws

    def one_of_each_input(self) -> Iterator[list[int]]:
        """Iterate over the numbers of all rows, at most one of each input at a time."""
        own = self.inputs[self.places(0, self.count) // len(self.amounts)].tolist()
        rows_of: dict[int, list[int]] = {}
        for number, owner in enumerate(own):
            rows_of.setdefault(owner, []).append(number)
        for rows in zip_longest(*rows_of.values()):
            yield [number for number in rows if number is not None]

    def make(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return rows number start to stop, and their inputs."""
        import torch

        places = self.places(start, stop - start)
        sets, amounts = places // len(self.amounts), places % len(self.amounts)
        inputs, draws = self.inputs[sets], torch.arange(start, stop) % self.layer.draws
        chosen = [self.sets.atoms[number] for number in sets.tolist()]
        likes = [self.sets.likes[number] for number in sets.tolist()]
        factors = torch.as_tensor(self.amounts, dtype=torch.float64)[amounts]
        device = self.layer.activation.device
        return self.layer.rows(chosen, inputs.to(device), draws.to(device), factors, likes), inputs


def _above(run: Run, step: Rerun, rows: _Rows, slots: int) -> Iterator[Chunk]:
    """Run the rows through the network above the layer, for all slots at once."""
    every = list(range(slots))
    if not rows.count:
        return
    for start, value, owners in passes.score_chunks(
        run.adapter, run.forward(step.forward), step.layer, rows.make, rows.count, step.target_layer, run.passes
    ):
        run.report_progress(f"{step.method[0]} at {step.layer}", start + len(value), rows.count)
        yield every, start, value, owners


def _whole_network(run: Run, step: Rerun, rows: _Rows, slots: int) -> Iterator[Chunk]:
    """Run the whole network for one row of each input and one target at a time, as a call without an optimizer runs."""
    import torch

    layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
    for numbers in rows.one_of_each_input():
        made = [rows.make(number, number + 1) for number in numbers]
        changed, owners = torch.cat([one for one, _ in made]), torch.cat([owner for _, owner in made])
        images = run.images[owners.to(run.images.device)]
        for slot in range(slots):
            again = passes.forward(run.adapter, images, layers, counter=run.passes, replace={step.layer: changed})
            value = value_at(again, step.target_layer)
            for place, number in enumerate(numbers):
                yield [slot], number, value[place : place + 1], owners[place : place + 1]


def _placed(effects: np.ndarray, sets: Sets, amounts: int) -> np.ndarray:
    """Lay out (slot, set and amount) as (slot, input, amount, set, *dims); NaN where there is no set."""
    table = np.concatenate([effects.reshape(len(effects), -1, amounts), np.full((len(effects), 1, amounts), np.nan)], 1)
    return np.moveaxis(table[:, sets.index], -1, 2).astype(np.float32)
