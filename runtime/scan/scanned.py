"""The results of a scan, read from its shards one array at a time, without torch and without the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from tempfile import TemporaryDirectory

import numpy as np

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.errors import error
from bbilang.runtime.scan import shards
from bbilang.runtime.scan.shards import Head
from bbilang.runtime.scan.work import Examples


class Scanned:
    """What a scan gave. Arrays are over the readable examples, in the order of the dataset; `rows` are their numbers in
    it. The numbers of an example with a value that is not finite are NaN (-1 for whole numbers) in every array of that
    part, see `finite`.

    ``fresh`` and ``recalled``: the number of shards that were computed, at least in part, and that were there.
    ``ran``: the number of examples that were computed.
    """

    def __init__(
        self,
        dataset: Examples,
        cache: Cache,
        heads: Mapping[str, Sequence[Head]],
        batch: int,
        fresh: int = 0,
        ran: int = 0,
        temporary: TemporaryDirectory[str] | None = None,
    ):
        self.dataset, self.batch, self.fresh, self.ran = dataset, batch, fresh, ran
        self.recalled = len(_any(heads)) - fresh
        self._cache, self._heads = cache, heads
        self._temporary = temporary  # the folder of a cache that lives as long as this

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(self._heads)

    @cached_property
    def rows(self) -> np.ndarray:
        """The numbers of the readable examples in the dataset, (example,)."""
        numbers = [n * shards.SIZE + row for n, head in enumerate(_any(self._heads)) for row in head.rows]
        return np.array(numbers, np.int64)

    @cached_property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """The examples that could not be read, each with its name and the reason."""
        heads, files = enumerate(_any(self._heads)), self.dataset.files
        return tuple(
            Unreadable(str(files[n * shards.SIZE + row]), why) for n, head in heads for row, why in head.unreadable
        )

    @property
    def nonfinite(self) -> dict[str, int]:
        """The number of examples that are left out of each part, since a value is not finite."""
        return {part: sum(len(head.nonfinite) for head in heads) for part, heads in self._heads.items()}

    def finite(self, part: str) -> np.ndarray:
        """Return whether each readable example's numbers are finite in a part, (example,)."""
        fine = [np.ones(len(head.rows), bool) for head in self._heads[part]]
        for own, head in zip(fine, self._heads[part], strict=True):
            own[list(head.nonfinite)] = False
        return np.concatenate([np.ones(0, bool), *fine])

    def names(self, part: str) -> tuple[str, ...]:
        """Return the names of the arrays of a part."""
        return next((tuple(head.arrays) for head in self._heads[part] if head.rows), ())

    def stream(self, part: str, name: str, wanted: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield an array shard by shard, (example, ...), so that a large dataset does not have to fit into the memory.
        ``wanted`` (example,): of which readable examples; those of large arrays are read without the others.
        Raises BbiError E449 where a shard was removed meanwhile."""
        at = 0
        for head in self._heads[part]:
            own = None if wanted is None else wanted[at : at + len(head.rows)]
            at += len(head.rows)
            if not head.rows or (own is not None and not own.any()):
                continue
            value = (
                shards.read(self._cache, head, name)
                if own is None or own.all()
                else shards.read_some(self._cache, head, name, own)
            )
            if value is None:
                raise _shard_lost(self.dataset.name)
            yield value

    def array(self, part: str, name: str) -> np.ndarray:
        """Return an array over all readable examples, (example, ...). Raises BbiError E449."""
        first = next(head.arrays[name] for head in self._heads[part] if head.rows)
        whole = np.empty((len(self.rows), *first.shape[1:]), first.dtype)
        at = 0
        for value in self.stream(part, name):
            whole[at : at + len(value)] = value
            at += len(value)
        return whole

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(head.bytes for heads in self._heads.values() for head in heads)


def _any(heads: Mapping[str, Sequence[Head]]) -> Sequence[Head]:
    """Return the heads of one part: all parts of a scan agree on which examples can be read."""
    return next(iter(heads.values()), ())


def _shard_lost(name: str) -> BbiError:
    help = "run it again: what is missing is computed. `bbi cache --limit` gives the cache more room"
    return error("E449", f"a shard of the scan of `{name}` was removed or damaged while it was read", help)
