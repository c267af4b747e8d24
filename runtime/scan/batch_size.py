"""The batch size of a scan: given, remembered, or chosen by a short trial.

The last digits of a result depend on it, so it is part of the keys of shards: if it changed by chance from run to run,
no shard would be found again. The outcome of a trial is therefore remembered, and small datasets have a fixed one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import numpy as np

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.scan.work import Identity, ShardWork

USUAL = 8  # no slower than 16 in the benchmarks, with half of the memory
SIZES = (8, 16, 32, 64)
FEWEST = 1024  # examples for which a trial is worth its time
BETTER = 0.97  # of the time an example takes: what a larger batch must reach


def known(cache: Cache, identity: Identity, count: int) -> int | None:
    """Return the batch size of a dataset of so many examples; None where a trial has to choose it."""
    if count < FEWEST:
        return USUAL
    record = cache.get(_key(identity))
    size = int(record[0]) if record is not None and record[0].isdigit() else None
    return size if size in SIZES else None


def choose(cache: Cache, work: ShardWork, images: Sequence[np.ndarray], wanted: Collection[str]) -> int:
    """Choose the batch size with which an example takes least time, and remember it. ``images`` as `prepare` gave them;
    a few are enough. Larger ones are tried as long as they gain. Without a GPU it is the time of the processors, since
    on a busy machine the clock says nothing."""
    import torch

    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    stacked = torch.from_numpy(np.resize(np.stack(images), (SIZES[-1], *images[0].shape)))

    def seconds(size: int) -> float:
        began = clock()
        work.batch(stacked[:size], wanted)
        return (clock() - began) / size

    seconds(SIZES[0])  # warms up
    best, least = SIZES[0], seconds(SIZES[0])
    for size in SIZES[1:]:
        try:
            taken = seconds(size)
        except BbiError as error:
            if error.diagnostics[0].code != "E504":  # memory
                raise
            break
        if taken > least * BETTER:
            break
        best, least = size, taken
    cache.put(_key(work), str(best).encode(), {"kind": "batch"})
    return best


def _key(identity: Identity) -> str:
    return key_of({"what": "batch of a scan", "network": identity.network})
