"""Run the work of a scan over shards: batches of one size that never cross a shard, so that results do not depend on
what was recalled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.errors import error
from bbilang.runtime.scan import room, shards
from bbilang.runtime.scan.reading import Prefetcher, threads
from bbilang.runtime.scan.shards import Arrays, Head
from bbilang.runtime.scan.work import Examples, ShardWork


@frozen
class Unit:
    """The part of a scan that is computed and stored at once: a shard, its examples, and which parts of it are
    ``wanted``, each with the key of its record."""

    shard: int
    examples: range
    wanted: Mapping[str, str]

    def __str__(self) -> str:
        return f"shard {self.shard} (examples {self.examples.start} to {self.examples.stop - 1})"


@dataclass
class Computed:
    """The results of one unit. ``rows`` and ``unreadable``: see `shards.Head`."""

    unit: Unit
    rows: list[int] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    parts: dict[str, Arrays] = field(default_factory=dict)


Progressed = Callable[[int], None]  # called with the number of examples that a batch adds
FirstResult = Callable[[Mapping[str, Arrays], int], None]  # with the results of a batch and the number of its examples


class Runner:
    """Runs units one after another, and prefetches across their boundaries."""

    def __init__(self, dataset: Examples, work: ShardWork, batch: int, decoders: int | None = None):
        self.dataset, self.work, self.batch = dataset, work, batch
        self._decoders = decoders or threads()
        self._like: np.ndarray | None = None

    def run(
        self, units: Sequence[Unit], progressed: Progressed | None = None, first: FirstResult | None = None
    ) -> Iterator[Computed]:
        """Compute each unit. ``first`` is called with the results of the first batch, before a unit is yielded."""
        numbers = (number for unit in units for number in unit.examples)
        most = 2 * self.batch + self._decoders
        with Prefetcher(self.dataset, self.work.prepare, numbers, most, self._decoders) as prefetcher:
            for unit in units:
                computed = Computed(unit)
                pieces: list[Mapping[str, Arrays]] = []
                for images, rows in self._batches(unit, computed, prefetcher, progressed):
                    results = self.compute(images, tuple(unit.wanted), [unit.examples[row] for row in rows])
                    if first is not None:
                        first(results, len(images))
                        first = None
                    pieces.append(results)
                computed.parts = {part: _joined([piece[part] for piece in pieces]) for part in unit.wanted}
                yield computed

    def _batches(
        self, unit: Unit, computed: Computed, prefetcher: Prefetcher, progressed: Progressed | None
    ) -> Iterator[tuple[list[np.ndarray], list[int]]]:
        """Yield the examples of each batch, and their numbers in the shard."""
        images: list[np.ndarray] = []
        taken = 0
        for row, number in enumerate(unit.examples):
            ready = prefetcher.take()
            taken += 1
            if isinstance(ready, Unreadable):
                computed.unreadable.append((row, ready.reason))
            else:
                computed.rows.append(row)
                images.append(self._alike(ready, number))
            if len(images) == self.batch or (images and row == len(unit.examples) - 1):
                yield images, computed.rows[-len(images) :]
                images = []
            if not images and progressed is not None:
                progressed(taken)
                taken = 0

    def _alike(self, image: np.ndarray, number: int) -> np.ndarray:
        """Raise BbiError E418 for an example of another shape than those before."""
        if self._like is None:
            self._like = image
        if image.shape != self._like.shape or image.dtype != self._like.dtype:
            message = f"example {number} of `{self.dataset.name}` has the shape {image.shape}, and others "
            raise error("E418", f"{message}{self._like.shape}", "a scan takes examples of one shape")
        return image

    def compute(
        self, images: list[np.ndarray], wanted: tuple[str, ...], numbers: Sequence[int] = ()
    ) -> dict[str, dict[str, np.ndarray]]:
        """Run one batch, filled up to its size. ``numbers``: of its examples; none in a trial."""
        import torch

        from bbilang.runtime.passes.hooks import nonfinite_allowed

        # Torch's own memory begins at a multiple of 64 bytes, as MKL asks for if results are to be equal to the bit.
        stacked = torch.from_numpy(images[0]).new_zeros((self.batch, *images[0].shape))
        np.stack(images, out=stacked.numpy()[: len(images)])
        with nonfinite_allowed():
            results = self.work.batch(stacked, wanted, numbers)
        return {
            part: {name: np.asarray(value)[: len(images)] for name, value in results[part].items()} for part in wanted
        }


def store(cache: Cache, dataset: Examples, computed: Computed) -> dict[str, Head]:
    """Write the parts of one shard. Raises BbiError E448 where the cache takes no more."""
    heads = {}
    for part, key in computed.unit.wanted.items():
        head = shards.put(cache, key, computed.rows, computed.unreadable, computed.parts[part])
        if head is None:
            raise room.full(cache, dataset.name)
        heads[part] = head
    return heads


def _joined(pieces: Sequence[Arrays]) -> dict[str, np.ndarray]:
    if not pieces:
        return {}
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
