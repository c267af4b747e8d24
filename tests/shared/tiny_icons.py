"""What the tests of workers make icons of: a small network that workers can make too, whose worker may be killed."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tiny_tasks import once

from bbilang.runtime.featvis.icon import Grid, Objective, Recipe, Start
from bbilang.runtime.featvis.regularization import Regularization
from bbilang.runtime.featvis.transforms import Transforms

RECIPE = Recipe(size=16, steps=12, batch=4, redirect=2, transforms=Transforms(pad=2, jitter=2))


@dataclass(frozen=True)
class Network:
    """Makes the adapter. The process that calls it is killed when the network has run so many ``times``, once for each
    of them, counted in the ``folder``; with ``driver`` also the process that is its parent."""

    folder: Path | None = None
    times: tuple[int, ...] = ()
    driver: bool = False

    def __call__(self):
        import torch
        from torch import nn

        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = nn.Sequential(
                nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()
            )
        runs = []

        def normalize(images):
            runs.append(None)
            if len(runs) in self.times and once(self.folder, len(self.times)):
                if self.driver:
                    os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            return (images - 0.5) / 0.25

        return SimpleNamespace(
            module=module,
            normalize=normalize,
            module_of=module.get_submodule,
            device=torch.device("cpu"),
            fingerprint="tiny icons",
            description=SimpleNamespace(output="", input_size=(16, 16)),
        )


def channels():
    """Five batches."""
    return [*(Objective("3", channel) for channel in range(12)), *(Objective("1", channel) for channel in range(8))]


def objectives():
    """Icons of every kind: channels of two layers, vectors, diverse ones, dreams, a grid, steps on pixels."""
    draw = np.random.default_rng(0)
    photo = Start.of(draw.integers(0, 256, (80, 72, 3), np.uint8))
    grid = Grid.of(draw.random((3, 12)), 2)
    cells = [
        Objective("3", tuple(map(float, grid.vectors[cell])), grid=grid, cell=cell) for cell in range(len(grid.vectors))
    ]
    plain = [Objective("3", channel) for channel in range(12)]
    return [
        *plain[:10],
        *(Objective("1", channel, negative=True) for channel in range(5)),
        Objective("3", draw.normal(size=12)),
        *(Objective("3", 1, number=number, pictures=2) for number in range(2)),
        Objective("3", kind="dream", octaves=2, start=photo),
        *cells,
        *(replace(one, regularization=Regularization(l2_decay=0.01)) for one in plain[:2]),
        *(replace(plain[3], search=3, number=number, pictures=2) for number in range(2)),
    ]


def same(one, other):
    """Return whether icons are equal to the bit."""
    return len(one) == len(other) and all(
        np.array_equal(a.picture, b.picture) and (a.objective, a.dead, a.reason) == (b.objective, b.dead, b.reason)
        for a, b in zip(one, other, strict=True)
    )
