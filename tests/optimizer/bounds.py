"""The least cost of derivatives, computed without the compiler: networks run by hand, every way tried, torch's
count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import tiny
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bbilang.compiler.ir.speeds import Speed, Speeds
from bbilang.runtime.models.adapt import adapt

ORDER = ("a", "b", "c")  # modules in a row, so that each can be run by hand
CLASSES = 60


class Row(nn.Module):
    """`a` (4, 16, 16), `b` (12, 4, 4), `c` (6, 4, 4), 60 classes; a batch norm that can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(4, 12, 5, 4, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(12, 6, 3, 1, 1), nn.Tanh())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.c(self.b(self.a(x))))


SIZES = {"a": {"channel": 4, "spatial": 256}, "b": {"channel": 12, "spatial": 16}, "c": {"channel": 6, "spatial": 16}}
EVEN = Speeds(*(Speed(1.0, 1e30),) * 3)  # seconds are FLOPs: the least of them is what the optimizer looks for


@cache
def adapter() -> Any:
    return adapt(tiny.build(Row), (tiny.SIZE, tiny.SIZE), labels=[f"class {n}" for n in range(CLASSES)], name="row")


class Flops(FlopCounterMode):
    """torch's counter without its attribution to modules, whose hooks batched gradients cannot bear."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = Everything()


class Everything:
    parents = frozenset(("Global",))

    def __enter__(self) -> Everything:
        return self

    def __exit__(self, *_: object) -> None: ...


def counted(work: Any) -> int:
    """FLOPs of convolutions and matrix products, as torch counts them."""
    with Flops() as counter:
        work()
    return counter.get_total_flops()


@cache
def between(low: str, high: str) -> int:
    """FLOPs of one input from a layer to a later one, counted by hand."""
    module, names = adapter().module, ("input", *ORDER, "head")
    with torch.no_grad():
        x = tiny.images()
        for name in names[1 : names.index(low) + 1]:
            x = getattr(module, name)(x)
        chosen = names[names.index(low) + 1 : names.index(high) + 1]
        return counted(lambda: nn.Sequential(*(getattr(module, name) for name in chosen))(x))


@dataclass(frozen=True)
class Asked:
    """Some atoms of layers for some targets: as the text says it, and as numbers."""

    text: str
    layers: tuple[str, ...]
    atom: str
    targets: tuple[Any, ...]  # classes, or atoms of the target layer
    target_layer: str = "head"
    atoms: int = 0  # fewer than the layer has

    def count(self, layer: str) -> int:
        return self.atoms or SIZES[layer][self.atom]


def least(
    asked: Iterable[Asked], inputs: int = 1, rates: tuple[float, float, float] = (1, 1, 1)
) -> tuple[float, int, int]:
    """(seconds, cotangents, tangents) of the cheapest way: both are tried for each kind of atoms at each layer.

    Every number needs a way up or down between its atoms and its target; a way down serves every layer that it meets,
    a way up every target; the values that a way up needs are run once a layer. ``rates``: FLOPs a second of values,
    ways down and ways up; at 1 seconds are FLOPs.
    """
    units = sorted({(layer, ask.atom, ask.target_layer) for ask in asked for layer in ask.layers})
    bounds = []
    for choice in product((False, True), repeat=len(units)):
        up = {unit for unit, chosen in zip(units, choice, strict=True) if chosen}
        flops, cotangents, tangents = 0.0, 0, 0
        for layer, target_layer in {(layer, target_layer) for layer, _, target_layer in up}:
            flops += between(layer, target_layer) / rates[0]
        for layer, atom, target_layer in up:
            own = [ask for ask in asked if layer in ask.layers and (ask.atom, ask.target_layer) == (atom, target_layer)]
            count = min(sum({ask.text: ask.count(layer) for ask in own}.values()), SIZES[layer][atom])
            flops, tangents = flops + count * between(layer, target_layer) / rates[2], tangents + count
        for target_layer in {ask.target_layer for ask in asked}:
            lowest: dict[Any, int] = {}
            for ask in asked:
                rest = [layer for layer in ask.layers if (layer, ask.atom, target_layer) not in up]
                if ask.target_layer == target_layer and rest:
                    low = min(map(ORDER.index, rest))
                    lowest |= {t: min(low, lowest.get(t, low)) for t in ask.targets}
            cotangents += len(lowest)
            flops += sum(between(ORDER[low], target_layer) for low in lowest.values()) / rates[1]
        bounds.append((inputs * flops, cotangents, tangents))
    return min(bounds)


def asked(
    text: str, layers: str, atom: str, targets: Iterable[Any], target_layer: str = "head", atoms: int = 0
) -> Asked:
    return Asked(text, tuple(layers), atom, tuple(targets), target_layer, atoms)
