"""One pass over a dataset: shards that the cache has are recalled, the others are computed and stored one by one. What
was finished stays, whatever ends the scan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data.dataset import list_unreadable
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.errors import error
from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.scan import batch_size, room, shards
from bbilang.runtime.scan.digests import digests
from bbilang.runtime.scan.reading import ready
from bbilang.runtime.scan.remote import Ready, ShardTask
from bbilang.runtime.scan.running import FirstResult, Runner, Unit, store
from bbilang.runtime.scan.scanned import Scanned
from bbilang.runtime.scan.shards import Arrays, Head
from bbilang.runtime.scan.work import Examples, Identity, ShardWork
from bbilang.runtime.workers.task import Pool

NO_LIMIT = 1 << 62


def scan(
    dataset: Examples,
    work: ShardWork,
    cache: Cache | None,
    *,
    batch: int | None = None,
    listener: RunListener | None = None,
    pool: Pool | None = None,
    recipe: Callable[[], ShardWork] | None = None,
) -> Scanned:
    """Scan a dataset, reusing the shards of the cache. ``batch``: examples of a batch; by default the fastest, see
    `batch_size`. Without a ``cache`` a temporary folder holds the shards as long as the result lives. ``pool``: workers
    that compute shards, for which ``recipe`` makes the work there; by default the work itself is sent.

    Raises BbiError E418 for examples of several shapes, E448 where the results do not fit, E452 where no example can be
    read, and what the work raises.
    """
    temporary = None
    if cache is None:
        temporary = TemporaryDirectory(prefix="bbi-scan-")
        cache = Cache(temporary.name, NO_LIMIT)
    with cache.holding():
        layout = Layout(dataset, work, cache)
        size = batch or batch_size.known(cache, work, len(dataset))
        if size is None:
            size = batch_size.choose(cache, work, _first_readable(dataset, work), tuple(work.parts))
        heads = layout.recall(size)
        here = _InProcess(layout, work, size)
        computer = here if pool is None else _InWorkers(layout, work, size, pool, recipe or Ready(work))
        fresh = _complete(layout, size, heads, listener, computer)
    return _scanned(layout, size, heads, fresh, temporary)


def stored(dataset: Examples, identity: Identity, cache: Cache, *, batch: int | None = None) -> Scanned | None:
    """Return the scan of a dataset where the cache has all of it, without its network; else None."""
    size = batch or batch_size.known(cache, identity, len(dataset))
    if size is None:
        return None
    with cache.holding():
        layout = Layout(dataset, identity, cache)
        heads = layout.recall(size)
    if layout.units(size, heads):
        return None
    return _scanned(layout, size, heads, {}, None)


Heads = dict[str, list[Head | None]]  # by part, one for each shard


class Layout:
    """The shards of a dataset, known by the content of their examples."""

    def __init__(self, dataset: Examples, identity: Identity, cache: Cache):
        self.dataset, self.identity, self.cache = dataset, identity, cache
        self.ranges = tuple(shards.ranges(len(dataset)))
        self.contents = tuple(shards.content_of(own) for own in digests(dataset, self.ranges))

    def key(self, shard: int, part: str, batch: int) -> str:
        return shards.key(self.contents[shard], self.identity.parts[part], batch)

    def recall(self, batch: int) -> Heads:
        """Return what the cache has."""
        return {
            part: [shards.get(self.cache, self.key(shard, part, batch)) for shard in range(len(self.ranges))]
            for part in self.identity.parts
        }

    def units(self, batch: int, heads: Heads) -> list[Unit]:
        """Return what is missing. A shard whose parts disagree on which examples can be read is computed as a whole."""
        units = []
        for shard, examples in enumerate(self.ranges):
            own = {part: heads[part][shard] for part in heads}
            known = {head.rows for head in own.values() if head is not None}
            wanted = [part for part, head in own.items() if head is None or len(known) > 1]
            if wanted:
                units.append(Unit(shard, examples, {part: self.key(shard, part, batch) for part in wanted}))
        return units


class _Computer(Protocol):
    """Computes and stores units."""

    def run(
        self, units: Sequence[Unit], progressed: Callable[[int], None], fits: FirstResult
    ) -> Iterator[tuple[Unit, Mapping[str, Head]]]:
        """Yield each unit with what was stored of it. ``fits`` is called with the first results, before any."""


@dataclass
class _InProcess:
    """Computes units in this process."""

    layout: Layout
    work: ShardWork
    batch: int

    def run(
        self, units: Sequence[Unit], progressed: Callable[[int], None], fits: FirstResult
    ) -> Iterator[tuple[Unit, Mapping[str, Head]]]:
        for computed in Runner(self.layout.dataset, self.work, self.batch).run(units, progressed, fits):
            yield computed.unit, store(self.layout.cache, self.layout.dataset, computed)


@dataclass
class _InWorkers(_InProcess):
    """Has workers compute units, which write to the same cache."""

    pool: Pool
    recipe: Callable[[], ShardWork]

    def run(
        self, units: Sequence[Unit], progressed: Callable[[int], None], fits: FirstResult
    ) -> Iterator[tuple[Unit, Mapping[str, Head]]]:
        cache, dataset = self.layout.cache, self.layout.dataset
        images = _first_readable(dataset, self.work)[: self.batch]
        fits(Runner(dataset, self.work, self.batch).compute(images, tuple(self.work.parts)), len(images))
        task = ShardTask(dataset, self.recipe, self.batch, cache.folder, cache.limit)
        with closing(self.pool.run(task, units)) as finished:
            for unit, _ in finished:
                stored = {part: shards.get(cache, key) for part, key in unit.wanted.items()}
                if None in stored.values():
                    message = f"a worker wrote {unit} of `{dataset.name}`, but it is not in {cache.folder} here"
                    raise error("E517", message, "set BBI_CACHE_DIR to a folder that all machines share")
                progressed(len(unit.examples))
                yield unit, {part: head for part, head in stored.items() if head is not None}


def _complete(
    layout: Layout, batch: int, heads: Heads, listener: RunListener | None, computer: _Computer
) -> dict[int, int]:
    """Compute and store what is missing, and return the number of examples that ran of each shard."""
    fresh: dict[int, int] = {}
    for _ in range(2):  # once more where a picture was readable in one scan and not in another
        units = layout.units(batch, heads)
        if not units:
            break
        progress = _Progress(layout.dataset, units, listener)
        for unit, stored in computer.run(units, progress.add, _RoomCheck(layout, heads, units)):
            for part, head in stored.items():
                heads[part][unit.shard] = head
            fresh[unit.shard] = len(unit.examples)
    return fresh


class _RoomCheck:
    """Checks, once the first batch says how large an example is, whether all of the missing shards fit."""

    def __init__(self, layout: Layout, heads: Heads, units: Sequence[Unit]):
        self.layout, self.heads, self.units = layout, heads, units

    def __call__(self, results: Mapping[str, Arrays], count: int) -> None:
        there = [(part, head) for part, own in self.heads.items() for head in own if head is not None]
        sizes = {part: head.bytes // len(head.rows) for part, head in there if head.rows}
        sizes |= room.bytes_of(results, count)
        new = sum(sizes.get(part, 0) * len(unit.examples) + room.HEAD for unit in self.units for part in unit.wanted)
        room.check(self.layout.cache, self.layout.dataset.name, new, sum(head.bytes for _, head in there))


class _Progress:
    """Reports the examples of a scan; those of recalled shards are done from the start."""

    def __init__(self, dataset: Examples, units: Sequence[Unit], listener: RunListener | None):
        self._words, self._listener, self._total = f"scanning {dataset.name}", listener, len(dataset)
        self._before = self._done = self._total - sum(len(unit.examples) for unit in units)
        self._began = time.monotonic()
        self.add(0)

    def add(self, count: int) -> None:
        self._done += count
        if self._listener is not None:
            rate = (self._done - self._before) / max(time.monotonic() - self._began, 1e-9)
            left = (self._total - self._done) / rate if rate else None
            self._listener(Event("work", self._words, self._done, self._total, left, rate or None))


def _first_readable(dataset: Examples, work: ShardWork) -> list[np.ndarray]:
    """Return the first readable examples, for a trial. Raises BbiError E452 where there is none."""
    images: list[np.ndarray] = []
    unreadable: list[Unreadable] = []
    for number in range(len(dataset)):
        image = ready(dataset, work.prepare, number)
        if isinstance(image, Unreadable):
            unreadable.append(image)
        else:
            images.append(image)
        if len(images) == batch_size.SIZES[0]:
            break
    if not images:
        raise _none_readable(dataset, unreadable)
    return images


def _scanned(
    layout: Layout, batch: int, heads: Heads, fresh: Mapping[int, int], temporary: TemporaryDirectory[str] | None
) -> Scanned:
    whole = {part: [head for head in own if head is not None] for part, own in heads.items()}
    scanned = Scanned(layout.dataset, layout.cache, whole, batch, len(fresh), sum(fresh.values()), temporary)
    if not len(scanned.rows):
        raise _none_readable(layout.dataset, scanned.unreadable)
    return scanned


def _none_readable(dataset: Examples, unreadable: Sequence[Unreadable]) -> BbiError:
    return error(
        "E452", f"none of the {len(dataset):,} examples of {dataset.name} can be read", list_unreadable(unreadable)
    )
