"""The groups of channels that a permutation may mix without changing what the network computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bbilang.runtime.matching.trace import Channels
from bbilang.runtime.matching.wires import NOTHING, Axis, Multiplication

State = Mapping[str, np.ndarray]  # parameters and buffers by name
Numbers = tuple[np.ndarray, np.ndarray]  # weights (out, in, offset) and biases (out,) of one multiplication


@dataclass(frozen=True)
class Side:
    """The channels of one side of a multiplication: each position's channel, and how often it stood there before."""

    channels: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, axis: Axis) -> Side:
        """Count how often each channel stands along an axis."""
        seen: dict[int, int] = {}
        counts = []
        for channel in axis.channels.tolist():
            counts.append(seen.get(channel, 0))
            seen[channel] = counts[-1] + 1
        return cls(axis.channels, np.array(counts, int))

    @cached_property
    def _places(self) -> dict[tuple[int, int], int]:
        pairs = zip(self.channels.tolist(), self.counts.tolist(), strict=True)
        return {pair: place for place, pair in enumerate(pairs)}

    def moved(self, partner: np.ndarray) -> np.ndarray:
        """Return the position at which the partner of each position's channel stands. partner: (channel of the
        network,)."""
        own = self.channels
        wanted = np.where(own == NOTHING, NOTHING, partner[np.maximum(own, 0)])
        places = self._places
        return np.array([places[pair] for pair in zip(wanted.tolist(), self.counts.tolist(), strict=True)], int)

    def positions(self, channels: np.ndarray) -> np.ndarray:
        """Return the positions of some channels (channel, occurrence); () where they do not stand here."""
        places, made = self._places, []
        for channel in channels.tolist():
            row: list[int] = []
            while (channel, len(row)) in places:
                row.append(places[channel, len(row)])
            made.append(row)
        return np.array(made, int).reshape(len(channels), -1)


@dataclass(frozen=True)
class Symmetries:
    """The groups of channels of a network, each in the order of its numbers, and the sides of all multiplications."""

    known: Channels
    groups: tuple[np.ndarray, ...]
    reads: Mapping[str, Side]
    writes: Mapping[str, Side]

    @classmethod
    def of(cls, known: Channels) -> Symmetries:
        """Group the channels that stand in the same places: those that the same operations read and write. Of a grouped
        convolution, only channels of one of its groups."""
        reads = {name: Side.of(one.reads) for name, one in known.multiplications.items()}
        writes = {name: Side.of(one.writes) for name, one in known.multiplications.items()}
        where: dict[int, list[tuple[str, str, int]]] = {}
        for name, one in known.multiplications.items():
            for word, side in (("reads", reads[name]), ("writes", writes[name])):
                block = -(-len(side.channels) // one.groups)
                for place, channel in enumerate(side.channels.tolist()):
                    if channel != NOTHING:
                        where.setdefault(channel, []).append((name, word, place // block if one.groups > 1 else 0))
        grouped: dict[tuple[tuple[str, str, int], ...], list[int]] = {}
        for channel, places in where.items():
            if not known.channels.fixed[channel]:
                grouped.setdefault(tuple(places), []).append(channel)
        groups = tuple(np.array(sorted(channels)) for channels in grouped.values() if len(channels) > 1)
        return cls(known, groups, reads, writes)

    @property
    def count(self) -> int:
        """How many channels have numbers."""
        return len(self.known.channels.parent)

    def identity(self) -> np.ndarray:
        return np.arange(self.count)

    def numbers(self, state: State) -> dict[str, Numbers]:
        return {name: one.numbers(dict(state)) for name, one in self.known.multiplications.items()}

    def moved(self, numbers: Mapping[str, Numbers], partner: np.ndarray) -> dict[str, Numbers]:
        """Return the numbers with each channel's partner in its place."""
        return {name: self.moved_one(name, own, partner) for name, own in numbers.items()}

    def moved_one(self, name: str, numbers: Numbers, partner: np.ndarray) -> Numbers:
        """Return the numbers of one multiplication with each channel's partner in its place."""
        weight, bias = numbers
        out = self.writes[name].moved(partner)
        if self.known.multiplications[name].kind == "dense":
            weight = weight[:, self.reads[name].moved(partner)]
        return weight[out], bias[out]

    def changed(self, state: State, partner: np.ndarray, factors: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the parameters of a copy whose channels are permuted, and whose wires are rescaled by ``factors``
        (wire of the network,)."""
        made = dict(state)
        for name, numbers in self.numbers(state).items():
            own: Multiplication = self.known.multiplications[name]
            if factors is not None:
                numbers = rescaled(own, numbers, factors)
            made |= own.changed(self.moved_one(name, numbers, partner), made)
        return made

    def free_wires(self) -> np.ndarray:
        """Return the wires that may be rescaled by any positive factor."""
        every: Sequence[np.ndarray] = [
            axis.wires for one in self.known.multiplications.values() for axis in (one.reads, one.writes)
        ]
        wires = np.unique(np.concatenate(every)) if every else np.zeros(0, int)
        fixed = self.known.wires.fixed
        return np.array([wire for wire in wires.tolist() if wire != NOTHING and not fixed[wire]], int)


def rescaled(one: Multiplication, numbers: Numbers, factors: np.ndarray) -> Numbers:
    """Return the numbers of a multiplication whose wires are rescaled by these factors (wire of the network,)."""
    weight, bias = numbers
    padded = np.append(factors, 1.0)  # what is nothing has the factor 1
    out, inside = padded[one.writes.wires], padded[one.reads.wires]
    if one.kind == "dense":
        return weight * out[:, None, None] / inside[None, :, None], bias * out
    return weight * (out / inside)[:, None, None], bias * out
