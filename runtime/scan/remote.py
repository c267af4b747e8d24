"""Shards as units of work for other processes, which write them to the same cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.scan.running import Runner, Unit, store
from bbilang.runtime.scan.work import Examples, ShardWork


@dataclass(frozen=True)
class Ready:
    """A recipe for work that is there already, and is sent as it is."""

    work: ShardWork

    def __call__(self) -> ShardWork:
        return self.work


@dataclass(frozen=True)
class ShardTask:
    """The task of a scan's workers. ``recipe``: makes the work in a worker."""

    dataset: Examples
    recipe: Callable[[], ShardWork]
    batch: int
    folder: str | os.PathLike[str]
    limit: int

    def start(self) -> Callable[[Unit], int]:
        """Return what computes and stores a shard, and returns the number of its readable examples."""
        import torch

        from bbilang.runtime.device.accelerate import full_precision
        from bbilang.runtime.passes.module.memo import module_unchanged

        cache = Cache(self.folder, self.limit)
        runner = Runner(self.dataset, self.recipe(), self.batch, decoders=torch.get_num_threads())

        def compute(unit: Unit) -> int:
            with module_unchanged(), full_precision():  # as in the driver
                (computed,) = runner.run([unit])
            store(cache, self.dataset, computed)
            return len(computed.rows)

        return compute
