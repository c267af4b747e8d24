"""The speeds of a device, by which the optimizer chooses between forward and reverse mode."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from bbilang.grammar.frozen import frozen

Force = Literal["reverse", "forward"]


@frozen
class Speed:
    """The throughput of a device in one kind of pass: a pass of f FLOPs that reads and writes b bytes takes
    f / ``flops`` + b / ``bytes`` seconds."""

    flops: float  # in a second
    bytes: float  # in a second

    def seconds(self, flops: float, bytes: float) -> float:
        return flops / self.flops + bytes / self.bytes


@frozen
class Speeds:
    """The speed of each kind of pass on one device. The defaults are those of two CPU cores; `runtime/device`
    measures them. Only their ratios matter to the optimizer."""

    forward: Speed = Speed(6e10, 6e9)
    reverse: Speed = Speed(4e10, 4e9)  # of batched cotangents
    tangent: Speed = Speed(4e10, 4e9)  # of batched tangents
    device: str = ""  # where they were measured; empty for the defaults


@frozen
class Choices:
    """What the optimizer chooses by: the speeds of the device, and a mode of differentiation that overrides them."""

    speeds: Speeds = field(default_factory=Speeds)
    force: Force | None = None
