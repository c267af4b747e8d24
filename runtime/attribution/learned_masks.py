"""Learned masks: one for each target and picture, all in one batch, by gradient steps through the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.contract import bound
from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Slots, requested_keys, tables_of
from bbilang.runtime.attribution.target_scores import graph_at
from bbilang.runtime.attribution.target_slots import Key, cotangents
from bbilang.runtime.device.memory import chunks
from bbilang.runtime.fields.atoms import numpy_of
from bbilang.runtime.inputs import baselines

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.kinds import LearnedMaskMethod
    from bbilang.runtime.execution.context import Run


@dataclass
class Task:
    """The targets and pictures that a method learns masks for. A row is one target for one picture; its mask must not
    depend on the other rows, since memory decides how many are learned together."""

    pictures: Tensor  # (row, 3, y, x) in [0, 1]
    mean: Tensor  # (3, 1, 1): the mean colour of the model's training pictures
    seed: int  # the file's
    gradient: Callable[[Tensor], Tensor]  # pictures (row, 3, y, x) -> d target / d picture, each row's own; same shape
    report_step: Callable[[int], None]  # how many steps are done

    @property
    def size(self) -> tuple[int, int]:
        """The size (y, x) of the pictures."""
        return self.pictures.shape[2], self.pictures.shape[3]

    def tell(self, done: int) -> None:
        """Call `report_step`; its former name, for plug-ins."""
        self.report_step(done)


def rerun(method: LearnedMaskMethod, run: Run, step: Rerun) -> None:
    """Learn every requested mask, and put the masks into the step's tables as maps (slot, input, y, x)."""
    requested = tables_of(run, step)
    slots = Slots.of(requested_keys((table for _, table in requested), len(run.images)))
    _, parameters = bound(run.registry, step.method)
    rows = [
        (slot, owner, key)
        for slot, by_input in enumerate(slots.keys)
        for owner, key in enumerate(by_input)
        if key is not None
    ]
    size = run.images.shape[2], run.images.shape[3]
    maps = np.full((len(slots.keys), len(run.images), *size), np.nan, np.float32)
    mean = baselines.picture("mean", run.images[:1], run.adapter)[0, :, :1, :1]
    seed = int(run.program.setting("seed", 0))

    with (_gradients_above if step.above else _gradients_whole)(run, step) as gradient:

        def learn(start: int, stop: int) -> np.ndarray:
            own = rows[start:stop]
            owners, keys = [owner for _, owner, _ in own], [key for _, _, key in own]

            def report_step(done: int) -> None:
                run.report_progress(method.name, start * step.visits + done * len(own), len(rows) * step.visits)

            task = Task(run.images[owners], mean, seed, lambda pictures: gradient(pictures, owners, keys), report_step)
            return numpy_of(method.learn(parameters, task))

        each = method.bytes_each(parameters, size)
        for start, learned in chunks(len(rows), each, learn, device=run.images.device):
            for (slot, owner, _), mask in zip(rows[start : start + len(learned)], learned, strict=True):
                maps[slot, owner] = mask
    for request, table in requested:
        for layer in request.layers:
            table.put(layer, slots.positions(table), maps)


GradientOf: TypeAlias = "Callable[[Tensor, list[int], list[Key]], Tensor]"
"""Pictures (row, ...), the input and the target of each row -> gradients (row, ...)."""


@contextmanager
def _gradients_above(run: Run, step: Rerun) -> Iterator[GradientOf]:
    """Compute gradients for all rows in batched passes, with as many rows at once as memory allows."""
    import torch

    captured = run.forward(step.forward)
    with passes.above(run.adapter, captured, step.layer, [step.target_layer], counter=run.passes) as upper:

        def gradient(pictures: Tensor, owners: list[int], keys: list[Key]) -> Tensor:
            done, parts = 0, []

            def seeds(value: Tensor, _: Tensor) -> Tensor:  # for the rows that follow those that are done
                mine = slice(done, done + len(value))
                return _cotangents(run, step.target_layer, value, owners[mine], keys[mine])

            rows = torch.tensor(owners)
            for start, gradients in passes.rerun_gradient_chunks(
                upper, pictures, rows, seeds, step.target_layer, run.passes
            ):
                parts.append(gradients[0])
                done = start + gradients.shape[1]
            return torch.cat(parts)

        yield gradient


@contextmanager
def _gradients_whole(run: Run, step: Rerun) -> Iterator[GradientOf]:
    """Compute gradients row by row, with a separate call for each, as without an optimizer."""
    import torch

    def gradient(pictures: Tensor, owners: list[int], keys: list[Key]) -> Tensor:
        parts = []
        layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
        for picture, owner, key in zip(pictures, owners, keys, strict=True):
            again = passes.forward(
                run.adapter, run.images[owner : owner + 1], layers, grad=True, counter=run.passes,
                replace={step.layer: picture[None]},
            )  # fmt: skip
            value = graph_at(again, step.target_layer)
            seed = _cotangents(run, step.target_layer, value.detach(), [owner], [key])
            parts.append(passes.vjp(again, value, seed, [step.layer], run.passes, chunk=1)[step.layer][0])
        return torch.cat(parts)

    yield gradient


def _cotangents(run: Run, target_layer: str, value: Tensor, owners: list[int], keys: list[Key]) -> Tensor:
    """Return the cotangents (1, row, *target axes) of each row's own target."""
    import torch

    rows = [
        cotangents(run, target_layer, [[key] * len(run.images)], value[row : row + 1], [owner])
        for row, (owner, key) in enumerate(zip(owners, keys, strict=True))
    ]
    return torch.cat(rows, 1)
