"""Perturbation methods: values of targets where the network runs on masked activations of a layer.

One run of the network above the layer serves every target. As written, without the optimizer, each target has all of
the network run for each mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.contract import bound
from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Slots, requested_keys, tables_of
from bbilang.runtime.attribution.target_scores import scores_at, value_at
from bbilang.runtime.fields.atoms import numpy_of

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.attribution.kinds import PerturbationMethod
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured

Chunk: TypeAlias = "tuple[Sequence[int], int, Tensor, Tensor]"
"""Slots, number of the first row, value at the target (row, ...), input of each row."""


def rerun(method: PerturbationMethod, run: Run, step: Rerun) -> None:
    """Fill the tables of a step: run the network with every mask applied, and credit positions by the targets'
    values."""
    assert step.baseline >= 0, "a masked layer needs a baseline"
    captured = run.forward(step.forward)
    requested = tables_of(run, step)
    slots = Slots.of(requested_keys((table for _, table in requested), len(run.images)))
    own = scores_at(run, step.target_layer, slots.keys, value_at(captured, step.target_layer))
    credits = _Credits(method, run, step, captured[step.layer], run.forward(step.baseline)[step.layer], own)
    chunks = _rows_above if step.above else _whole_network
    for which, start, value, owners in chunks(run, step, captured, credits):
        keys = [slots.keys[slot] for slot in which]
        credits.add(which, start, scores_at(run, step.target_layer, keys, value, owners), owners)
    maps = credits.result()
    for _, table in requested:
        table.put(step.layer, slots.positions(table), maps)


def _rows_above(run: Run, step: Rerun, captured: Captured, credits: _Credits) -> Iterator[Chunk]:
    """Run rows, input by input for each mask, through the network above the layer, for all slots at once."""
    inputs, every = len(run.images), list(range(len(credits.own)))
    total = step.visits * inputs
    for start, value, owners in passes.score_chunks(
        run.adapter, captured, step.layer, rows_of(credits.masked, inputs), total, step.target_layer, run.passes
    ):
        run.report_progress(f"{credits.method.name} at {step.layer}", start + len(value), total)
        yield every, start, value, owners


def rows_of(changed: Callable[[int, int], Tensor], inputs: int) -> Callable[[int, int], tuple[Tensor, Tensor]]:
    """Return the function that makes rows number start to stop, (activations, inputs). ``changed(start, stop)``
    returns whole changes, (visit, input, *layer axes); rows are counted input by input within each change."""
    import torch

    def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
        first, last = start // inputs, -(-stop // inputs)
        rows = changed(first, last).flatten(0, 1)[start - first * inputs : stop - first * inputs]
        return rows, torch.arange(start, stop) % inputs

    return make


def _whole_network(run: Run, step: Rerun, captured: Captured, credits: _Credits) -> Iterator[Chunk]:
    """Run the whole network, one mask and one target at a time, as a call without an optimizer runs."""
    import torch

    inputs = len(run.images)
    layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
    for visit in range(step.visits):
        for slot in range(len(credits.own)):
            masked = credits.masked(visit, visit + 1)[0]
            again = passes.forward(run.adapter, run.images, layers, counter=run.passes, replace={step.layer: masked})
            yield [slot], visit * inputs, value_at(again, step.target_layer), torch.arange(inputs)


@dataclass
class _Credits:
    """The credits of positions from all masks of a method, as maps (slot, input, y, x)."""

    method: PerturbationMethod
    run: Run
    step: Rerun
    activation: Tensor  # (input, *layer axes)
    baseline: Tensor  # likewise: what shows where a mask is 0
    own: Tensor  # (slot, input): the targets' values of the layer as it is
    _last_masks: tuple[int, int, Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _, self.parameters = bound(self.run.registry, self.step.method)
        self.layer = self.run.layer(self.step.layer)
        sizes = self.layer.as_map.sizes
        self.size = sizes["y"], sizes["x"]
        self.total = self.activation.new_zeros(*self.own.shape, *self.size)
        self.hidden = self.activation.new_zeros(self.size)
        self.mean = self.activation.new_zeros(self.own.shape)

    def masks(self, start: int, stop: int) -> Tensor:
        """Return masks number start to stop, (mask, y, x), on the layer's device; the last ones are cached."""
        if self._last_masks is None or self._last_masks[:2] != (start, stop):
            seed = int(self.run.program.setting("seed", 0))
            masks = self.method.mask(self.parameters, start, stop, self.size, seed).to(self.activation)
            self._last_masks = (start, stop, masks)
        return self._last_masks[2]

    def masked(self, start: int, stop: int) -> Tensor:
        """Return the layer under masks number start to stop, (mask, input, *layer axes)."""
        masks = over_axes(self.masks(start, stop), self.layer).unsqueeze(1)
        return masks * self.activation + (1 - masks) * self.baseline

    def add(self, slots: Sequence[int], start: int, scores: Tensor, owners: Tensor) -> None:
        """Credit positions with scores (slot, row) of the rows from number start on; owners (row,): their inputs."""
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
        """Return the contributions, (slot, input, y, x)."""
        return numpy_of(self.method.settle(self.parameters, self.total, self.hidden, self.mean))


def over_axes(masks: Tensor, layer: LayerDescription) -> Tensor:
    """Reshape (mask, y, x) to (mask, *layer axes) with size 1 along channels; tokens without a position are not
    masked."""
    import torch

    if layer.grid:
        flat = masks.flatten(1)
        before = flat.new_ones(len(flat), layer.prefix)
        after = flat.new_ones(len(flat), layer.sizes["token"] - layer.prefix - flat.shape[1])
        tokens = torch.cat([before, flat, after], 1)
        return tokens.unsqueeze(1 + layer.axes.index("channel"))
    return masks.unsqueeze(1 + layer.axes.index("channel")) if "channel" in layer.axes else masks
