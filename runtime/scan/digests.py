"""The digests of a dataset's examples. What the dataset knows, from this run or from its cache, is not read again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.scan.reading import threads
from bbilang.runtime.scan.work import Examples


def digests(dataset: Examples, ranges: Sequence[range]) -> list[list[str]]:
    """Return the digest of each example, by ranges. Files are read in threads."""
    with ThreadPoolExecutor(threads(), "digest") as pool:
        return [_digests(dataset, numbers, pool) for numbers in ranges]


def _digests(dataset: Examples, numbers: range, pool: Executor) -> list[str]:
    known = {number: dataset.known_digest(number) for number in numbers}
    missing = [number for number, digest in known.items() if digest is None]
    known.update(zip(missing, pool.map(lambda number: _digest(dataset, number), missing), strict=True))
    return [digest for digest in known.values() if digest is not None]


def _digest(dataset: Examples, number: int) -> str:
    """Return the digest of an example; of one that cannot be read, that of what is known of it."""
    try:
        return dataset.digest(number)
    except Unreadable as failure:
        return hashlib.sha256(f"unreadable {failure}".encode("utf-8", "surrogateescape")).hexdigest()
