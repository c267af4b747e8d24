"""Match the channels of two networks of one architecture by their weights (Ainsworth, Hayase and Srinivasa 2022).

Coordinate descent over the groups of channels: each group's best assignment is found while the others stay, until none
improves. It starts from the network's input, whose channels correspond: a group is first matched by what it multiplies
of channels that are matched already, and by the sorted magnitudes of all other weights, which no permutation changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bbilang.runtime.matching.assignment import next_best, one_to_one
from bbilang.runtime.matching.canonical import SMALLEST, canonical
from bbilang.runtime.matching.groups import Numbers, Side, State, Symmetries

SWEEPS = 100
ALIKE = 1e-5  # relative distance below which two channels are the same


@dataclass(frozen=True)
class Matched:
    """``partner``: the channel of the other network that corresponds to each (channel of the network,). ``cosine``: of
    the weights around the two. ``others``: the same with the partner of another channel of the group. ``next``: the
    largest of any channel of the group but the partner. ``dead``: nothing arrives at the channel, or nothing reads it.
    ``twins``: it has a twin in its own network, so that which of the two is meant is arbitrary."""

    partner: np.ndarray
    cosine: np.ndarray
    others: np.ndarray
    next: np.ndarray
    dead: np.ndarray
    twins: np.ndarray
    sweeps: int


def match(symmetries: Symmetries, first: State, second: State) -> Matched:
    """Match two sets of weights of one architecture."""
    own = _normalized(canonical(symmetries, symmetries.numbers(first)))
    other = _normalized(canonical(symmetries, symmetries.numbers(second)))
    work = _Descent(symmetries, own, other)
    work.start()
    sweeps = work.descend()
    return Matched(work.partner, work.cosines(0), work.cosines(1), work.next_best(), work.dead(), work.twins(), sweeps)


def _normalized(numbers: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """Return the numbers of each multiplication at a norm of 1, so that none counts more for being large."""
    made = {}
    for name, (weight, bias) in numbers.items():
        norm = max(float(np.sqrt(np.square(weight).sum() + np.square(bias).sum())), SMALLEST)
        made[name] = ((weight / norm).astype(np.float32), (bias / norm).astype(np.float32))
    return made


@dataclass
class _Descent:
    symmetries: Symmetries
    own: Mapping[str, Numbers]
    other: Mapping[str, Numbers]

    def __post_init__(self) -> None:
        self.partner = self.symmetries.identity()
        self.settled = np.ones(self.symmetries.count, bool)
        for group in self.symmetries.groups:
            self.settled[group] = False

    def start(self) -> None:
        """Match each group by what is matched already and what no permutation changes, from the input on."""
        for group in self.symmetries.groups:
            similarity = sum(own @ other.T for own, other in self._features(group))
            self.partner[group] = group[one_to_one(np.asarray(similarity))]
            self.settled[group] = True

    def descend(self) -> int:
        """Improve one group after the other until none improves. Returns how many rounds that took."""
        for sweep in range(SWEEPS):
            improved = False
            for group in self.symmetries.groups:
                similarity = sum(own @ other.T for own, other in self._features(group))
                now = np.searchsorted(group, self.partner[group])
                new = one_to_one(np.asarray(similarity))
                rows = np.arange(len(group))
                gain = similarity[rows, new].sum() - similarity[rows, now].sum()
                if gain > 1e-6 * max(abs(float(similarity[rows, now].sum())), SMALLEST):
                    self.partner[group], improved = group[new], True
            if not improved:
                return sweep + 1
        return SWEEPS

    def _features(self, group: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return for each place where a group stands its weights there in both networks, (channel, weight), along axes
        that correspond."""
        made = []
        for name in self.symmetries.known.multiplications:
            made += [*self._written(name, group), *self._read(name, group)]
        return made

    def _written(self, name: str, group: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        places = self.symmetries.writes[name].positions(group)
        if not places.size:
            return []
        (weight, bias), (theirs, their_bias) = self.own[name], self.other[name]
        rows, their_rows = weight[places], theirs[places]  # (channel, occurrence, in, offset)
        made = [(bias[places], their_bias[places])]
        if self.symmetries.known.multiplications[name].kind != "dense":
            return [*made, (_flat(rows), _flat(their_rows))]
        return [*made, *self._along(rows, their_rows, self.symmetries.reads[name])]

    def _read(self, name: str, group: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        if self.symmetries.known.multiplications[name].kind != "dense":
            return []
        places = self.symmetries.reads[name].positions(group)
        if not places.size:
            return []
        weight, theirs = self.own[name][0], self.other[name][0]
        columns, their_columns = (np.moveaxis(it[:, places], 0, 2) for it in (weight, theirs))
        return self._along(columns, their_columns, self.symmetries.writes[name])

    def _along(self, own: np.ndarray, other: np.ndarray, side: Side) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return weights (channel, occurrence, other side, offset) with the channels of the other side matched; those
        that are not yet matched sorted, as no permutation changes that."""
        known = self.settled[side.channels] | (side.channels < 0)
        moved = side.moved(self.partner)
        made = [(_flat(own[:, :, known]), _flat(other[:, :, moved[known]]))]
        if not known.all():
            made += [(_flat(np.sort(own[:, :, ~known], 2)), _flat(np.sort(other[:, :, ~known], 2)))]
        return made

    # --- what was found ----------------------------------------------------------------------------------------------

    def _all(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all weights around the channels of a group, (channel, weight), in both networks."""
        features = self._features(group)
        return np.concatenate([own for own, _ in features], 1), np.concatenate([other for _, other in features], 1)

    def cosines(self, shift: int) -> np.ndarray:
        """Return the cosine of the weights around each channel and its partner, or that of the ``shift``-th after it in
        its group."""
        cosine = np.full(self.symmetries.count, np.nan)
        for group in self.symmetries.groups:
            own, other = self._all(group)
            other = other[np.searchsorted(group, np.roll(self.partner[group], -shift))]
            norms = np.linalg.norm(own, axis=1) * np.linalg.norm(other, axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                cosine[group] = np.where(norms > SMALLEST, (own * other).sum(1) / norms, np.nan)
        return cosine

    def next_best(self) -> np.ndarray:
        """Return the largest cosine of the weights around each channel and those around any channel of its group but
        its partner (channel of the network,); NaN where there is no other."""
        made = np.full(self.symmetries.count, np.nan)
        for group in self.symmetries.groups:
            own, other = (_of_length_one(weights) for weights in self._all(group))
            made[group] = next_best(own @ other.T, np.searchsorted(group, self.partner[group]))
        return made

    def dead(self) -> np.ndarray:
        """Return the channels (channel of the network,) that some wire does not reach, or does not lead anywhere."""
        written, read = (np.zeros(len(self.symmetries.known.wires.parent)) for _ in range(2))
        seen, used = written.copy(), read.copy()
        for name, one in self.symmetries.known.multiplications.items():
            weight, bias = self.own[name]
            square = np.square(weight.astype(float)).sum(-1)
            dense = one.kind == "dense"
            for wires, total, amount, times in (
                (one.writes.wires, written, square.sum(1) + np.square(bias), seen),
                (one.reads.wires, read, square.sum(0) if dense else square[:, 0], used),
            ):
                there = wires >= 0
                np.add.at(total, wires[there], amount[there])
                np.add.at(times, wires[there], 1)
        gone = ((seen > 0) & (written < SMALLEST)) | ((used > 0) & (read < SMALLEST))
        dead = np.zeros(self.symmetries.count, bool)
        for one in self.symmetries.known.multiplications.values():
            for axis in (one.reads, one.writes):
                there = axis.wires >= 0
                dead[axis.channels[there]] |= gone[axis.wires[there]]
        return dead

    def twins(self) -> np.ndarray:
        """Return the channels with the same weights around them as another one of their group."""
        twins = np.zeros(self.symmetries.count, bool)
        for group in self.symmetries.groups:
            own, _ = self._all(group)
            norms = np.linalg.norm(own, axis=1)
            gram = own @ own.T
            distance = np.square(norms)[:, None] + np.square(norms)[None] - 2 * gram
            close = distance <= np.square(ALIKE * norms)[:, None] + 1e-7 * np.square(norms)[:, None]
            np.fill_diagonal(close, False)
            for row, column in np.argwhere(np.triu(close)).tolist():  # exactly, since the Gram matrix rounds
                if np.linalg.norm(own[row] - own[column]) <= ALIKE * max(norms[row], SMALLEST):
                    twins[group[[row, column]]] = True
        return twins


def _of_length_one(weights: np.ndarray) -> np.ndarray:
    """Return rows (channel, weight) of length 1; NaN where there is nothing."""
    norms = np.linalg.norm(weights.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(weights / np.where(norms > SMALLEST, norms, np.nan))


def _flat(weights: np.ndarray) -> np.ndarray:
    return weights.reshape(len(weights), -1)
