"""Samples that depend on names, not on the order in which a file system lists them."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Sequence

import numpy as np


def sampled(names: Sequence[str], n: int, seed: int) -> np.ndarray:
    """Return the numbers of n examples in ascending order: those whose names, hashed with the seed, come first. A name
    that several examples have is told apart by how often it came before."""
    before: Counter[str] = Counter()
    ranked = []
    for number, name in enumerate(names):
        text = f"{seed}\0{before[name]}\0{name}"
        ranked.append((hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), number))
        before[name] += 1
    return np.array(sorted(number for _, number in heapq.nsmallest(n, ranked)), np.int64)
