"""What is computed after a scan, and kept in the cache: maps of channels on a few examples, receptive fields."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.cache.disk import key_of
from bbilang.runtime.errors import NotKept

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.scanning import ScanWork
    from bbilang.runtime.json_types import JsonObject

BATCH = 16  # pictures that run at once


def remembered(cache: Cache | None, what: JsonObject, compute: Callable[[], np.ndarray] | None) -> np.ndarray:
    """Return an array from the cache, or compute it and keep it there. Raises `NotKept` where nothing can compute
    it."""
    key = key_of(what)
    record = cache.get(key) if cache is not None else None
    if record is not None:
        try:
            return np.load(io.BytesIO(record[0]), allow_pickle=False)
        except (ValueError, EOFError, OSError):  # damaged: computed again
            pass
    if compute is None:
        raise NotKept
    made = compute()
    if cache is not None:
        file = io.BytesIO()
        np.save(file, made, allow_pickle=False)
        cache.put(key, file.getvalue(), {"kind": "numbers"})
    return made


def maps_of(work: ScanWork, dataset: Dataset, pairs: np.ndarray) -> np.ndarray:
    """Run the network on some examples, each once. pairs (pair, 2): the number of an example in the dataset and a
    channel. Returns (pair, y, x)."""
    import torch

    wanted: dict[int, list[int]] = {}
    for number, (example, _) in enumerate(pairs.tolist()):
        wanted.setdefault(example, []).append(number)
    maps: list[np.ndarray] = [np.zeros((0, 0))] * len(pairs)
    examples = list(wanted)
    for start in range(0, len(examples), BATCH):
        own = examples[start : start + BATCH]
        images = torch.from_numpy(np.stack([work.prepare(dataset.picture(example)) for example in own]))
        neurons = work.neurons(images)
        for example, values in zip(own, neurons, strict=True):
            for number in wanted[example]:
                maps[number] = values[pairs[number, 1]].astype(np.float32)
    return np.stack(maps)
