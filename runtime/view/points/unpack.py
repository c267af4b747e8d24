"""Read a packed point set again, for pictures of it that no script draws."""

from __future__ import annotations

import gzip

import numpy as np

from bbilang.runtime.view.model import PointColumn, PointSet


def sections_of(points: PointSet) -> dict[str, np.ndarray]:
    """Return the numbers of each section; bytes as uint8."""
    data = np.frombuffer(gzip.decompress(points.payload), np.uint8)
    made, start = {}, 0
    for name, kind, count in points.sections:
        size = 1 if kind == "bytes" else int(kind[1])
        own = data[start : start + count * size].reshape(size, count)
        made[name] = own[0] if size == 1 else np.ascontiguousarray(own.T).view(f"<{kind}")[:, 0]
        start += count * size
    return made


def shades_of(column: PointColumn, numbers: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (number of a colour for each point, label of each colour) of a column of categories: the ten most frequent
    labels where there are more than ten, then all others, then points without a label."""
    count = len(column.labels)
    counts = np.bincount(numbers[numbers < count], minlength=count)
    coloured = list(range(count)) if count <= 10 else np.argsort(-counts, kind="stable")[:10].tolist()
    table = np.full(65536, len(coloured) + 1)
    table[:count] = len(coloured)
    table[coloured] = np.arange(len(coloured))
    rest = count - len(coloured)
    words = (*(column.labels[code] for code in coloured), f"{rest:,} other labels" if rest else "", "none")
    return table[numbers], words
