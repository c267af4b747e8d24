"""The networks and pictures of the rows: EfficientNet-Lite0 with its weights, and small networks of a fixed seed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from benchmarks import work

SIDE, PATCHES, SEED = 32, 40, 0
PHOTOGRAPHS = ("chelsea", "coffee", "astronaut", "rocket", "china", "flower")


@dataclass(frozen=True)
class Subject:
    """A network and what it is shown. ``picture``, ``other``: (channel, y, x) in [0, 1]; ``pictures``: (example,
    channel, y, x) in [0, 1]; ``mean``, ``std``: of the normalization."""

    network: nn.Module
    picture: Tensor
    other: Tensor
    pictures: Tensor
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    classes: tuple[str, ...] = tuple(f"class {n}" for n in range(10))


class Detached(nn.Module):
    """Passes values on, and no gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class Small(nn.Sequential):
    """Modules in order, the last of them on what is flattened by a function: no module that a tool may not know."""

    def forward(self, x: Tensor) -> Tensor:
        *before, last = self
        for part in before:
            x = part(x)
        return last(torch.flatten(x, 1))


def lite() -> Subject:
    """EfficientNet-Lite0 and the photographs that ship with packages."""
    adapter = work.adapter()
    pictures = photographs()
    preprocess, description = adapter.preprocess, adapter.description
    return Subject(
        copy.deepcopy(work.theirs()), pictures[0], pictures[1], pictures,
        tuple(preprocess.mean), tuple(preprocess.std), tuple(description.labels),
    )  # fmt: skip


@cache
def photographs() -> Tensor:
    """Return six photographs (example, channel, y=224, x=224) in [0, 1]."""
    from bbilang.runtime.inputs.load import picture_of

    return torch.stack([picture_of(f"sample:{name}", name, work.adapter()).image for name in PHOTOGRAPHS])


@cache
def patches() -> Tensor:
    """Return parts of the first photograph, (example, channel, y=32, x=32)."""
    rows = torch.randint(0, 224 - SIDE, (PATCHES, 2), generator=torch.Generator().manual_seed(SEED)).tolist()
    return torch.stack([photographs()[0][:, y : y + SIDE, x : x + SIDE] for y, x in rows])


def _small(*between: nn.Module, inplace: bool = False, first: tuple[nn.Module, ...] = ()) -> Subject:
    """A network without biases: two convolutions, the mean over positions, ten classes."""
    with _seeded():
        network = Small(
            nn.Conv2d(3, 12, 3, stride=2, padding=1, bias=False), *first, nn.ReLU(inplace=inplace),
            nn.Conv2d(12, 16, 3, padding=1, bias=False), *between, nn.ReLU(inplace=inplace),
            nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10, bias=False),
        )  # fmt: skip
        for weights in network.parameters():
            if weights.dim() > 1:  # so that scores are of the size of 1
                nn.init.kaiming_normal_(weights)
    return Subject(network.eval(), patches()[0], patches()[1], patches())


@contextmanager
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def training() -> Subject:
    """A network in training mode, with batch norm."""
    subject = _small(first=(nn.BatchNorm2d(12),))
    return replace(subject, network=subject.network.train())


NETWORKS: dict[str, Callable[[], Subject]] = {
    "lite": lite,
    "relu": _small,
    "inplace": lambda: _small(inplace=True),
    "detached": lambda: _small(Detached()),
    "training": training,
}
