"""Channels and wires of a network: numbers for what a permutation moves together, and for what a factor rescales
together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

NOTHING = -1  # in place of a channel: a constant zero


class Classes:
    """Numbers that are joined to classes, some of which are fixed."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.fixed: list[bool] = []

    def new(self, count: int, fixed: bool = False) -> np.ndarray:
        """Return as many new numbers."""
        start = len(self.parent)
        self.parent += range(start, start + count)
        self.fixed += [fixed] * count
        return np.arange(start, start + count)

    def root(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = number = self.parent[self.parent[number]]
        return number

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Join numbers pairwise; a constant zero is joined with nothing."""
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            if NOTHING in (a, b):
                continue
            a, b = sorted((self.root(a), self.root(b)))
            self.parent[b] = a
            self.fixed[a] |= self.fixed[b]

    def fix(self, numbers: np.ndarray) -> None:
        for number in numbers.tolist():
            if number != NOTHING:
                self.fixed[self.root(number)] = True

    def roots(self, numbers: np.ndarray) -> np.ndarray:
        return np.array([number if number == NOTHING else self.root(number) for number in numbers.tolist()], int)


@dataclass(frozen=True)
class Axis:
    """The channels along one axis of a tensor: the number of each, and of the wire that carries it. A channel may stand
    there several times, as after positions and channels were joined to one axis."""

    channels: np.ndarray
    wires: np.ndarray

    def __len__(self) -> int:
        return len(self.channels)

    def part(self, index: slice) -> Axis:
        return Axis(self.channels[index], self.wires[index])

    def repeated(self, count: int) -> Axis:
        return Axis(self.channels.repeat(count), self.wires.repeat(count))

    def padded(self, before: int, after: int) -> Axis:
        """Return the axis with constant zeros at its ends."""
        width = (before, after)
        return Axis(*(np.pad(each, width, constant_values=NOTHING) for each in (self.channels, self.wires)))


def joined(axes: list[Axis]) -> Axis:
    """Return axes one after the other."""
    return Axis(np.concatenate([axis.channels for axis in axes]), np.concatenate([axis.wires for axis in axes]))


@dataclass
class Multiplication:
    """One operation with weights. ``kind``: `dense` multiplies (out, in, ...), `diagonal` each channel by itself (out,
    1, ...), `norm` is batch norm in eval mode. ``reads`` and ``writes``: its input's and output's channels."""

    kind: str
    weight: str
    bias: str
    reads: Axis
    writes: Axis
    groups: int = 1
    parameters: dict[str, str] = field(default_factory=dict)  # of a norm: weight, bias, running_mean, running_var
    eps: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters and buffers that it reads."""
        own = (self.weight, self.bias, *self.parameters.values())
        return tuple(name for name in own if name)

    def numbers(self, state: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return what it multiplies by, (out, in, offset), or (out, 1, offset) of a diagonal; and what it adds,
        (out,)."""
        if self.kind == "norm":
            given = {key: state[name].astype(float) for key, name in self.parameters.items()}
            scale = given.get("weight", 1.0) / np.sqrt(given["running_var"] + self.eps)
            return scale.reshape(-1, 1, 1), given.get("bias", 0.0) - scale * given["running_mean"]
        weight = state[self.weight].astype(float)
        weight = weight.reshape(*weight.shape[:2], -1)
        if self.groups > 1 and self.kind == "dense":
            weight = _block_diagonal(weight, self.groups)
        return weight, state[self.bias].astype(float) if self.bias else np.zeros(len(weight))

    def changed(self, numbers: tuple[np.ndarray, np.ndarray], like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return parameters with other numbers: the reverse of `numbers`. A norm's mean and variance become 0 and 1."""
        weight, bias = numbers
        if self.kind == "norm":
            one = np.sqrt(1.0 + self.eps)
            zero = bias * 0
            made = {"weight": weight[:, 0, 0] * one, "bias": bias, "running_mean": zero, "running_var": zero + 1}
            return {name: made[key].astype(like[name].dtype) for key, name in self.parameters.items()}
        if self.groups > 1 and self.kind == "dense":
            out, wide = len(weight) // self.groups, weight.shape[1] // self.groups
            rows = weight.reshape(self.groups, out, self.groups, wide, -1)
            weight = np.concatenate([rows[group, :, group] for group in range(self.groups)])
        made = {self.weight: weight.reshape(like[self.weight].shape).astype(like[self.weight].dtype)}
        return made | ({self.bias: bias.astype(like[self.bias].dtype)} if self.bias else {})


def _block_diagonal(weight: np.ndarray, groups: int) -> np.ndarray:
    """Return the weights (out, in of a group, offset) of a grouped convolution over all inputs."""
    out, wide, offsets = weight.shape
    whole = np.zeros((groups, out // groups, groups, wide, offsets))
    for group, rows in enumerate(weight.reshape(groups, -1, wide, offsets)):
        whole[group, :, group] = rows
    return whole.reshape(out, groups * wide, offsets)
