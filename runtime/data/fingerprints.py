"""Near-duplicates: a difference hash of 64 bits (Krawetz 2013) and 16 mean colours, compared by an index of bands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from PIL import Image

Fingerprint = tuple[int, np.ndarray]  # 64 bits; 48 bytes: the mean colours of 4 x 4 blocks

THRESHOLD = 4  # bits that differ, at most
COLOURS = 12  # difference of a block's colour, at most, of 255: drawings and flat pictures often have the same bits
STEP = 2  # by which grey falls: less is noise in flat parts
WIDTH, HEIGHT = 9, 8
BLOCKS = 4


def fingerprint(picture: Image.Image) -> Fingerprint:
    """Return the fingerprint of a picture in RGB: bit (y, x) says whether grey falls by over 2 of 255 from x to x + 1
    in the picture shrunk to 9 x 8. Recoding, resizing and slight changes of tone leave nearly all bits as they are."""
    grey = np.asarray(picture.convert("L").resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.int16)
    bits = np.packbits(grey[:, :-1] > grey[:, 1:] + STEP)
    coloured = picture if picture.mode == "RGB" else picture.convert("RGB")  # it would copy
    colours = np.asarray(coloured.resize((BLOCKS, BLOCKS), Image.Resampling.BOX), np.uint8)
    return int.from_bytes(bits.tobytes(), "big"), colours.reshape(-1)


class NearIndex:
    """Fingerprints by number. Two that differ in at most ``threshold`` of 64 bits agree in one of threshold + 1 bands
    of bits (pigeonhole), so only those that share a band are compared."""

    def __init__(self, threshold: int = THRESHOLD):
        if not 0 <= threshold <= 15:
            raise ValueError("a threshold is from 0 to 15 bits")
        self.threshold = threshold
        edges = np.linspace(0, 64, threshold + 2).astype(int).tolist()
        self._bands = [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
        self._tables: list[dict[int, list[int]]] = [defaultdict(list) for _ in self._bands]
        self._count = 0
        self._numbers = np.zeros(64, np.int64)  # each twice as long when it is full
        self._bits = np.zeros((64, 8), np.uint8)
        self._colours = np.zeros((64, BLOCKS * BLOCKS * 3), np.int16)

    def add(self, number: int, mark: Fingerprint) -> None:
        """Add a fingerprint under a number."""
        if self._count == len(self._numbers):
            self._numbers, self._bits, self._colours = (
                np.concatenate([values, np.zeros_like(values)]) for values in (self._numbers, self._bits, self._colours)
            )
        self._numbers[self._count] = number
        self._bits[self._count] = _bytes(mark[0])
        self._colours[self._count] = mark[1]
        for (shift, mask), table in zip(self._bands, self._tables, strict=True):
            table[mark[0] >> shift & mask].append(self._count)
        self._count += 1

    def find(self, mark: Fingerprint) -> int | None:
        """Return the number that was added first of those near, or None."""
        lists = (
            table.get(mark[0] >> shift & mask, [])
            for (shift, mask), table in zip(self._bands, self._tables, strict=True)
        )
        candidates = np.array(sorted(set().union(*lists)), np.int64)
        if len(candidates):
            differ = np.unpackbits(self._bits[candidates] ^ _bytes(mark[0]), axis=1).sum(1)
            candidates = candidates[differ <= self.threshold]
        if len(candidates):
            differ = np.abs(self._colours[candidates] - mark[1]).max(1)
            candidates = candidates[differ <= COLOURS]
        return int(self._numbers[candidates[0]]) if len(candidates) else None


def _bytes(bits: int) -> np.ndarray:
    return np.frombuffer(bits.to_bytes(8, "big"), np.uint8)


def leaders(marks: Iterable[Fingerprint | None], threshold: int = THRESHOLD) -> np.ndarray:
    """Return, for each example, the number of the earliest example that it nearly equals, and its own where there is
    none, int64. An example that has a leader leads no other one, so that no chain of small changes joins pictures that
    differ. None (an unreadable example) stands for itself."""
    index = NearIndex(threshold)
    leader = []
    for number, mark in enumerate(marks):
        first = None if mark is None else index.find(mark)
        if first is None and mark is not None:
            index.add(number, mark)
        leader.append(number if first is None else first)
    return np.array(leader, np.int64)


def collapsed(ranked: np.ndarray, leader: np.ndarray) -> np.ndarray:
    """Return the examples of a ranking, best first, without those of which a near-duplicate ranks higher.
    ``leader``: of every example, from `leaders`."""
    _, first = np.unique(leader[ranked], return_index=True)
    return ranked[np.sort(first)]
