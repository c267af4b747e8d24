"""The records of a scan: one for each part of each shard, with arrays that are read one by one. No pickle.

The metadata of a record describe its arrays, and its bytes are the arrays one after another. Each array has a checksum
of its own, so that reading one costs that one only; a large one has a checksum for each example, so that some of them
can be read without the others. A key is made of the content of the shard's examples, the part's
identity and the batch size, since the last digits of a result depend on that.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.json_types import JsonObject

FORMAT = 2
SIZE = 256  # examples of a shard
KIND = "shard"
LARGE = 1 << 14  # bytes of an example from which it has a checksum of its own
TYPES = ("<f2", "<f4", "<f8", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "|i1", "|u1", "|b1")

Arrays = Mapping[str, np.ndarray]


@frozen
class Stored:
    """One array of a record: where its bytes begin within the record's, and their ``checksums``: of the whole, or of
    each example."""

    dtype: str
    shape: tuple[int, ...]
    at: int
    checksums: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@frozen
class Head:
    """What a record says about itself. ``rows``: the examples that could be read, by their number in the shard;
    ``unreadable``: (number, reason); ``nonfinite``: positions in ``rows`` of the examples with a value that is not
    finite, whose numbers are left out."""

    key: str
    rows: tuple[int, ...]
    unreadable: tuple[tuple[int, str], ...]
    nonfinite: tuple[int, ...]
    arrays: Mapping[str, Stored]
    bytes: int


def ranges(count: int) -> Iterator[range]:
    """Return the examples of each shard."""
    return (range(first, min(first + SIZE, count)) for first in range(0, count, SIZE))


def content_of(digests: Sequence[str]) -> str:
    """Return the identity of a shard's examples."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def key(content: str, part: str, batch: int) -> str:
    """Return the key of one part of a shard."""
    return key_of({"what": KIND, "format": FORMAT, "examples": content, "part": part, "batch": batch})


def put(
    cache: Cache, key: str, rows: Sequence[int], unreadable: Sequence[tuple[int, str]], arrays: Arrays
) -> Head | None:
    """Store one part of a shard, without the numbers of examples that have a value that is not finite. Returns None
    where the cache takes no more."""
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    masked = _nonfinite(len(rows), arrays)
    pieces: list[memoryview] = []
    described: list[JsonObject] = []  # no table, whose order JSON would not keep
    at = 0
    for name, value in arrays.items():
        kind = value.dtype.newbyteorder("<").str
        if kind not in TYPES:
            raise TypeError(f"an array of {value.dtype} is not stored")
        if masked:
            value = value.copy()
            value[list(masked)] = _missing(value.dtype)
        raw = np.ascontiguousarray(value, kind).reshape(-1).view(np.uint8).data
        sums = checksums(raw, len(value) if value.nbytes >= LARGE * max(len(value), 1) else 1)
        described.append({"name": name, "type": kind, "shape": list(value.shape), "at": at, "checksums": sums})
        pieces.append(raw)
        at += len(raw)
    metadata: JsonObject = {
        "kind": KIND, "bytes": at, "rows": list(rows), "unreadable": [list(one) for one in unreadable],
        "nonfinite": list(masked), "arrays": described,
    }  # fmt: skip
    return head_of(key, metadata) if cache.put(key, b"".join(pieces), metadata) else None


def _nonfinite(count: int, arrays: Arrays) -> tuple[int, ...]:
    """Return the positions of examples that have a value that is not finite in any array."""
    fine = np.ones(count, bool)
    for value in arrays.values():
        if value.dtype.kind == "f":
            fine &= np.isfinite(value).reshape(count, -1).all(1)
    return tuple(np.flatnonzero(~fine).tolist())


def _missing(dtype: np.dtype) -> float | int:
    """Return what stands for a number that is left out."""
    if dtype.kind == "f":
        return math.nan
    return np.iinfo(dtype).max if dtype.kind == "u" else -1 if dtype.kind == "i" else 0


def get(cache: Cache, key: str) -> Head | None:
    """Return what the record of a part of a shard says about itself; None where it is absent or damaged."""
    metadata = cache.metadata(key)
    if metadata is None:
        return None
    try:
        return head_of(key, metadata)
    except (ValueError, KeyError, TypeError, AttributeError):
        cache.drop(key)
        return None


def head_of(key: str, metadata: JsonObject) -> Head:
    """Return the description in a record's metadata. Raises ValueError, KeyError, TypeError or AttributeError for
    anything else."""
    rows = tuple(int(row) for row in metadata["rows"])
    arrays = {
        str(one["name"]): Stored(
            str(one["type"]),
            tuple(int(n) for n in one["shape"]),
            int(one["at"]),
            tuple(int(each) for each in one["checksums"]),
        )
        for one in metadata["arrays"]
    }
    for one in arrays.values():
        whole = one.dtype in TYPES and one.shape[:1] == (len(rows),) and min((*one.shape, one.at)) >= 0
        if not whole or len(one.checksums) not in (1, len(rows)):
            raise ValueError("no array of a shard")
    return Head(
        key, rows, tuple((int(row), str(reason)) for row, reason in metadata["unreadable"]),
        tuple(int(row) for row in metadata["nonfinite"]), arrays, int(metadata["bytes"]),
    )  # fmt: skip


def read(cache: Cache, head: Head, name: str) -> np.ndarray | None:
    """Return one array of a record; None where it is gone or damaged, and then the record is removed."""
    stored = head.arrays[name]
    return _read(cache, head, stored, range(stored.shape[0]))


def read_some(cache: Cache, head: Head, name: str, wanted: np.ndarray) -> np.ndarray | None:
    """Return the ``wanted`` examples (example,) of one array, reading no others of a large one; None as `read` does."""
    stored = head.arrays[name]
    if len(stored.checksums) != len(wanted):
        whole = read(cache, head, name)
        return None if whole is None else whole[wanted]
    pieces = [np.empty((0, *stored.shape[1:]), stored.dtype)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8))).tolist()
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        piece = _read(cache, head, stored, range(start, stop))
        if piece is None:
            return None
        pieces.append(piece)
    return pieces[-1] if len(pieces) == 2 else np.concatenate(pieces)


def _read(cache: Cache, head: Head, stored: Stored, rows: range) -> np.ndarray | None:
    """Read consecutive examples of an array: all of them where there is one checksum."""
    each = stored.bytes // max(stored.shape[0], 1)
    raw = cache.piece(head.key, stored.at + rows.start * each, len(rows) * each)
    if raw is None:
        return None
    expected = stored.checksums if len(stored.checksums) == 1 else stored.checksums[rows.start : rows.stop]
    if len(raw) != len(rows) * each or checksums(memoryview(raw), len(expected)) != list(expected):
        cache.drop(head.key)
        return None
    return np.frombuffer(raw, stored.dtype).reshape(len(rows), *stored.shape[1:])


def checksums(raw: memoryview, parts: int) -> list[int]:
    """Return the checksum of each of so many equal parts."""
    size = len(raw) // max(parts, 1)
    return [zlib.crc32(raw[part * size : (part + 1) * size]) for part in range(parts)]
