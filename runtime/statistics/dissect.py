"""Network Dissection (Bau et al. 2017): how well a channel's largest activations overlap with labelled segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUANTILE = 0.995  # the paper's
DETECTOR = 0.04  # the paper's overlap from which a channel is called a detector
WAITING = 1024  # values of each channel that wait, at least, before the largest are selected
BLOCK = 1 << 22  # numbers of upsampled maps held at once


@dataclass(frozen=True)
class Thresholds:
    """values (channel,): the quantile over all positions. saturated (channel,): whether it is the largest value, so
    that nothing is above it and the overlap is undefined: the channel is at its ceiling, or zero everywhere. counts
    (channel,): positions. left_out (channel,): positions whose value was not finite."""

    values: np.ndarray
    saturated: np.ndarray
    counts: np.ndarray
    left_out: np.ndarray

    def reason(self, channel: int) -> str:
        """Say why the overlap of a channel is undefined; empty where it is not."""
        if not self.saturated[channel]:
            return ""
        if self.values[channel] == 0:
            return "zero at every position scanned"
        return f"its threshold is its largest value, {self.values[channel]:.6g}: nothing is above"


class ThresholdSearch:
    """Finds a quantile of every channel over a stream of maps, exactly, in one pass.

    Holds the largest values only: (1 - quantile) of the ``total`` positions of each channel, of which there may be
    fewer in the end. They are selected when as many others wait, so that a value costs the same however many there are.
    """

    def __init__(self, channels: int, total: int, quantile: float = QUANTILE) -> None:
        self.quantile = quantile
        self._room = max(1, total - int(quantile * (total - 1)))
        self._total = total
        self._largest = np.full((channels, 0), -np.inf, np.float32)
        self._waiting: list[np.ndarray] = []
        self._counts, self._left_out = np.zeros((2, channels), np.int64)

    def add(self, maps: np.ndarray) -> None:
        """Add activations (example, channel, ...positions)."""
        values = np.moveaxis(np.asarray(maps), 1, 0).reshape(maps.shape[1], -1)
        finite = np.isfinite(values)
        self._counts += finite.sum(1)
        self._left_out += (~finite).sum(1)
        if int(self._counts.max()) > self._total:
            raise ValueError(f"more than {self._total} positions were added")
        self._waiting.append(np.where(finite, values, -np.inf))
        if sum(each.shape[1] for each in self._waiting) >= max(self._room, WAITING):
            self._select()

    def _select(self) -> None:
        both = np.concatenate([self._largest, *self._waiting], axis=1)
        self._waiting.clear()
        if both.shape[1] > self._room:
            both = np.ascontiguousarray(np.partition(both, both.shape[1] - self._room, axis=1)[:, -self._room :])
        self._largest = both

    def result(self) -> Thresholds:
        """Return the thresholds, interpolated as by `numpy.quantile`, NaN for a channel without a number."""
        self._select()
        ranked = -np.sort(-self._largest.astype(np.float64), axis=1)
        values = np.full(len(ranked), np.nan)
        for channel, count in enumerate(self._counts):
            if count:
                position = self.quantile * (count - 1)
                below, above = (ranked[channel, count - 1 - int(f(position))] for f in (np.floor, np.ceil))
                values[channel] = below + (above - below) * (position - np.floor(position))
        largest = ranked[:, 0] if ranked.shape[1] else np.full(len(ranked), -np.inf)
        return Thresholds(values, values >= largest, self._counts.copy(), self._left_out.copy())


@dataclass(frozen=True)
class Overlaps:
    """iou (channel, segment): intersection over union, summed over the pictures; NaN where it is undefined. pictures
    (segment,): how many have the segment."""

    iou: np.ndarray
    pictures: np.ndarray

    def detectors(self, at: float = DETECTOR) -> np.ndarray:
        """Return the segment that each channel detects (channel,): that of the largest overlap, where it is above
        ``at``; -1 for none."""
        filled = np.nan_to_num(self.iou, nan=-1.0)
        return np.where(filled.max(1) > at, filled.argmax(1), -1)


class OverlapSearch:
    """Sums the overlap of thresholded maps with labelled segments over a stream of pictures, none of which should be
    among those of the thresholds."""

    def __init__(self, thresholds: Thresholds, segments: int) -> None:
        self.thresholds = thresholds
        shape = (len(thresholds.values), segments)
        self._both, self._active, self._labelled = (np.zeros(shape, np.int64) for _ in range(3))
        self._pictures = np.zeros(segments, np.int64)

    def add(self, maps: np.ndarray, segments: np.ndarray, known: np.ndarray | None = None) -> None:
        """Add one picture: maps (channel, y, x), segments (segment, row, column) bool, at the size of the picture.
        known (segment,): which segments were labelled in this picture at all; it counts for those only."""
        which = np.ones(len(segments), bool) if known is None else np.asarray(known, bool)
        rows, columns = segments.shape[1:]
        there = np.flatnonzero(which & segments.any((1, 2)))
        labels = segments[there].reshape(len(there), rows * columns).astype(np.float32)
        self._labelled[:, there] += labels.sum(1).astype(np.int64)
        step = max(1, BLOCK // (rows * columns))
        for start in range(0, len(maps), step):
            part = np.arange(start, min(start + step, len(maps)))
            active = upsample(maps[part], rows, columns) > self.thresholds.values[part, None, None]
            flat = active.reshape(len(active), -1).astype(np.float32)
            self._both[np.ix_(part, there)] += (flat @ labels.T).astype(np.int64)
            self._active[part] += np.where(which, flat.sum(1).astype(np.int64)[:, None], 0)
        self._pictures[there] += 1

    def result(self) -> Overlaps:
        """Return the overlaps so far."""
        union = self._active + self._labelled - self._both
        defined = (union > 0) & ~self.thresholds.saturated[:, None] & (self._pictures > 0)
        defined &= np.isfinite(self.thresholds.values)[:, None]
        return Overlaps(np.where(defined, self._both / np.maximum(union, 1), np.nan), self._pictures.copy())


def upsample(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Interpolate maps (channel, y, x) linearly to (channel, row, column), pixels as squares (half-pixel centres)."""
    vertical, horizontal = _weights(maps.shape[1], rows), _weights(maps.shape[2], columns)
    return vertical @ np.asarray(maps, np.float32) @ horizontal.T


def rotation(channels: int, seed: int = 0) -> np.ndarray:
    """Draw a rotation (channel, channel) of a layer's space uniformly (Mezzadri 2007), for the comparison of the
    paper: `rotation @ vector` of each position. Channels that mean more than directions by chance overlap more."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(channels, channels)))
    q = q * np.sign(np.diag(r))
    if np.linalg.slogdet(q)[0] < 0:
        q[:, 0] *= -1
    return q.astype(np.float32)


def _weights(size: int, wanted: int) -> np.ndarray:
    """The weights (wanted, size) of linear interpolation."""
    centres = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    below = np.minimum(np.floor(centres).astype(np.int64), max(size - 2, 0))
    weights = np.zeros((wanted, size), np.float32)
    place = np.arange(wanted)
    weights[place, below] = 1 - (centres - below)
    weights[place, np.minimum(below + 1, size - 1)] += centres - below
    return weights
