"""Whether a scan fits: on the disk, and into the limit of the cache. Checked before a shard is written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.errors import error
from bbilang.runtime.scan.shards import Arrays

KEPT = 0.9  # of the cache's limit: the rest is removed first when it is full
HEAD = 4096  # bytes of a record besides its arrays
SPARE = 64 << 20  # bytes of the disk that stay free


def bytes_of(results: Mapping[str, Arrays], count: int) -> dict[str, int]:
    """Return the bytes that one example needs, by part. ``count``: the examples of these results."""
    return {part: sum(value.nbytes for value in arrays.values()) // count for part, arrays in results.items()}


def check(cache: Cache, name: str, new: int, there: int) -> None:
    """Raise BbiError E448 where ``new`` bytes do not fit on the disk, or do not fit into the limit of the cache beside
    the ``there`` bytes of the same scan."""
    free = _free(cache.folder)
    if new + SPARE > free:
        message = f"the scan of `{name}` needs {amount(new)}, and the disk of {cache.folder} has {amount(free)} free"
        raise error("E448", message, "free some space, scan less, or set BBI_CACHE_DIR to a folder on another disk")
    if new + there > cache.limit * KEPT:
        need = -int(-(new + there) / KEPT // 10**9)
        message = f"the scan of `{name}` takes {amount(new + there)}, and the cache holds at most {amount(cache.limit)}"
        raise error("E448", message, f"`bbi cache --limit {need}GB`, or scan fewer examples or layers")


def full(cache: Cache, name: str) -> BbiError:
    """Make the error of a shard that was not written."""
    message = f"a shard of `{name}` could not be written to {cache.folder}: the shards before it are kept"
    return error(
        "E448", message, "free some space, or set BBI_CACHE_DIR to another folder; the next scan continues from there"
    )


def amount(count: int) -> str:
    """Return bytes in words: "3.2 GB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


def _free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
