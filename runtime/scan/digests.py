"""The digests of a dataset's examples. Where size and time of a file are what they were, it is not read again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from bbilang.runtime.cache.disk import Cache, canonical, is_key, key_of
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.scan.reading import threads
from bbilang.runtime.scan.work import Examples

SETTLED = 2 * 10**9  # nanoseconds: a file that changed since then may change again within the same tick of its clock


def digests(dataset: Examples, cache: Cache, ranges: Sequence[range]) -> list[list[str]]:
    """Return the digest of each example, by ranges. Files are read in threads."""
    with ThreadPoolExecutor(threads(), "digest") as pool:
        return [_digests(dataset, cache, numbers, pool) for numbers in ranges]


def _digests(dataset: Examples, cache: Cache, numbers: range, pool: Executor) -> list[str]:
    stamps = [dataset.stamp(number) for number in numbers]
    if None in stamps:
        return [digest for digest, _ in pool.map(lambda number: _digest(dataset, number), numbers)]
    key = key_of({"what": "digests", "stamps": stamps})
    if (known := _known(cache, key, len(numbers))) is not None:
        return known
    read = list(pool.map(lambda number: _digest(dataset, number), numbers))
    newest = max(stamp[2] for stamp in stamps if stamp is not None)
    if all(readable for _, readable in read) and newest < time.time_ns() - SETTLED:
        cache.put(key, canonical([digest for digest, _ in read]), {"kind": "digests"})
    return [digest for digest, _ in read]


def _known(cache: Cache, key: str, count: int) -> list[str] | None:
    record = cache.get(key)
    if record is None:
        return None
    try:
        known = json.loads(record[0])
    except (ValueError, RecursionError):
        known = None
    if isinstance(known, list) and len(known) == count and all(isinstance(one, str) and is_key(one) for one in known):
        return known
    cache.drop(key)
    return None


def _digest(dataset: Examples, number: int) -> tuple[str, bool]:
    """Return (digest, whether the example's file can be read); of one that cannot, what is known of it."""
    try:
        return dataset.digest(number), True
    except Unreadable as failure:
        return hashlib.sha256(f"unreadable {failure}".encode("utf-8", "surrogateescape")).hexdigest(), False
