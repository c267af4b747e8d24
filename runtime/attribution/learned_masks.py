"""Masks that are learned: one for each target and picture, all in one batch, by gradient steps through the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bbilang.compiler.contract import bound
from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Slots
from bbilang.runtime.attribution.target_slots import Key, cotangents
from bbilang.runtime.device.memory import chunks
from bbilang.runtime.fields.atoms import numpy_of
from bbilang.runtime.inputs import baselines

Gradient = Callable[[Any], Any]  # pictures (row, 3, y, x) -> d target / d picture, of the same shape


@dataclass
class Task:
    """What a method learns masks for. A row is one target for one picture; what is learned for it must not depend on
    the other rows, since memory decides how many are learned together."""

    pictures: Any  # (row, 3, y, x) in [0, 1]
    mean: Any  # (3, 1, 1): the mean colour of the model's training pictures
    seed: int  # the file's
    gradient: Gradient  # of each row's own target
    tell: Callable[[int], None]  # how many steps are done

    @property
    def size(self) -> tuple[int, int]:
        """(y, x) of the pictures."""
        return self.pictures.shape[2], self.pictures.shape[3]


def masks(run: Any, step: Rerun) -> None:
    """Learns every mask that is asked for and puts them, as maps (slot, input, y, x), where they were asked for."""
    requests = [(request, run.table(request.node, request.target, step.target_layer)) for request in step.requests]
    wanted = [
        list(dict.fromkeys(k for _, f in requests for r, k in f.slots if r == row)) for row in range(len(run.images))
    ]
    slots = Slots.of(wanted)
    method, parameters = bound(run.registry, step.method)
    rows = [
        (slot, owner, key)
        for slot, by_input in enumerate(slots.keys)
        for owner, key in enumerate(by_input)
        if key is not None
    ]
    size = tuple(run.images.shape[2:])
    found = np.full((len(slots.keys), len(run.images), *size), np.nan, np.float32)
    mean = baselines.picture("mean", run.images[:1], run.adapter)[0, :, :1, :1]
    seed = int(run.program.setting("seed", 0))

    with (_above if step.above else _whole)(run, step) as gradient:

        def work(start: int, stop: int) -> np.ndarray:
            own = rows[start:stop]
            owners, keys = [owner for _, owner, _ in own], [key for _, _, key in own]

            def tell(done: int) -> None:
                run.report_progress(method.name, start * step.visits + done * len(own), len(rows) * step.visits)

            task = Task(run.images[owners], mean, seed, lambda pictures: gradient(pictures, owners, keys), tell)
            return numpy_of(method.learn(parameters, task))

        each = method.bytes_each(parameters, size)
        for start, learned in chunks(len(rows), each, work, device=run.images.device):
            for (slot, owner, _), mask in zip(rows[start : start + len(learned)], learned, strict=True):
                found[slot, owner] = mask
    for request, table in requests:
        for layer in request.layers:
            table.put(layer, slots.shared(table), found)


Of = Callable[[Any, list[int], list[Key]], Any]  # pictures (row, ...), inputs, targets -> gradients (row, ...)


@contextmanager
def _above(run: Any, step: Rerun) -> Iterator[Of]:
    """Gradients from one batched pass for all rows, as many at once as memory allows."""
    import torch

    captured = run.forward(step.forward)
    with passes.above(run.adapter, captured, step.layer, [step.target_layer], counter=run.passes) as upper:

        def gradient(pictures: Any, owners: list[int], keys: list[Key]) -> Any:
            done, parts = 0, []

            def seeds(value: Any, _: Any) -> Any:  # for the rows that follow those that are done
                mine = slice(done, done + len(value))
                return _cotangents(run, step.target_layer, value, owners[mine], keys[mine])

            rows = torch.tensor(owners)
            for start, found in passes.rerun_gradient_chunks(
                upper, pictures, rows, seeds, step.target_layer, run.passes
            ):
                parts.append(found[0])
                done = start + found.shape[1]
            return torch.cat(parts)

        yield gradient


@contextmanager
def _whole(run: Any, step: Rerun) -> Iterator[Of]:
    """The same row by row, each a call of its own, as without an optimizer."""
    import torch

    def gradient(pictures: Any, owners: list[int], keys: list[Key]) -> Any:
        parts = []
        layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
        for picture, owner, key in zip(pictures, owners, keys, strict=True):
            again = passes.forward(
                run.adapter, run.images[owner : owner + 1], layers, grad=True, counter=run.passes,
                replace={step.layer: picture[None]},
            )  # fmt: skip
            value = again.score_graph if step.target_layer == OUTPUT else again.graph[step.target_layer]
            seed = _cotangents(run, step.target_layer, value.detach(), [owner], [key])
            parts.append(passes.vjp(again, value, seed, [step.layer], run.passes, chunk=1)[step.layer][0])
        return torch.cat(parts)

    yield gradient


def _cotangents(run: Any, target_layer: str, value: Any, owners: list[int], keys: list[Key]) -> Any:
    """(1, row, *place axes): of each row's own target."""
    import torch

    found = [
        cotangents(run, target_layer, [[key] * len(run.images)], value[row : row + 1], [owner])
        for row, (owner, key) in enumerate(zip(owners, keys, strict=True))
    ]
    return torch.cat(found, 1)
